/* A connection's life with a real broker: how it begins, and that every end is noticed in time. */
#include "support.h"

#include "amqp/internal.h"

#include <pthread.h>

static tn_arena *arena;

static int open_arena(void **state)
{
    (void)state;
    arena = tn__arena_open(4096);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    tn__arena_close(arena);
    return 0;
}

/* The broker's URL with another user, password and host part. */
static const char *url_with(const char *scheme, const char *login, const char *host)
{
    tn_str rest = tn_str_of(test_env("TEST_AMQP_URL")), own;
    tn__str_cut(&rest, '@', &own);
    own.data += strlen("amqp://");
    own.len -= strlen("amqp://");
    if (host == NULL) {
        tn_str port_and_vhost = rest;
        return tn_printf(arena, "%s://%s@%.*s", scheme, login, TN_FMT(port_and_vhost)).data;
    }
    tn_str credentials = login != NULL ? tn_str_of(login) : own;
    return tn_printf(arena, "%s://%.*s@%s", scheme, TN_FMT(credentials), host).data;
}

static tn_str refusal(const char *url)
{
    tn__amqp_options options = test_amqp_options();
    options.url = url;
    options.connect_timeout_ms = 1000;
    tn_str why = { 0 };
    int64_t before_us = tn__mono_us();
    assert_null(tn__amqp_open(&options, arena, &why));
    assert_true(tn__mono_us() - before_us < 5000000);
    assert_true(why.len > 0);
    return why;
}

static void note(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why)
{
    (void)tag;
    (void)why;
    *(int *)arg += fate == TN__AMQP_CONFIRMED;
}

static tn__queue_binding binding_of(const char *name, const char *const *pattern)
{
    return (tn__queue_binding){ .consumer = name, .patterns = pattern, .n_patterns = 1 };
}

/* ---- Begin --------------------------------------------------------------- */

static void a_wrong_password_is_told(void **state)
{
    (void)state;
    tn_str why = refusal(url_with("amqp", "nobody:wrong", NULL));
    assert_true(test_contains(why, "ACCESS_REFUSED"));
    assert_true(test_contains(why, "403"));
    assert_false(test_contains(why, "wrong"));
}

static void an_unknown_vhost_is_told(void **state)
{
    (void)state;
    const char *url = tn_printf(arena, "%snowhere", test_env("TEST_AMQP_URL")).data;
    assert_true(test_contains(refusal(url), "nowhere"));
}

static void a_port_where_nobody_listens_is_told(void **state)
{
    (void)state;
    tn_str why = refusal("amqp://a:b@127.0.0.1:1/");
    assert_true(test_contains(why, "127.0.0.1:1"));
    assert_true(test_contains(why, "connecting"));
}

static void a_host_that_is_none_is_told(void **state)
{
    (void)state;
    assert_true(test_contains(refusal("amqp://a:b@host.invalid/"), "host.invalid"));
}

static void a_broker_that_stands_still_is_not_waited_for(void **state)
{
    (void)state;
    pid_t broker = test_pid_of("RabbitMQ");
    kill(broker, SIGSTOP);
    tn_str why = refusal(test_env("TEST_AMQP_URL"));
    kill(broker, SIGCONT);
    assert_true(test_contains(why, "timed out"));
}

/* ---- TLS ----------------------------------------------------------------- */

static const char *tls_url(const char *host, const char *query)
{
    return url_with("amqps", NULL,
        tn_printf(arena, "%s:%s/%s", host, test_env("TEST_AMQP_TLS_PORT"), query).data);
}

static void amqps_works_with_the_authority_that_the_url_names(void **state)
{
    (void)state;
    tn__amqp_options options = test_amqp_options();
    const char *ca = tn_printf(arena, "?cacertfile=%s", test_env("TEST_AMQP_TLS_CA")).data;
    options.url = tls_url("localhost", ca);
    tn__amqp *amqp = test_amqp_open_with(&options);
    const char *pattern = "tls.*";
    tn__queue_binding binding = binding_of("tls", &pattern);
    assert_int_equal(tn__amqp_declare(amqp, &binding, 1), TN__AMQP_OK);
    uint64_t tag = 0;
    int confirmed = 0;
    for (int i = 0; i < 500; i++) {
        tn__amqp_message message = test_message(arena, "tls.made");
        assert_int_equal(tn__amqp_publish(amqp, &message, &tag), TN__AMQP_OK);
    }
    assert_int_equal(tn__amqp_confirms(amqp, tag, tn__mono_us() + 20000000, note, &confirmed),
        TN__AMQP_OK);
    assert_int_equal(confirmed, 500);
    assert_int_equal(tn__amqp_consume(amqp, "tls.events", 500), TN__AMQP_OK);
    for (int i = 0; i < 500; i++) {
        tn__amqp_message in;
        assert_int_equal(tn__amqp_next(amqp, 20000, &in), TN__AMQP_OK);
        tag = in.delivery_tag;
    }
    assert_int_equal(tn__amqp_ack(amqp, tag, true), TN__AMQP_OK);
    tn__amqp_close(amqp);
}

