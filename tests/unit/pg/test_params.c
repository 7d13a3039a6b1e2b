/* Arguments on their way to the server. The expected bytes are those of PostgreSQL's send functions. */
#include "../base/unit.h"

#include "pg/oid.h"
#include "pg/params.h"
#include "pg/wire.h"

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

#define PARAMS_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_arena, close_arena)

static tn__params encode(tn_args args)
{
    tn__params params;
    assert_true(tn__params_encode(arena, args, &params));
    return params;
}

static void integers_are_eight_bytes_big_endian(void **state)
{
    (void)state;
    tn__params params = encode(TN_ARGS((int64_t)0x0102030405060708, (int64_t)-2));
    assert_int_equal(params.lengths[0], 8);
    assert_memory_equal(params.values[0], "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_memory_equal(params.values[1], "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    assert_int_equal(tn__param_type(TN_KIND_INT), TN__OID_INT8);
    assert_int_equal(tn__param_format(TN_KIND_INT), 1);
}

static void reals_booleans_and_uuids_are_binary(void **state)
{
    (void)state;
    tn_uuid id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
    bool yes = true;
    tn__params params = encode(TN_ARGS(-0.5, yes, id));
    assert_memory_equal(params.values[0], "\xbf\xe0\0\0\0\0\0\0", 8);
    assert_int_equal(params.lengths[1], 1);
    assert_memory_equal(params.values[1], "\x01", 1);
    assert_int_equal(params.lengths[2], 16);
    assert_memory_equal(params.values[2], id.b, 16);
}

static void times_count_from_2000(void **state)
{
    (void)state;
    tn_time epoch = { TN__PG_EPOCH_US }, before = { TN__PG_EPOCH_US - 1 };
    tn__params params = encode(TN_ARGS(epoch, before));
    assert_memory_equal(params.values[0], "\0\0\0\0\0\0\0\0", 8);
    assert_memory_equal(params.values[1], "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void the_ends_of_time_are_infinite_both_ways(void **state)
{
    (void)state;
    assert_true(tn__time_to_pg(INT64_MAX) == INT64_MAX);
    assert_true(tn__time_to_pg(INT64_MIN) == INT64_MIN);
    assert_true(tn__time_to_pg(INT64_MIN + 1) == INT64_MIN);
    assert_true(tn__time_from_pg(INT64_MAX) == INT64_MAX);
    assert_true(tn__time_from_pg(INT64_MIN) == INT64_MIN);
    assert_true(tn__time_from_pg(INT64_MAX - 1) == INT64_MAX);
    assert_true(tn__time_from_pg(tn__time_to_pg(12345)) == 12345);
}

static void strings_and_json_are_text_that_ends_in_nul(void **state)
{
    (void)state;
    char bytes[] = { 'a', 'b', 'c' };
    tn_str s = { bytes, 2 };
    tn_str empty = { NULL, 0 };
    tn_json json = { TN_S("{\"a\":1}") };
    tn__params params = encode(TN_ARGS(s, json, empty));
    assert_string_equal(params.values[0], "ab");
    assert_string_equal(params.values[1], "{\"a\":1}");
    assert_string_equal(params.values[2], "");
    assert_int_equal(tn__param_type(TN_KIND_STR), InvalidOid);
    assert_int_equal(tn__param_format(TN_KIND_STR), 0);
}

static void absent_optional_arguments_are_null(void **state)
{
    (void)state;
    const tn_str *no_str = NULL;
    const int64_t *no_int = NULL;
    const tn_uuid *no_uuid = NULL;
    tn__params params = encode(TN_ARGS(no_str, no_int, no_uuid));
    for (int i = 0; i < 3; i++)
        assert_null(params.values[i]);
}

static void a_nul_in_a_string_is_refused(void **state)
{
    (void)state;
    tn__params params;
    tn_json json = { TN_S("\0") };
    assert_false(tn__params_encode(arena, TN_ARGS(1, TN_S("a\0b")), &params));
    assert_false(tn__params_encode(arena, TN_ARGS(json), &params));
    assert_true(tn__params_encode(arena, TN_ARGS(TN_S("ab")), &params));
}

static void a_statement_without_arguments_has_none(void **state)
{
    (void)state;
    tn__params params = encode(TN_NO_ARGS);
    assert_null(params.values);
}

/* ---- Arrays ------------------------------------------------------------- */

static tn_str array_of(tn_kind kind, tn_args elements)
{
    tn__buf buf = { .arena = arena };
    tn__array_begin(&buf, kind);
    for (size_t i = 0; i < elements.n; i++)
        tn__array_add(&buf, &elements.at[i]);
    tn__array_end(&buf, elements.n);
    return tn__buf_str(&buf);
}

static void an_array_of_strings_is_text_array(void **state)
{
    (void)state;
    tn_str got = array_of(TN_KIND_STR, TN_ARGS(TN_S("ab"), TN_S("")));
    const char want[] = "\0\0\0\x01\0\0\0\0\0\0\0\x19"
                        "\0\0\0\x02\0\0\0\x01"
                        "\0\0\0\x02"
                        "ab"
                        "\0\0\0\0";
    assert_int_equal(got.len, sizeof want - 1);
    assert_memory_equal(got.data, want, got.len);
    assert_int_equal(tn__array_type(TN_KIND_STR), TN__OID_TEXT_ARRAY);
    assert_int_equal(tn__array_type(TN_KIND_JSON), TN__OID_TEXT_ARRAY);
}

static void an_array_says_that_it_holds_nulls(void **state)
{
    (void)state;
    const int64_t *none = NULL;
    tn_str got = array_of(TN_KIND_INT, TN_ARGS((int64_t)5, none));
    const char want[] = "\0\0\0\x01\0\0\0\x01\0\0\0\x14"
                        "\0\0\0\x02\0\0\0\x01"
                        "\0\0\0\x08\0\0\0\0\0\0\0\x05"
                        "\xff\xff\xff\xff";
    assert_int_equal(got.len, sizeof want - 1);
    assert_memory_equal(got.data, want, got.len);
}

static void each_kind_has_its_array_type(void **state)
{
    (void)state;
    assert_int_equal(tn__array_type(TN_KIND_INT), TN__OID_INT8_ARRAY);
    assert_int_equal(tn__array_type(TN_KIND_REAL), TN__OID_FLOAT8_ARRAY);
    assert_int_equal(tn__array_type(TN_KIND_BOOL), TN__OID_BOOL_ARRAY);
    assert_int_equal(tn__array_type(TN_KIND_UUID), TN__OID_UUID_ARRAY);
    assert_int_equal(tn__array_type(TN_KIND_TIME), TN__OID_TIMESTAMPTZ_ARRAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARAMS_TEST(integers_are_eight_bytes_big_endian),
        PARAMS_TEST(reals_booleans_and_uuids_are_binary),
        PARAMS_TEST(times_count_from_2000),
        PARAMS_TEST(the_ends_of_time_are_infinite_both_ways),
        PARAMS_TEST(strings_and_json_are_text_that_ends_in_nul),
        PARAMS_TEST(absent_optional_arguments_are_null),
        PARAMS_TEST(a_nul_in_a_string_is_refused),
        PARAMS_TEST(a_statement_without_arguments_has_none),
        PARAMS_TEST(an_array_of_strings_is_text_array),
        PARAMS_TEST(an_array_says_that_it_holds_nulls),
        PARAMS_TEST(each_kind_has_its_array_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
