-- A named set of accounts. The space with number 0 means everyone, and has no row.
CREATE TABLE spaces (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    account INTEGER NOT NULL REFERENCES accounts,
    space   INTEGER NOT NULL REFERENCES spaces,
    since   INTEGER NOT NULL,
    PRIMARY KEY (account, space)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_space ON memberships (space);

-- Which space a file is visible to. It stands in the index before the peer, so that who may see
-- some spaces looks at no row of the others.
ALTER TABLE files ADD COLUMN space INTEGER NOT NULL DEFAULT 0;
DROP INDEX files_by_content;
CREATE INDEX files_by_content ON files (content, space, peer);

-- How many rows of files are a peer's, by space: everybody is told the number that he may see.
CREATE TABLE peer_files (
    peer  INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    space INTEGER NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (peer, space)
) STRICT, WITHOUT ROWID;
INSERT INTO peer_files (peer, space, files) SELECT id, 0, files FROM peers WHERE files > 0;
ALTER TABLE peers DROP COLUMN files;
CREATE INDEX peers_by_account ON peers (account);

-- The space that accounts made with it come to belong to; 0 for none.
ALTER TABLE invites ADD COLUMN space INTEGER NOT NULL DEFAULT 0;

-- Where it was begun from; empty if that is not known.
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_account ON sessions (account);

-- Names, not numbers: the log outlives what it speaks of.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    last    INTEGER NOT NULL,    -- the last of the times that are added up here
    times   INTEGER NOT NULL,
    actor   TEXT    NOT NULL,    -- a user name; empty if it is not known
    act     TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    address TEXT    NOT NULL,    -- empty if it is not known
    outcome TEXT    NOT NULL
) STRICT;
-- For adding up what was refused or failed, of which there may be very much.
CREATE INDEX audit_unfinished ON audit (at) WHERE outcome <> 'done';