static void a_certificate_that_nobody_vouches_for_is_refused(void **state)
{
    (void)state;
    assert_true(test_contains(refusal(tls_url("localhost", "")), "verif"));
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    (void)state;
    const char *ca = tn_printf(arena, "?cacertfile=%s", test_env("TEST_AMQP_TLS_CA")).data;
    assert_true(test_contains(refusal(tls_url("127.0.0.1", ca)), "verif"));
}

static void verify_none_accepts_any_certificate(void **state)
{
    (void)state;
    tn__amqp_options options = test_amqp_options();
    options.url = tls_url("127.0.0.1", "?verify=verify_none");
    tn__amqp_close(test_amqp_open_with(&options));
}

/* ---- Idle, blocked, lost ------------------------------------------------- */

/* Longer than a broker waits for a sign of life: up to three heartbeats. */
enum { HEARTBEAT_S = 4, IDLE_MS = 13000 };

struct waiting {
    tn__amqp *amqp;
    tn__amqp_result result;
};

static void *wait_for_nothing(void *arg)
{
    struct waiting *w = arg;
    tn__amqp_message in;
    w->result = tn__amqp_next(w->amqp, IDLE_MS, &in);
    return NULL;
}

/* Kept by who looks after it now and then, and by who waits for long. Heartbeats of four seconds,
 * since either side gives up after twice that, and the machine may stand still. */
static void an_idle_connection_is_kept_by_its_heartbeats(void **state)
{
    (void)state;
    tn__amqp_options options = test_amqp_options();
    options.heartbeat_s = HEARTBEAT_S;
    tn__amqp *pumped = test_amqp_open_with(&options);
    struct waiting waiting = { .amqp = test_amqp_open_with(&options) };
    const char *pattern = "idle.*";
    tn__queue_binding binding = binding_of("idle", &pattern);
    assert_int_equal(tn__amqp_declare(waiting.amqp, &binding, 1), TN__AMQP_OK);
    assert_int_equal(tn__amqp_consume(waiting.amqp, "idle.events", 1), TN__AMQP_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_nothing, &waiting), 0);
    for (int ms = 0; ms < IDLE_MS; ms += 100) {
        usleep(100000);
        assert_int_equal(tn__amqp_pump(pumped), TN__AMQP_OK);
    }
    pthread_join(thread, NULL);
    assert_int_equal(waiting.result, TN__AMQP_NOTHING);
    int confirmed = 0;
    uint64_t tag;
    tn__amqp_message message = test_message(arena, "nobody.listens");
    assert_int_equal(tn__amqp_publish(pumped, &message, &tag), TN__AMQP_OK);
    assert_int_equal(tn__amqp_confirms(pumped, tag, tn__mono_us() + 20000000, note, &confirmed),
        TN__AMQP_OK);
    tn__amqp_close(pumped);
    tn__amqp_close(waiting.amqp);
}

static void a_broker_that_stops_is_noticed_by_its_missing_heartbeat(void **state)
{
    (void)state;
    tn__amqp_options options = test_amqp_options();
    options.heartbeat_s = 1;
    pid_t broker = test_pid_of("RabbitMQ");
    tn__amqp *amqp = test_amqp_open_with(&options);
    kill(broker, SIGSTOP);
    int64_t before_us = tn__mono_us();
    tn__amqp_result result = TN__AMQP_OK;
    while (result == TN__AMQP_OK && tn__mono_us() - before_us < 20000000) {
        usleep(100000);
        result = tn__amqp_pump(amqp);
    }
    kill(broker, SIGCONT);
    assert_int_equal(result, TN__AMQP_LOST);
    assert_true(test_contains(tn__amqp_why(amqp), "heartbeat"));
    assert_int_equal(tn__amqp_pump(amqp), TN__AMQP_LOST);
    tn__amqp_close(amqp);
}

