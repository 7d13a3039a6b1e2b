/* Emitting: an event is a row of the transaction that caused it, and the relay hears of it. */
#include "support.h"

#include "messaging/relay.h"

struct thing {
    tn_uuid id;
    tn_str name;
};
static const tn_schema thing_schema = TN_SCHEMA(thing, TN_UUID(thing, id), TN_STR(thing, name));

static const tn_event thing_made = { .name = "thing.made", .of = &thing_schema, .subject = "id" };
static const tn_event thing_told = { .name = "thing.told",
    .of = &thing_schema,
    .subject = "name",
    .data = &thing_schema };

static const tn_query insert_thing = {
    "insert_thing",
    "INSERT INTO things (name) VALUES ($1) RETURNING id, name",
};

/* ---- A loop for one coroutine -------------------------------------------------------- */

struct run {
    tn__loop *loop;
    tn__pg *pg;
    tn_arena *arena;
    tn__origin origin;
    void (*body)(struct run *run);
    bool ok;
};
static PGconn *db;

static tn_tx *begin(struct run *run)
{
    tn_tx *tx = tn__tx_open(run->pg, run->arena, TN__WRITE, tn__mono_us() + 30000000);
    tn__tx_context_set(tx, &run->origin);
    return tx;
}

static void body(void *arg)
{
    struct run *run = arg;
    while (!tn__pg_up(run->pg, NULL))
        tn__co_sleep(5000);
    run->body(run);
    tn__loop_stop(run->loop);
}

static bool run_with(tn__relay *relay, void (*fn)(struct run *run))
{
    struct run run = { .loop = tn__loop_open(),
        .arena = tn__arena_open(4096),
        .body = fn,
        .origin = { .service = "things",
            .relay = relay,
            .correlation_id = TN_S("re\"quest"),
            .idempotency_key = TN_S("key-1"),
            .traceparent = TN_S("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") } };
    run.pg = tn__pg_open(run.loop,
        &(tn__pg_options){ .url = test_env("TEST_DATABASE_URL"),
            .application_name = "test",
            .pool_max = 1,
            .batch_max = 16,
            .batches_in_flight_max = 2,
            .queue_max = 64,
            .lock_timeout_ms = 30000,
            .statement_timeout_ms = 30000,
            .connect_timeout_ms = 30000 });
    tn__co_start(run.loop, body, &run);
    tn__loop_run(run.loop);
    tn__pg_close(run.pg);
    tn__arena_close(run.arena);
    tn__loop_close(run.loop);
    return run.ok;
}

static int make_tables(void **state)
{
    (void)state;
    db = test_db();
    test_tables(db);
    test_sql(db,
        "CREATE TABLE things (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text"
        " CONSTRAINT named CHECK (name <> ''))");
    return 0;
}

static int close_db(void **state)
{
    (void)state;
    PQfinish(db);
    return 0;
}

/* ---- Rows ------------------------------------------------------------------------------ */

static void emit_one(struct run *run)
{
    struct thing thing = { .id = tn_uuid_v7(), .name = TN_S("a \"thing\"\n") };
    tn_tx *tx = begin(run);
    tn_emit(tx, &thing_made, TN_REF(thing, &thing));
    tn_emit(tx, &thing_told, TN_REF(thing, &thing));
    run->ok = tn__tx_commit(tx);
}

static void an_event_carries_the_envelope_and_what_it_inherits(void **state)
{
    (void)state;
    assert_true(run_with(NULL, emit_one));
    assert_int_equal(test_sql(db, "SELECT count(*) FROM trunnion_outbox"), 2);
    assert_int_equal(
        test_sql(db,
            "SELECT count(*) FROM trunnion_outbox WHERE exchange = 'events' AND routing_key = type"
            " AND app_id = 'things' AND correlation_id = 're\"quest'"
            " AND occurred_at BETWEEN now() - interval '1 minute' AND now()"
            " AND headers::jsonb = '{\"correlation_id\":\"re\\\"quest\",\"idempotency_key\":\"key-1\","
            "\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}'"
            " AND (body::json->>'timestamp')::timestamptz = occurred_at"
            " AND body::json->>'source_service' = 'things'"),
        2);
    /* Exactly the three members, and the fourth where the event says so. */
    assert_int_equal(test_sql(db,
                         "SELECT count(*) FROM trunnion_outbox, json_object_keys(body::json)"
                         " WHERE type = 'thing.made'"),
        3);
    assert_int_equal(test_sql(db,
                         "SELECT count(*) FROM trunnion_outbox WHERE type = 'thing.told'"
                         " AND body::json->>'id' = E'a \"thing\"\\n'"
                         " AND body::json->'data'->>'name' = E'a \"thing\"\\n'"),
        1);
}

