CREATE TABLE activities (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL CONSTRAINT activities_event_id_key UNIQUE,
    type text NOT NULL,
    item_id uuid NOT NULL,
    source_service text NOT NULL,
    correlation_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX activities_item ON activities (item_id, position);
CREATE INDEX activities_request ON activities (correlation_id, position);

-- Whoever follows the table by its positions must never see 8 before 7. Sequence values become
-- visible out of order when transactions commit out of order; so those that insert take turns from
-- their first insert to their commit. They insert many rows each, so the turns cost little. A
-- statement trigger runs before the rows' positions are drawn.
CREATE FUNCTION activities_take_turns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('activities'::regclass::oid::bigint);
    PERFORM pg_notify('activities', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER activities_take_turns BEFORE INSERT ON activities
    FOR EACH STATEMENT EXECUTE FUNCTION activities_take_turns();
