-- There for one download: not listed, and forgotten when it leaves or its lease runs out.
ALTER TABLE peers ADD COLUMN transient INTEGER NOT NULL DEFAULT 0;
CREATE INDEX peers_transient ON peers (lease) WHERE transient = 1;

-- Who is fetching a content and holds a part of it. Searching does not know of it, so it has no
-- row in contents.
CREATE TABLE partials (
    hash BLOB    NOT NULL,
    peer INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    size INTEGER NOT NULL,       -- as its peer claims
    PRIMARY KEY (hash, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX partials_by_peer ON partials (peer);
