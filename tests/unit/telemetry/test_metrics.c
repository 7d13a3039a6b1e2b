/* Counting, and the page that tells of it. The registry is the process's: each case has names of its
 * own. */

#include "telemetry/telemetry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static bool page_has(const char *expected)
{
    tn__buf page = { 0 };
    tn__metrics_write(&page);
    bool has = memmem(page.data, page.len, expected, strlen(expected)) != NULL;
    tn__buf_deinit(&page);
    return has;
}

/* The value behind "\n<series> ", or -1. */
static double value_of(const char *series)
{
    char start[256];
    snprintf(start, sizeof start, "\n%s ", series);
    tn__buf page = { 0 };
    tn__metrics_write(&page);
    tn__buf_add_char(&page, '\0');
    const char *at = strstr(page.data, start);
    double v = at == NULL ? -1 : strtod(at + strlen(start), NULL);
    tn__buf_deinit(&page);
    return v;
}

static void a_counter_is_written_with_help_type_and_labels(void **state)
{
    (void)state;
    tn__label labels[] = { { "method", "GET" }, { "route", "/items/{id}" } };
    tn__metric *metric = tn__counter("test_requests_total", "Requests.\nAll \\ of them.", labels,
        2);
    tn__metric_add(metric, 1);
    tn__metric_add(metric, 2.5);
    assert_true(page_has("# HELP test_requests_total Requests.\\nAll \\\\ of them.\n"
                         "# TYPE test_requests_total counter\n"
                         "test_requests_total{method=\"GET\",route=\"/items/{id}\"} 3.5\n"));
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    tn__label label = { "why", "a \"b\" \\ c\nd" };
    tn__metric_add(tn__counter("test_escaped_total", "Escapes.", &label, 1), 1);
    assert_true(page_has("test_escaped_total{why=\"a \\\"b\\\" \\\\ c\\nd\"} 1\n"));
}

static void the_same_name_and_labels_are_the_same_series(void **state)
{
    (void)state;
    tn__label a = { "k", "a" }, b = { "k", "b" };
    tn__metric *one = tn__counter("test_same_total", "Same.", &a, 1);
    assert_ptr_equal(one, tn__counter("test_same_total", "Same.", &a, 1));
    assert_ptr_not_equal(one, tn__counter("test_same_total", "Same.", &b, 1));
    assert_ptr_not_equal(one, tn__counter("test_same_too_total", "Same.", &a, 1));
}

static void series_of_a_name_stand_together(void **state)
{
    (void)state;
    tn__label a = { "k", "a" }, b = { "k", "b" };
    tn__counter("test_together_total", "Together.", &a, 1);
    tn__counter("test_apart_total", "Apart.", NULL, 0);
    tn__counter("test_together_total", "Together.", &b, 1);
    assert_true(page_has("test_together_total{k=\"a\"} 0\ntest_together_total{k=\"b\"} 0\n# HELP"));
    assert_true(page_has("\ntest_apart_total 0\n"));
}

static void a_gauge_goes_up_and_down(void **state)
{
    (void)state;
    tn__metric *added = tn__gauge("test_in_flight", "In flight.", NULL, 0);
    tn__metric_add(added, 3);
    tn__metric_add(added, -1);
    assert_true(value_of("test_in_flight") == 2);
    tn__metric *set = tn__gauge("test_age_seconds", "Age.", NULL, 0);
    tn__metric_set(set, 1.5);
    tn__metric_set(set, -0.25);
    assert_true(page_has("\ntest_age_seconds -0.25\n"));
}

static void a_histogram_counts_up_to_and_including_its_bounds(void **state)
{
    (void)state;
    static const double bounds[] = { 0.005, 0.1, 1 };
    tn__label label = { "route", "/x" };
    tn__metric *metric = tn__histogram("test_seconds", "Durations.", bounds, 3, &label, 1);
    tn__metric_observe(metric, 0.005);
    tn__metric_observe(metric, 0.0051);
    tn__metric_observe(metric, 1);
    tn__metric_observe(metric, 7);
    assert_true(page_has("# TYPE test_seconds histogram\n"
                         "test_seconds_bucket{route=\"/x\",le=\"0.005\"} 1\n"
                         "test_seconds_bucket{route=\"/x\",le=\"0.1\"} 2\n"
                         "test_seconds_bucket{route=\"/x\",le=\"1\"} 3\n"
                         "test_seconds_bucket{route=\"/x\",le=\"+Inf\"} 4\n"
                         "test_seconds_sum{route=\"/x\"} 8.0101\n"
                         "test_seconds_count{route=\"/x\"} 4\n"));
}

