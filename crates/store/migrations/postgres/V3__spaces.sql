-- A named set of accounts. The space with number 0 means everyone, and has no row.
CREATE TABLE spaces (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    TEXT COLLATE "C" NOT NULL UNIQUE,
    created BIGINT NOT NULL
);

CREATE TABLE memberships (
    account BIGINT NOT NULL REFERENCES accounts,
    space   BIGINT NOT NULL REFERENCES spaces,
    since   BIGINT NOT NULL,
    PRIMARY KEY (account, space)
);
CREATE INDEX memberships_by_space ON memberships (space);

-- Which space a file is visible to. It stands in the index before the peer, so that who may see
-- some spaces looks at no row of the others.
ALTER TABLE files ADD COLUMN space BIGINT NOT NULL DEFAULT 0;
DROP INDEX files_by_content;
CREATE INDEX files_by_content ON files (content, space, peer, path);

-- How many rows of files are a peer's, by space: everybody is told the number that he may see.
CREATE TABLE peer_files (
    peer  BIGINT NOT NULL REFERENCES peers ON DELETE CASCADE,
    space BIGINT NOT NULL,
    files BIGINT NOT NULL,
    PRIMARY KEY (peer, space)
);
INSERT INTO peer_files (peer, space, files) SELECT id, 0, files FROM peers WHERE files > 0;
ALTER TABLE peers DROP COLUMN files;
CREATE INDEX peers_by_account ON peers (account);

-- The space that accounts made with it come to belong to; 0 for none.
ALTER TABLE invites ADD COLUMN space BIGINT NOT NULL DEFAULT 0;

-- Where it was begun from; empty if that is not known.
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_account ON sessions (account);

-- Names, not numbers: the log outlives what it speaks of.
CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    last    BIGINT NOT NULL,    -- the last of the times that are added up here
    times   BIGINT NOT NULL,
    actor   TEXT   NOT NULL,    -- a user name; empty if it is not known
    act     TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    address TEXT   NOT NULL,    -- empty if it is not known
    outcome TEXT   NOT NULL
);
-- For adding up what was refused or failed, of which there may be very much.
CREATE INDEX audit_unfinished ON audit (at) WHERE outcome <> 'done';
