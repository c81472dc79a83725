-- In which spaces its account saw the content when it was announced, as a JSON array: whoever is not
-- in all of them is not told of it, also when the file is there no more.
ALTER TABLE partials ADD COLUMN spaces TEXT NOT NULL DEFAULT '[]';
