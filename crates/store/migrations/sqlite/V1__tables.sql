-- Times are milliseconds since 1970, leap seconds not counted, unless named otherwise.

CREATE TABLE accounts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    role          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created       INTEGER NOT NULL
) STRICT;

CREATE TABLE invites (
    code    BLOB    NOT NULL PRIMARY KEY,
    role    TEXT    NOT NULL,
    uses    INTEGER,            -- how often it can still be used; null for without limit
    expires INTEGER NOT NULL,
    founds  INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    token   BLOB    NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    account    INTEGER NOT NULL REFERENCES accounts,
    session    BLOB,            -- null once that session has ended
    addresses  TEXT    NOT NULL, -- JSON array of HOST:PORT, best first
    generation INTEGER NOT NULL,
    lease      INTEGER NOT NULL, -- online while this lies in the future
    since      INTEGER NOT NULL,
    departed   INTEGER NOT NULL, -- left the list by its own will: must register to return
    attempt    INTEGER NOT NULL, -- the newest attempt to take in the whole index
    files      INTEGER NOT NULL  -- how many rows of files are its
) STRICT;
CREATE INDEX peers_by_session ON peers (session);

-- The size belongs to the key: whoever claims another size for a hash speaks of another content,
-- and cannot spoil the honest claim.
CREATE TABLE contents (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB    NOT NULL,
    size INTEGER NOT NULL,
    UNIQUE (hash, size)
) STRICT;

CREATE TABLE files (
    peer     INTEGER NOT NULL REFERENCES peers,
    path     TEXT    NOT NULL,
    content  INTEGER NOT NULL REFERENCES contents,
    modified INTEGER NOT NULL,   -- seconds since 1970
    attempt  INTEGER NOT NULL,   -- the attempt that named it last
    PRIMARY KEY (peer, path)
) STRICT, WITHOUT ROWID;
-- Holds the path too (the primary key is part of every index), so that it answers who shares a
-- content and under which names by itself.
CREATE INDEX files_by_content ON files (content, peer);

-- No reference to contents: the log outlives what it speaks of.
CREATE TABLE changes (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    content INTEGER NOT NULL
) STRICT;
