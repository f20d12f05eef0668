-- Bills, their rows, and how they compare with our records.

CREATE TABLE bills (
    merchant_id TEXT   NOT NULL,
    id          TEXT   NOT NULL UNIQUE,
    account_id  TEXT   NOT NULL,
    kind        TEXT   NOT NULL,         -- as the plugin's manifest names it
    period      TEXT   NOT NULL,         -- a day, a month, or the name of a batch
    state       TEXT   NOT NULL,         -- fetching, not_ready, ready, rejected
    reason      TEXT,                    -- why it is not ready or was rejected
    digest      TEXT,                    -- SHA-256 of what was kept, hex
    rows        BIGINT NOT NULL CHECK (rows >= 0),
    bad_lines   BIGINT NOT NULL CHECK (bad_lines >= 0),
    files       TEXT   NOT NULL,         -- JSON: names of the files that rows count from 0
    complete    BIGINT NOT NULL CHECK (complete IN (0, 1)),  -- 0: rows of that period may still come
    attempt     BIGINT NOT NULL,         -- counts the tries to fetch it: only the latest may publish
    edition     BIGINT NOT NULL,         -- the attempt whose rows are the bill's; 0: there are none
    rejections  BIGINT NOT NULL DEFAULT 0,  -- counts the attempts that brought what cannot be trusted, since the last good one
    resume      BYTEA  NOT NULL,         -- where the plugin wants to go on
    retry_at    BIGINT NOT NULL,         -- when it is worth asking again
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, account_id, kind, period),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, id)
);

CREATE TABLE bill_files (
    merchant_id TEXT   NOT NULL,
    bill_id     TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    piece       BIGINT NOT NULL,         -- from 0
    name        TEXT   NOT NULL,         -- what the plugin calls it
    path        TEXT   NOT NULL,         -- within the folder of bills: the bytes as they came
    sha256      TEXT   NOT NULL,
    bytes       BIGINT NOT NULL,
    unpack      TEXT   NOT NULL,         -- JSON: how to read it again
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, bill_id, attempt, piece),
    FOREIGN KEY (merchant_id, bill_id) REFERENCES bills (merchant_id, id)
);

CREATE TABLE statement_rows (
    merchant_id         TEXT   NOT NULL,
    bill_id             TEXT   NOT NULL,
    edition             BIGINT NOT NULL,
    file                BIGINT NOT NULL,
    line                BIGINT NOT NULL,
    kind                TEXT   NOT NULL,
    status              TEXT   NOT NULL,
    raw                 TEXT   NOT NULL,  -- the file's own words for kind and status
    payment_ref         TEXT,
    provider_ref        TEXT,
    refund_ref          TEXT,
    provider_refund_ref TEXT,
    gross               BIGINT NOT NULL,
    currency            TEXT   NOT NULL,
    fee                 BIGINT,
    fee_currency        TEXT,
    net                 BIGINT,
    net_currency        TEXT,
    at                  BIGINT,
    batch               TEXT,
    extra               TEXT   NOT NULL,  -- JSON
    subject_id          TEXT,             -- the payment or refund that it speaks for
    PRIMARY KEY (merchant_id, bill_id, edition, file, line)
);

CREATE TABLE bad_lines (
    merchant_id TEXT   NOT NULL,
    bill_id     TEXT   NOT NULL,
    edition     BIGINT NOT NULL,
    file        BIGINT NOT NULL,
    line        BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    PRIMARY KEY (merchant_id, bill_id, edition, file, line, reason)
);

CREATE TABLE reconciliations (
    merchant_id   TEXT   NOT NULL,
    id            TEXT   NOT NULL UNIQUE,
    account_id    TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    period        TEXT   NOT NULL,
    bill_id       TEXT,
    state         TEXT   NOT NULL,        -- waiting_for_bill, done, bill_rejected
    reason        TEXT,
    edition       BIGINT NOT NULL,        -- of the bill that was compared; 0: none
    rows          BIGINT NOT NULL,
    matched       BIGINT NOT NULL,
    carried       BIGINT NOT NULL,        -- left to the next period's bill
    discrepancies BIGINT NOT NULL,        -- open ones
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, account_id, kind, period),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, id)
);

CREATE TABLE discrepancies (
    merchant_id       TEXT   NOT NULL,
    id                TEXT   NOT NULL UNIQUE,
    reconciliation_id TEXT   NOT NULL,
    key               TEXT   NOT NULL,    -- the same for the same difference, however often they are compared
    kind              TEXT   NOT NULL,
    payment_id        TEXT,
    refund_id         TEXT,
    file              BIGINT,
    line              BIGINT,
    ours              TEXT,             -- JSON: amount and currency, fee and currency, state, or at
    theirs            TEXT,
    state             TEXT   NOT NULL,    -- open, or gone: a later comparison did not find it any more
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, reconciliation_id, key),
    FOREIGN KEY (merchant_id, reconciliation_id) REFERENCES reconciliations (merchant_id, id)
);

CREATE TABLE fee_terms (
    merchant_id TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    rate_ppm    BIGINT NOT NULL CHECK (rate_ppm >= 0),
    fixed       BIGINT NOT NULL,          -- minor units of the payment's currency
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, account_id),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, id)
);

CREATE INDEX refunds_by_provider_ref ON refunds (merchant_id, account_id, provider_ref);
