/* Accept and Content-Type. */
#include "unit/base/unit.h"

#include "http/negotiate.h"

static int json(const char *accept)
{
    return tn__accept_quality(tn_str_of(accept), TN_S("application"), TN_S("json"));
}

static void client_that_says_nothing_takes_all(void **state)
{
    (void)state;
    assert_int_equal(json(NULL), 1000);
    assert_int_equal(json(""), 1000);
    assert_int_equal(json(" , ,"), 1000);
}

static void header_without_a_valid_range_takes_all(void **state)
{
    (void)state;
    static const char *const broken[] = { "json", "/", "application/", "/json", "a b/c", "\"a/b\"",
        "application/json/x" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(json(broken[i]), 1000);
}

static void ranges_cover_what_they_name(void **state)
{
    (void)state;
    assert_int_equal(json("application/json"), 1000);
    assert_int_equal(json("APPLICATION/Json"), 1000);
    assert_int_equal(json("application/*"), 1000);
    assert_int_equal(json("*/*"), 1000);
    assert_int_equal(json("text/html, */*;q=0.8"), 800);
    assert_int_equal(json("text/html"), 0);
    assert_int_equal(json("*/json"), 0);
    assert_int_equal(json("application/jsonx"), 0);
}

static void most_specific_range_decides(void **state)
{
    (void)state;
    assert_int_equal(json("*/*, application/json;q=0"), 0);
    assert_int_equal(json("application/json;q=0.3, application/*;q=0.9, */*"), 300);
    assert_int_equal(json("application/*;q=0, */*"), 0);
}

static void weight_is_read_in_thousandths(void **state)
{
    (void)state;
    assert_int_equal(json("application/json;q=0.123"), 123);
    assert_int_equal(json("application/json; q=0.5"), 500);
    assert_int_equal(json("application/json ; Q=1.000"), 1000);
    assert_int_equal(json("application/json;charset=utf-8;q=0.2"), 200);
    assert_int_equal(json("application/json;q=0."), 0);
}

static void broken_weight_counts_as_none(void **state)
{
    (void)state;
    static const char *const broken[] = { "", "2", "1.5", "1.001", "0.1234", "-1", ".5", "x" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char accept[64];
        snprintf(accept, sizeof accept, "application/json;q=%s", broken[i]);
        assert_int_equal(json(accept), 1000);
    }
}

static void problem_alone_is_json_enough(void **state)
{
    (void)state;
    assert_true(tn__accepts_json(TN_S("application/problem+json")));
    assert_true(tn__accepts_json(TN_S("text/html, application/json;q=0.1")));
    assert_false(tn__accepts_json(TN_S("text/html")));
}

static void json_is_known_by_any_spelling(void **state)
{
    (void)state;
    static const char *const good[] = { "application/json", "Application/JSON",
        "application/json; charset=utf-8", "application/json;charset=UTF-8",
        "application/json ; charset=\"utf-8\"", "application/json;" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(tn__content_is_json(tn_str_of(good[i]), false));
}

static void other_content_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { NULL, "", "json", "text/json", "application/xml",
        "application/json; charset=latin-1", "application/json; profile=x", "application/json, x/y",
        "application/json; charset", "application/merge-patch+json", "application /json" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(tn__content_is_json(tn_str_of(bad[i]), false));
}

static void merge_patch_is_content_where_it_is_expected(void **state)
{
    (void)state;
    assert_true(tn__content_is_json(TN_S("application/merge-patch+json"), true));
    assert_true(tn__content_is_json(TN_S("application/json"), true));
    assert_false(tn__content_is_json(TN_S("application/json-patch+json"), true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_that_says_nothing_takes_all),
        cmocka_unit_test(header_without_a_valid_range_takes_all),
        cmocka_unit_test(ranges_cover_what_they_name),
        cmocka_unit_test(most_specific_range_decides),
        cmocka_unit_test(weight_is_read_in_thousandths),
        cmocka_unit_test(broken_weight_counts_as_none),
        cmocka_unit_test(problem_alone_is_json_enough),
        cmocka_unit_test(json_is_known_by_any_spelling),
        cmocka_unit_test(other_content_is_refused),
        cmocka_unit_test(merge_patch_is_content_where_it_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
