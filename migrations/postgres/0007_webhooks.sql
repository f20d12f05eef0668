-- Where merchants hear of events, and what became of telling them.

CREATE TABLE webhook_endpoints (
    merchant_id   TEXT   NOT NULL REFERENCES merchants (id),
    id            TEXT   NOT NULL UNIQUE,
    url           TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    kinds         TEXT   NOT NULL,         -- JSON: the kinds of events that it hears of; none: all
    state         TEXT   NOT NULL,         -- enabled, disabled
    reason        TEXT,                    -- why it is disabled
    secret        BYTEA  NOT NULL,         -- sealed
    old_secret    BYTEA,                   -- sealed: the one before it, which signs too
    old_until     BIGINT NOT NULL,         -- until then; 0: there is none
    paused_until  BIGINT NOT NULL,         -- until when it asked to be left alone; 0: it did not
    failing_since BIGINT NOT NULL,         -- since when it has taken nothing; 0: it took the last one
    version       BIGINT NOT NULL,         -- counts its changes: an update names the one it read
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id)
);

-- One event for one endpoint, written with the event. What is sent is made from the event's row, the same each time.
CREATE TABLE deliveries (
    merchant_id  TEXT   NOT NULL,
    id           TEXT   NOT NULL UNIQUE,
    endpoint_id  TEXT   NOT NULL,
    event_id     TEXT   NOT NULL,
    state        TEXT   NOT NULL,          -- pending, delivered, parked
    reason       TEXT,                     -- why the last try failed, or why it is parked
    tries        BIGINT NOT NULL,          -- since it was made or replayed
    attempts     BIGINT NOT NULL,          -- in all
    next_at      BIGINT NOT NULL,          -- when it is to be tried, while it is pending
    delivered_at BIGINT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, event_id, endpoint_id),
    FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints (merchant_id, id),
    FOREIGN KEY (merchant_id, event_id) REFERENCES events (merchant_id, id)
);
CREATE INDEX deliveries_by_endpoint ON deliveries (merchant_id, endpoint_id, state, next_at);

CREATE TABLE delivery_attempts (
    merchant_id TEXT   NOT NULL,
    delivery_id TEXT   NOT NULL,
    number      BIGINT NOT NULL,           -- counts from 1; old ones of many are let go
    at          BIGINT NOT NULL,
    took_ms     BIGINT NOT NULL,
    status      BIGINT,                    -- the HTTP status, if there was one
    reply       TEXT   NOT NULL,           -- how the answer's body began
    failure     TEXT,                      -- why there was no answer
    PRIMARY KEY (merchant_id, delivery_id, number),
    FOREIGN KEY (merchant_id, delivery_id) REFERENCES deliveries (merchant_id, id)
);
