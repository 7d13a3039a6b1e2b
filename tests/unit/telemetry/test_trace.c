/* W3C traceparent. */

#include "telemetry/telemetry.h"

#include <setjmp.h>

#include <cmocka.h>

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void a_valid_header_is_read_and_written_back(void **state)
{
    (void)state;
    tn__trace trace;
    assert_true(tn__traceparent_parse(TN_S(GOOD), &trace));
    assert_int_equal(trace.trace_id[0], 0x4b);
    assert_int_equal(trace.trace_id[15], 0x36);
    assert_int_equal(trace.span_id[0], 0x00);
    assert_int_equal(trace.span_id[7], 0xb7);
    assert_int_equal(trace.flags, 1);
    char out[55];
    tn__traceparent_write(&trace, out);
    assert_memory_equal(out, GOOD, sizeof out);
}

static void headers_that_are_not_valid_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.extra",
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902B7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };
    tn__trace trace;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tn__traceparent_parse(tn_str_of(bad[i]), &trace));
}

static void a_later_version_is_read_as_far_as_known(void **state)
{
    (void)state;
    tn__trace trace;
    assert_true(
        tn__traceparent_parse(TN_S("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more"),
            &trace));
    char out[55];
    tn__traceparent_write(&trace, out);
    assert_memory_equal(out, GOOD, sizeof out);
}

static void a_child_keeps_the_trace_and_has_a_span_of_its_own(void **state)
{
    (void)state;
    tn__trace parent;
    assert_true(tn__traceparent_parse(TN_S(GOOD), &parent));
    parent.flags = 0;
    tn__trace child = tn__trace_child(&parent);
    assert_memory_equal(child.trace_id, parent.trace_id, sizeof child.trace_id);
    assert_memory_not_equal(child.span_id, parent.span_id, sizeof child.span_id);
    assert_int_equal(child.flags, 0);
}

static void a_trace_without_a_parent_is_new_valid_and_sampled(void **state)
{
    (void)state;
    tn__trace last = { 0 };
    for (int i = 0; i < 1000; i++) {
        tn__trace trace = tn__trace_child(NULL);
        char out[55];
        tn__trace read;
        tn__traceparent_write(&trace, out);
        assert_true(tn__traceparent_parse((tn_str){ out, sizeof out }, &read));
        assert_memory_equal(&read, &trace, sizeof trace);
        assert_memory_not_equal(trace.trace_id, last.trace_id, sizeof last.trace_id);
        assert_int_equal(trace.flags, 1);
        last = trace;
    }
}

static void ids_are_written_as_digits(void **state)
{
    (void)state;
    tn__trace trace;
    char trace_id[32], span_id[16];
    assert_true(tn__traceparent_parse(TN_S(GOOD), &trace));
    tn__trace_ids_write(&trace, trace_id, span_id);
    assert_memory_equal(trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", 32);
    assert_memory_equal(span_id, "00f067aa0ba902b7", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_header_is_read_and_written_back),
        cmocka_unit_test(headers_that_are_not_valid_are_refused),
        cmocka_unit_test(a_later_version_is_read_as_far_as_known),
        cmocka_unit_test(a_child_keeps_the_trace_and_has_a_span_of_its_own),
        cmocka_unit_test(a_trace_without_a_parent_is_new_valid_and_sampled),
        cmocka_unit_test(ids_are_written_as_digits),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
