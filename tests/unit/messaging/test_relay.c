/* The relay, with a real database and a real broker: what is in the outbox reaches the broker, and
 * leaves the outbox only then. */
#include "support.h"

#include <inttypes.h>
#include <time.h>

/* One consumer with its queue for each test; its routing keys begin with its name. */
struct fixture {
    tn_arena *arena;
    PGconn *db;
    const char *name, *pattern, *key, *queue;
    tn__queue_binding binding;
    tn__relay_options options;
    tn__relay *relay;
};

static int open_fixture(void **state)
{
    static int n;
    struct fixture *f = calloc(1, sizeof *f);
    f->arena = tn__arena_open(4096);
    f->db = test_db();
    test_tables(f->db);
    f->name = tn_printf(f->arena, "r%d-%d", getpid(), ++n).data;
    f->pattern = tn_printf(f->arena, "%s.*", f->name).data;
    f->key = tn_printf(f->arena, "%s.made", f->name).data;
    f->queue = tn_printf(f->arena, "%s.events", f->name).data;
    f->binding = (tn__queue_binding){ f->name, &f->pattern, 1 };
    f->options = (tn__relay_options){
        .database_url = test_env("TEST_DATABASE_URL"),
        .amqp_url = test_env("TEST_AMQP_URL"),
        .service = "test",
        .batch_max = 100,
        .poll_ms = 100,
        .confirm_timeout_ms = 10000,
        .inbox_ttl_s = 3600,
        .purge_every_ms = 60000,
        .queues = &f->binding,
        .n_queues = 1,
    };
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    tn__relay_close(f->relay, 0);
    test_forget(f->name);
    PQfinish(f->db);
    tn__arena_close(f->arena);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->relay = tn__relay_open(&f->options);
}

static void await_up(struct fixture *f)
{
    tn_str why = { 0 };
    for (int i = 0; i < 4000 && !tn__relay_up(f->relay, f->arena, &why); i++)
        usleep(5000);
    if (!tn__relay_up(f->relay, f->arena, &why))
        fail_msg("%.*s", TN_FMT(why));
}

/* Why it is down, as soon as it is; empty where it stays up. */
static tn_str await_down(struct fixture *f)
{
    tn_str why = { 0 };
    for (int i = 0; i < 1000 && tn__relay_up(f->relay, f->arena, &why); i++)
        usleep(10000);
    return why;
}

/* Rows with the routing key, numbered in the body. */
static void insert(struct fixture *f, const char *key, int n)
{
    test_sql(f->db,
        "INSERT INTO trunnion_outbox (message_id, exchange, routing_key, type, app_id, occurred_at,"
        " correlation_id, headers, body) SELECT gen_random_uuid(), 'events', '%s', 'thing.made',"
        " 'test', to_timestamp(1760000000), 'request-1',"
        " '{\"correlation_id\":\"request-1\",\"traceparent\":\"00-é\"}', i::text"
        " FROM generate_series(1, %d) i",
        key, n);
}

static int64_t pending(struct fixture *f)
{
    return test_sql(f->db, "SELECT count(*) FROM trunnion_outbox");
}

static void await_pending(struct fixture *f, int64_t n)
{
    test_eventually(f->db, n, 30, "SELECT count(*) FROM trunnion_outbox");
}

/* What is in the queue, acknowledged: how many, and how many different ids. */
struct found {
    size_t n, different;
};

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 36);
}

static struct found drain(const char *queue)
{
    struct found found = { 0 };
    char(*ids)[36] = calloc(100000, 36);
    tn__amqp *amqp = test_amqp_open();
    for (int i = 0; i < 50 && tn__amqp_consume(amqp, queue, 1000) != TN__AMQP_OK; i++) {
        tn__amqp_close(amqp);
        usleep(200000);
        amqp = test_amqp_open();
    }
    do { /* A pause is not the end while the queue holds more. */
        tn__amqp_message in;
        while (tn__amqp_next(amqp, 500, &in) == TN__AMQP_OK) {
            assert_int_equal(in.message_id.len, 36);
            memcpy(ids[found.n++], in.message_id.data, 36);
            assert_int_equal(tn__amqp_ack(amqp, in.delivery_tag, false), TN__AMQP_OK);
        }
        tn__amqp_close(amqp);
        amqp = test_amqp_open();
    } while (test_depth(queue) > 0 && tn__amqp_consume(amqp, queue, 1000) == TN__AMQP_OK);
    tn__amqp_close(amqp);
    qsort(ids, found.n, 36, by_bytes);
    for (size_t i = 0; i < found.n; i++)
        found.different += i == 0 || memcmp(ids[i], ids[i - 1], 36) != 0;
    free(ids);
    return found;
}

