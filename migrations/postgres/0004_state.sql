-- What becomes of money that comes late, twice or not to stay: which payment an order counts, refunds that nobody asked
-- us for, reversals, disputes, and what only people can settle.

ALTER TABLE orders ADD COLUMN late_success TEXT NOT NULL DEFAULT 'reopen';  -- of money after its end: reopen, refund

ALTER TABLE payments ADD COLUMN allocated BIGINT NOT NULL DEFAULT 0 CHECK (allocated IN (0, 1));  -- 1: its order counts it
ALTER TABLE payments ADD COLUMN late BIGINT NOT NULL DEFAULT 0 CHECK (late IN (0, 1));  -- 1: its money came after the order's end
ALTER TABLE payments ADD COLUMN reversed BIGINT NOT NULL DEFAULT 0 CHECK (reversed >= 0);  -- what the provider took back of its success
ALTER TABLE payments ADD COLUMN reversed_at BIGINT;
ALTER TABLE payments ADD COLUMN disputed BIGINT NOT NULL DEFAULT 0 CHECK (disputed >= 0);  -- the sum of its open disputes whose money is still here
ALTER TABLE payments ADD COLUMN charged_back BIGINT NOT NULL DEFAULT 0 CHECK (charged_back >= 0);  -- the sum of those whose money is gone
ALTER TABLE payments ADD COLUMN refunded_asked BIGINT;  -- given back so far by whomever: the most that a query told
ALTER TABLE payments ADD COLUMN refunded_told BIGINT;   -- the most that a message told whose signature held
UPDATE payments SET allocated = 1 WHERE state = 'succeeded' AND NOT EXISTS (
    SELECT 1 FROM payments AS earlier
    WHERE earlier.merchant_id = payments.merchant_id AND earlier.order_id = payments.order_id
      AND earlier.state = 'succeeded' AND (earlier.succeeded_at < payments.succeeded_at
        OR (earlier.succeeded_at = payments.succeeded_at AND earlier.id < payments.id)));
CREATE UNIQUE INDEX payments_allocated ON payments (merchant_id, order_id) WHERE allocated = 1;

ALTER TABLE refunds ADD COLUMN origin TEXT NOT NULL DEFAULT 'merchant';  -- merchant, duplicate, late, provider
ALTER TABLE refunds ADD COLUMN sent_at BIGINT;       -- when it was first about to be sent; none: never
ALTER TABLE refunds ADD COLUMN reversed_at BIGINT;   -- when its success was undone
ALTER TABLE refunds ADD COLUMN beyond BIGINT NOT NULL DEFAULT 0 CHECK (beyond IN (0, 1));  -- 1: it went back beyond what was taken, and is in no sum
UPDATE refunds SET sent_at = created_at;

CREATE TABLE disputes (
    merchant_id TEXT   NOT NULL,
    id          TEXT   NOT NULL UNIQUE,
    payment_id  TEXT   NOT NULL,
    order_id    TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    reference   TEXT,                    -- the provider's; none: only a bill has told of it
    state       TEXT   NOT NULL,         -- warned, opened, closed, won, lost
    amount      BIGINT NOT NULL CHECK (amount > 0),
    currency    TEXT   NOT NULL,
    reason      TEXT,
    respond_by  TEXT,                    -- as the provider writes it
    source      TEXT   NOT NULL,         -- who told first: notification, bill
    bill_id     TEXT,                    -- the bill that tells of its money
    bill_line   BIGINT,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, account_id, reference),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, id)
);
CREATE INDEX disputes_by_payment ON disputes (merchant_id, payment_id);

CREATE TABLE cases (
    merchant_id     TEXT   NOT NULL,
    id              TEXT   NOT NULL UNIQUE,
    account_id      TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    cause           TEXT   NOT NULL,     -- the same for the same cause, however often it is met
    order_id        TEXT,
    payment_id      TEXT,
    notification_id TEXT,                -- the message that it was first met in
    data            TEXT   NOT NULL,     -- JSON: what is wrong
    state           TEXT   NOT NULL,     -- open, closed
    note            TEXT,                -- what who closed it says
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, account_id, cause)
);
