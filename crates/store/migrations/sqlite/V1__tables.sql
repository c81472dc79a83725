-- Times are Unix times in milliseconds, unless stated otherwise.

CREATE TABLE accounts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    role          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created       INTEGER NOT NULL
) STRICT;

-- Named sets of accounts. The space with number 0 is the space of everyone. It has no row.
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

CREATE TABLE invites (
    code    BLOB    NOT NULL PRIMARY KEY, -- its hash
    role    TEXT    NOT NULL,
    uses    INTEGER,                      -- remaining uses; null for no limit
    expires INTEGER NOT NULL,
    founds  INTEGER NOT NULL,             -- makes the first administrator
    created INTEGER NOT NULL,
    space   INTEGER NOT NULL DEFAULT 0,   -- space of the accounts created with it; 0 for none
    creator TEXT    NOT NULL DEFAULT ''   -- user name; empty for the directory itself
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_space ON invites (space) WHERE space <> 0;
CREATE INDEX invites_by_creator ON invites (creator, expires);

CREATE TABLE sessions (
    token   BLOB    NOT NULL PRIMARY KEY, -- its hash
    account INTEGER NOT NULL REFERENCES accounts,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL,
    address TEXT    NOT NULL DEFAULT '',  -- client address at login; empty if unknown
    used    INTEGER NOT NULL              -- last use, as exact as the renewal of the expiry
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account, token);

CREATE TABLE peers (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,     -- peer id; '/' and the number if removed
    account       INTEGER NOT NULL REFERENCES accounts,
    session       BLOB,                        -- null after its end
    key           BLOB,                        -- SHA-256 of the home's public key
    run           BLOB,                        -- random number of the peer's process
    addresses     TEXT    NOT NULL,            -- JSON array of HOST:PORT, best first
    generation    INTEGER NOT NULL,
    lease         INTEGER NOT NULL,            -- the peer is online until this time
    since         INTEGER NOT NULL,
    departed      INTEGER NOT NULL,            -- left; must register to be online again
    attempt       INTEGER NOT NULL,            -- newest full publication
    transient     INTEGER NOT NULL DEFAULT 0,  -- exists for one download
    last_upserted INTEGER NOT NULL DEFAULT 0,  -- answer to the last publication
    last_removed  INTEGER NOT NULL DEFAULT 0,
    uploads       TEXT    NOT NULL DEFAULT '', -- accounts that may upload to the peer
    loads         TEXT    NOT NULL DEFAULT ''  -- accounts that may add remote fetches
) STRICT;
-- With the number: a session asks for its newest peer.
CREATE INDEX peers_by_session ON peers (session, id);
CREATE INDEX peers_by_account ON peers (account);
CREATE INDEX peers_transient ON peers (lease) WHERE transient;

-- The kind, the size and the number of files are part of the key, so that a false claim for a hash is
-- a different content.
CREATE TABLE contents (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    hash  BLOB    NOT NULL,
    kind  INTEGER NOT NULL, -- 0: a file, 1: a folder
    size  INTEGER NOT NULL, -- of a folder, of all files below it
    files INTEGER NOT NULL, -- files below a folder; 0 for a file
    UNIQUE (hash, kind, size, files)
) STRICT;

-- Shared files and folders.
CREATE TABLE files (
    peer       INTEGER NOT NULL REFERENCES peers,
    path       TEXT    NOT NULL,
    name       INTEGER NOT NULL, -- first 8 bytes of the BLAKE3 hash of the file name
    content    INTEGER NOT NULL REFERENCES contents,
    modified   INTEGER NOT NULL, -- Unix time in seconds
    attempt    INTEGER NOT NULL, -- last full publication that contained the file
    space      INTEGER NOT NULL DEFAULT 0,
    executable INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (peer, path)
) STRICT, WITHOUT ROWID;
-- Contains the path, as every index contains the primary key. The space is before the peer, so that
-- a lookup reads no rows of other spaces.
CREATE INDEX files_by_content ON files (content, space, peer);
CREATE INDEX files_by_name ON files (name, space, peer, content);

-- Numbers of files and folders of a peer and total bytes of their paths, per space.
CREATE TABLE peer_files (
    peer    INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    space   INTEGER NOT NULL,
    files   INTEGER NOT NULL,
    folders INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY (peer, space)
) STRICT, WITHOUT ROWID;
CREATE INDEX peer_files_by_space ON peer_files (space) WHERE space <> 0;

-- Announcements of partial providers. They have no row in contents: searches ignore them.
CREATE TABLE partials (
    hash   BLOB    NOT NULL,
    peer   INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    size   INTEGER NOT NULL, -- as the peer claims
    -- Spaces in which the peer's account saw the content when it was announced, as a JSON array.
    -- Accounts that cannot see all of them do not see the announcement.
    spaces TEXT    NOT NULL DEFAULT '[]',
    PRIMARY KEY (hash, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX partials_by_peer ON partials (peer);

-- The change log. Entries outlive their contents.
CREATE TABLE changes (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    content INTEGER NOT NULL
) STRICT;

-- Public links: permission to download one file without an account.
CREATE TABLE links (
    token   BLOB    NOT NULL PRIMARY KEY, -- its hash
    account INTEGER NOT NULL REFERENCES accounts,
    hash    BLOB    NOT NULL,
    name    TEXT,                         -- file name, if the creator chose one
    uses    INTEGER NOT NULL,             -- remaining uses
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_account ON links (account);
CREATE INDEX links_by_expiry ON links (expires);

-- Networks that have started a use, with the time. They may continue it.
CREATE TABLE link_uses (
    token   BLOB    NOT NULL REFERENCES links ON DELETE CASCADE,
    network TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (token, network)
) STRICT, WITHOUT ROWID;

-- Remote fetches.
CREATE TABLE loads (
    id      INTEGER PRIMARY KEY, -- random
    account INTEGER NOT NULL REFERENCES accounts,
    peer    INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    hash    BLOB    NOT NULL,
    size    INTEGER NOT NULL,    -- as most peers claimed at the time of the request
    name    TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    bytes   INTEGER NOT NULL,
    rate    INTEGER NOT NULL,    -- bytes per second
    message TEXT    NOT NULL,
    created INTEGER NOT NULL,
    touched INTEGER NOT NULL     -- time of the request or of the last report
) STRICT;
CREATE INDEX loads_by_account ON loads (account, created, id);
CREATE INDEX loads_by_peer ON loads (peer, created, id);
CREATE INDEX loads_by_touch ON loads (touched);

-- The audit log. Accounts are named, not numbered: entries outlive them.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT    NOT NULL, -- lines are limited per kind
    at      INTEGER NOT NULL,
    last    INTEGER NOT NULL, -- time of the last act that was merged into this line
    times   INTEGER NOT NULL, -- number of acts
    actor   TEXT    NOT NULL, -- user name; empty if unknown
    action  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    address TEXT    NOT NULL, -- client address; empty if unknown
    outcome TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_kind ON audit (kind, id);
-- For the merging of lines.
CREATE INDEX audit_by_actor ON audit (actor, action, outcome, at);

-- Values of the directory: its public ticket key, the fingerprint of its authority, and the time of
-- the last sweep (as text).
CREATE TABLE marks (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Pages reserved for a full disk: deleting the row frees them for sessions and leases.
CREATE TABLE reserve (
    id   INTEGER PRIMARY KEY,
    room BLOB    NOT NULL
) STRICT;
