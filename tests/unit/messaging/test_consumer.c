/* The consumer: each message has its effect once, whatever is taken away meanwhile. */
#include "fixture.h"

/* ---- Once -------------------------------------------------------------------------- */

static void each_message_has_its_effect_and_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_many(f, 2000);
    await_effects(f, 2000);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM trunnion_inbox"), 2000);
    stop(f);
    assert_int_equal(dead(f), 0);
}

static void a_copy_changes_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":1}");
    for (int i = 0; i < 50; i++)
        send_message(f, &message);
    await_effects(f, 1);
    send_many(f, 10);
    await_effects(f, 11);
    stop(f);
    assert_int_equal(dead(f), 0);
}

static void copies_in_one_batch_change_nothing(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":1}");
    for (int i = 0; i < 30; i++) {
        send_message(f, &message);
        send_many(f, 2);
    }
    start(f);
    await_effects(f, 61);
    await_depth(f->queue, 0);
    assert_int_equal(dead(f), 0);
}

static void connections_that_are_cut_change_nothing(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        send_many(f, 2000);
    start(f);
    await_up(f);
    int64_t cuts = 0;
    for (; test_sql(f->db, "SELECT count(*) FROM effects") < 20000 && cuts < 10; cuts++)
        test_stack("rabbitmqctl close_all_connections cut");
    assert_true(cuts > 0);
    await_effects(f, 20000);
    await_up(f);
    await_depth(f->queue, 0); /* What was cut off before its acknowledgement comes again. */
    stop(f);
    assert_int_equal(dead(f), 0);
    tn__amqp_close(f->amqp);
    f->amqp = test_amqp_open();
}

static void two_consumers_share_a_queue(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__consumer *other = tn__consumer_open(&f->options);
    send_many(f, 3000);
    await_effects(f, 3000);
    tn__consumer_close(other, 20000);
    stop(f);
}

static void the_handler_sees_what_came_with_the_message(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":5, \"later\":{\"fields\":\"are ignored\"}}");
    await_effects(f, 1);
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM effects WHERE n = 5 AND"
                         " correlation_id = 'request-1' AND type = '%s'",
                         f->key),
        1);
}

static void an_event_of_a_handler_belongs_to_the_same_request_and_trace(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":5,\"wish\":\"emit\"}");
    message.correlation_id = TN_S("request-7");
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("traceparent"),
        TN_S("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") };
    send_message(f, &message);
    await_effects(f, 1);
    assert_int_equal(
        test_sql(f->db,
            "SELECT count(*) FROM trunnion_outbox WHERE exchange = 'events' AND routing_key ="
            " 'order.seen' AND type = 'order.seen' AND app_id = '%s' AND correlation_id = 'request-7'"
            " AND headers::json->>'correlation_id' = 'request-7'"
            " AND headers::json->>'traceparent' LIKE '00-4bf92f3577b34da6a3ce929d0e0e4736-%%-01'"
            " AND headers::json->>'traceparent' NOT LIKE '%%00f067aa0ba902b7%%'"
            " AND body::json->>'id' = 'emit' AND body::json->>'source_service' = '%s'"
            " AND (body::json->>'timestamp')::timestamptz > now() - interval '1 minute'",
            f->name, f->name),
        1);
}

/* What came in too long for a message of ours would keep the event in the outbox for ever. */
static void an_event_of_a_handler_takes_on_what_fits(void **state)
{
    struct fixture *f = *state;
    char text[2000];
    memset(text, 'x', sizeof text);
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":5,\"wish\":\"emit\"}");
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("correlation_id"),
        { text, 256 } };
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("idempotency_key"),
        { text, sizeof text } };
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("traceparent"),
        TN_S("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") };
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("tracestate"),
        { text, sizeof text } };
    send_message(f, &message);
    await_effects(f, 1);
    assert_int_equal(
        test_sql(f->db,
            "SELECT count(*) FROM trunnion_outbox WHERE correlation_id = ''"
            " AND headers::json->>'traceparent' LIKE '00-4bf92f3577b34da6a3ce929d0e0e4736-%%-01'"
            " AND 1 = (SELECT count(*) FROM json_object_keys(headers::json))"),
        1);
}

