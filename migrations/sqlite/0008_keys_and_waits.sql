-- Keys that providers hand over as they go, operations that providers need time for, and what nobody signed.

CREATE TABLE fetched_keys (
    merchant_id TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    slot        TEXT   NOT NULL,
    key_id      TEXT   NOT NULL,         -- the provider's name for it; empty for a token
    value       BLOB   NOT NULL,         -- sealed: a token, or a certificate that was believed when it came
    fetched_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, account_id, slot, key_id)
);

CREATE TABLE key_fetches (
    merchant_id TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    slot        TEXT   NOT NULL,
    cause       TEXT   NOT NULL,         -- answer, message, refresh or token: none keeps another from asking
    failures    BIGINT NOT NULL,         -- in a row; one that was begun counts until it ended well
    next_at     BIGINT NOT NULL,         -- not asked for again before
    PRIMARY KEY (merchant_id, account_id, slot, cause)
);

CREATE TABLE pauses (
    merchant_id TEXT   NOT NULL,
    subject_id  TEXT   NOT NULL,         -- a payment or a refund
    operation   TEXT   NOT NULL,
    state       BLOB   NOT NULL,         -- what the plugin goes on with
    due_at      BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, subject_id, operation)
);

ALTER TABLE notifications ADD COLUMN signed BIGINT NOT NULL DEFAULT 0;  -- 1: a signature held while it was read
CREATE INDEX notifications_by_kind ON notifications (merchant_id, account_id, signed, state, id);
