-- One word for one thing: as the protocol calls them.
ALTER TABLE audit RENAME COLUMN act TO action;
ALTER TABLE audit RENAME COLUMN subject TO target;

-- The name of who made it, which outlives the account; empty for the directory itself.
ALTER TABLE invites ADD COLUMN creator TEXT NOT NULL DEFAULT '';

-- When it was used last, as exactly as its end is put off.
ALTER TABLE sessions ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET used = created;
