-- What the chassis keeps in a service's database, beside the service's own tables.

-- Events on their way to the broker, written in the transaction that caused them. A row is deleted
-- when the broker has confirmed it. Claimed with FOR UPDATE SKIP LOCKED, never by a last id: sequence
-- values become visible out of order.
CREATE TABLE trunnion_outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL,
    exchange text NOT NULL,
    routing_key text NOT NULL,
    type text NOT NULL,
    app_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    correlation_id text NOT NULL,
    headers text NOT NULL, -- a JSON object of strings
    body text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0.0, autovacuum_vacuum_insert_threshold = 50000);

-- Idempotency keys with the answer to replay, written in the transaction of the effect. id is the
-- first half of SHA-256 over principal, method, path and key, with NULs between.
CREATE TABLE trunnion_idempotency (
    id uuid PRIMARY KEY,
    fingerprint text NOT NULL, -- SHA-256 of the request, base64url
    status bigint NOT NULL,
    headers text NOT NULL, -- a JSON object of strings
    body text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX trunnion_idempotency_expires_at ON trunnion_idempotency (expires_at);

-- The ids of messages that took effect, written in the transaction of the effect.
CREATE TABLE trunnion_inbox (
    message_id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX trunnion_inbox_received_at ON trunnion_inbox (received_at);

-- Messages that could not take effect, with the reason, until somebody replays them.
CREATE TABLE trunnion_dead_letters (
    position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id uuid PRIMARY KEY, -- the message id
    type text NOT NULL,
    source_service text NOT NULL,
    routing_key text NOT NULL,
    correlation_id text NOT NULL,
    reason text NOT NULL,
    headers text NOT NULL, -- a JSON object of strings
    body text NOT NULL,
    occurred_at timestamptz,
    died_at timestamptz NOT NULL DEFAULT now(),
    deaths bigint NOT NULL DEFAULT 1,
    replayed_at timestamptz
);
