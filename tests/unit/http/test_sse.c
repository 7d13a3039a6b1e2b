/* The text of server-sent events. */
#include "unit/base/unit.h"

#include "http/sse.h"

static tn__buf out;

static int open_buf(void **state)
{
    (void)state;
    out = (tn__buf){ .arena = NULL };
    return 0;
}

static int close_buf(void **state)
{
    (void)state;
    tn__buf_deinit(&out);
    return 0;
}

static void event_has_id_name_and_data(void **state)
{
    (void)state;
    tn__sse_event(&out, 7, TN_S("item.created"), TN_S("{\"a\":1}"));
    assert_str(tn__buf_str(&out), "id: 7\nevent: item.created\ndata: {\"a\":1}\n\n");
}

static void event_without_a_name_has_no_such_line(void **state)
{
    (void)state;
    tn__sse_event(&out, 1, TN_S(""), TN_S("x"));
    assert_str(tn__buf_str(&out), "id: 1\ndata: x\n\n");
}

static void data_is_split_at_every_kind_of_line_end(void **state)
{
    (void)state;
    tn__sse_event(&out, 1, TN_S(""), TN_S("a\nb\r\nc\rd\n"));
    assert_str(tn__buf_str(&out), "id: 1\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
}

static void empty_data_is_a_line_of_its_own(void **state)
{
    (void)state;
    tn__sse_event(&out, 1, TN_S(""), TN_S(""));
    assert_str(tn__buf_str(&out), "id: 1\ndata: \n\n");
}

static void name_cannot_forge_a_field(void **state)
{
    (void)state;
    tn__sse_event(&out, 1, TN_S("a\n\ndata: forged\rid: 9"), TN_S("x"));
    assert_str(tn__buf_str(&out), "id: 1\nevent: adata: forgedid: 9\ndata: x\n\n");
}

static void stream_begins_with_the_time_to_wait(void **state)
{
    (void)state;
    tn__sse_open(&out, 2000);
    tn__sse_keepalive(&out);
    assert_str(tn__buf_str(&out), "retry: 2000\n\n: keepalive\n\n");
}

static void last_id_is_1_to_19_digits(void **state)
{
    (void)state;
    int64_t id;
    assert_true(tn__sse_last_id(TN_S("0"), &id) && id == 0);
    assert_true(tn__sse_last_id(TN_S("007"), &id) && id == 7);
    assert_true(tn__sse_last_id(TN_S("0000000000000000042"), &id) && id == 42);
    assert_true(tn__sse_last_id(TN_S("9223372036854775807"), &id) && id == INT64_MAX);
    static const char *const bad[] = { "", "-1", "x", "1.0", " 1", "1 ", "+1", "1, 2",
        "00000000000000000000", "10000000000000000000" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(tn__sse_last_id(tn_str_of(bad[i]), &id));
}

static void last_id_beyond_the_greatest_is_the_greatest(void **state)
{
    (void)state;
    int64_t id;
    assert_true(tn__sse_last_id(TN_S("9223372036854775808"), &id) && id == INT64_MAX);
    assert_true(tn__sse_last_id(TN_S("9999999999999999999"), &id) && id == INT64_MAX);
}

#define SSE_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_buf, close_buf)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SSE_TEST(event_has_id_name_and_data),
        SSE_TEST(event_without_a_name_has_no_such_line),
        SSE_TEST(data_is_split_at_every_kind_of_line_end),
        SSE_TEST(empty_data_is_a_line_of_its_own),
        SSE_TEST(name_cannot_forge_a_field),
        SSE_TEST(stream_begins_with_the_time_to_wait),
        cmocka_unit_test(last_id_is_1_to_19_digits),
        cmocka_unit_test(last_id_beyond_the_greatest_is_the_greatest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
