-- The right to fetch one file without an account, for whoever has the token.
CREATE TABLE links (
    token   BYTEA   NOT NULL PRIMARY KEY, -- its hash
    account BIGINT  NOT NULL REFERENCES accounts,
    hash    BYTEA   NOT NULL,
    uses    BIGINT  NOT NULL,             -- how often it can still be used
    expires BIGINT  NOT NULL,
    created BIGINT  NOT NULL
);
CREATE INDEX links_by_account ON links (account);
CREATE INDEX links_by_expiry ON links (expires);

-- Which networks have begun a use, and when: they may go on with it.
CREATE TABLE link_uses (
    token   BYTEA   NOT NULL REFERENCES links ON DELETE CASCADE,
    network TEXT    NOT NULL,
    since   BIGINT  NOT NULL,
    PRIMARY KEY (token, network)
);
