-- Jobs: lines that are served in turn, failures in a row, parked ones, and history out of the hot table.

ALTER TABLE jobs ADD COLUMN queue TEXT NOT NULL DEFAULT 'short/';  -- who stands in one line: the lane, and the account or endpoint
ALTER TABLE jobs ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;    -- claims in a row that came to no end
ALTER TABLE jobs ADD COLUMN parked_at BIGINT;                      -- since when nobody runs it any more
ALTER TABLE jobs ADD COLUMN wake_at BIGINT                         -- when it can be claimed: due, and not leased
    GENERATED ALWAYS AS (CASE WHEN due_at > leased_until THEN due_at ELSE leased_until END) STORED;

UPDATE jobs SET queue = 'short/' || coalesce((SELECT account_id FROM payments p
    WHERE p.merchant_id = jobs.merchant_id AND p.id = jobs.subject_id), '') WHERE kind = 'query_payment';
UPDATE jobs SET queue = 'short/' || coalesce((SELECT account_id FROM refunds r
    WHERE r.merchant_id = jobs.merchant_id AND r.id = jobs.subject_id), '') WHERE kind = 'query_refund';
UPDATE jobs SET queue = 'bills/' WHERE kind IN ('daily_bills', 'reconcile');

DROP INDEX jobs_by_due;
CREATE INDEX jobs_by_queue ON jobs (queue, wake_at) WHERE parked_at IS NULL;
CREATE INDEX jobs_parked ON jobs (merchant_id, id) WHERE parked_at IS NOT NULL;

CREATE TABLE job_history (
    merchant_id TEXT   NOT NULL,
    id          TEXT   NOT NULL UNIQUE,
    kind        TEXT   NOT NULL,
    subject_id  TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,         -- done, or settled: there was nothing left to do
    attempts    BIGINT NOT NULL,
    reason      TEXT,                    -- why the last attempt but one did not finish it
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE INDEX job_history_by_end ON job_history (ended_at);

-- What a bill's day is looked through for: payments that nobody knows the end of.
CREATE INDEX payments_open ON payments (merchant_id, account_id, created_at)
    WHERE state IN ('created', 'pending', 'unknown', 'approved', 'authorized');
