/* Entity tags, If-Match and If-None-Match. */
#include "unit/base/unit.h"

#include "http/conditional.h"

#define TAG TN_S("\"3\"")
static const tn_str absent = { NULL, 0 };

static void tag_is_the_version_in_quotes(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(256);
    assert_str(tn__etag_of(arena, 3), "\"3\"");
    assert_str(tn__etag_of(arena, INT64_MIN), "\"-9223372036854775808\"");
    tn__arena_close(arena);
}

static void listed_tag_matches(void **state)
{
    (void)state;
    static const char *const fields[] = { "\"3\"", "*", "\"1\", \"3\"", "\"1\",\"3\",\"5\"",
        "\"a,b\" , \"3\"" };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        assert_true(tn__etag_listed(tn_str_of(fields[i]), TAG, TN__STRONG));
}

static void other_tags_and_rubbish_match_nothing(void **state)
{
    (void)state;
    static const char *const fields[] = { "", "3", "\"33\"", "\"3", "3\"", "\"a,3\"", "'3'", "*, *",
        "\"03\"", "w/\"3\"", "\"3\"x" };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        assert_false(tn__etag_listed(tn_str_of(fields[i]), TAG, TN__WEAK));
}

static void weak_tag_matches_only_weakly(void **state)
{
    (void)state;
    assert_true(tn__etag_listed(TN_S("W/\"3\""), TAG, TN__WEAK));
    assert_false(tn__etag_listed(TN_S("W/\"3\""), TAG, TN__STRONG));
}

static void request_without_conditions_goes_on(void **state)
{
    (void)state;
    assert_int_equal(tn__condition_of(absent, absent, TAG, true), TN__GO_ON);
    assert_int_equal(tn__condition_of(absent, absent, TAG, false), TN__GO_ON);
}

static void reader_who_has_it_is_told_so(void **state)
{
    (void)state;
    assert_int_equal(tn__condition_of(absent, TAG, TAG, true), TN__NOT_MODIFIED);
    assert_int_equal(tn__condition_of(absent, TN_S("\"2\""), TAG, true), TN__GO_ON);
}

static void writer_of_another_version_is_stopped(void **state)
{
    (void)state;
    assert_int_equal(tn__condition_of(TAG, absent, TAG, false), TN__GO_ON);
    assert_int_equal(tn__condition_of(TN_S("\"2\""), absent, TAG, false), TN__PRECONDITION_FAILED);
    assert_int_equal(tn__condition_of(TN_S("W/\"3\""), absent, TAG, false),
        TN__PRECONDITION_FAILED);
    assert_int_equal(tn__condition_of(TN_S(""), absent, TAG, false), TN__PRECONDITION_FAILED);
    assert_int_equal(tn__condition_of(absent, TN_S("*"), TAG, false), TN__PRECONDITION_FAILED);
}

static void if_match_goes_before_if_none_match(void **state)
{
    (void)state;
    assert_int_equal(tn__condition_of(TN_S("\"2\""), TAG, TAG, true), TN__PRECONDITION_FAILED);
    assert_int_equal(tn__condition_of(TAG, TAG, TAG, true), TN__NOT_MODIFIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tag_is_the_version_in_quotes),
        cmocka_unit_test(listed_tag_matches),
        cmocka_unit_test(other_tags_and_rubbish_match_nothing),
        cmocka_unit_test(weak_tag_matches_only_weakly),
        cmocka_unit_test(request_without_conditions_goes_on),
        cmocka_unit_test(reader_who_has_it_is_told_so),
        cmocka_unit_test(writer_of_another_version_is_stopped),
        cmocka_unit_test(if_match_goes_before_if_none_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
