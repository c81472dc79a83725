-- Times are Unix times in milliseconds, unless stated otherwise. Text keys compare byte by byte
-- ("C"), regardless of the collation of the database.

CREATE TABLE accounts (
    id            BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL UNIQUE,
    role          TEXT             NOT NULL,
    password_hash TEXT             NOT NULL,
    disabled      BOOLEAN          NOT NULL DEFAULT FALSE,
    created       BIGINT           NOT NULL
);

-- Named sets of accounts. The space with number 0 is the space of everyone. It has no row.
CREATE TABLE spaces (
    id      BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    TEXT COLLATE "C" NOT NULL UNIQUE,
    created BIGINT           NOT NULL
);

CREATE TABLE memberships (
    account BIGINT NOT NULL REFERENCES accounts,
    space   BIGINT NOT NULL REFERENCES spaces,
    since   BIGINT NOT NULL,
    PRIMARY KEY (account, space)
);
CREATE INDEX memberships_by_space ON memberships (space);

CREATE TABLE invites (
    code    BYTEA   NOT NULL PRIMARY KEY, -- its hash
    role    TEXT    NOT NULL,
    uses    BIGINT,                       -- remaining uses; null for no limit
    expires BIGINT  NOT NULL,
    founds  BOOLEAN NOT NULL,             -- makes the first administrator
    created BIGINT  NOT NULL,
    space   BIGINT  NOT NULL DEFAULT 0,   -- space of the accounts created with it; 0 for none
    creator TEXT    NOT NULL DEFAULT ''   -- user name; empty for the directory itself
);
CREATE INDEX invites_by_space ON invites (space) WHERE space <> 0;
CREATE INDEX invites_by_creator ON invites (creator, expires);

CREATE TABLE sessions (
    token   BYTEA  NOT NULL PRIMARY KEY, -- its hash
    account BIGINT NOT NULL REFERENCES accounts,
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL,
    address TEXT   NOT NULL DEFAULT '',  -- client address at login; empty if unknown
    used    BIGINT NOT NULL              -- last use, as exact as the renewal of the expiry
);
CREATE INDEX sessions_by_account ON sessions (account, token);

CREATE TABLE peers (
    id            BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL UNIQUE,        -- peer id; '/' and the number if removed
    account       BIGINT           NOT NULL REFERENCES accounts,
    session       BYTEA,                                   -- null after its end
    key           BYTEA,                                   -- SHA-256 of the home's public key
    run           BYTEA,                                   -- random number of the peer's process
    addresses     TEXT             NOT NULL,               -- JSON array of HOST:PORT, best first
    generation    BIGINT           NOT NULL,
    lease         BIGINT           NOT NULL,               -- the peer is online until this time
    since         BIGINT           NOT NULL,
    departed      BOOLEAN          NOT NULL,               -- left; must register to be online again
    attempt       BIGINT           NOT NULL,               -- newest full publication
    transient     BOOLEAN          NOT NULL DEFAULT FALSE, -- exists for one download
    last_upserted BIGINT           NOT NULL DEFAULT 0,     -- answer to the last publication
    last_removed  BIGINT           NOT NULL DEFAULT 0,
    uploads       TEXT             NOT NULL DEFAULT '',    -- accounts that may upload to the peer
    loads         TEXT             NOT NULL DEFAULT ''     -- accounts that may add remote fetches
) WITH (fillfactor = 70); -- each heartbeat writes a new version of its row, best on the same page
-- With the number: a session asks for its newest peer.
CREATE INDEX peers_by_session ON peers (session, id);
CREATE INDEX peers_by_account ON peers (account);
CREATE INDEX peers_transient ON peers (lease) WHERE transient;

-- The kind, the size and the number of files are part of the key, so that a false claim for a hash is
-- a different content.
CREATE TABLE contents (
    id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash  BYTEA  NOT NULL,
    kind  BIGINT NOT NULL, -- 0: a file, 1: a folder
    size  BIGINT NOT NULL, -- of a folder, of all files below it
    files BIGINT NOT NULL, -- files below a folder; 0 for a file
    UNIQUE (hash, kind, size, files)
);

-- Shared files and folders.
CREATE TABLE files (
    peer       BIGINT           NOT NULL REFERENCES peers,
    path       TEXT COLLATE "C" NOT NULL, -- beginning and hash of a path too long for an index
    name       BIGINT           NOT NULL, -- first 8 bytes of the BLAKE3 hash of the file name
    content    BIGINT           NOT NULL REFERENCES contents,
    modified   BIGINT           NOT NULL, -- Unix time in seconds
    attempt    BIGINT           NOT NULL, -- last full publication that contained the file
    space      BIGINT           NOT NULL DEFAULT 0,
    executable BOOLEAN          NOT NULL DEFAULT FALSE,
    whole      TEXT COLLATE "C",          -- the path if `path` is shortened
    PRIMARY KEY (peer, path)
);
-- The space is before the peer, so that a lookup reads no rows of other spaces.
CREATE INDEX files_by_content ON files (content, space, peer, path);
CREATE INDEX files_by_name ON files (name, space, peer, content);

