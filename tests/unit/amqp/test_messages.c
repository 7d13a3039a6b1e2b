/* Publishing and consuming, with a real broker. Each test has a consumer, and so queues, of its own. */
#include "support.h"

#include "amqp/internal.h"

#include <malloc.h>

struct fixture {
    tn_arena *arena;
    tn__amqp *publisher, *consumer;
    const char *name; /* of the consumer */
    char queue[64], dead_queue[64], key[64];
    struct {
        size_t confirmed, returned, nacked;
        uint64_t last_tag;
        char why[128];
    } seen;
};

/* A topology for one test: consumer t<n>, bound to t<n>.*. */
static int open_fixture(void **state)
{
    static int n;
    struct fixture *f = calloc(1, sizeof *f);
    f->arena = tn__arena_open(4096);
    f->name = tn_printf(f->arena, "t%d-%d", getpid(), ++n).data;
    snprintf(f->queue, sizeof f->queue, "%s.events", f->name);
    snprintf(f->dead_queue, sizeof f->dead_queue, "%s.events.dead", f->name);
    snprintf(f->key, sizeof f->key, "%s.made", f->name);
    f->publisher = test_amqp_open();
    f->consumer = test_amqp_open();
    const char *pattern = tn_printf(f->arena, "%s.*", f->name).data;
    tn__queue_binding binding = { f->name, &pattern, 1 };
    assert_int_equal(tn__amqp_declare(f->publisher, &binding, 1), TN__AMQP_OK);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    tn__amqp_close(f->publisher);
    tn__amqp_close(f->consumer);
    tn__amqp *janitor = test_amqp_open();
    amqp_queue_delete(janitor->state, 1, amqp_cstring_bytes(f->queue), false, false);
    amqp_queue_delete(janitor->state, 1, amqp_cstring_bytes(f->dead_queue), false, false);
    tn__amqp_close(janitor);
    tn__arena_close(f->arena);
    free(f);
    return 0;
}

static void note(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why)
{
    struct fixture *f = arg;
    f->seen.confirmed += fate == TN__AMQP_CONFIRMED;
    f->seen.returned += fate == TN__AMQP_RETURNED;
    f->seen.nacked += fate == TN__AMQP_NACKED;
    f->seen.last_tag = tag;
    if (fate != TN__AMQP_CONFIRMED)
        snprintf(f->seen.why, sizeof f->seen.why, "%.*s", TN_FMT(why));
}

static uint64_t publish(struct fixture *f, const tn__amqp_message *message)
{
    uint64_t tag;
    assert_int_equal(tn__amqp_publish(f->publisher, message, &tag), TN__AMQP_OK);
    return tag;
}

static void confirm(struct fixture *f, uint64_t last)
{
    int64_t deadline_us = tn__mono_us() + 20000000;
    assert_int_equal(tn__amqp_confirms(f->publisher, last, deadline_us, note, f), TN__AMQP_OK);
}

static tn__amqp_message next(struct fixture *f)
{
    tn__amqp_message message;
    assert_int_equal(tn__amqp_next(f->consumer, 20000, &message), TN__AMQP_OK);
    return message;
}

/* ---- Publishing ---------------------------------------------------------- */

static void a_publish_is_confirmed(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message message = test_message(f->arena, f->key);
    uint64_t tag = publish(f, &message);
    assert_int_equal(tag, 1);
    confirm(f, tag);
    assert_int_equal(f->seen.confirmed, 1);
}

static void thousands_are_confirmed_in_one_wait(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    for (int i = 0; i < 4000; i++) {
        tn__amqp_message message = test_message(f->arena, f->key);
        last = publish(f, &message);
    }
    confirm(f, last);
    assert_int_equal(f->seen.confirmed, 4000);
    assert_int_equal(f->seen.last_tag, 4000);
}

static void what_no_queue_wants_is_returned_and_the_rest_confirmed(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    for (int i = 0; i < 300; i++) {
        tn__amqp_message message = test_message(f->arena,
            i % 3 == 0 ? "nobody.listens.to.this" : f->key);
        last = publish(f, &message);
    }
    confirm(f, last);
    assert_int_equal(f->seen.confirmed, 200);
    assert_int_equal(f->seen.returned, 100);
    assert_non_null(strstr(f->seen.why, "312"));
}

static void large_returned_messages_do_not_stop_the_publisher(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    char *body = calloc(1, 100000);
    for (int i = 0; i < 200; i++) {
        tn__amqp_message message = test_message(f->arena, "nobody.listens.to.this");
        message.body = (tn_str){ body, 100000 };
        last = publish(f, &message);
    }
    confirm(f, last);
    assert_int_equal(f->seen.returned, 200);
    free(body);
}

