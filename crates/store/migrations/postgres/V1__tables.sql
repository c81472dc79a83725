-- Times are milliseconds since 1970, leap seconds not counted, unless named otherwise. Text that is
-- a key compares byte by byte ("C"), whatever the database's own collation is.

CREATE TABLE accounts (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL UNIQUE,
    role          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    created       BIGINT  NOT NULL
);

CREATE TABLE invites (
    code    BYTEA   NOT NULL PRIMARY KEY,
    role    TEXT    NOT NULL,
    uses    BIGINT,             -- how often it can still be used; null for without limit
    expires BIGINT  NOT NULL,
    founds  BOOLEAN NOT NULL,
    created BIGINT  NOT NULL
);

CREATE TABLE sessions (
    token   BYTEA  NOT NULL PRIMARY KEY,
    account BIGINT NOT NULL REFERENCES accounts,
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE peers (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    account    BIGINT  NOT NULL REFERENCES accounts,
    session    BYTEA,            -- null once that session has ended
    addresses  TEXT    NOT NULL, -- JSON array of HOST:PORT, best first
    generation BIGINT  NOT NULL,
    lease      BIGINT  NOT NULL, -- online while this lies in the future
    since      BIGINT  NOT NULL,
    departed   BOOLEAN NOT NULL, -- left the list by its own will: must register to return
    attempt    BIGINT  NOT NULL, -- the newest attempt to take in the whole index
    files      BIGINT  NOT NULL  -- how many rows of files are its
) WITH (fillfactor = 70);        -- each heartbeat writes its row anew, best on the same page
CREATE INDEX peers_by_session ON peers (session);

-- The size belongs to the key: whoever claims another size for a hash speaks of another content,
-- and cannot spoil the honest claim.
CREATE TABLE contents (
    id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash BYTEA  NOT NULL,
    size BIGINT NOT NULL,
    UNIQUE (hash, size)
);

CREATE TABLE files (
    peer     BIGINT NOT NULL REFERENCES peers,
    path     TEXT COLLATE "C" NOT NULL, -- of a path too long for an index its beginning and hash
    content  BIGINT NOT NULL REFERENCES contents,
    modified BIGINT NOT NULL,    -- seconds since 1970
    attempt  BIGINT NOT NULL,    -- the attempt that named it last
    whole    TEXT COLLATE "C",   -- the path where it is too long for an index, else null
    PRIMARY KEY (peer, path)
);
CREATE INDEX files_by_content ON files (content, peer, path);

-- Contents that lost a file while somebody else was at them, and may have no file any more: looked
-- at when sweeping. Without a key, so that nobody waits for anybody.
CREATE TABLE orphans (
    content BIGINT NOT NULL
);

-- No reference to contents: the log outlives what it speaks of.
CREATE TABLE changes (
    seq     BIGINT NOT NULL PRIMARY KEY,
    content BIGINT NOT NULL
);

-- The number of the last change: one row, locked from the moment that a transaction takes its
-- numbers until it has committed. So the numbers have no gaps, and appear in their order.
CREATE TABLE change_log (
    position BIGINT NOT NULL
);
INSERT INTO change_log (position) VALUES (0);

-- What all replicas of a directory must have alike: the authority's and the tickets' private keys,
-- and the standing invite. Whoever reads this table can pass for the directory.
CREATE TABLE secrets (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
