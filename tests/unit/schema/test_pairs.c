/* Structs from named texts. */
#include "unit.h"

#define PAIR(n, v)                                                                                 \
    {                                                                                              \
        TN_S(n), TN_S(v)                                                                           \
    }

static bool decode(tn_arena *arena, const tn_schema *schema, const tn__pair *pairs, size_t n,
    void *out, tn__faults *faults)
{
    return tn__decode_pairs(arena, schema, pairs, n, out, faults);
}

static void every_kind_with_one_text_is_read(void **state)
{
    static const tn__pair pairs[] = { PAIR("how", "express"), PAIR("customer", " Ada é"),
        PAIR("priority", "9"), PAIR("weight_kg", "-1.5e1"), PAIR("gift", "true"),
        PAIR("account_id", "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a"),
        PAIR("since", "2026-02-01T09:00:00+01:00"), PAIR("page", "7") };
    struct order_query query;
    tn__faults faults;
    assert_true(decode(*state, &order_query_schema, pairs, 8, &query, &faults));
    assert_str(*query.customer, " Ada é");
    assert_int_equal(*query.priority, 9);
    assert_true(*query.weight_kg == -15);
    assert_true(*query.gift);
    assert_int_equal(*query.how, EXPRESS);
    assert_str(tn_uuid_str(*state, *query.account_id), "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a");
    assert_str(tn_time_str(*state, *query.since), "2026-02-01T08:00:00.000000Z");
    assert_int_equal(query.page, 7);
}

static void nothing_given_is_nothing_or_the_fallback(void **state)
{
    struct order_query query;
    tn__faults faults;
    assert_true(decode(*state, &order_query_schema, NULL, 0, &query, &faults));
    assert_null(query.customer);
    assert_null(query.how);
    assert_int_equal(query.page, 1);
}

static void every_fault_is_told_under_its_name(void **state)
{
    static const tn__pair pairs[] = { PAIR("customer", ""), PAIR("priority", "10"),
        PAIR("weight_kg", "1,5"), PAIR("gift", "TRUE"), PAIR("how", "fast"),
        PAIR("account_id", "{018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a}"), PAIR("since", "today"),
        PAIR("page", " 1"), PAIR("a/b~", "x"), PAIR("page", "1"), PAIR("", "x") };
    struct order_query query;
    tn__faults faults;
    assert_false(decode(*state, &order_query_schema, pairs, 11, &query, &faults));
    assert_str(faults_text(*state, &faults),
        "customer: must be a string of 1 to 20 characters, found \"\"\n"
        "priority: must be an integer from 0 to 9, found \"10\"\n"
        "weight_kg: must be a number, found \"1,5\"\n"
        "gift: must be true or false, found \"TRUE\"\n"
        "how: must be one of \"standard\", \"express\", \"pickup\", found \"fast\"\n"
        "account_id: must be a UUID such as 018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a, found "
        "\"{018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a}\"\n"
        "since: must be a time such as 2026-01-31T09:15:00Z (RFC 3339), found \"today\"\n"
        "page: must be an integer from 1 to 1000, found \" 1\"\n"
        "a/b~: is unknown; known are customer, priority, weight_kg, gift, how, account_id, since, "
        "page\n"
        "page: must be given once, found it again\n"
        ": is unknown; known are customer, priority, weight_kg, gift, how, account_id, since, page");
}

static void a_schema_of_no_fields_knows_none(void **state)
{
    static const tn_schema nothing = { .name = "nothing", .size = 1 };
    static const tn__pair pair = PAIR("a", "1");
    char unused;
    tn__faults faults;
    assert_true(decode(*state, &nothing, NULL, 0, &unused, &faults));
    assert_false(decode(*state, &nothing, &pair, 1, &unused, &faults));
    assert_str(faults_text(*state, &faults), "a: is unknown; none are known");
}