/* ---- Failures that pass ----------------------------------------------------------------- */

static void a_failure_that_passes_is_retried(void **state)
{
    struct fixture *f = *state;
    f->options.retries_max = 1000;
    start(f);
    await_up(f);
    PGconn *holder = test_db();
    test_sql(holder, "BEGIN");
    test_sql(holder, "SELECT id FROM locked FOR UPDATE");
    send_body(f, "{\"n\":1,\"wish\":\"lock\"}");
    test_until(atomic_load(&calls) >= 5, 20);
    send_many(f, 100); /* It holds up nobody. */
    await_effects(f, 100);
    test_sql(holder, "COMMIT");
    PQfinish(holder);
    await_effects(f, 101);
    assert_int_equal(dead(f), 0);
    assert_int_equal(atomic_load(&deliveries_again), 0);
}

static void after_its_retries_it_waits_in_the_queue(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    PGconn *holder = test_db();
    test_sql(holder, "BEGIN");
    test_sql(holder, "SELECT id FROM locked FOR UPDATE");
    send_body(f, "{\"n\":1,\"wish\":\"lock\"}");
    test_until(atomic_load(&deliveries_again) >= 3, 20);
    test_sql(holder, "COMMIT");
    PQfinish(holder);
    await_effects(f, 1);
    assert_int_equal(dead(f), 0);
}

static void without_retries_it_waits_in_the_queue_too(void **state)
{
    ((struct fixture *)*state)->options.retries_max = 0;
    after_its_retries_it_waits_in_the_queue(state);
}

/* ---- Outages ------------------------------------------------------------------------------- */

static void without_a_database_nothing_is_consumed(void **state)
{
    struct fixture *f = *state;
    f->options.database.url = "postgresql://nobody@127.0.0.1:1/nowhere";
    start(f);
    send_many(f, 10);
    tn_str why = { 0 };
    for (int i = 0; i < 2000 && !test_contains(why, "database"); i++) {
        usleep(10000);
        assert_false(tn__consumer_up(f->consumer, f->arena, &why));
    }
    assert_true(test_contains(why, "database"));
    assert_int_equal(test_depth(f->queue), 10);
    tn__consumer_close(f->consumer, 1000);
    f->consumer = NULL;
    assert_int_equal(test_depth(f->queue), 10);
}

static void a_database_that_is_away_uses_up_no_deliveries(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    send_many(f, 300);
    await_effects(f, 300);
    test_stack("kill postgres");
    PQfinish(f->db);
    send_many(f, 300);
    sleep(6); /* More than all retries would take. */
    test_stack("start");
    f->db = test_db();
    await_effects(f, 600);
    assert_int_equal(dead(f), 0);
    assert_int_equal(atomic_load(&deliveries_again), 0);
}

/* Stops or continues the server: what accepts connections, and those of the consumer. */
static void signal_database(pid_t postmaster, PGresult *backends, int signal)
{
    kill(postmaster, signal);
    for (int i = 0; i < PQntuples(backends); i++)
        kill((pid_t)strtol(PQgetvalue(backends, i, 0), NULL, 10), signal);
}

static void a_database_that_stands_still_uses_up_no_deliveries(void **state)
{
    struct fixture *f = *state;
    f->options.message_timeout_ms = 300;
    start(f);
    await_up(f);
    send_many(f, 10);
    await_effects(f, 10);
    pid_t postmaster = test_pid_of("PostgreSQL");
    PGresult *backends = PQexec(f->db,
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'test consumer'");
    assert_true(PQntuples(backends) > 0);
    signal_database(postmaster, backends, SIGSTOP);
    send_many(f, 50);
    sleep(5);
    signal_database(postmaster, backends, SIGCONT);
    PQclear(backends);
    await_effects(f, 60);
    assert_int_equal(dead(f), 0);
    assert_int_equal(atomic_load(&deliveries_again), 0);
}

static void a_database_killed_while_consuming_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;
    send_many(f, 4000);
    start(f);
    test_until(test_sql(f->db, "SELECT count(*) FROM effects") >= 500, 30);
    test_stack("kill postgres");
    PQfinish(f->db);
    test_stack("start");
    f->db = test_db();
    await_effects(f, 4000);
    assert_int_equal(dead(f), 0);
}

