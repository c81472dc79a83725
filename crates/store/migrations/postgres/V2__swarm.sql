-- There for one download: not listed, and forgotten when it leaves or its lease runs out.
ALTER TABLE peers ADD COLUMN transient BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX peers_transient ON peers (lease) WHERE transient;

-- Who is fetching a content and holds a part of it. Searching does not know of it, so it has no
-- row in contents.
CREATE TABLE partials (
    hash BYTEA  NOT NULL,
    peer BIGINT NOT NULL REFERENCES peers ON DELETE CASCADE,
    size BIGINT NOT NULL,        -- as its peer claims
    PRIMARY KEY (hash, peer)
);
CREATE INDEX partials_by_peer ON partials (peer);
