-- Tries of operations whose first idempotency key a provider has answered for good without doing what it was asked.

CREATE TABLE tries (
    merchant_id TEXT   NOT NULL,
    subject_id  TEXT   NOT NULL,         -- a payment or a refund
    operation   TEXT   NOT NULL,
    number      BIGINT NOT NULL,         -- part of the key; 0: the reference alone
    spent_from  BIGINT,                  -- from then on a question that finds nothing proves that nothing was done; none: it may still act
    PRIMARY KEY (merchant_id, subject_id, operation)
);
