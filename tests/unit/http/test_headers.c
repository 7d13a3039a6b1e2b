/* Header fields: their slots, doubles, lists, and how a body is delimited. */
#include "unit/base/unit.h"

#include "http/headers.h"

static tn_arena *arena;
static tn__headers headers;

static int open_headers(void **state)
{
    (void)state;
    arena = tn__arena_open(1024);
    headers = (tn__headers){ .at = { { NULL, 0 } } };
    return 0;
}

static int close_headers(void **state)
{
    (void)state;
    tn__arena_close(arena);
    return 0;
}

static void add(const char *name, const char *value)
{
    tn__headers_add(&headers, arena, tn_str_of(name), tn_str_of(value));
}

static void field_is_found_whatever_its_case(void **state)
{
    (void)state;
    add("If-None-MATCH", "\"1\"");
    assert_str(headers.at[TN__H_IF_NONE_MATCH], "\"1\"");
}

static void absent_field_differs_from_an_empty_one(void **state)
{
    (void)state;
    add("Accept", "");
    assert_non_null(headers.at[TN__H_ACCEPT].data);
    assert_int_equal(headers.at[TN__H_ACCEPT].len, 0);
    assert_null(headers.at[TN__H_ORIGIN].data);
}

static void doubles_are_joined_in_their_order(void **state)
{
    (void)state;
    add("If-Match", "\"1\"");
    add("if-match", "\"2\"");
    add("If-Match", "\"3\"");
    assert_str(headers.at[TN__H_IF_MATCH], "\"1\", \"2\", \"3\"");
}

static void field_that_nobody_reads_is_dropped(void **state)
{
    (void)state;
    add("Referer", "x");
    add("acce", "x");
    add("", "x");
    for (int i = 0; i < TN__H_COUNT; i++)
        assert_null(headers.at[i].data);
}

static void list_is_cut_at_commas_outside_of_quotes(void **state)
{
    (void)state;
    tn_str rest = TN_S(" a ,, \"b,c\" , W/\"d\\\",e\",f\"g,h"), element;
    const char *const wanted[] = { "a", "\"b,c\"", "W/\"d\\\",e\"", "f\"g,h" };
    for (size_t i = 0; i < 4; i++) {
        assert_true(tn__list_next(&rest, &element));
        assert_str(element, wanted[i]);
    }
    assert_false(tn__list_next(&rest, &element));
}

static void list_of_nothing_has_no_element(void **state)
{
    (void)state;
    tn_str element, lists[] = { TN_S(""), TN_S(" "), TN_S(",,, ,"), { NULL, 0 } };
    for (size_t i = 0; i < 4; i++)
        assert_false(tn__list_next(&lists[i], &element));
}

static void body_by_length_has_it(void **state)
{
    (void)state;
    int64_t length;
    assert_int_equal(tn__body_framing(&headers, &length), TN__BODY_NONE);
    add("Content-Length", "17");
    assert_int_equal(tn__body_framing(&headers, &length), TN__BODY_LENGTH);
    assert_int_equal(length, 17);
}

static void body_in_chunks_is_told_whatever_the_case(void **state)
{
    (void)state;
    int64_t length;
    add("Transfer-Encoding", "Chunked");
    assert_int_equal(tn__body_framing(&headers, &length), TN__BODY_CHUNKED);
}

static void body_with_two_ends_is_ambiguous(void **state)
{
    (void)state;
    int64_t length;
    add("Transfer-Encoding", "chunked");
    add("Content-Length", "17");
    assert_int_equal(tn__body_framing(&headers, &length), TN__BODY_AMBIGUOUS);
}

static void body_of_odd_length_or_coding_is_ambiguous(void **state)
{
    (void)state;
    static const char *const lengths[] = { "", "-1", "+1", "1 2", "5, 5", "0x10",
        "99999999999999999999", "1.0" };
    static const char *const codings[] = { "", "gzip", "gzip, chunked", "chunked, chunked",
        "identity" };
    int64_t length;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        open_headers(NULL);
        add("Content-Length", lengths[i]);
        assert_int_equal(tn__body_framing(&headers, &length), TN__BODY_AMBIGUOUS);
        close_headers(NULL);
    }
    for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++) {
        open_headers(NULL);
        add("Transfer-Encoding", codings[i]);
        assert_int_equal(tn__body_framing(&headers, &length), TN__BODY_AMBIGUOUS);
        close_headers(NULL);
    }
}

#define HEADERS_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_headers, close_headers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEADERS_TEST(field_is_found_whatever_its_case),
        HEADERS_TEST(absent_field_differs_from_an_empty_one),
        HEADERS_TEST(doubles_are_joined_in_their_order),
        HEADERS_TEST(field_that_nobody_reads_is_dropped),
        HEADERS_TEST(body_by_length_has_it),
        HEADERS_TEST(body_in_chunks_is_told_whatever_the_case),
        HEADERS_TEST(body_with_two_ends_is_ambiguous),
        cmocka_unit_test(body_of_odd_length_or_coding_is_ambiguous),
        cmocka_unit_test(list_is_cut_at_commas_outside_of_quotes),
        cmocka_unit_test(list_of_nothing_has_no_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
