/* The way of spans from the threads that record them to a receiver, which may be slow, sick or gone. */

#include "receiver.h"
#include "telemetry/span.h"
#include "telemetry/telemetry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { DELAY_MS = 20, FOR_EVER_MS = 100000 };

static tn__tracing_options options_for(const char *url)
{
    return (tn__tracing_options){
        .sampler = { .kind = TN__SAMPLE_ALWAYS_ON },
        .service = "items",
        .version = "1.0.0",
        .url = url,
        .timeout_ms = 60000, /* of one message: a slow machine sends none twice */
        .export_timeout_ms = 60000,
        .delay_ms = DELAY_MS,
        .queue_max = 1000,
        .batch_max = 100,
        .retry_ms = 10,
        .retry_max_ms = 40,
    };
}

static void record(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const tn_log_field attributes[] = { TN_LOG_I("number", (int64_t)i) };
        int64_t now_us = tn__mono_us();
        tn__span_record(&(tn__span){
            .trace = tn__trace_start(NULL),
            .kind = TN__SPAN_INTERNAL,
            .name = TN_S("made"),
            .start_us = now_us,
            .end_us = now_us,
            .attributes = attributes,
            .n_attributes = 1,
        });
    }
}

/* The value of a counter now. */
static double count(const char *series)
{
    char start[128];
    tn__buf page = { 0 };
    tn__metrics_write(&page);
    tn__buf_add_char(&page, '\0');
    snprintf(start, sizeof start, "\n%s ", series);
    const char *at = strstr(page.data, start);
    double v = at == NULL ? 0 : strtod(at + strlen(start), NULL);
    tn__buf_deinit(&page);
    return v;
}

#define EXPORTED   "trunnion_spans_exported_total"
#define QUEUE_FULL "trunnion_spans_dropped_total{reason=\"queue_full\"}"
#define FAILED     "trunnion_spans_dropped_total{reason=\"export_failed\"}"

static void spans_are_sent_after_a_delay(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    tn__tracing_options options = options_for(receiver_url(r));
    int64_t since_us = tn__mono_us();
    tn__tracing_open(&options);
    record(3);
    assert_true(receiver_await(r, 3));
    int64_t delays = (tn__mono_us() - since_us) / 1000 / DELAY_MS;
    assert_in_range(receiver_messages(r), 1, delays);
    record(2);
    assert_true(receiver_await(r, 5));
    tn__tracing_close(1000);
    receiver_close(r);
}

static void a_full_batch_does_not_wait_for_the_delay(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    tn__tracing_options options = options_for(receiver_url(r));
    options.delay_ms = 3600000;
    tn__tracing_open(&options);
    record(99);
    usleep(50000);
    assert_int_equal(receiver_spans(r), 0);
    record(1);
    assert_true(receiver_await(r, 100));
    tn__tracing_close(1000);
    receiver_close(r);
}

static void closing_sends_what_waits(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    double before = count(EXPORTED);
    tn__tracing_options options = options_for(receiver_url(r));
    options.delay_ms = 3600000;
    options.gzip = false;
    tn__tracing_open(&options);
    record(250);
    tn__tracing_close(5000);
    assert_int_equal(receiver_spans(r), 250);
    assert_int_equal((int)(count(EXPORTED) - before), 250);
    receiver_close(r);
}

static void what_finds_no_room_is_dropped_and_counted(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    double dropped = count(QUEUE_FULL), exported = count(EXPORTED);
    receiver_answer(r, 200, 200);
    tn__tracing_options options = options_for(receiver_url(r));
    options.queue_max = 50;
    tn__tracing_open(&options);
    record(5000);
    dropped = count(QUEUE_FULL) - dropped;
    assert_in_range((int)dropped, 4000, 4950);
    receiver_answer(r, 200, 0);
    tn__tracing_close(5000);
    assert_int_equal((int)(count(EXPORTED) - exported + dropped), 5000);
    assert_int_equal(receiver_spans(r), 5000 - (int)dropped);
    receiver_close(r);
}

static void recording_does_not_wait_for_a_receiver_that_hangs(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    receiver_answer(r, 200, FOR_EVER_MS);
    tn__tracing_options options = options_for(receiver_url(r));
    options.timeout_ms = options.export_timeout_ms = 2 * FOR_EVER_MS;
    tn__tracing_open(&options);
    record(100);
    while (receiver_messages(r) == 0)
        usleep(1000);
    for (int i = 0; i < 100; i++) {
        record(10);
        usleep(1000);
    }
    /* All are recorded, and it has not answered the first message yet. */
    assert_int_equal(receiver_messages(r), 1);
    assert_int_equal(receiver_spans(r), 0);
    receiver_answer(r, 200, 0);
    tn__tracing_close(5000);
    receiver_close(r);
}

static void a_receiver_that_comes_back_gets_what_was_kept(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    receiver_answer(r, 503, 0);
    tn__tracing_options options = options_for(receiver_url(r));
    options.retry_ms = options.retry_max_ms = 50;
    tn__tracing_open(&options);
    record(100);
    while (receiver_messages(r) < 3)
        usleep(1000);
    record(100); /* waits in the queue meanwhile */
    receiver_answer(r, 200, 0);
    assert_true(receiver_await(r, 200));
    tn__tracing_close(1000);
    receiver_close(r);
}

