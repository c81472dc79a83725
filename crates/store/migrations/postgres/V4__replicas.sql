-- The processes of the directory that are up.
CREATE TABLE replicas (
    id        BYTEA  NOT NULL PRIMARY KEY,  -- random, made by the process when it starts
    addresses TEXT   NOT NULL,              -- JSON array of HOST:PORT, best first
    lease     BIGINT NOT NULL,              -- Unix milliseconds
    since     BIGINT NOT NULL               -- Unix milliseconds
);
