/* Allocation that never fails, and how the process ends when memory is gone. */
#include "unit.h"

#include "death.h"

#include <stdlib.h>
#include <sysexits.h>

static void ask_too_much(void)
{
    tn__xmalloc(SIZE_MAX);
}

static void ask_too_many(void)
{
    tn__xcalloc(SIZE_MAX / 2, 4);
}

static void grow_too_much(void)
{
    tn__xrealloc(malloc(1), SIZE_MAX);
}

static void ask_the_arena_too_much(void)
{
    tn_alloc(tn__arena_open(64), SIZE_MAX - 8);
}

static void outgrow_the_limit_of_a_buffer(void)
{
    tn__buf buf = { 0 };
    tn__buf_add_char(&buf, 'x');
    tn__buf_reserve(&buf, SIZE_MAX - 4);
}

static void assert_ends_with(void (*fn)(void), const char *message)
{
    char said[512], wanted[128];
    int status = death_of(fn, said, sizeof said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_OSERR);
    snprintf(wanted, sizeof wanted, "\",\"level\":\"error\",\"message\":\"%s\"}\n", message);
    assert_memory_equal(said, "{\"timestamp\":\"20", 16);
    assert_int_equal(strlen(said), 14 + 27 + strlen(wanted));
    assert_string_equal(said + 14 + 27, wanted);
}

static void exhaustion_ends_the_process_with_a_log_line(void **state)
{
    (void)state;
    assert_ends_with(ask_too_much, "out of memory");
    assert_ends_with(ask_too_many, "out of memory");
    assert_ends_with(grow_too_much, "out of memory");
    assert_ends_with(ask_the_arena_too_much, "out of memory");
}

static void buffer_beyond_its_limit_ends_the_process(void **state)
{
    (void)state;
    assert_ends_with(outgrow_the_limit_of_a_buffer, "a buffer outgrew its limit");
}

static void die_of_a_long_message(void)
{
    char message[1000];
    memset(message, 'm', sizeof message);
    message[sizeof message - 1] = '\0';
    tn__die(message);
}

static void last_line_stays_one_line_of_json(void **state)
{
    (void)state;
    char said[2048];
    int status = death_of(die_of_a_long_message, said, sizeof said);
    assert_int_equal(WEXITSTATUS(status), EX_OSERR);
    assert_int_equal(strlen(said), 256);
    assert_string_equal(said + 250, "mmm\"}\n");
}

static void nothing_is_still_a_pointer(void **state)
{
    (void)state;
    void *a = tn__xmalloc(0), *b = tn__xcalloc(0, 8), *c = tn__xrealloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    c = tn__xrealloc(c, 0);
    assert_non_null(c);
    free(a);
    free(b);
    free(c);
}

static void calloc_zeroes_and_realloc_keeps(void **state)
{
    (void)state;
    char *p = tn__xcalloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    p[14] = 'x';
    p = tn__xrealloc(p, 100000);
    assert_int_equal(p[14], 'x');
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exhaustion_ends_the_process_with_a_log_line),
        cmocka_unit_test(buffer_beyond_its_limit_ends_the_process),
        cmocka_unit_test(last_line_stays_one_line_of_json),
        cmocka_unit_test(nothing_is_still_a_pointer),
        cmocka_unit_test(calloc_zeroes_and_realloc_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
