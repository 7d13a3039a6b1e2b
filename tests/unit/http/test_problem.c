/* The text of problems and of the pages about them. */
#include "unit/base/unit.h"

#include "http/problem.h"

#include <jansson.h>

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

static const char *text(void)
{
    tn__buf_add_char(&out, '\0');
    return out.data;
}

static void problem_has_its_members(void **state)
{
    (void)state;
    tn__problem problem = tn__problem_of(TN__NOT_FOUND, TN_S("Nothing is at this path."));
    problem.instance = TN_S("/x");
    problem.request_id = TN_S("r1");
    tn__problem_write(&out, &problem);
    assert_string_equal(text(),
        "{\"type\":\"/problems/not-found\",\"title\":\"There is no such resource.\",\"status\":404,"
        "\"detail\":\"Nothing is at this path.\",\"instance\":\"/x\",\"request_id\":\"r1\"}");
}

static void problem_without_a_path_has_no_instance(void **state)
{
    (void)state;
    tn__problem problem = tn__problem_of(TN__REQUEST_TIMEOUT, TN_S("Late."));
    tn__problem_write(&out, &problem);
    assert_null(strstr(text(), "instance"));
}

static void faults_tell_their_places(void **state)
{
    (void)state;
    tn__faults body = { .at = { { TN_S("/a"), TN_S("x") }, { TN_S(""), TN_S("y") } }, .n = 2 };
    tn__faults query = { .at = { { TN_S("limit"), TN_S("z") } }, .n = 1 };
    tn__faults path = { .n = 0 };
    tn__problem problem = tn__problem_of(TN__VALIDATION, TN_S("3 values are not valid."));
    problem.faults[TN__IN_BODY] = &body;
    problem.faults[TN__IN_QUERY] = &query;
    problem.faults[TN__IN_PATH] = &path;
    tn__problem_write(&out, &problem);
    assert_non_null(strstr(text(),
        "\"errors\":[{\"pointer\":\"/a\",\"detail\":\"x\"},{\"pointer\":\"\",\"detail\":\"y\"},"
        "{\"parameter\":\"limit\",\"in\":\"query\",\"detail\":\"z\"}]}"));
}

static void hostile_text_stays_text(void **state)
{
    (void)state;
    tn__problem problem = tn__problem_of(TN__NOT_FOUND, TN_S("\"},\n\x01\xff{\""));
    problem.instance = TN_S("/\"\\\xed\xa0\x80");
    tn__problem_write(&out, &problem);
    json_error_t error;
    json_t *read = json_loads(text(), JSON_REJECT_DUPLICATES, &error);
    assert_non_null(read);
    assert_int_equal(json_object_size(read), 6);
    json_decref(read);
}

static void every_type_has_a_status_a_title_and_a_page(void **state)
{
    (void)state;
    for (int i = 0; i < TN__SLUGS; i++) {
        const tn__problem_type *type = &tn__problem_types[i];
        assert_in_range(type->status, 400, 599);
        assert_true(strlen(type->slug) > 0 && strlen(type->title) > 0 && strlen(type->meaning) > 0);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(type->slug, tn__problem_types[k].slug);
        out.len = 0;
        tn__problem_page(&out, type, true);
        assert_non_null(strstr(text(), type->slug));
        out.len = 0;
        tn__problem_page(&out, type, false);
        json_t *read = json_loads(text(), 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(read, "status")), type->status);
        json_decref(read);
    }
}

static void html_is_escaped(void **state)
{
    (void)state;
    tn__html(&out, TN_S("<a href='x'>\"&\"</a>"));
    assert_string_equal(text(), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
}

#define PROBLEM_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_buf, close_buf)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBLEM_TEST(problem_has_its_members),
        PROBLEM_TEST(problem_without_a_path_has_no_instance),
        PROBLEM_TEST(faults_tell_their_places),
        PROBLEM_TEST(hostile_text_stays_text),
        PROBLEM_TEST(every_type_has_a_status_a_title_and_a_page),
        PROBLEM_TEST(html_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