static void a_full_queue_nacks(void **state)
{
    struct fixture *f = *state;
    test_stack("rabbitmqctl set_policy --apply-to queues full '^%s$' '{\"max-length\":1}'",
        f->queue);
    size_t sent = 0;
    for (; sent < 200 && f->seen.nacked == 0; sent++) {
        tn__amqp_message message = test_message(f->arena, f->key);
        confirm(f, publish(f, &message));
    }
    test_stack("rabbitmqctl clear_policy full");
    assert_true(f->seen.nacked > 0);
    assert_non_null(strstr(f->seen.why, "nack"));
    assert_int_equal(f->seen.confirmed + f->seen.nacked, sent);
}

static void waiting_for_confirms_ends_in_time(void **state)
{
    struct fixture *f = *state;
    pid_t broker = test_pid_of("RabbitMQ");
    kill(broker, SIGSTOP);
    tn__amqp_message message = test_message(f->arena, f->key);
    uint64_t tag = publish(f, &message);
    int64_t before_us = tn__mono_us();
    tn__amqp_result result = tn__amqp_confirms(f->publisher, tag, before_us + 300000, note, f);
    int64_t took_us = tn__mono_us() - before_us;
    kill(broker, SIGCONT);
    assert_int_equal(result, TN__AMQP_NOTHING);
    assert_true(took_us > 290000);
    confirm(f, tag);
    assert_int_equal(f->seen.confirmed, 1);
}

static void what_does_not_fit_is_told_before(void **state)
{
    struct fixture *f = *state;
    char *big = malloc(200000);
    memset(big, 'x', 200000);
    tn_str why = { 0 };
    tn__amqp_message message = test_message(f->arena, f->key);
    assert_true(tn__amqp_fits(f->publisher, &message, &why));
    message.correlation_id = (tn_str){ big, 256 };
    assert_false(tn__amqp_fits(f->publisher, &message, &why));
    assert_true(why.len > 0);
    message = test_message(f->arena, f->key);
    message.headers[0] = (tn__amqp_header){ TN_S("h"), { big, 200000 } };
    message.n_headers = 1;
    assert_false(tn__amqp_fits(f->publisher, &message, &why));
    message.headers[0].value.len = 100000;
    assert_true(tn__amqp_fits(f->publisher, &message, &why));
    confirm(f, publish(f, &message));
    assert_int_equal(f->seen.confirmed, 1);
    free(big);
}

/* ---- Consuming ----------------------------------------------------------- */

static void all_properties_and_headers_arrive(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message out = test_message(f->arena, f->key);
    out.correlation_id = TN_S("request-1");
    out.timestamp_s = 1760000000;
    out.headers[out.n_headers++] = (tn__amqp_header){ TN_S("traceparent"), TN_S("00-11-22-01") };
    out.headers[out.n_headers++] = (tn__amqp_header){ TN_S("empty"), TN_S("") };
    confirm(f, publish(f, &out));

    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    tn__amqp_message in = next(f);
    assert_true(tn_str_eq(in.exchange, TN_S("events")));
    assert_true(tn_str_eq(in.routing_key, out.routing_key));
    assert_true(tn_str_eq(in.message_id, out.message_id));
    assert_true(tn_str_eq(in.type, out.type));
    assert_true(tn_str_eq(in.app_id, out.app_id));
    assert_true(tn_str_eq(in.correlation_id, out.correlation_id));
    assert_true(tn_str_eq(in.content_type, out.content_type));
    assert_true(tn_str_eq(in.body, out.body));
    assert_int_equal(in.timestamp_s, 1760000000);
    assert_int_equal(in.n_headers, 2);
    assert_true(tn_str_eq(test_header(&in, "traceparent"), TN_S("00-11-22-01")));
    assert_int_equal(test_header(&in, "empty").len, 0);
    assert_false(in.redelivered);
    assert_int_equal(in.delivery_count, 0);
    assert_int_equal(tn__amqp_ack(f->consumer, in.delivery_tag, false), TN__AMQP_OK);
}

static void bodies_of_many_frames_and_of_none_arrive(void **state)
{
    struct fixture *f = *state;
    enum { BIG = 3000000 };
    char *big = malloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)('a' + i % 26);
    tn__amqp_message out = test_message(f->arena, f->key);
    out.body = (tn_str){ big, BIG };
    publish(f, &out);
    out.body = TN_S("");
    confirm(f, publish(f, &out));

    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    tn__amqp_message in = next(f);
    assert_int_equal(in.body_bytes, BIG);
    assert_true(tn_str_eq(in.body, (tn_str){ big, BIG }));
    in = next(f);
    assert_int_equal(in.body.len, 0);
    assert_int_equal(tn__amqp_ack(f->consumer, in.delivery_tag, true), TN__AMQP_OK);
    free(big);
}