static void a_broker_that_stops_reading_ends_a_publish(void **state)
{
    (void)state;
    tn__amqp_options options = test_amqp_options();
    options.heartbeat_s = 1;
    options.rpc_timeout_ms = 2000;
    tn__amqp *amqp = test_amqp_open_with(&options);
    pid_t broker = test_pid_of("RabbitMQ");
    enum { BIG = 1000000 };
    char *body = calloc(1, BIG);
    kill(broker, SIGSTOP);
    int64_t before_us = tn__mono_us();
    tn__amqp_result result = TN__AMQP_OK;
    for (int i = 0; i < 4000 && result == TN__AMQP_OK; i++) {
        uint64_t tag;
        tn__amqp_message message = test_message(arena, "nobody.listens");
        message.body = (tn_str){ body, BIG };
        result = tn__amqp_publish(amqp, &message, &tag);
    }
    int64_t took_us = tn__mono_us() - before_us;
    tn__amqp_close(amqp);
    kill(broker, SIGCONT);
    free(body);
    assert_int_equal(result, TN__AMQP_LOST);
    assert_true(took_us < 12000000);
}

static void closing_does_not_wait_for_a_broker_that_stands_still(void **state)
{
    (void)state;
    tn__amqp *amqp = test_amqp_open();
    pid_t broker = test_pid_of("RabbitMQ");
    kill(broker, SIGSTOP);
    int64_t before_us = tn__mono_us();
    tn__amqp_close(amqp);
    int64_t took_us = tn__mono_us() - before_us;
    kill(broker, SIGCONT);
    assert_true(took_us < 5000000); /* Other calls wait for ten seconds. */
}

static void a_broker_short_of_memory_says_so_and_takes_no_more(void **state)
{
    (void)state;
    tn__amqp *amqp = test_amqp_open();
    const char *pattern = "blocked.*";
    tn__queue_binding binding = binding_of("blocked", &pattern);
    assert_int_equal(tn__amqp_declare(amqp, &binding, 1), TN__AMQP_OK);
    test_stack("rabbitmqctl set_vm_memory_high_watermark 0.00001");
    uint64_t tag = 0;
    int confirmed = 0;
    tn__amqp_message message = test_message(arena, "blocked.made");
    for (int i = 0; i < 200 && !tn__amqp_blocked(amqp, NULL); i++) {
        assert_int_equal(tn__amqp_publish(amqp, &message, &tag), TN__AMQP_OK);
        tn__amqp_confirms(amqp, tag, tn__mono_us() + 100000, note, &confirmed);
    }
    tn_str why;
    bool blocked = tn__amqp_blocked(amqp, &why);
    tn__amqp_result while_blocked = tn__amqp_publish(amqp, &message, &(uint64_t){ 0 });
    test_stack("rabbitmqctl set_vm_memory_high_watermark 0.4");
    assert_true(blocked);
    assert_true(test_contains(why, "memory"));
    assert_int_equal(while_blocked, TN__AMQP_NOTHING);
    assert_int_equal(tn__amqp_confirms(amqp, tag, tn__mono_us() + 20000000, note, &confirmed),
        TN__AMQP_OK);
    assert_int_equal(confirmed, tag);
    assert_false(tn__amqp_blocked(amqp, NULL));
    tn__amqp_close(amqp);
}

static void an_operator_who_closes_it_is_quoted(void **state)
{
    (void)state;
    tn__amqp *amqp = test_amqp_open();
    test_stack("rabbitmqctl close_all_connections 'spring cleaning'");
    tn__amqp_result result = TN__AMQP_OK;
    for (int i = 0; i < 100 && result == TN__AMQP_OK; i++) {
        usleep(50000);
        result = tn__amqp_pump(amqp);
    }
    assert_int_equal(result, TN__AMQP_LOST);
    assert_true(test_contains(tn__amqp_why(amqp), "spring cleaning"));
    assert_true(test_contains(tn__amqp_why(amqp), "320"));
    tn__amqp_close(amqp);
}

