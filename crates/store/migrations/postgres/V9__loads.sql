-- What accounts have peers fetch, and how far that is. What is over is forgotten after a while.
CREATE TABLE loads (
    id      BIGINT NOT NULL PRIMARY KEY, -- random
    account BIGINT NOT NULL REFERENCES accounts,
    peer    BIGINT NOT NULL REFERENCES peers ON DELETE CASCADE,
    hash    BYTEA NOT NULL,
    size    BIGINT NOT NULL,             -- as most claimed when it was asked for
    name    TEXT NOT NULL,
    state   TEXT NOT NULL,
    bytes   BIGINT NOT NULL,
    rate    BIGINT NOT NULL,             -- in bytes a second
    message TEXT NOT NULL,
    created BIGINT NOT NULL,
    touched BIGINT NOT NULL              -- when it was asked for, or last reported of
);
CREATE INDEX loads_by_account ON loads (account, created, id);
CREATE INDEX loads_by_peer ON loads (peer, created, id);
CREATE INDEX loads_by_touch ON loads (touched);
