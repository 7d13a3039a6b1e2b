/* What is on a log line. Standard output goes to a file while a case logs. */

#include "loop/loop.h"
#include "telemetry/telemetry.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    int file, stdout_before;
    json_t *lines; /* an array of objects */
} captured;

static void capture_begin(tn_level level)
{
    char path[] = "/tmp/trunnion-test-log-XXXXXX";
    captured.file = mkstemp(path);
    assert_true(captured.file >= 0);
    unlink(path);
    captured.stdout_before = dup(STDOUT_FILENO);
    dup2(captured.file, STDOUT_FILENO);
    tn__log_open("items", "1.2.3", level);
}

/* Ends the log and reads the lines: each must be a JSON object of its own. */
static void capture_end(void)
{
    tn__log_close();
    dup2(captured.stdout_before, STDOUT_FILENO);
    close(captured.stdout_before);
    lseek(captured.file, 0, SEEK_SET);
    FILE *file = fdopen(captured.file, "r");
    char *line = NULL;
    size_t cap = 0;
    captured.lines = json_array();
    while (getline(&line, &cap, file) > 0) {
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        assert_true(json_is_object(object));
        json_array_append_new(captured.lines, object);
    }
    free(line);
    fclose(file);
}

static int capture_free(void **state)
{
    (void)state;
    json_decref(captured.lines);
    captured.lines = NULL;
    return 0;
}

static const json_t *line_at(size_t i)
{
    return json_array_get(captured.lines, i);
}

