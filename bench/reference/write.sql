-- What a POST has to write, as one statement: the key with its answer, the item, the event.
WITH given AS MATERIALIZED (
  SELECT gen_random_uuid() AS id, now() AS at
), key AS (
  INSERT INTO trunnion_idempotency (id, fingerprint, status, headers, body, expires_at)
  SELECT gen_random_uuid(), 'dxHxHNNhdOThDJ8nKwEYmLz4tXqVOm9HmbWqJq8Xg0E', 201,
    '{"Location":"/api/v1/items/01890a5d-ac96-774b-bcce-b302099a8057","ETag":"\"1\""}',
    '{"id":"01890a5d-ac96-774b-bcce-b302099a8057","sku":"BENCH-0-00000001","name":"Bolt M8 x 40",'
    '"price_cents":125,"description":"Zinc-plated, with nut.","version":1,'
    '"created_at":"2026-01-31T09:15:00.123456Z","updated_at":"2026-01-31T09:15:00.123456Z"}',
    at + interval '1 day' FROM given
), item AS (
  INSERT INTO items (id, sku, name, price_cents, description, version, created_at, updated_at)
  SELECT id, id::text, 'Bolt M8 x 40', 125, 'Zinc-plated, with nut.', 1, at, at FROM given
)
INSERT INTO trunnion_outbox (message_id, exchange, routing_key, type, app_id, occurred_at,
  correlation_id, headers, body)
SELECT gen_random_uuid(), 'events', 'item.created', 'item.created', 'items', at,
  '01890a5d-ac96-774b-bcce-b302099a8057',
  '{"correlation_id":"01890a5d-ac96-774b-bcce-b302099a8057","idempotency_key":"BENCH-0-00000001",'
  '"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
  '{"id":"01890a5d-ac96-774b-bcce-b302099a8057","timestamp":"2026-01-31T09:15:00.123456Z",'
  '"source_service":"items"}' FROM given;