/* ---- Publishing ------------------------------------------------------------ */

static void a_row_becomes_a_message_with_all_that_it_says(void **state)
{
    struct fixture *f = *state;
    start(f);
    insert(f, f->key, 1);
    await_pending(f, 0);
    tn__amqp *amqp = test_amqp_open();
    tn__amqp_message in;
    assert_int_equal(tn__amqp_consume(amqp, f->queue, 10), TN__AMQP_OK);
    assert_int_equal(tn__amqp_next(amqp, 5000, &in), TN__AMQP_OK);
    assert_int_equal(in.message_id.len, 36);
    assert_true(tn_str_eq(in.routing_key, tn_str_of(f->key)));
    assert_true(tn_str_eq(in.type, TN_S("thing.made")));
    assert_true(tn_str_eq(in.app_id, TN_S("test")));
    assert_true(tn_str_eq(in.correlation_id, TN_S("request-1")));
    assert_true(tn_str_eq(in.content_type, TN_S("application/json")));
    assert_int_equal(in.timestamp_s, 1760000000);
    assert_int_equal(in.n_headers, 2);
    assert_true(tn_str_eq(test_header(&in, "traceparent"), TN_S("00-é")));
    assert_true(tn_str_eq(in.body, TN_S("1")));
    tn__amqp_close(amqp);
}

static void a_header_may_hold_a_nul(void **state)
{
    struct fixture *f = *state;
    insert(f, f->key, 1);
    test_sql(f->db, "UPDATE trunnion_outbox SET headers = '{\"bytes\":\"a\\u0000b\"}'");
    start(f);
    await_pending(f, 0);
    tn__amqp *amqp = test_amqp_open();
    tn__amqp_message in;
    assert_int_equal(tn__amqp_consume(amqp, f->queue, 10), TN__AMQP_OK);
    assert_int_equal(tn__amqp_next(amqp, 5000, &in), TN__AMQP_OK);
    assert_true(tn_str_eq(test_header(&in, "bytes"), TN_S("a\0b")));
    tn__amqp_close(amqp);
}

/* Its options, such as the schema to work in, hold; its encoding is what JSON asks for. */
static void the_urls_own_settings_change_nothing(void **state)
{
    struct fixture *f = *state;
    f->options.database_url = tn_printf(f->arena,
        "%s?options=-csearch_path%%3Delsewhere&client_encoding=LATIN1", f->options.database_url)
                                  .data;
    test_sql(f->db,
        "CREATE SCHEMA elsewhere;"
        "ALTER TABLE trunnion_outbox SET SCHEMA elsewhere;"
        "ALTER TABLE trunnion_idempotency SET SCHEMA elsewhere;"
        "ALTER TABLE trunnion_inbox SET SCHEMA elsewhere;"
        "SET search_path = elsewhere");
    a_row_becomes_a_message_with_all_that_it_says(state);
    test_sql(f->db, "DROP SCHEMA elsewhere CASCADE");
}

static void thousands_of_rows_are_published_once_each(void **state)
{
    struct fixture *f = *state;
    insert(f, f->key, 5000);
    start(f);
    await_pending(f, 0);
    struct found found = drain(f->queue);
    assert_int_equal(found.n, 5000);
    assert_int_equal(found.different, 5000);
}

/* Twenty times: it looks around every five seconds anyway, which makes a hundred. */
enum { AT_ONCE_US = 50000000 };

static void a_wake_is_heard_at_once(void **state)
{
    struct fixture *f = *state;
    f->options.poll_ms = 60000;
    start(f);
    await_up(f);
    sleep(1); /* It sleeps by then. */
    int64_t before_us = tn__mono_us();
    for (int i = 0; i < 20; i++) {
        insert(f, f->key, 1);
        tn__relay_wake(f->relay);
        await_pending(f, 0);
    }
    assert_true(tn__mono_us() - before_us < AT_ONCE_US);
}

