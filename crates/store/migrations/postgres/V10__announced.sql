-- In which spaces its account saw the content when it was announced: whoever is not in all of them
-- is not told of it, also when the file is there no more.
ALTER TABLE partials ADD COLUMN spaces BIGINT[] NOT NULL DEFAULT '{}';
