-- Merchants, accounts, orders, payments, refunds, messages, exchanges, events and jobs.
-- Times are microseconds UTC, money is minor units, ids are prefixed UUIDv7 text. merchant_id leads every key.

CREATE TABLE merchants (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    merchant_id TEXT   NOT NULL REFERENCES merchants (id),
    hash        TEXT   NOT NULL UNIQUE,  -- SHA-256 of the key, hex; the key itself is shown once and never kept
    hint        TEXT   NOT NULL,         -- its first characters, to tell keys apart
    created_at  BIGINT NOT NULL
);

CREATE TABLE accounts (
    merchant_id TEXT   NOT NULL REFERENCES merchants (id),
    id          TEXT   NOT NULL UNIQUE,
    plugin      TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    live        BIGINT NOT NULL CHECK (live IN (0, 1)),
    simulator   BIGINT NOT NULL CHECK (simulator IN (0, 1)),
    settings    TEXT   NOT NULL,         -- JSON, name to text
    origins     TEXT   NOT NULL,         -- JSON, name to base address: what a simulator account has instead of the provider's
    secrets     BYTEA  NOT NULL,         -- sealed: AES-256-GCM under the gateway's key
    slots       TEXT   NOT NULL,         -- JSON, slot to number of keys
    granted     TEXT   NOT NULL,         -- JSON, what the plugin may do with them: the lines of its permissions
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, name)
);

CREATE TABLE orders (
    merchant_id TEXT   NOT NULL REFERENCES merchants (id),
    id          TEXT   NOT NULL UNIQUE,
    number      TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    amount      BIGINT NOT NULL CHECK (amount > 0),
    currency    TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    details     TEXT   NOT NULL,         -- JSON: what the merchant sent beside the columns here
    fingerprint TEXT   NOT NULL,         -- SHA-256 of the request, to tell a repeat from another order
    token       TEXT   NOT NULL UNIQUE,  -- the cashier page's address
    event_seq   BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, number)
);

CREATE TABLE payments (
    merchant_id    TEXT   NOT NULL,
    id             TEXT   NOT NULL UNIQUE,
    order_id       TEXT   NOT NULL,
    account_id     TEXT   NOT NULL,
    plugin         TEXT   NOT NULL,
    method         TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    amount         BIGINT NOT NULL CHECK (amount > 0),
    currency       TEXT   NOT NULL,
    taken          BIGINT NOT NULL CHECK (taken >= 0),
    reserved       BIGINT NOT NULL CHECK (reserved >= 0),
    refunded       BIGINT NOT NULL CHECK (refunded >= 0),
    reference      TEXT   NOT NULL,
    provider_ref   TEXT,
    request        TEXT   NOT NULL,      -- JSON: surface, payer's address, inputs
    kept           BYTEA  NOT NULL,      -- what the plugin asked to keep
    action         TEXT,                 -- JSON: what the payer does next
    failure        TEXT,                 -- JSON: code, message, the provider's words
    asked          BIGINT NOT NULL,      -- how often the schedule has asked about it
    version        BIGINT NOT NULL,      -- counts its changes: an update names the one it read
    bill_id        TEXT,
    bill_line      BIGINT,
    bill_day       TEXT,
    succeeded_at   BIGINT,
    expires_at     BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, account_id, reference),
    FOREIGN KEY (merchant_id, order_id) REFERENCES orders (merchant_id, id),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, id),
    CHECK (reserved + refunded <= taken)
);
CREATE INDEX payments_by_order ON payments (merchant_id, order_id);
CREATE INDEX payments_by_provider_ref ON payments (merchant_id, account_id, provider_ref);
CREATE INDEX payments_by_success ON payments (merchant_id, account_id, succeeded_at);

CREATE TABLE refunds (
    merchant_id    TEXT   NOT NULL,
    id             TEXT   NOT NULL UNIQUE,
    payment_id     TEXT   NOT NULL,
    order_id       TEXT   NOT NULL,
    account_id     TEXT   NOT NULL,
    number         TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    amount         BIGINT NOT NULL CHECK (amount > 0),
    currency       TEXT   NOT NULL,
    reason         TEXT,
    fingerprint    TEXT   NOT NULL,
    reference      TEXT   NOT NULL,
    provider_ref   TEXT,
    kept           BYTEA  NOT NULL,
    failure        TEXT,
    asked          BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    bill_id        TEXT,
    bill_line      BIGINT,
    bill_day       TEXT,
    succeeded_at   BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, number),
    UNIQUE (merchant_id, account_id, reference),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, id)
);
CREATE INDEX refunds_by_payment ON refunds (merchant_id, payment_id);
CREATE INDEX refunds_by_order ON refunds (merchant_id, order_id);
CREATE INDEX refunds_by_success ON refunds (merchant_id, account_id, succeeded_at);

CREATE TABLE notifications (
    merchant_id TEXT   NOT NULL,
    id          TEXT   NOT NULL UNIQUE,
    account_id  TEXT   NOT NULL,
    payment_id  TEXT,                    -- the address it came to, or what it turned out to be about
    message     TEXT   NOT NULL,         -- JSON: channel, method, address, query, headers
    body        BYTEA  NOT NULL,         -- the raw bytes
    state       TEXT   NOT NULL,         -- received, applied, duplicate, rejected, waiting
    reason      TEXT,                    -- why it was refused or waits
    dedupe_key  TEXT,
    received_at BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX notifications_by_account ON notifications (merchant_id, account_id, received_at);

CREATE TABLE exchanges (
    merchant_id TEXT   NOT NULL,
    id          TEXT   NOT NULL UNIQUE,
    account_id  TEXT   NOT NULL,
    subject_id  TEXT   NOT NULL,         -- the payment, refund, bill or message that it served
    operation   TEXT   NOT NULL,
    record      TEXT   NOT NULL,         -- JSON: request, response, plugin digest, key uses; secrets redacted
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX exchanges_by_subject ON exchanges (merchant_id, subject_id);

CREATE TABLE events (
    merchant_id TEXT   NOT NULL,
    id          TEXT   NOT NULL UNIQUE,
    order_id    TEXT,                    -- none: about an account, not an order
    sequence    BIGINT NOT NULL,         -- counts an order's events from 1
    kind        TEXT   NOT NULL,
    data        TEXT   NOT NULL,         -- JSON
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE UNIQUE INDEX events_by_order ON events (merchant_id, order_id, sequence);

CREATE TABLE jobs (
    merchant_id  TEXT   NOT NULL,
    id           TEXT   NOT NULL UNIQUE,
    kind         TEXT   NOT NULL,
    subject_id   TEXT   NOT NULL,        -- one job of a kind for each subject
    payload      TEXT   NOT NULL,        -- JSON
    due_at       BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,        -- 0: free
    fence        BIGINT NOT NULL,        -- counts the leases: who finishes names the one he holds
    urgings      BIGINT NOT NULL,        -- counts how often it was wanted at once: a run that missed one runs again
    reason       TEXT,                   -- why the last attempt did not finish it
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, kind, subject_id)
);
CREATE INDEX jobs_by_due ON jobs (due_at);
