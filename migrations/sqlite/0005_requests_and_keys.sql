-- Requests under an idempotency key, what API keys may do, and what merchants demand.

CREATE TABLE keyed_requests (
    merchant_id  TEXT   NOT NULL REFERENCES merchants (id),
    route        TEXT   NOT NULL,         -- method and path as the route table writes them
    key          TEXT   NOT NULL,         -- the merchant's: Idempotency-Key
    fingerprint  TEXT   NOT NULL,         -- SHA-256 of address and body: another request under the same key is refused
    fence        BIGINT NOT NULL,         -- counts who took the request up: who writes names his own
    leased_until BIGINT NOT NULL,         -- until then nobody else takes it up
    made         TEXT,                    -- id of what it made, written in that thing's own transaction
    answer       BLOB,                    -- sealed: status, headers and body; none: it runs, or whoever ran it died
    expires_at   BIGINT NOT NULL,         -- from then on the key is a new one
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, route, key)
);
CREATE INDEX keyed_requests_by_expiry ON keyed_requests (expires_at);

ALTER TABLE merchants ADD COLUMN demands_keys BIGINT NOT NULL DEFAULT 0;  -- 1: POST needs an idempotency key

ALTER TABLE api_keys ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'full';      -- words with spaces between them
ALTER TABLE api_keys ADD COLUMN per_second BIGINT;                        -- requests; none: as configured
ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE api_keys ADD COLUMN revoked_at BIGINT;
ALTER TABLE api_keys ADD COLUMN successor TEXT;                           -- the generation that replaces it
CREATE UNIQUE INDEX api_keys_by_merchant ON api_keys (merchant_id, id);
