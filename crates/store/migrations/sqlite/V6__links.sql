-- The right to fetch one file without an account, for whoever has the token.
CREATE TABLE links (
    token   BLOB    NOT NULL PRIMARY KEY, -- its hash
    account INTEGER NOT NULL REFERENCES accounts,
    hash    BLOB    NOT NULL,
    uses    INTEGER NOT NULL,             -- how often it can still be used
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_account ON links (account);
CREATE INDEX links_by_expiry ON links (expires);

-- Which networks have begun a use, and when: they may go on with it.
CREATE TABLE link_uses (
    token   BLOB    NOT NULL REFERENCES links ON DELETE CASCADE,
    network TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (token, network)
) STRICT, WITHOUT ROWID;
