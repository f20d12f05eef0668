-- The marks of transactions: whoever loses the answer to a commit looks here whether it happened.

CREATE TABLE commits (
    mark TEXT NOT NULL PRIMARY KEY     -- begins with its time, so that old ones are swept
);

-- What all gateways on the database have in common: one row.
CREATE TABLE installation (
    id      TEXT NOT NULL PRIMARY KEY,
    witness BYTEA NOT NULL             -- sealed with the key that seals secrets: it opens with no other
);