static void a_notification_of_another_process_is_heard_at_once(void **state)
{
    struct fixture *f = *state;
    f->options.poll_ms = 60000;
    start(f);
    await_up(f);
    sleep(1);
    int64_t before_us = tn__mono_us();
    for (int i = 0; i < 20; i++) {
        insert(f, f->key, 1);
        test_sql(f->db, "NOTIFY trunnion_outbox");
        await_pending(f, 0);
    }
    assert_true(tn__mono_us() - before_us < AT_ONCE_US);
}

static void rows_that_nobody_told_of_are_found(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    sleep(1);
    insert(f, f->key, 1);
    await_pending(f, 0);
}

static void two_relays_share_one_outbox(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__relay *other = tn__relay_open(&f->options);
    await_up(f);
    for (int i = 0; i < 20; i++) {
        insert(f, f->key, 250);
        tn__relay_wake(f->relay);
        tn__relay_wake(other);
    }
    await_pending(f, 0);
    tn__relay_close(other, 1000);
    struct found found = drain(f->queue);
    assert_int_equal(found.n, 5000);
    assert_int_equal(found.different, 5000);
}

/* ---- Rows that don't go ----------------------------------------------------- */

static void unroutable_rows_stay_and_others_pass_them(void **state)
{
    struct fixture *f = *state;
    insert(f, "nobody.listens", 1000);
    insert(f, f->key, 500);
    start(f);
    await_pending(f, 1000);
    insert(f, f->key, 10);
    await_pending(f, 1000);
    assert_int_equal(drain(f->queue).n, 510);
}

static void unroutable_rows_go_once_there_is_a_queue(void **state)
{
    struct fixture *f = *state;
    const char *stray = tn_printf(f->arena, "%s.stray.key", f->name).data;
    insert(f, stray, 300);
    start(f);
    await_up(f);
    sleep(1);
    assert_int_equal(pending(f), 300);
    tn__amqp *amqp = test_amqp_open();
    amqp_queue_bind(amqp->state, 1, amqp_cstring_bytes(f->queue), amqp_cstring_bytes("events"),
        amqp_cstring_bytes(stray), amqp_empty_table);
    tn__amqp_close(amqp);
    await_pending(f, 0);
    assert_int_equal(drain(f->queue).n, 300);
}

static double counter(const char *name)
{
    tn__buf text = { 0 };
    char line[80];
    snprintf(line, sizeof line, "\n%s ", name);
    tn__metrics_write(&text);
    tn__buf_add_char(&text, '\0');
    const char *at = strstr(text.data, line);
    assert_non_null(at);
    double value = strtod(at + strlen(line), NULL);
    tn__buf_deinit(&text);
    return value;
}

static void a_held_back_route_is_tried_now_and_then(void **state)
{
    struct fixture *f = *state;
    f->options.poll_ms = 10;
    start(f);
    await_up(f);
    double before = counter("trunnion_outbox_returned_total");
    int64_t before_us = tn__mono_us();
    insert(f, "nobody.listens", 10);
    test_until(counter("trunnion_outbox_returned_total") - before >= 30, 30);
    /* At once, and after waits of about one second and two. */
    assert_true(tn__mono_us() - before_us > 1000000);
}

static void rows_that_a_full_queue_refuses_stay_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    f->options.batch_max = 5;
    start(f);
    await_up(f);
    test_stack("rabbitmqctl set_policy --apply-to queues full '^%s$' '{\"max-length\":5}'",
        f->queue);
    insert(f, f->key, 100);
    test_until(pending(f) < 100, 20);
    sleep(2);
    int64_t left = pending(f);
    size_t received = 0;
    for (int i = 0; i < 60 && pending(f) > 0; i++)
        received += drain(f->queue).n;
    received += drain(f->queue).n;
    test_stack("rabbitmqctl clear_policy full");
    assert_in_range(left, 1, 99);
    assert_int_equal(pending(f), 0);
    assert_int_equal(received, 100);
}