static void what_is_refused_for_too_long_is_dropped(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    double failed = count(FAILED);
    receiver_answer(r, 503, 0);
    tn__tracing_options options = options_for(receiver_url(r));
    options.export_timeout_ms = 4000;
    options.retry_ms = 100;
    options.retry_max_ms = 400;
    int64_t since_us = tn__mono_us();
    tn__tracing_open(&options);
    record(7);
    for (int i = 0; i < 2000 && count(FAILED) < failed + 7; i++)
        usleep(10000);
    assert_int_equal((int)(count(FAILED) - failed), 7);
    assert_true(tn__mono_us() - since_us > 2000000);
    assert_in_range(receiver_messages(r), 3, 40);
    tn__tracing_close(1000);
    receiver_close(r);
}

static int64_t close_took_ms(int timeout_ms)
{
    int64_t since_us = tn__mono_us();
    tn__tracing_close(timeout_ms);
    return (tn__mono_us() - since_us) / 1000;
}

static void closing_keeps_its_limit_when_the_receiver_hangs(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    double failed = count(FAILED);
    receiver_answer(r, 200, FOR_EVER_MS);
    tn__tracing_options options = options_for(receiver_url(r));
    tn__tracing_open(&options);
    record(100);
    while (receiver_messages(r) == 0)
        usleep(1000);
    record(30);
    assert_in_range((int)close_took_ms(300), 200, 20000);
    assert_int_equal((int)(count(FAILED) - failed), 130);
    receiver_close(r);
}

static void closing_keeps_its_limit_when_the_receiver_refuses(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    receiver_answer(r, 503, 0);
    tn__tracing_options options = options_for(receiver_url(r));
    options.retry_ms = options.retry_max_ms = 60000;
    options.export_timeout_ms = 600000;
    tn__tracing_open(&options);
    record(100);
    while (receiver_messages(r) == 0)
        usleep(1000);
    assert_in_range((int)close_took_ms(300), 200, 20000);
    receiver_close(r);
}

static void nobody_to_send_to_costs_the_spans_alone(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    char url[64];
    snprintf(url, sizeof url, "%s", receiver_url(r));
    receiver_close(r); /* Now nobody listens there. */
    double failed = count(FAILED);
    tn__tracing_options options = options_for(url);
    tn__tracing_open(&options);
    record(10);
    tn__tracing_close(5000);
    assert_int_equal((int)(count(FAILED) - failed), 10);
}

static void *record_and_end(void *arg)
{
    record(*(const size_t *)arg);
    return NULL;
}

static void threads_record_at_the_same_time_and_may_end_before_the_export(void **state)
{
    (void)state;
    enum { THREADS = 4, ROUNDS = 3 };
    static const size_t n = 500;
    receiver *r = receiver_open();
    tn__tracing_options options = options_for(receiver_url(r));
    options.gzip = false;
    tn__tracing_open(&options);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, record_and_end, (void *)(uintptr_t)&n);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    assert_true(receiver_await(r, THREADS * ROUNDS * n));
    tn__tracing_close(5000);
    assert_int_equal(receiver_spans(r), THREADS * ROUNDS * n);
    receiver_close(r);
}

static void threads_may_outlive_the_tracing(void **state)
{
    (void)state;
    static const size_t n = 5;
    for (int round = 0; round < 2; round++) {
        receiver *r = receiver_open();
        tn__tracing_options options = options_for(receiver_url(r));
        tn__tracing_open(&options);
        record_and_end((void *)(uintptr_t)&n);
        tn__tracing_close(5000);
        assert_int_equal(receiver_spans(r), n);
        record(3); /* kept by nobody */
        receiver_close(r);
    }
}

static void spans_that_are_not_sampled_are_not_sent(void **state)
{
    (void)state;
    receiver *r = receiver_open();
    tn__tracing_options options = options_for(receiver_url(r));
    options.sampler = (tn__sampler){ .kind = TN__SAMPLE_ALWAYS_OFF };
    tn__tracing_open(&options);
    record(10);
    tn__tracing_close(5000);
    assert_int_equal(receiver_messages(r), 0);
    receiver_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_sent_after_a_delay),
        cmocka_unit_test(a_full_batch_does_not_wait_for_the_delay),
        cmocka_unit_test(closing_sends_what_waits),
        cmocka_unit_test(what_finds_no_room_is_dropped_and_counted),
        cmocka_unit_test(recording_does_not_wait_for_a_receiver_that_hangs),
        cmocka_unit_test(a_receiver_that_comes_back_gets_what_was_kept),
        cmocka_unit_test(what_is_refused_for_too_long_is_dropped),
        cmocka_unit_test(closing_keeps_its_limit_when_the_receiver_hangs),
        cmocka_unit_test(closing_keeps_its_limit_when_the_receiver_refuses),
        cmocka_unit_test(nobody_to_send_to_costs_the_spans_alone),
        cmocka_unit_test(threads_record_at_the_same_time_and_may_end_before_the_export),
        cmocka_unit_test(threads_may_outlive_the_tracing),
        cmocka_unit_test(spans_that_are_not_sampled_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