-- Numbers of files and folders of a peer and total bytes of their paths, per space.
CREATE TABLE peer_files (
    peer    BIGINT NOT NULL REFERENCES peers ON DELETE CASCADE,
    space   BIGINT NOT NULL,
    files   BIGINT NOT NULL,
    folders BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    PRIMARY KEY (peer, space)
);
CREATE INDEX peer_files_by_space ON peer_files (space) WHERE space <> 0;

-- Announcements of partial providers. They have no row in contents: searches ignore them.
CREATE TABLE partials (
    hash   BYTEA    NOT NULL,
    peer   BIGINT   NOT NULL REFERENCES peers ON DELETE CASCADE,
    size   BIGINT   NOT NULL, -- as the peer claims
    -- Spaces in which the peer's account saw the content when it was announced.
    -- Accounts that cannot see all of them do not see the announcement.
    spaces BIGINT[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (hash, peer)
);
CREATE INDEX partials_by_peer ON partials (peer);

-- Contents that lost a file while another transaction held them, and may have no files left. The
-- sweep deletes them. Without a key, so that no transaction waits for another.
CREATE TABLE orphans (
    content BIGINT NOT NULL
);

-- The change log. Entries outlive their contents.
CREATE TABLE changes (
    seq     BIGINT NOT NULL PRIMARY KEY,
    content BIGINT NOT NULL
);

-- The number of the last change: a single row. A transaction that takes numbers locks it until it
-- has committed, so that the numbers have no gaps and become visible in order.
CREATE TABLE change_log (
    position BIGINT NOT NULL
);
INSERT INTO change_log (position) VALUES (0);

-- Public links: permission to download one file without an account.
CREATE TABLE links (
    token   BYTEA  NOT NULL PRIMARY KEY, -- its hash
    account BIGINT NOT NULL REFERENCES accounts,
    hash    BYTEA  NOT NULL,
    name    TEXT,                        -- file name, if the creator chose one
    uses    BIGINT NOT NULL,             -- remaining uses
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX links_by_account ON links (account);
CREATE INDEX links_by_expiry ON links (expires);

-- Networks that have started a use, with the time. They may continue it.
CREATE TABLE link_uses (
    token   BYTEA  NOT NULL REFERENCES links ON DELETE CASCADE,
    network TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    PRIMARY KEY (token, network)
);

-- Remote fetches.
CREATE TABLE loads (
    id      BIGINT NOT NULL PRIMARY KEY, -- random
    account BIGINT NOT NULL REFERENCES accounts,
    peer    BIGINT NOT NULL REFERENCES peers ON DELETE CASCADE,
    hash    BYTEA  NOT NULL,
    size    BIGINT NOT NULL,             -- as most peers claimed at the time of the request
    name    TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    bytes   BIGINT NOT NULL,
    rate    BIGINT NOT NULL,             -- bytes per second
    message TEXT   NOT NULL,
    created BIGINT NOT NULL,
    touched BIGINT NOT NULL              -- time of the request or of the last report
);
CREATE INDEX loads_by_account ON loads (account, created, id);
CREATE INDEX loads_by_peer ON loads (peer, created, id);
CREATE INDEX loads_by_touch ON loads (touched);

-- The audit log. Accounts are named, not numbered: entries outlive them.
CREATE TABLE audit (
    id      BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    TEXT             NOT NULL, -- lines are limited per kind
    at      BIGINT           NOT NULL,
    last    BIGINT           NOT NULL, -- time of the last act that was merged into this line
    times   BIGINT           NOT NULL, -- number of acts
    actor   TEXT COLLATE "C" NOT NULL, -- user name; empty if unknown
    action  TEXT COLLATE "C" NOT NULL,
    target  TEXT             NOT NULL,
    address TEXT             NOT NULL, -- client address; empty if unknown
    outcome TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_by_kind ON audit (kind, id);
-- For the merging of lines.
CREATE INDEX audit_by_actor ON audit (actor, action, outcome, at);

-- Values of the directory: its public ticket key, the fingerprint of its authority, and the time of
-- the last sweep (as text).
CREATE TABLE marks (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA            NOT NULL
);

-- Secrets that all replicas of a directory share: the private keys of the authority and of the
-- tickets, and the standing invite. Anyone who can read them can impersonate the directory.
CREATE TABLE secrets (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA            NOT NULL
);

-- Running processes of the directory.
CREATE TABLE replicas (
    id        BYTEA  NOT NULL PRIMARY KEY, -- random
    addresses TEXT   NOT NULL,             -- JSON array of HOST:PORT, best first
    lease     BIGINT NOT NULL,
    since     BIGINT NOT NULL
);
