-- What the last publication of a peer was answered with: the same one sent again gets the same answer.
ALTER TABLE peers ADD COLUMN last_upserted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN last_removed INTEGER NOT NULL DEFAULT 0;
