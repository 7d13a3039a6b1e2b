/* The growing buffer, on the heap and in an arena. */
#include "unit.h"

static void add_keeps_all_bytes_in_order(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(64);
    for (int in_arena = 0; in_arena < 2; in_arena++) {
        tn__buf buf = { .arena = in_arena ? arena : NULL };
        for (int i = 0; i < 10000; i++)
            tn__buf_add(&buf, "abcdefg", (size_t)i % 8);
        size_t at = 0;
        for (int i = 0; i < 10000; i++) {
            assert_memory_equal(buf.data + at, "abcdefg", (size_t)i % 8);
            at += (size_t)i % 8;
        }
        assert_int_equal(buf.len, at);
        tn__buf_deinit(&buf);
        assert_int_equal(buf.len, 0);
        assert_null(buf.data);
        tn__buf_add_char(&buf, 'x'); /* and may be used again */
        assert_str(tn__buf_str(&buf), "x");
        tn__buf_deinit(&buf);
    }
    tn__arena_close(arena);
}

static void buffers_in_one_arena_do_not_disturb_each_other(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(64);
    tn__buf a = { .arena = arena }, b = { .arena = arena };
    for (int i = 0; i < 5000; i++) {
        tn__buf_add_char(&a, 'a');
        tn__buf_add_char(&b, 'b');
    }
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(a.data[i], 'a');
        assert_int_equal(b.data[i], 'b');
    }
    tn__arena_close(arena);
}

static void add_of_nothing_does_not_allocate(void **state)
{
    (void)state;
    tn__buf buf = { 0 };
    tn__buf_add(&buf, NULL, 0);
    tn__buf_add_str(&buf, (tn_str){ NULL, 0 });
    tn__buf_add_z(&buf, "");
    tn__buf_printf(&buf, "%s", "");
    assert_int_equal(buf.len, 0);
    tn__buf_deinit(&buf);
}

static void integers_are_written_in_full_range(void **state)
{
    (void)state;
    static const int64_t values[] = { 0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "%lld", (long long)values[i]);
        tn__buf buf = { 0 };
        tn__buf_add_i64(&buf, values[i]);
        assert_str(tn__buf_str(&buf), wanted);
        tn__buf_deinit(&buf);
    }
}

static void printf_appends_text_of_any_length(void **state)
{
    (void)state;
    tn__buf buf = { 0 };
    size_t len = 0;
    for (int width = 1; width < 500; width++) {
        tn__buf_printf(&buf, "%*d", width, 5);
        len += (size_t)width;
        assert_int_equal(buf.len, len);
        assert_int_equal(buf.data[len - 1], '5');
    }
    tn__buf_deinit(&buf);
}

/* The NUL that printf writes needs room too, though it isn't part of the text. */
static void printf_fills_the_room_to_the_last_byte(void **state)
{
    (void)state;
    for (int n = 1; n < 60; n++) {
        tn__buf buf = { 0 };
        tn__buf_add_char(&buf, 'x');
        int room = (int)(buf.cap - buf.len);
        tn__buf_printf(&buf, "%*d", room - n, 4);
        tn__buf_printf(&buf, "%*d", n, 5);
        assert_int_equal(buf.len, 1 + room);
        assert_int_equal(buf.data[room], '5');
        tn__buf_deinit(&buf);
    }
}

static void reserve_makes_room_without_length(void **state)
{
    (void)state;
    tn__buf buf = { 0 };
    tn__buf_add_z(&buf, "ab");
    tn__buf_reserve(&buf, 5000);
    assert_true(buf.cap - buf.len >= 5000);
    memset(buf.data + buf.len, 'x', 5000);
    assert_str(tn__buf_str(&buf), "ab");
    char *data = buf.data;
    tn__buf_reserve(&buf, 5000);
    assert_ptr_equal(buf.data, data);
    tn__buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_keeps_all_bytes_in_order),
        cmocka_unit_test(buffers_in_one_arena_do_not_disturb_each_other),
        cmocka_unit_test(add_of_nothing_does_not_allocate),
        cmocka_unit_test(integers_are_written_in_full_range),
        cmocka_unit_test(printf_appends_text_of_any_length),
        cmocka_unit_test(printf_fills_the_room_to_the_last_byte),
        cmocka_unit_test(reserve_makes_room_without_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
