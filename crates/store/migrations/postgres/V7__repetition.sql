-- What the last publication of a peer was answered with: the same one sent again gets the same answer.
ALTER TABLE peers ADD COLUMN last_upserted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN last_removed BIGINT NOT NULL DEFAULT 0;