static void nothing_there_is_said_at_once(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message in;
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    int64_t before_us = tn__mono_us();
    assert_int_equal(tn__amqp_next(f->consumer, 0, &in), TN__AMQP_NOTHING);
    assert_true(tn__mono_us() - before_us < 5000000); /* The next heartbeat is no sooner. */
    before_us = tn__mono_us();
    assert_int_equal(tn__amqp_next(f->consumer, 100, &in), TN__AMQP_NOTHING);
    assert_in_range(tn__mono_us() - before_us, 100000, 4900000);
}

static void no_more_than_the_prefetch_is_handed_out(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    for (int i = 0; i < 10; i++) {
        tn__amqp_message out = test_message(f->arena, f->key);
        last = publish(f, &out);
    }
    confirm(f, last);
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 4), TN__AMQP_OK);
    tn__amqp_message in;
    for (int i = 0; i < 4; i++)
        in = next(f);
    assert_int_equal(tn__amqp_next(f->consumer, 200, &in), TN__AMQP_NOTHING);
    assert_int_equal(tn__amqp_ack(f->consumer, 3, true), TN__AMQP_OK);
    for (int i = 0; i < 3; i++)
        in = next(f);
    assert_int_equal(in.delivery_tag, 7);
    assert_int_equal(tn__amqp_next(f->consumer, 200, &in), TN__AMQP_NOTHING);
}

static void a_requeued_message_comes_again_and_says_so(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message out = test_message(f->arena, f->key);
    confirm(f, publish(f, &out));
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    for (int i = 0; i < 3; i++) {
        tn__amqp_message in = next(f);
        assert_int_equal(in.redelivered, i > 0);
        assert_int_equal(in.delivery_count, i);
        assert_int_equal(tn__amqp_reject(f->consumer, in.delivery_tag, true), TN__AMQP_OK);
    }
}

static void a_rejected_message_is_dead_lettered_with_its_first_key(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message out = test_message(f->arena, f->key);
    confirm(f, publish(f, &out));
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    tn__amqp_message in = next(f);
    assert_int_equal(tn__amqp_reject(f->consumer, in.delivery_tag, false), TN__AMQP_OK);
    tn__amqp_close(f->consumer);
    f->consumer = test_amqp_open();
    assert_int_equal(tn__amqp_consume(f->consumer, f->dead_queue, 10), TN__AMQP_OK);
    in = next(f);
    assert_true(tn_str_eq(in.exchange, TN_S("events.dead")));
    assert_true(tn_str_eq(in.routing_key, tn_str_of(f->name)));
    assert_true(tn_str_eq(in.death_routing_key, tn_str_of(f->key)));
    assert_true(tn_str_eq(in.message_id, out.message_id));
}

static void a_message_that_always_fails_ends_in_the_dead_letters(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message out = test_message(f->arena, f->key), in;
    confirm(f, publish(f, &out));
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    for (int i = 0; i < TN__DELIVERY_LIMIT + 1; i++) {
        in = next(f);
        assert_int_equal(tn__amqp_reject(f->consumer, in.delivery_tag, true), TN__AMQP_OK);
    }
    assert_int_equal(tn__amqp_next(f->consumer, 500, &in), TN__AMQP_NOTHING);
    tn__amqp_close(f->consumer);
    f->consumer = test_amqp_open();
    assert_int_equal(tn__amqp_consume(f->consumer, f->dead_queue, 10), TN__AMQP_OK);
    assert_true(tn_str_eq(next(f).message_id, out.message_id));
}

static void an_unacknowledged_message_survives_its_connection(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message out = test_message(f->arena, f->key);
    confirm(f, publish(f, &out));
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    next(f);
    tn__amqp_close(f->consumer);
    f->consumer = test_amqp_open();
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    assert_true(next(f).redelivered);
}

static void after_a_cancellation_no_more_comes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    assert_int_equal(tn__amqp_cancel(f->consumer), TN__AMQP_OK);
    tn__amqp_message out = test_message(f->arena, f->key), in;
    confirm(f, publish(f, &out));
    assert_int_equal(tn__amqp_next(f->consumer, 300, &in), TN__AMQP_NOTHING);
}

static void a_deleted_queue_cancels_its_consumer(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 10), TN__AMQP_OK);
    amqp_queue_delete(f->publisher->state, 1, amqp_cstring_bytes(f->queue), false, false);
    tn__amqp_message in;
    assert_int_equal(tn__amqp_next(f->consumer, 20000, &in), TN__AMQP_LOST);
    assert_true(test_contains(tn__amqp_why(f->consumer), "cancelled"));
    assert_true(test_contains(tn__amqp_why(f->consumer), f->queue));
}