static void a_publish_to_no_exchange_closes_the_channel_with_the_reason(void **state)
{
    (void)state;
    tn__amqp *amqp = test_amqp_open();
    uint64_t tag;
    int confirmed = 0;
    tn__amqp_message message = test_message(arena, "x");
    message.exchange = TN_S("no-such-exchange");
    assert_int_equal(tn__amqp_publish(amqp, &message, &tag), TN__AMQP_OK);
    assert_int_equal(tn__amqp_confirms(amqp, tag, tn__mono_us() + 5000000, note, &confirmed),
        TN__AMQP_LOST);
    assert_true(test_contains(tn__amqp_why(amqp), "no-such-exchange"));
    assert_true(test_contains(tn__amqp_why(amqp), "404"));
    tn__amqp_close(amqp);
}

/* Consumes a queue that may need a moment more than the broker to come back. */
static tn__amqp *consume_patiently(const char *queue)
{
    tn__amqp *amqp = test_amqp_open();
    for (int i = 0; i < 50 && tn__amqp_consume(amqp, queue, 1000) != TN__AMQP_OK; i++) {
        tn__amqp_close(amqp);
        usleep(200000);
        amqp = test_amqp_open();
    }
    return amqp;
}

/* Last, since it takes the broker down: what was confirmed is there after it, the rest is known to
 * be unsettled. */
static void a_broker_killed_while_publishing_has_what_it_confirmed(void **state)
{
    (void)state;
    const char *name = tn_printf(arena, "killed%d", getpid()).data;
    const char *queue = tn_printf(arena, "%s.events", name).data;
    const char *key = tn_printf(arena, "%s.made", name).data;
    tn__queue_binding binding = binding_of(name, &key);
    tn__amqp *amqp = test_amqp_open();
    assert_int_equal(tn__amqp_declare(amqp, &binding, 1), TN__AMQP_OK);
    pid_t broker = test_pid_of("RabbitMQ");
    tn__amqp_result result = TN__AMQP_OK;
    uint64_t tag = 0, tried = 0;
    int confirmed = 0;
    /* The broker writes the names of new queues to disk within a second, and not before: one that
     * is killed earlier has lost the queue. */
    sleep(2);
    int64_t kill_us = tn__mono_us() + 500000;
    while (result == TN__AMQP_OK) {
        for (int i = 0; i < 64 && result == TN__AMQP_OK; i++, tried++) {
            tn__amqp_message message = test_message(arena, key);
            result = tn__amqp_publish(amqp, &message, &tag);
        }
        if (tn__mono_us() > kill_us && confirmed > 0)
            kill(broker, SIGKILL);
        if (tag > 0)
            result = tn__amqp_confirms(amqp, tag, tn__mono_us() + 5000000, note, &confirmed);
    }
    assert_int_equal(result, TN__AMQP_LOST);
    assert_true(confirmed > 0 && (uint64_t)confirmed < tried);
    tn__amqp_close(amqp);

    test_stack("kill rabbitmq");
    test_stack("start");
    amqp = consume_patiently(queue);
    int found = 0;
    tn__amqp_message in;
    /* A wait that is over too early would find too few. */
    while (tn__amqp_next(amqp, found < confirmed ? 20000 : 1000, &in) == TN__AMQP_OK) {
        found++;
        assert_int_equal(tn__amqp_ack(amqp, in.delivery_tag, false), TN__AMQP_OK);
    }
    tn__amqp_close(amqp);
    assert_true(found >= confirmed && (uint64_t)found <= tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_password_is_told),
        cmocka_unit_test(an_unknown_vhost_is_told),
        cmocka_unit_test(a_port_where_nobody_listens_is_told),
        cmocka_unit_test(a_host_that_is_none_is_told),
        cmocka_unit_test(a_broker_that_stands_still_is_not_waited_for),
        cmocka_unit_test(amqps_works_with_the_authority_that_the_url_names),
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused),
        cmocka_unit_test(a_certificate_for_another_host_is_refused),
        cmocka_unit_test(verify_none_accepts_any_certificate),
        cmocka_unit_test(an_idle_connection_is_kept_by_its_heartbeats),
        cmocka_unit_test(a_broker_that_stops_is_noticed_by_its_missing_heartbeat),
        cmocka_unit_test(a_broker_that_stops_reading_ends_a_publish),
        cmocka_unit_test(closing_does_not_wait_for_a_broker_that_stands_still),
        cmocka_unit_test(a_broker_short_of_memory_says_so_and_takes_no_more),
        cmocka_unit_test(an_operator_who_closes_it_is_quoted),
        cmocka_unit_test(a_publish_to_no_exchange_closes_the_channel_with_the_reason),
        cmocka_unit_test(a_broker_killed_while_publishing_has_what_it_confirmed),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