static void a_broker_killed_while_consuming_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;
    sleep(2); /* The broker writes the names of new queues late. */
    send_many(f, 4000);
    start(f);
    test_until(test_sql(f->db, "SELECT count(*) FROM effects") >= 500, 30);
    test_stack("kill rabbitmq");
    test_stack("start");
    await_effects(f, 4000);
    await_up(f);
    tn__amqp_close(f->amqp);
    f->amqp = test_amqp_open();
    send_many(f, 10);
    await_effects(f, 4010);
    assert_int_equal(dead(f), 0);
}

/* ---- Close ---------------------------------------------------------------------------------- */

static void closing_finishes_what_is_in_hand(void **state)
{
    struct fixture *f = *state;
    f->options.prefetch = 8; /* So that we see it at work, even when we are slow. */
    send_many(f, 4000);
    start(f);
    test_until(test_sql(f->db, "SELECT count(*) FROM effects") >= 100, 30);
    tn__consumer_close(f->consumer, 10000);
    f->consumer = NULL;
    int64_t done = test_sql(f->db, "SELECT count(*) FROM effects");
    assert_in_range(done, 100, 3999);
    /* What had its effect is acknowledged, the rest is there. */
    await_depth(f->queue, 4000 - done);
}

static void closing_waits_for_a_slow_handler(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":1,\"wish\":\"slow\"}");
    test_until(atomic_load(&calls) != 0, 20);
    tn__consumer_close(f->consumer, 10000);
    f->consumer = NULL;
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), 1);
    assert_int_equal(test_depth(f->queue), 0);
}

static void closing_gives_a_slow_handler_up_in_time(void **state)
{
    struct fixture *f = *state;
    f->options.message_timeout_ms = 100000;
    start(f);
    send_body(f, "{\"n\":1,\"wish\":\"endless\"}");
    test_until(atomic_load(&calls) != 0, 20);
    int64_t before_us = tn__mono_us();
    tn__consumer_close(f->consumer, 300);
    f->consumer = NULL;
    assert_true(tn__mono_us() - before_us < 20000000);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), 0);
    await_depth(f->queue, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(each_message_has_its_effect_and_is_acknowledged),
        WITH(a_copy_changes_nothing),
        WITH(copies_in_one_batch_change_nothing),
        WITH(connections_that_are_cut_change_nothing),
        WITH(two_consumers_share_a_queue),
        WITH(the_handler_sees_what_came_with_the_message),
        WITH(an_event_of_a_handler_belongs_to_the_same_request_and_trace),
        WITH(an_event_of_a_handler_takes_on_what_fits),
        WITH(a_failure_that_passes_is_retried),
        WITH(after_its_retries_it_waits_in_the_queue),
        WITH(without_retries_it_waits_in_the_queue_too),
        WITH(without_a_database_nothing_is_consumed),
        WITH(a_database_that_is_away_uses_up_no_deliveries),
        WITH(a_database_that_stands_still_uses_up_no_deliveries),
        WITH(a_database_killed_while_consuming_loses_and_doubles_nothing),
        WITH(a_broker_killed_while_consuming_loses_and_doubles_nothing),
        WITH(closing_finishes_what_is_in_hand),
        WITH(closing_waits_for_a_slow_handler),
        WITH(closing_gives_a_slow_handler_up_in_time),
    };
    tn__log_level(getenv("TEST_LOG") != NULL ? TN_DEBUG : TN_ERROR);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
