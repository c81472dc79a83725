-- What accounts have peers fetch, and how far that is. What is over is forgotten after a while.
CREATE TABLE loads (
    id      INTEGER PRIMARY KEY, -- random
    account INTEGER NOT NULL REFERENCES accounts,
    peer    INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    hash    BLOB NOT NULL,
    size    INTEGER NOT NULL,             -- as most claimed when it was asked for
    name    TEXT NOT NULL,
    state   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    rate    INTEGER NOT NULL,             -- in bytes a second
    message TEXT NOT NULL,
    created INTEGER NOT NULL,
    touched INTEGER NOT NULL              -- when it was asked for, or last reported of
) STRICT;
CREATE INDEX loads_by_account ON loads (account, created, id);
CREATE INDEX loads_by_peer ON loads (peer, created, id);
CREATE INDEX loads_by_touch ON loads (touched);
