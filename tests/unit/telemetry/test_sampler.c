/* Which traces are kept. */

#include "telemetry/span.h"

#include <setjmp.h>

#include <cmocka.h>

static const tn__trace kept = { .trace_id = { 1 }, .span_id = { 2 }, .flags = TN__TRACE_SAMPLED };
static const tn__trace left = { .trace_id = { 1 }, .span_id = { 2 } };

static bool keeps(tn__sampler_kind kind, const tn__trace *parent)
{
    tn__sampler sampler = { .kind = kind };
    return tn__sampler_keeps(&sampler, kept.trace_id, parent);
}

static void samplers_without_parentbased_ask_no_parent(void **state)
{
    (void)state;
    assert_true(keeps(TN__SAMPLE_ALWAYS_ON, NULL));
    assert_true(keeps(TN__SAMPLE_ALWAYS_ON, &left));
    assert_false(keeps(TN__SAMPLE_ALWAYS_OFF, NULL));
    assert_false(keeps(TN__SAMPLE_ALWAYS_OFF, &kept));
    assert_false(keeps(TN__SAMPLE_RATIO, &kept)); /* of ratio 0 */
}

static void parentbased_samplers_do_what_the_parent_did(void **state)
{
    (void)state;
    static const tn__sampler_kind kinds[] = { TN__SAMPLE_PARENT_ALWAYS_ON,
        TN__SAMPLE_PARENT_ALWAYS_OFF, TN__SAMPLE_PARENT_RATIO };
    for (size_t i = 0; i < 3; i++) {
        assert_true(keeps(kinds[i], &kept));
        assert_false(keeps(kinds[i], &left));
    }
}

static void parentbased_samplers_without_a_parent_do_as_their_name_says(void **state)
{
    (void)state;
    assert_true(keeps(TN__SAMPLE_PARENT_ALWAYS_ON, NULL));
    assert_false(keeps(TN__SAMPLE_PARENT_ALWAYS_OFF, NULL));
    assert_false(keeps(TN__SAMPLE_PARENT_RATIO, NULL));
}

static bool ratio_keeps(double ratio, uint64_t number)
{
    tn__sampler sampler = { .kind = TN__SAMPLE_RATIO, .ratio = ratio };
    uint8_t trace_id[16];
    memset(trace_id, 0xff, sizeof trace_id); /* What the first half says doesn't matter. */
    for (size_t i = 0; i < 8; i++)
        trace_id[8 + i] = (uint8_t)(number >> (56 - 8 * i));
    return tn__sampler_keeps(&sampler, trace_id, NULL);
}

static void a_ratio_keeps_the_trace_ids_below_it(void **state)
{
    (void)state;
    assert_true(ratio_keeps(1, UINT64_MAX));
    assert_true(ratio_keeps(1, 0));
    assert_false(ratio_keeps(0, 0));
    assert_true(ratio_keeps(0.25, (UINT64_C(1) << 62) - 1));
    assert_false(ratio_keeps(0.25, UINT64_C(1) << 62));
    assert_true(ratio_keeps(0.5, (UINT64_C(1) << 63) - 1));
    assert_false(ratio_keeps(0.5, UINT64_C(1) << 63));
}

static void a_ratio_keeps_about_so_many_traces(void **state)
{
    (void)state;
    tn__sampler sampler = { .kind = TN__SAMPLE_PARENT_RATIO, .ratio = 0.1 };
    int n = 0;
    for (int i = 0; i < 20000; i++)
        n += tn__sampler_keeps(&sampler, tn__trace_child(NULL).trace_id, NULL);
    assert_in_range(n, 1700, 2300);
}

static void a_trace_starts_sampled_as_the_sampler_says(void **state)
{
    (void)state;
    tn__tracing_open(&(tn__tracing_options){ .sampler = { .kind = TN__SAMPLE_PARENT_ALWAYS_OFF } });
    assert_int_equal(tn__trace_start(NULL).flags, 0);
    tn__trace own = tn__trace_start(&kept);
    assert_int_equal(own.flags, TN__TRACE_SAMPLED);
    assert_memory_equal(own.trace_id, kept.trace_id, sizeof own.trace_id);
    assert_memory_not_equal(own.span_id, kept.span_id, sizeof own.span_id);
    tn__tracing_close(0);
    assert_int_equal(tn__trace_start(NULL).flags, TN__TRACE_SAMPLED);
    assert_int_equal(tn__trace_start(&left).flags, 0);
}

static void nothing_is_wanted_when_nothing_is_exported(void **state)
{
    (void)state;
    assert_false(tn__span_wanted(&kept));
    tn__span_record(&(tn__span){ .trace = kept, .kind = TN__SPAN_INTERNAL });
}

static void the_current_span_is_that_of_the_log_context(void **state)
{
    (void)state;
    assert_null(tn__trace_current());
    tn__log_context context = { .trace = &kept };
    tn__log_context_set(&context);
    assert_ptr_equal(tn__trace_current(), &kept);
    tn__log_context_set(NULL);
    assert_null(tn__trace_current());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samplers_without_parentbased_ask_no_parent),
        cmocka_unit_test(parentbased_samplers_do_what_the_parent_did),
        cmocka_unit_test(parentbased_samplers_without_a_parent_do_as_their_name_says),
        cmocka_unit_test(a_ratio_keeps_the_trace_ids_below_it),
        cmocka_unit_test(a_ratio_keeps_about_so_many_traces),
        cmocka_unit_test(a_trace_starts_sampled_as_the_sampler_says),
        cmocka_unit_test(nothing_is_wanted_when_nothing_is_exported),
        cmocka_unit_test(the_current_span_is_that_of_the_log_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