static const char *text(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void a_line_has_time_level_message_service_and_version(void **state)
{
    (void)state;
    int64_t before_us = tn_now().us;
    capture_begin(TN_INFO);
    tn_log(TN_WARN, "broker lost", NULL, 0);
    capture_end();
    assert_int_equal(json_array_size(captured.lines), 1);
    const json_t *line = line_at(0);
    assert_int_equal(json_object_size(line), 5);
    assert_string_equal(text(line, "level"), "warn");
    assert_string_equal(text(line, "message"), "broker lost");
    assert_string_equal(text(line, "service"), "items");
    assert_string_equal(text(line, "version"), "1.2.3");
    tn_time time;
    assert_int_equal(strlen(text(line, "timestamp")), 27);
    assert_true(tn__time_parse(tn_str_of(text(line, "timestamp")), &time));
    assert_in_range(time.us, before_us, tn_now().us);
}

static void fields_keep_their_kinds_and_escapes(void **state)
{
    (void)state;
    capture_begin(TN_DEBUG);
    TN_LOG(TN_DEBUG, "fields", TN_LOG_S("str", TN_S("quote \" line\nnul \0 end")),
        TN_LOG_Z("z", "caf\xc3\xa9"), TN_LOG_I("int", INT64_MIN), TN_LOG_D("real", 0.25),
        TN_LOG_B("yes", true), TN_LOG_B("no", false), TN_LOG_Z("none", NULL),
        TN_LOG_S("broken", TN_S("\xff")));
    capture_end();
    const json_t *line = line_at(0);
    assert_string_equal(text(line, "level"), "debug");
    assert_int_equal(json_string_length(json_object_get(line, "str")), 22);
    assert_memory_equal(text(line, "str"), "quote \" line\nnul \0 end", 22);
    assert_string_equal(text(line, "z"), "caf\xc3\xa9");
    assert_true(json_integer_value(json_object_get(line, "int")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(line, "real")) == 0.25);
    assert_true(json_is_true(json_object_get(line, "yes")));
    assert_true(json_is_false(json_object_get(line, "no")));
    assert_string_equal(text(line, "none"), "");
    assert_string_equal(text(line, "broken"), "\xef\xbf\xbd");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    capture_begin(TN_WARN);
    tn_log(TN_INFO, "no", NULL, 0);
    tn_log(TN_ERROR, "first", NULL, 0);
    tn__log_level(TN_DEBUG);
    tn_log(TN_DEBUG, "second", NULL, 0);
    tn__log_level(TN_ERROR);
    tn_log(TN_WARN, "no", NULL, 0);
    capture_end();
    assert_int_equal(json_array_size(captured.lines), 2);
    assert_string_equal(text(line_at(0), "message"), "first");
    assert_string_equal(text(line_at(1), "message"), "second");
}

static void lines_of_a_context_carry_its_ids(void **state)
{
    (void)state;
    tn__log_context context = {
        .request_id = TN_S("req-1"),
        .trace_id = TN_S("4bf92f3577b34da6a3ce929d0e0e4736"),
        .span_id = TN_S("00f067aa0ba902b7"),
    };
    tn__log_context half = { .request_id = TN_S("req-2") };
    capture_begin(TN_INFO);
    tn__log_context_set(&context);
    tn_log(TN_INFO, "within", NULL, 0);
    tn__log_context_set(&half);
    tn_log(TN_INFO, "half", NULL, 0);
    tn__log_context_set(NULL);
    tn_log(TN_INFO, "without", NULL, 0);
    capture_end();
    assert_string_equal(text(line_at(0), "request_id"), "req-1");
    assert_string_equal(text(line_at(0), "trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(text(line_at(0), "span_id"), "00f067aa0ba902b7");
    assert_string_equal(text(line_at(1), "request_id"), "req-2");
    assert_null(text(line_at(1), "trace_id"));
    assert_null(text(line_at(2), "request_id"));
}

static void log_and_wait(void *arg)
{
    tn__log_context_set(arg);
    tn_log(TN_INFO, "before", NULL, 0);
    tn__co_wait(TN__NEVER);
    tn_log(TN_INFO, "after", NULL, 0);
    tn__log_context_set(NULL);
}

static void each_coroutine_has_a_context_of_its_own(void **state)
{
    (void)state;
    tn__log_context one = { .request_id = TN_S("one") }, two = { .request_id = TN_S("two") };
    tn__loop *loop = tn__loop_open();
    capture_begin(TN_INFO);
    tn__co *first = tn__co_start(loop, log_and_wait, &one);
    tn__co *second = tn__co_start(loop, log_and_wait, &two);
    tn_log(TN_INFO, "outside", NULL, 0);
    tn__co_wake(second);
    tn__co_wake(first);
    tn__loop_post(loop, (void (*)(void *))tn__loop_stop, loop);
    tn__loop_run(loop);
    capture_end();
    tn__loop_close(loop);
    assert_int_equal(json_array_size(captured.lines), 5);
    static const char *const ids[] = { "one", "two", NULL, "two", "one" };
    for (size_t i = 0; i < 5; i++) {
        const char *id = text(line_at(i), "request_id");
        assert_true(ids[i] == NULL ? id == NULL : id != NULL && strcmp(id, ids[i]) == 0);
    }
}

static void a_value_that_is_too_long_is_cut(void **state)
{
    (void)state;
    enum { LONG = 100 * 1000 };
    char *value = malloc(LONG);
    memset(value, 'a', LONG);
    capture_begin(TN_INFO);
    TN_LOG(TN_INFO, "long", TN_LOG_S("value", ((tn_str){ value, LONG })));
    capture_end();
    free(value);
    assert_int_equal(json_string_length(json_object_get(line_at(0), "value")), 4096);
}

enum { THREADS = 4, LINES = 500 };

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++)
        TN_LOG(TN_INFO, "one of many", TN_LOG_I("thread", *(int *)arg), TN_LOG_I("i", i));
    return NULL;
}

static void lines_of_many_threads_are_whole_and_in_each_ones_order(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    capture_begin(TN_INFO);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, log_many, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capture_end();
    assert_int_equal(json_array_size(captured.lines), THREADS * LINES);
    json_int_t next[THREADS] = { 0 };
    for (size_t i = 0; i < THREADS * LINES; i++) {
        json_int_t thread = json_integer_value(json_object_get(line_at(i), "thread"));
        assert_int_equal(json_integer_value(json_object_get(line_at(i), "i")), next[thread]);
        next[thread]++;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_line_has_time_level_message_service_and_version, capture_free),
        cmocka_unit_test_teardown(fields_keep_their_kinds_and_escapes, capture_free),
        cmocka_unit_test_teardown(lines_below_the_level_are_not_written, capture_free),
        cmocka_unit_test_teardown(lines_of_a_context_carry_its_ids, capture_free),
        cmocka_unit_test_teardown(each_coroutine_has_a_context_of_its_own, capture_free),
        cmocka_unit_test_teardown(a_value_that_is_too_long_is_cut, capture_free),
        cmocka_unit_test_teardown(lines_of_many_threads_are_whole_and_in_each_ones_order,
            capture_free),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
