/* OpenMetrics, where it differs from the older format, and exemplars. */

#include "telemetry/exemplar.h"
#include "telemetry/telemetry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const double bounds[] = { 0.5, 1, 2.5 };

static const tn__trace sampled = {
    .trace_id = { 0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e,
        0x0e, 0x47, 0x36 },
    .span_id = { 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7 },
    .flags = TN__TRACE_SAMPLED,
};
#define SAMPLED_IDS "{trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",span_id=\"00f067aa0ba902b7\"}"

static bool has(void (*write)(tn__buf *out), const char *expected)
{
    tn__buf page = { 0 };
    write(&page);
    bool found = memmem(page.data, page.len, expected, strlen(expected)) != NULL;
    tn__buf_deinit(&page);
    return found;
}

static tn__metric *histogram(const char *name)
{
    return tn__histogram(name, "Takes \"long\".", bounds, 3, NULL, 0);
}

static void a_counter_is_named_without_its_suffix_and_counted_with_it(void **state)
{
    (void)state;
    tn__metric_add(tn__counter("om_sent_bytes_total", "Sent.", NULL, 0), 3);
    tn__metric_add(tn__counter("om_plain", "Without.", NULL, 0), 4);
    assert_true(has(tn__openmetrics_write,
        "# HELP om_sent_bytes Sent.\n"
        "# TYPE om_sent_bytes counter\n"
        "# UNIT om_sent_bytes bytes\n"
        "om_sent_bytes_total 3\n"));
    assert_true(has(tn__openmetrics_write, "# TYPE om_plain counter\nom_plain_total 4\n"));
    assert_true(has(tn__metrics_write,
        "# TYPE om_sent_bytes_total counter\n"
        "om_sent_bytes_total 3\n"));
    assert_true(has(tn__metrics_write, "\nom_plain 4\n"));
}

static void units_are_told_where_the_name_has_one(void **state)
{
    (void)state;
    histogram("om_duration_seconds");
    tn__gauge("om_milliseconds", "Another word.", NULL, 0);
    assert_true(has(tn__openmetrics_write, "# UNIT om_duration_seconds seconds\n"));
    assert_true(has(tn__openmetrics_write, "# UNIT process_cpu_seconds seconds\n"));
    assert_false(has(tn__openmetrics_write, "# UNIT om_milliseconds"));
    assert_false(has(tn__metrics_write, "# UNIT"));
}

static void bounds_have_a_fraction_and_quotes_in_help_are_escaped(void **state)
{
    (void)state;
    tn__metric_observe(histogram("om_bounds"), 1);
    assert_true(has(tn__openmetrics_write,
        "# HELP om_bounds Takes \\\"long\\\".\n"
        "# TYPE om_bounds histogram\n"
        "om_bounds_bucket{le=\"0.5\"} 0\n"
        "om_bounds_bucket{le=\"1.0\"} 1\n"
        "om_bounds_bucket{le=\"2.5\"} 1\n"
        "om_bounds_bucket{le=\"+Inf\"} 1\n"
        "om_bounds_sum 1\n"
        "om_bounds_count 1\n"));
    assert_true(has(tn__metrics_write, "# HELP om_bounds Takes \"long\".\n"));
    assert_true(has(tn__metrics_write, "om_bounds_bucket{le=\"1\"} 1\n"));
}

static void the_page_ends_with_its_end(void **state)
{
    (void)state;
    tn__buf page = { 0 };
    tn__openmetrics_write(&page);
    assert_memory_equal(page.data + page.len - 7, "\n# EOF\n", 7);
    tn__buf_deinit(&page);
    assert_false(has(tn__metrics_write, "# EOF"));
}

static void an_observation_in_a_sampled_span_becomes_an_exemplar_of_its_bucket(void **state)
{
    (void)state;
    tn__metric_observe_in(histogram("om_exemplar"), 0.75, &sampled);
    assert_true(has(tn__openmetrics_write,
        "om_exemplar_bucket{le=\"0.5\"} 0\n"
        "om_exemplar_bucket{le=\"1.0\"} 1 # " SAMPLED_IDS " 0.75 1"));
    assert_true(has(tn__openmetrics_write, "om_exemplar_bucket{le=\"2.5\"} 1\n"));
    assert_true(has(tn__metrics_write, "om_exemplar_bucket{le=\"1\"} 1\n"));
}

static void other_observations_leave_no_exemplar(void **state)
{
    (void)state;
    tn__trace not_sampled = sampled;
    not_sampled.flags = 0;
    tn__metric_observe(histogram("om_none"), 0.75);
    tn__metric_observe_in(histogram("om_none"), 0.75, NULL);
    tn__metric_observe_in(histogram("om_none"), 0.75, &not_sampled);
    assert_true(has(tn__openmetrics_write, "om_none_bucket{le=\"1.0\"} 3\n"));
}

static void an_exemplar_is_replaced_after_a_while(void **state)
{
    (void)state;
    tn__exemplar exemplar = { 0 };
    tn__exemplar_seen seen;
    assert_false(tn__exemplar_read(&exemplar, &seen));
    tn__exemplar_offer(&exemplar, 1, &sampled);
    tn__exemplar_offer(&exemplar, 2, &sampled);
    assert_true(tn__exemplar_read(&exemplar, &seen));
    assert_true(seen.value == 1);
    atomic_store(&exemplar.at_us, tn_now().us - 1000000);
    tn__exemplar_offer(&exemplar, 3, &sampled);
    assert_true(tn__exemplar_read(&exemplar, &seen));
    assert_true(seen.value == 3);
    assert_in_range(tn_now().us - seen.at.us, 0, 10000000);
    assert_memory_equal(seen.trace.trace_id, sampled.trace_id, sizeof sampled.trace_id);
    assert_memory_equal(seen.trace.span_id, sampled.span_id, sizeof sampled.span_id);
}

enum { WRITERS = 3, WRITES = 20000 };

/* Every part of what is written says the same number. */
static void *offer_often(void *arg)
{
    tn__exemplar *exemplar = arg;
    for (int i = 1; i <= WRITES; i++) {
        tn__trace trace;
        memset(&trace, i % 255 + 1, sizeof trace);
        atomic_store(&exemplar->at_us, 0); /* It is due. */
        tn__exemplar_offer(exemplar, i % 255 + 1, &trace);
    }
    return NULL;
}

static void what_is_read_was_written_by_one(void **state)
{
    (void)state;
    static tn__exemplar exemplar;
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, offer_often, &exemplar);
    for (int n_read = 0; n_read < WRITES;) {
        tn__exemplar_seen seen;
        if (!tn__exemplar_read(&exemplar, &seen))
            continue; /* not yet */
        n_read++;
        for (size_t k = 0; k < sizeof seen.trace.trace_id; k++)
            assert_int_equal(seen.trace.trace_id[k], (int)seen.value);
        assert_int_equal(seen.trace.span_id[7], (int)seen.value);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_named_without_its_suffix_and_counted_with_it),
        cmocka_unit_test(units_are_told_where_the_name_has_one),
        cmocka_unit_test(bounds_have_a_fraction_and_quotes_in_help_are_escaped),
        cmocka_unit_test(the_page_ends_with_its_end),
        cmocka_unit_test(an_observation_in_a_sampled_span_becomes_an_exemplar_of_its_bucket),
        cmocka_unit_test(other_observations_leave_no_exemplar),
        cmocka_unit_test(an_exemplar_is_replaced_after_a_while),
        cmocka_unit_test(what_is_read_was_written_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