static void a_histogram_without_labels_has_only_le(void **state)
{
    (void)state;
    static const double bounds[] = { 10 };
    tn__histogram("test_bare", "Bare.", bounds, 1, NULL, 0);
    assert_true(page_has("test_bare_bucket{le=\"10\"} 0\ntest_bare_bucket{le=\"+Inf\"} 0\n"
                         "test_bare_sum 0\ntest_bare_count 0\n"));
}

enum { THREADS = 4, COUNTS = 20000 };

static void *count_many(void *arg)
{
    for (int i = 0; i < COUNTS; i++)
        tn__metric_add(arg, 1);
    return NULL;
}

static void counts_of_threads_are_added_up_and_outlive_them(void **state)
{
    (void)state;
    tn__metric *metric = tn__counter("test_threads_total", "Threads.", NULL, 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_many, metric);
    double last = 0;
    for (int i = 0; i < 20; i++) {
        double now = value_of("test_threads_total");
        assert_true(now >= last);
        last = now;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(value_of("test_threads_total") == (double)(THREADS * COUNTS));
}

static void process_metrics_are_plausible(void **state)
{
    (void)state;
    double started = value_of("process_start_time_seconds");
    assert_true(started <= (double)time(NULL) + 1 && started > (double)time(NULL) - 3600);
    assert_true(value_of("process_resident_memory_bytes") > 100 * 1024);
    assert_true(
        value_of("process_virtual_memory_bytes") >= value_of("process_resident_memory_bytes"));
    assert_true(value_of("process_cpu_seconds_total") >= 0);
    assert_true(value_of("process_max_fds") > 0);
    double fds = value_of("process_open_fds");
    int one_more = dup(STDERR_FILENO);
    assert_true(value_of("process_open_fds") == fds + 1);
    close(one_more);
    assert_true(value_of("trunnion_log_dropped_total") == 0);
}

/* The last case: it takes all series there are. */
static void beyond_the_limit_one_series_takes_the_counts(void **state)
{
    (void)state;
    char value[32];
    tn__label labels[] = { { "id", value }, { "fixed", "x" } };
    for (int i = 0; i < TN__SERIES_MAX + 100; i++) {
        snprintf(value, sizeof value, "%d", i);
        tn__metric_add(tn__counter("test_flood_total", "Flood.", labels, 2), 1);
    }
    assert_true(value_of("test_flood_total{id=\"0\",fixed=\"x\"}") == 1);
    double other = value_of("test_flood_total{id=\"other\",fixed=\"other\"}");
    assert_true(other >= 100 && other < 200);
    static const double bounds[] = { 1 };
    tn__metric *late = tn__histogram("test_late", "Late.", bounds, 1, labels, 2);
    tn__metric_observe(late, 0.5);
    assert_true(value_of("test_late_count{id=\"other\",fixed=\"other\"}") == 1);
}

/* Prints the page, for `promtool check metrics`. */
static int print_page(void)
{
    tn__buf page = { 0 };
    tn__metrics_write(&page);
    fwrite(page.data, 1, page.len, stdout);
    tn__buf_deinit(&page);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_written_with_help_type_and_labels),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(the_same_name_and_labels_are_the_same_series),
        cmocka_unit_test(series_of_a_name_stand_together),
        cmocka_unit_test(a_gauge_goes_up_and_down),
        cmocka_unit_test(a_histogram_counts_up_to_and_including_its_bounds),
        cmocka_unit_test(a_histogram_without_labels_has_only_le),
        cmocka_unit_test(counts_of_threads_are_added_up_and_outlive_them),
        cmocka_unit_test(process_metrics_are_plausible),
        cmocka_unit_test(beyond_the_limit_one_series_takes_the_counts),
    };
    if (argc > 1 && strcmp(argv[1], "--page") == 0) {
        a_counter_is_written_with_help_type_and_labels(NULL);
        label_values_are_escaped(NULL);
        a_gauge_goes_up_and_down(NULL);
        a_histogram_counts_up_to_and_including_its_bounds(NULL);
        return print_page();
    }
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