static void emit_what_arrives(struct run *run)
{
    struct thing thing = { 0 };
    tn_ref made = TN_REF(thing, &thing);
    tn_tx *tx = begin(run);
    tn_one(tx, made, &insert_thing, TN_ARGS(TN_S("late")));
    tn_emit(tx, &thing_made, made);
    run->ok = tn__tx_commit(tx);
}

static void an_event_about_a_row_waits_for_it(void **state)
{
    (void)state;
    assert_true(run_with(NULL, emit_what_arrives));
    assert_int_equal(test_sql(db,
                         "SELECT count(*) FROM trunnion_outbox o JOIN things t ON"
                         " o.body::json->>'id' = t.id::text"),
        1);
}

static void emit_and_fail(struct run *run)
{
    struct thing thing = { .id = tn_uuid_v7(), .name = TN_S("x") };
    tn_tx *tx = begin(run);
    tn_emit(tx, &thing_made, TN_REF(thing, &thing));
    tn_run(tx, &insert_thing, TN_ARGS(TN_S("")));
    run->ok = tn__tx_commit(tx);
}

static void a_transaction_that_fails_announces_nothing(void **state)
{
    (void)state;
    assert_false(run_with(NULL, emit_and_fail));
    assert_int_equal(test_sql(db, "SELECT count(*) FROM trunnion_outbox"), 0);
}

/* ---- Who hears of it -------------------------------------------------------------------- */

static tn__relay *open_relay(const char *amqp_url, const tn__queue_binding *binding)
{
    return tn__relay_open(&(tn__relay_options){ .database_url = test_env("TEST_DATABASE_URL"),
        .amqp_url = amqp_url,
        .service = "things",
        .batch_max = 10,
        .poll_ms = 60000,
        .confirm_timeout_ms = 5000,
        .inbox_ttl_s = 3600,
        .purge_every_ms = 60000,
        .queues = binding,
        .n_queues = 1 });
}

static void await_connected(tn__relay *relay)
{
    for (int i = 0; i < 2000 && !atomic_load(&relay->connected); i++)
        usleep(5000);
    assert_true(atomic_load(&relay->connected));
    sleep(1); /* It sleeps by then. */
}

static bool is_notified_within(int ms)
{
    PGnotify *notify;
    bool any = false;
    for (int i = 0; i < ms / 10 && !any; i++) {
        usleep(10000);
        PQconsumeInput(db);
        while ((notify = PQnotifies(db)) != NULL) {
            any = true;
            PQfreemem(notify);
        }
    }
    return any;
}

static void the_own_relay_is_woken_and_nobody_notified(void **state)
{
    (void)state;
    const char *pattern = "thing.*";
    char name[32];
    snprintf(name, sizeof name, "o%d", getpid());
    tn__queue_binding binding = { name, &pattern, 1 };
    tn__relay *relay = open_relay(test_env("TEST_AMQP_URL"), &binding);
    await_connected(relay);
    test_sql(db, "LISTEN trunnion_outbox");
    assert_true(run_with(relay, emit_one));
    test_eventually(db, 0, 2, "SELECT count(*) FROM trunnion_outbox");
    assert_false(is_notified_within(200));
    tn__relay_close(relay, 1000);
    test_forget(binding.consumer);
}

static void others_are_notified_when_the_own_relay_has_no_broker(void **state)
{
    (void)state;
    tn__relay *relay = open_relay("amqp://nobody@127.0.0.1:1/",
        &(tn__queue_binding){ "x", NULL, 0 });
    test_sql(db, "LISTEN trunnion_outbox");
    assert_true(run_with(relay, emit_one));
    assert_true(is_notified_within(20000));
    tn__relay_close(relay, 1000);
}

static void others_are_notified_when_there_is_no_own_relay(void **state)
{
    (void)state;
    test_sql(db, "LISTEN trunnion_outbox");
    assert_true(run_with(NULL, emit_what_arrives));
    assert_true(is_notified_within(20000));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make_tables, close_db)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(an_event_carries_the_envelope_and_what_it_inherits),
        WITH(an_event_about_a_row_waits_for_it),
        WITH(a_transaction_that_fails_announces_nothing),
        WITH(the_own_relay_is_woken_and_nobody_notified),
        WITH(others_are_notified_when_the_own_relay_has_no_broker),
        WITH(others_are_notified_when_there_is_no_own_relay),
    };
    tn__log_level(getenv("TEST_LOG") != NULL ? TN_DEBUG : TN_ERROR);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