static void what_is_missing_is_told(void **state)
{
    struct order_path path;
    tn__faults faults;
    assert_false(decode(*state, &order_path_schema, NULL, 0, &path, &faults));
    assert_str(faults_text(*state, &faults),
        "id: must be a UUID such as 018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a, but is missing");
}

static void texts_that_no_string_can_hold_are_refused(void **state)
{
    static const tn__pair bad[] = { PAIR("customer", "\xFF"), PAIR("customer", "a\0b"),
        PAIR("customer", "\xC3") };
    for (size_t i = 0; i < 3; i++) {
        struct order_query query;
        tn__faults faults;
        assert_false(decode(*state, &order_query_schema, &bad[i], 1, &query, &faults));
        assert_int_equal(faults.n, 1);
    }
    struct order_query query;
    tn__faults faults;
    assert_false(decode(*state, &order_query_schema, &bad[1], 1, &query, &faults));
    assert_str(faults_text(*state, &faults),
        "customer: must be a string of 1 to 20 characters, found \"a?b\"");
    assert_false(decode(*state, &order_query_schema, &bad[0], 1, &query, &faults));
    assert_str(faults_text(*state, &faults),
        "customer: must be a string of 1 to 20 characters, found \"?\"");
}

static void an_open_schema_ignores_other_names(void **state)
{
    static const tn__pair pairs[] = { PAIR("x", "1"), PAIR("source_service", "s"),
        PAIR("timestamp", "2026-02-01T09:00:00Z"), PAIR("x", "2"),
        PAIR("id", "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a") };
    struct stock_moved moved;
    tn__faults faults;
    assert_true(decode(*state, &stock_moved_schema, pairs, 5, &moved, &faults));
    assert_str(moved.source_service, "s");
}

static void values_that_are_not_one_text_are_read_as_json(void **state)
{
    static const tn__pair pairs[] = { PAIR("customer", "Ada"),
        PAIR("account_id", "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a"), PAIR("extra", " [1, 2] "),
        PAIR("home", "{\"street\": \"s\"}"),
        PAIR("lines", "[{\"sku\": \"BOLT\", \"quantity\": 1}]"), PAIR("tags", "[\"a\"]") };
    struct order_new order;
    tn__faults faults;
    assert_true(decode(*state, &order_new_schema, pairs, 6, &order, &faults));
    assert_str(order.extra.text, "[1,2]");
    assert_str(order.home.street, "s");
    assert_int_equal(order.lines.at[0].quantity, 1);
    assert_str(order.tags.at[0], "a");
    static const tn__pair bad[] = { PAIR("extra", "{"), PAIR("home", "[]") };
    assert_false(decode(*state, &order_new_schema, bad, 2, &order, &faults));
    assert_str(faults.at[0].detail,
        "must be JSON: line 1, column 1: the text ends too early: string or '}' expected near end "
        "of file");
    assert_str(faults.at[1].detail, "must be an object, found an array of 0 items");
}

static void long_names_and_values_are_cut(void **state)
{
    char many[5000];
    memset(many, 'x', sizeof many);
    tn__pair pairs[] = { { { many, sizeof many }, TN_S("1") },
        { TN_S("customer"), { many, sizeof many } } };
    struct order_query query;
    tn__faults faults;
    assert_false(decode(*state, &order_query_schema, pairs, 2, &query, &faults));
    assert_int_equal(faults.n, 2);
    assert_true(faults.at[0].pointer.len < 100);
    assert_true(faults.at[1].detail.len < 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_kind_with_one_text_is_read),
        CASE(nothing_given_is_nothing_or_the_fallback),
        CASE(every_fault_is_told_under_its_name),
        CASE(a_schema_of_no_fields_knows_none),
        CASE(what_is_missing_is_told),
        CASE(texts_that_no_string_can_hold_are_refused),
        CASE(an_open_schema_ignores_other_names),
        CASE(values_that_are_not_one_text_are_read_as_json),
        CASE(long_names_and_values_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