static void a_row_that_is_broken_stays_alone(void **state)
{
    struct fixture *f = *state;
    insert(f, f->key, 3);
    test_sql(f->db, "UPDATE trunnion_outbox SET headers = '[1]' WHERE seq = 2");
    insert(f, f->key, 3);
    test_sql(f->db, "UPDATE trunnion_outbox SET correlation_id = repeat('x', 300) WHERE seq = 5");
    start(f);
    await_pending(f, 2);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM trunnion_outbox WHERE seq IN (2, 5)"),
        2);
    assert_int_equal(drain(f->queue).n, 4);
}

static void a_row_that_the_broker_refuses_is_found_and_passed(void **state)
{
    struct fixture *f = *state;
    insert(f, f->key, 20);
    test_sql(f->db, "UPDATE trunnion_outbox SET exchange = 'no-such-exchange' WHERE seq = 7");
    start(f);
    await_pending(f, 1);
    insert(f, f->key, 20);
    await_pending(f, 1);
    assert_int_equal(drain(f->queue).different, 39);
}

/* ---- Upkeep ------------------------------------------------------------------ */

static void what_has_expired_is_purged_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    test_sql(f->db,
        "INSERT INTO trunnion_inbox SELECT gen_random_uuid(), now() - interval '2 hours'"
        " FROM generate_series(1, 2000)");
    test_sql(f->db,
        "INSERT INTO trunnion_inbox SELECT gen_random_uuid() FROM"
        " generate_series(1, 50)");
    test_sql(f->db,
        "INSERT INTO trunnion_idempotency SELECT gen_random_uuid(), '', 200, '{}', '',"
        " now() - interval '1 second' FROM generate_series(1, 2000)");
    test_sql(f->db,
        "INSERT INTO trunnion_idempotency SELECT gen_random_uuid(), '', 200, '{}', '',"
        " now() + interval '1 hour' FROM generate_series(1, 50)");
    f->options.purge_every_ms = 100;
    start(f);
    test_eventually(f->db, 50, 10, "SELECT count(*) FROM trunnion_inbox");
    test_eventually(f->db, 50, 10, "SELECT count(*) FROM trunnion_idempotency");
}

static void without_a_broker_it_still_purges(void **state)
{
    struct fixture *f = *state;
    f->options.amqp_url = NULL;
    test_sql(f->db,
        "INSERT INTO trunnion_inbox SELECT gen_random_uuid(), now() - interval '1 day'");
    start(f);
    test_eventually(f->db, 0, 10, "SELECT count(*) FROM trunnion_inbox");
}

/* ---- Close -------------------------------------------------------------------- */

static void closing_publishes_what_is_there(void **state)
{
    struct fixture *f = *state;
    f->options.poll_ms = 60000;
    start(f);
    await_up(f);
    sleep(1);
    insert(f, f->key, 3000);
    tn__relay_close(f->relay, 20000);
    f->relay = NULL;
    assert_int_equal(pending(f), 0);
    assert_int_equal(drain(f->queue).n, 3000);
}

static void closing_ends_in_time(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    pid_t broker = test_pid_of("RabbitMQ");
    kill(broker, SIGSTOP);
    insert(f, f->key, 1000);
    usleep(300000);
    int64_t before_us = tn__mono_us();
    tn__relay_close(f->relay, 500);
    int64_t took_us = tn__mono_us() - before_us;
    f->relay = NULL;
    kill(broker, SIGCONT);
    assert_true(took_us < 8000000); /* A confirm may take ten seconds. */
    assert_int_equal(pending(f), 1000);
}

/* ---- Outages ------------------------------------------------------------------ */

static void a_broker_that_stands_still_delays_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->options.confirm_timeout_ms = 1000;
    start(f);
    await_up(f);
    pid_t broker = test_pid_of("RabbitMQ");
    kill(broker, SIGSTOP);
    insert(f, f->key, 500);
    bool noticed = await_down(f).len > 0;
    int64_t left = pending(f);
    kill(broker, SIGCONT);
    assert_true(noticed);
    assert_int_equal(left, 500);
    await_pending(f, 0);
    assert_int_equal(drain(f->queue).different, 500);
}