static void a_connection_can_consume_and_publish(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 100), TN__AMQP_OK);
    uint64_t tag = 0;
    for (int i = 0; i < 50; i++) {
        tn__amqp_message out = test_message(f->arena, f->key);
        assert_int_equal(tn__amqp_publish(f->consumer, &out, &tag), TN__AMQP_OK);
    }
    for (int i = 0; i < 50; i++)
        next(f);
    for (int i = 0; i < 200 && f->seen.confirmed < 50; i++) {
        tn__amqp_message in;
        assert_int_equal(tn__amqp_next(f->consumer, 50, &in), TN__AMQP_NOTHING);
        tn__amqp_confirms(f->consumer, tag, 0, note, f);
    }
    assert_int_equal(f->seen.confirmed, 50);
}

/* AddressSanitizer has an allocator of its own. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated_bytes(void)
{
    return __sanitizer_get_current_allocated_bytes != NULL
        ? __sanitizer_get_current_allocated_bytes()
        : mallinfo2().uordblks;
}

static void memory_does_not_grow_with_the_messages(void **state)
{
    struct fixture *f = *state;
    size_t before = 0;
    assert_int_equal(tn__amqp_consume(f->consumer, f->queue, 100), TN__AMQP_OK);
    for (int round = 0; round < 60; round++) {
        if (round == 10)
            before = allocated_bytes();
        tn__arena_reset(f->arena);
        uint64_t last = 0;
        for (int i = 0; i < 100; i++) {
            tn__amqp_message out = test_message(f->arena, f->key);
            last = publish(f, &out);
        }
        confirm(f, last);
        uint64_t tag = 0;
        for (int i = 0; i < 100; i++)
            tag = next(f).delivery_tag;
        assert_int_equal(tn__amqp_ack(f->consumer, tag, true), TN__AMQP_OK);
    }
    assert_true(before > 0 && allocated_bytes() <= before + 100000);
}

/* ---- Topology ------------------------------------------------------------ */

static void declaring_twice_is_fine(void **state)
{
    struct fixture *f = *state;
    const char *patterns[] = { f->key, "more.#" };
    tn__queue_binding binding = { f->name, patterns, 2 };
    assert_int_equal(tn__amqp_declare(f->publisher, &binding, 1), TN__AMQP_OK);
    assert_int_equal(tn__amqp_declare(f->consumer, &binding, 1), TN__AMQP_OK);
}

static void other_arguments_are_a_clear_error(void **state)
{
    struct fixture *f = *state;
    amqp_queue_delete(f->publisher->state, 1, amqp_cstring_bytes(f->queue), false, false);
    amqp_queue_declare(f->publisher->state, 1, amqp_cstring_bytes(f->queue), false, true, false,
        false, amqp_empty_table);
    tn__queue_binding binding = { f->name, NULL, 0 };
    assert_int_equal(tn__amqp_declare(f->consumer, &binding, 1), TN__AMQP_LOST);
    tn_str why = tn__amqp_why(f->consumer);
    assert_true(test_contains(why, "406"));
    assert_true(test_contains(why, "x-"));
    assert_true(test_contains(why, f->queue));
}

static void consuming_a_queue_that_is_not_there_is_a_clear_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tn__amqp_consume(f->consumer, "no-such-queue", 1), TN__AMQP_LOST);
    assert_true(test_contains(tn__amqp_why(f->consumer), "404"));
    assert_true(test_contains(tn__amqp_why(f->consumer), "no-such-queue"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_publish_is_confirmed),
        WITH(thousands_are_confirmed_in_one_wait),
        WITH(what_no_queue_wants_is_returned_and_the_rest_confirmed),
        WITH(large_returned_messages_do_not_stop_the_publisher),
        WITH(a_full_queue_nacks),
        WITH(waiting_for_confirms_ends_in_time),
        WITH(what_does_not_fit_is_told_before),
        WITH(all_properties_and_headers_arrive),
        WITH(bodies_of_many_frames_and_of_none_arrive),
        WITH(nothing_there_is_said_at_once),
        WITH(no_more_than_the_prefetch_is_handed_out),
        WITH(a_requeued_message_comes_again_and_says_so),
        WITH(a_rejected_message_is_dead_lettered_with_its_first_key),
        WITH(a_message_that_always_fails_ends_in_the_dead_letters),
        WITH(an_unacknowledged_message_survives_its_connection),
        WITH(after_a_cancellation_no_more_comes),
        WITH(a_deleted_queue_cancels_its_consumer),
        WITH(a_connection_can_consume_and_publish),
        WITH(memory_does_not_grow_with_the_messages),
        WITH(declaring_twice_is_fine),
        WITH(other_arguments_are_a_clear_error),
        WITH(consuming_a_queue_that_is_not_there_is_a_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