static void a_broker_short_of_memory_is_waited_for(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    test_stack("rabbitmqctl set_vm_memory_high_watermark 0.00001");
    insert(f, f->key, 300);
    bool told = test_contains(await_down(f), "memory");
    test_stack("rabbitmqctl set_vm_memory_high_watermark 0.4");
    assert_true(told);
    await_pending(f, 0);
    await_up(f);
    assert_int_equal(drain(f->queue).different, 300);
}

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void while_a_broker_is_short_of_memory_it_rests(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    test_stack("rabbitmqctl set_vm_memory_high_watermark 0.00001");
    insert(f, f->key, 300);
    bool told = test_contains(await_down(f), "memory");
    int64_t before_us = cpu_us();
    usleep(1000000);
    int64_t took_us = cpu_us() - before_us;
    test_stack("rabbitmqctl set_vm_memory_high_watermark 0.4");
    assert_true(told);
    assert_true(took_us < 200000);
    await_pending(f, 0);
}

static void a_lost_database_is_found_again(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    for (int i = 0; i < 5; i++) {
        insert(f, f->key, 200);
        test_sql(f->db,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'test relay'");
    }
    await_pending(f, 0);
    /* A batch whose end was cut off is published again. */
    assert_int_equal(drain(f->queue).different, 1000);
}

static void a_broker_killed_while_publishing_loses_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    sleep(2); /* The broker writes the names of new queues late. */
    pid_t broker = test_pid_of("RabbitMQ");
    insert(f, f->key, 20000);
    tn__relay_wake(f->relay);
    test_until(pending(f) <= 19000, 30);
    kill(broker, SIGKILL);
    int64_t left = pending(f);
    assert_true(left > 0);
    assert_true(await_down(f).len > 0);
    insert(f, f->key, 100);
    test_stack("kill rabbitmq");
    test_stack("start");
    test_eventually(f->db, 0, 60, "SELECT count(*) FROM trunnion_outbox");
    struct found found = drain(f->queue);
    assert_int_equal(found.different, 20100);
    assert_true(found.n <= 20100 + 2 * (size_t)f->options.batch_max);
}

static void a_database_killed_while_publishing_loses_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    insert(f, f->key, 20000);
    tn__relay_wake(f->relay);
    test_until(pending(f) <= 19000, 30);
    test_stack("kill postgres");
    PQfinish(f->db);
    test_stack("start");
    f->db = test_db();
    test_eventually(f->db, 0, 60, "SELECT count(*) FROM trunnion_outbox");
    struct found found = drain(f->queue);
    assert_int_equal(found.different, 20000);
    assert_true(found.n <= 20000 + (size_t)f->options.batch_max);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_row_becomes_a_message_with_all_that_it_says),
        WITH(a_header_may_hold_a_nul),
        WITH(the_urls_own_settings_change_nothing),
        WITH(thousands_of_rows_are_published_once_each),
        WITH(a_wake_is_heard_at_once),
        WITH(a_notification_of_another_process_is_heard_at_once),
        WITH(rows_that_nobody_told_of_are_found),
        WITH(two_relays_share_one_outbox),
        WITH(unroutable_rows_stay_and_others_pass_them),
        WITH(unroutable_rows_go_once_there_is_a_queue),
        WITH(a_held_back_route_is_tried_now_and_then),
        WITH(rows_that_a_full_queue_refuses_stay_until_there_is_room),
        WITH(a_row_that_is_broken_stays_alone),
        WITH(a_row_that_the_broker_refuses_is_found_and_passed),
        WITH(what_has_expired_is_purged_and_nothing_else),
        WITH(without_a_broker_it_still_purges),
        WITH(closing_publishes_what_is_there),
        WITH(closing_ends_in_time),
        WITH(a_broker_that_stands_still_delays_and_loses_nothing),
        WITH(a_broker_short_of_memory_is_waited_for),
        WITH(while_a_broker_is_short_of_memory_it_rests),
        WITH(a_lost_database_is_found_again),
        WITH(a_broker_killed_while_publishing_loses_nothing),
        WITH(a_database_killed_while_publishing_loses_nothing),
    };
    tn__log_level(getenv("TEST_LOG") != NULL ? TN_DEBUG : TN_ERROR);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
