/* Structs from JSON: values arrive as they are, and every fault is told with its place, what was
 * found and what is allowed. */
#include "unit.h"

#include <math.h>

static const char WHOLE[] =
    "{\"customer\": \"Ada\", \"note\": \"Ring twice.\", \"priority\": 9, \"weight_kg\": 2.25,"
    " \"gift\": true, \"how\": \"pickup\", \"preferred\": \"standard\","
    " \"account_id\": \"018F4E5C-7c3a-7d2e-9b1a-3f5d7c9e1b2a\","
    " \"deliver_at\": \"2026-02-01T09:00:00.5+01:00\", \"extra\": {\"a\": [1, 2.50, null, \"\\n\"]},"
    " \"labels\": [], \"home\": {\"street\": \"Main Street 1\", \"line2\": \"\", \"country\": \"FR\","
    " \"floor\": -2}, \"billing\": {\"street\": \"Elsewhere\"},"
    " \"lines\": [{\"sku\": \"BOLT-M8\", \"quantity\": 2}, {\"sku\": \"NUT\", \"quantity\": 3,"
    " \"discount\": 0.5}], \"tags\": [\"a\", \"b\"], \"currency\": \"USD\"}";

static const char LEAST[] =
    "{\"customer\": \"Ada\", \"account_id\": \"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\","
    " \"extra\": null, \"home\": {\"street\": \"Main Street 1\"},"
    " \"lines\": [{\"sku\": \"BOLT-M8\", \"quantity\": 2}]}";

static void decoded(tn_arena *arena, const char *text, struct order_new *order)
{
    tn__faults faults;
    if (tn__decode_json(arena, &order_new_schema, tn_str_of(text), order, &faults) != TN__DECODED)
        fail_msg("%.*s", TN_FMT(faults_text(arena, &faults)));
    assert_int_equal(faults.n, 0);
    assert_int_equal(faults.more, 0);
}

static void every_kind_is_read(void **state)
{
    struct order_new order;
    decoded(*state, WHOLE, &order);
    assert_str(order.customer, "Ada");
    assert_str(*order.note, "Ring twice.");
    assert_int_equal(order.priority, 9);
    assert_true(order.weight_kg == 2.25);
    assert_true(order.gift);
    assert_int_equal(order.how, PICKUP);
    assert_int_equal(*order.preferred, STANDARD);
    assert_str(tn_uuid_str(*state, order.account_id), "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a");
    assert_str(tn_time_str(*state, *order.deliver_at), "2026-02-01T08:00:00.500000Z");
    assert_str(order.extra.text, "{\"a\":[1,2.5,null,\"\\n\"]}");
    assert_str(order.labels->text, "[]");
    assert_str(order.home.street, "Main Street 1");
    assert_str(*order.home.line2, "");
    assert_str(order.home.country, "FR");
    assert_int_equal(*order.home.floor, -2);
    assert_str(order.billing->street, "Elsewhere");
    assert_str(order.billing->country, "DE");
    assert_int_equal(order.lines.n, 2);
    assert_str(order.lines.at[0].sku, "BOLT-M8");
    assert_null(order.lines.at[0].discount);
    assert_int_equal(order.lines.at[1].quantity, 3);
    assert_true(*order.lines.at[1].discount == 0.5);
    assert_int_equal(order.tags.n, 2);
    assert_str(order.tags.at[1], "b");
    assert_str(order.currency, "USD");
}

static void what_is_absent_is_null_empty_or_the_fallback(void **state)
{
    struct order_new order;
    decoded(*state, LEAST, &order);
    assert_null(order.note);
    assert_int_equal(order.priority, 5);
    assert_true(order.weight_kg == 1.5);
    assert_false(order.gift);
    assert_int_equal(order.how, EXPRESS);
    assert_null(order.preferred);
    assert_null(order.deliver_at);
    assert_null(order.labels);
    assert_null(order.billing);
    assert_null(order.home.floor);
    assert_str(order.home.country, "DE");
    assert_int_equal(order.tags.n, 0);
    assert_str(order.currency, "EUR");
}

static void null_means_absent_where_a_member_may_be_absent(void **state)
{
    struct order_new order;
    decoded(*state,
        "{\"customer\": \"Ada\", \"account_id\": \"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\","
        " \"extra\": null, \"home\": {\"street\": \"s\", \"country\": null, \"floor\": null},"
        " \"lines\": [{\"sku\": \"BOLT-M8\", \"quantity\": 2, \"discount\": null}], \"note\": null,"
        " \"priority\": null, \"weight_kg\": null, \"gift\": null, \"how\": null,"
        " \"preferred\": null, \"deliver_at\": null, \"labels\": null, \"billing\": null,"
        " \"tags\": null, \"currency\": null}",
        &order);
    assert_null(order.note);
    assert_int_equal(order.priority, 5);
    assert_int_equal(order.how, EXPRESS);
    assert_null(order.preferred);
    assert_null(order.labels);
    assert_null(order.billing);
    assert_int_equal(order.tags.n, 0);
    assert_str(order.home.country, "DE");
    assert_str(order.extra.text, "null"); /* a required JSON value may be null itself */
}

static void strings_outlive_the_text(void **state)
{
    struct order_new order;
    tn_str text = tn_copy(*state, tn_str_of(LEAST));
    tn__faults faults;
    assert_int_equal(tn__decode_json(*state, &order_new_schema, text, &order, &faults),
        TN__DECODED);
    memset((char *)text.data, '#', text.len);
    struct order_new other;
    decoded(*state, WHOLE, &other);
    assert_str(order.customer, "Ada");
    assert_str(order.home.street, "Main Street 1");
    assert_str(order.lines.at[0].sku, "BOLT-M8");
}

static void members_may_come_in_any_order(void **state)
{
    struct address address;
    tn__faults faults;
    tn_str text = TN_S("{\"floor\": 3, \"country\": \"FR\", \"line2\": \"x\", \"street\": \"s\"}");
    assert_int_equal(tn__decode_json(*state, &address_schema, text, &address, &faults),
        TN__DECODED);
    assert_str(address.street, "s");
    assert_int_equal(*address.floor, 3);
}

/* ---- Faults --------------------------------------------------------------- */

static void invalid(tn_arena *arena, const tn_schema *schema, tn_str text, const char *told)
{
    void *out = tn_alloc(arena, schema->size);
    tn__faults faults;
    tn__decoded what = tn__decode_json(arena, schema, text, out, &faults);
    if (what != TN__INVALID)
        fail_msg("not invalid (%d): %.*s", (int)what, TN_FMT(text));
    assert_str(faults_text(arena, &faults), told);
}

static void decode_reports_every_fault_at_once(void **state)
{
    invalid(*state, &order_new_schema,
        TN_S(
            "{\"customer\": \"\", \"priority\": 10, \"weight_kg\": \"1\", \"gift\": 1,"
            " \"how\": \"fast\", \"account_id\": \"no\", \"deliver_at\": \"yesterday\","
            " \"home\": {\"country\": \"Germany\", \"city\": \"Bonn\"}, \"colour\": null,"
            " \"lines\": [{\"sku\": \"BOLT-M8\", \"quantity\": 0}, 5], \"tags\": [\"a\", \"\", 7]}"),
        "/customer: must be a string of 1 to 20 characters, found \"\"\n"
        "/priority: must be an integer from 0 to 9, found 10\n"
        "/weight_kg: must be a number from 0 to 31.5, found \"1\"\n"
        "/gift: must be true or false, found 1\n"
        "/how: must be one of \"standard\", \"express\", \"pickup\", found \"fast\"\n"
        "/account_id: must be a UUID such as 018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a, found \"no\"\n"
        "/deliver_at: must be a time such as 2026-01-31T09:15:00Z (RFC 3339), found "
        "\"yesterday\"\n"
        "/home/country: must be a string that matches ^[A-Z]{2}$, found \"Germany\"\n"
        "/home/city: is unknown; known are street, line2, country, floor\n"
        "/home/street: must be a string of 1 to 80 characters, but is missing\n"
        "/colour: is unknown; known are customer, note, priority, weight_kg, gift, how, preferred, "
        "account_id, deliver_at, extra, labels, home, billing, lines, tags, currency\n"
        "/lines/0/quantity: must be an integer from 1 to 1000, found 0\n"
        "/lines/1: must be an object, found 5\n"
        "/tags/1: must be a string of 1 to 10 characters, found \"\"\n"
        "/tags/2: must be a string of 1 to 10 characters, found 7\n"
        "/extra: must be a JSON value, but is missing");
}

static void null_is_a_fault_where_a_member_is_required(void **state)
{
    invalid(*state, &order_new_schema,
        TN_S("{\"customer\": null, \"account_id\": null, \"extra\": 1, \"home\": null,"
             " \"lines\": null, \"tags\": [null]}"),
        "/customer: must be a string of 1 to 20 characters, found null\n"
        "/account_id: must be a UUID such as 018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a, found null\n"
        "/home: must be an object, found null\n"
        "/lines: must be an array of 1 to 3 items, found null\n"
        "/tags/0: must be a string of 1 to 10 characters, found null");
}

static void the_whole_must_be_an_object(void **state)
{
    invalid(*state, &line_schema, TN_S("[]"), ": must be an object, found an array of 0 items");
    invalid(*state, &line_schema, TN_S(" null "), ": must be an object, found null");
    invalid(*state, &line_schema, TN_S("\"x\""), ": must be an object, found \"x\"");
}

static void arrays_are_counted(void **state)
{
    static const char line[] = "{\"sku\": \"BOLT-M8\", \"quantity\": 2}";
    tn_str text = tn_printf(*state,
        "{\"customer\": \"Ada\", \"account_id\": \"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\","
        " \"extra\": 1, \"home\": {\"street\": \"s\"}, \"lines\": [%s,%s,%s,%s]}",
        line, line, line, line);
    invalid(*state, &order_new_schema, text,
        "/lines: must be an array of 1 to 3 items, found an array of 4 items");
}

struct odd {
    int64_t whole;
    double real;
    tn_str few, exact, most, many, endless;
    int64_t least, top;
    double floor, ceiling;
    int only;
    TN_ARRAY_OF(int64_t) one;
};
static const tn_schema odd_schema = TN_SCHEMA(odd, TN_INT(odd, whole), TN_REAL(odd, real),
    TN_STR(odd, few, TN_LEN(0, 1)), TN_STR(odd, exact, TN_LEN(2, 2)), TN_STR(odd, most),
    TN_STR(odd, many, TN_LEN(3, INT64_MAX)), TN_STR(odd, endless, .pattern = "^a*$"),
    TN_INT(odd, least, TN_RANGE(3, INT64_MAX)), TN_INT(odd, top, TN_RANGE(INT64_MIN, -1)),
    TN_REAL(odd, floor, TN_RANGE(0.5, INFINITY)), TN_REAL(odd, ceiling, TN_RANGE(-INFINITY, 0.5)),
    TN_ENUM(odd, only, .names = TN_NAMES("this")),
    TN_ARRAY(odd, one, TN_COUNT(1, 1), .each = TN_EACH(TN_KIND_INT, num, .bounded = false)));

static void every_shape_of_a_rule_has_its_words(void **state)
{
    invalid(*state, &odd_schema,
        TN_S("{\"whole\": [], \"real\": {}, \"few\": \"ab\", \"exact\": \"a\", \"most\": 1,"
             " \"many\": \"ab\", \"endless\": \"b\", \"least\": 2, \"top\": 0, \"floor\": 0.25,"
             " \"ceiling\": 1e300, \"only\": \"that\", \"one\": [1, 2]}"),
        "/whole: must be an integer, found an array of 0 items\n"
        "/real: must be a number, found an object\n"
        "/few: must be a string of at most 1 character, found \"ab\"\n"
        "/exact: must be a string of 2 characters, found \"a\"\n"
        "/most: must be a string, found 1\n"
        "/many: must be a string of at least 3 characters, found \"ab\"\n"
        "/endless: must be a string of at most 1024 characters that matches ^a*$, found \"b\"\n"
        "/least: must be an integer of at least 3, found 2\n"
        "/top: must be an integer of at most -1, found 0\n"
        "/floor: must be a number of at least 0.5, found 0.25\n"
        "/ceiling: must be a number of at most 0.5, found 1e300\n"
        "/only: must be \"this\", found \"that\"\n"
        "/one: must be an array of 1 item, found an array of 2 items");
}

static void a_number_without_a_fraction_is_an_integer(void **state)
{
    static const char *const fine[][2] = { { "5", "5" }, { "5.0", "5" }, { "-0.0", "0" },
        { "5e2", "500" }, { "9007199254740992.0", "9007199254740992" } };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        int64_t v = 0;
        tn_field field = { .kind = TN_KIND_INT };
        tn__faults faults;
        assert_int_equal(tn__decode_value(*state, &field, tn_str_of(fine[i][0]), &v, &faults),
            TN__DECODED);
        assert_str(tn_printf(*state, "%lld", (long long)v), fine[i][1]);
    }
    static const char *const bad[] = { "5.5", "1e300", "9007199254740994.0", "\"5\"", "true" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v = 0;
        tn_field field = { .kind = TN_KIND_INT };
        tn__faults faults;
        assert_int_equal(tn__decode_value(*state, &field, tn_str_of(bad[i]), &v, &faults),
            TN__INVALID);
    }
}

static void an_integer_is_a_number_too(void **state)
{
    double v = 0;
    tn_field field = { .kind = TN_KIND_REAL };
    tn__faults faults;
    assert_int_equal(tn__decode_value(*state, &field, TN_S("9223372036854775807"), &v, &faults),
        TN__DECODED);
    assert_true(v == 9223372036854775807.0);
}

/* "-0" reads as the integer 0, so a sign would be lost at the second reading. */
static void zero_has_no_sign(void **state)
{
    static const char *const texts[] = { "-0", "-0.0", "-0e5", "0.0" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double v = 1;
        tn_json raw = { TN_S("") };
        tn__faults faults;
        tn_field real = { .kind = TN_KIND_REAL }, json = { .kind = TN_KIND_JSON };
        tn_str text = tn_str_of(texts[i]);
        assert_int_equal(tn__decode_value(*state, &real, text, &v, &faults), TN__DECODED);
        assert_true(v == 0 && !signbit(v));
        assert_int_equal(tn__decode_value(*state, &json, text, &raw, &faults), TN__DECODED);
        assert_str(raw.text, "0");
    }
}

static void lengths_count_characters(void **state)
{
    struct address address;
    tn__faults faults;
    tn__buf text = { .arena = *state };
    tn__buf_add_z(&text, "{\"street\": \"");
    for (int i = 0; i < 80; i++)
        tn__buf_add_z(&text, i % 2 == 0 ? "\U0001F600" : "é");
    size_t most = text.len;
    tn__buf_add_z(&text, "\"}");
    assert_int_equal(tn__decode_json(*state, &address_schema, tn__buf_str(&text), &address,
                         &faults),
        TN__DECODED);
    text.len = most;
    tn__buf_add_z(&text, "x\"}");
    assert_int_equal(tn__decode_json(*state, &address_schema, tn__buf_str(&text), &address,
                         &faults),
        TN__INVALID);
}

/* ---- What is shown of what was found ------------------------------------------ */

static void found_values_are_cut(void **state)
{
    tn_str text = TN_S("{\"sku\": \"0123456789012345678901234567890123456789\", \"quantity\": 1}");
    invalid(*state, &line_schema, text,
        "/sku: must be a string that matches ^[A-Z0-9-]{3,32}$, found "
        "\"0123456789012345678901234567890123456789\"");
    tn__buf more = { .arena = *state };
    tn__buf_add_z(&more, "{\"quantity\": 1, \"sku\": \"");
    for (int i = 0; i < 5000; i++)
        tn__buf_add_z(&more, "é");
    tn__buf_add_z(&more, "\"}");
    invalid(*state, &line_schema, tn__buf_str(&more),
        "/sku: must be a string that matches ^[A-Z0-9-]{3,32}$, found "
        "\"éééééééééééééééééééééééééééééééééééééééé…\" (5000 characters)");
}

static void found_values_stay_on_one_line(void **state)
{
    invalid(*state, &line_schema, TN_S("{\"sku\": \"a\\nb\\u007fc\\td\", \"quantity\": 1}"),
        "/sku: must be a string that matches ^[A-Z0-9-]{3,32}$, found \"a?b?c?d\"");
}

static void pointers_are_escaped_and_cut(void **state)
{
    invalid(*state, &line_schema,
        TN_S("{\"sku\": \"BOLT\", \"quantity\": 1, \"a/b~c\": 1, \"\": 2}"),
        "/a~1b~0c: is unknown; known are sku, quantity, discount\n"
        "/: is unknown; known are sku, quantity, discount");
    tn__buf text = { .arena = *state };
    tn__buf_add_z(&text, "{\"sku\": \"BOLT\", \"quantity\": 1, \"");
    for (int i = 0; i < 100000; i++)
        tn__buf_add_char(&text, 'k');
    tn__buf_add_z(&text, "\": 1}");
    invalid(*state, &line_schema, tn__buf_str(&text),
        "/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…: is unknown; known are "
        "sku, quantity, discount");
}

static void faults_beyond_the_limit_are_counted(void **state)
{
    tn__buf text = { .arena = *state };
    tn__buf_add_z(&text, "{\"sku\": \"BOLT\", \"quantity\": 1");
    for (int i = 0; i < 1000; i++)
        tn__buf_printf(&text, ", \"k%d\": 1", i);
    tn__buf_add_z(&text, "}");
    struct line line;
    tn__faults faults;
    assert_int_equal(tn__decode_json(*state, &line_schema, tn__buf_str(&text), &line, &faults),
        TN__INVALID);
    assert_int_equal(faults.n, TN__FAULTS_MAX);
    assert_int_equal(faults.more, 1000 - TN__FAULTS_MAX);
}

static void faults_start_anew_with_each_call(void **state)
{
    struct line line;
    tn__faults faults;
    memset(&faults, 0xFF, sizeof faults);
    assert_int_equal(tn__decode_json(*state, &line_schema, TN_S("{"), &line, &faults), TN__SYNTAX);
    assert_int_equal(faults.n, 1);
    tn_str fine = TN_S("{\"sku\": \"BOLT\", \"quantity\": 1}");
    assert_int_equal(tn__decode_json(*state, &line_schema, fine, &line, &faults), TN__DECODED);
    assert_int_equal(faults.n, 0);
    assert_int_equal(faults.more, 0);
}

/* ---- Open schemas, patterns ---------------------------------------------------- */

static void an_open_schema_ignores_what_it_does_not_know(void **state)
{
    struct stock_moved moved;
    tn__faults faults;
    tn_str text = TN_S("{\"id\": \"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\", \"data\": {\"a\": [1]},"
                       " \"timestamp\": \"2026-02-01T08:00:00Z\", \"source_service\": \"stock\"}");
    assert_int_equal(tn__decode_json(*state, &stock_moved_schema, text, &moved, &faults),
        TN__DECODED);
    assert_str(moved.source_service, "stock");
}

static void long_strings_never_reach_a_pattern(void **state)
{
    tn_field field = { .kind = TN_KIND_STR, .str = { .pattern = "^(a|b)*$" } };
    tn__faults faults;
    for (int len = 1023; len <= 1026; len++) {
        tn__buf text = { .arena = *state };
        tn__buf_add_char(&text, '"');
        for (int i = 0; i < len; i++)
            tn__buf_add_char(&text, 'a');
        tn__buf_add_char(&text, '"');
        tn_str value = { 0 };
        tn__decoded what = tn__decode_value(*state, &field, tn__buf_str(&text), &value, &faults);
        assert_int_equal(what, len <= 1024 ? TN__DECODED : TN__INVALID);
    }
}

static void a_value_of_any_kind_is_decoded_alone(void **state)
{
    static const tn_field each = { .kind = TN_KIND_INT };
    tn_field field = { .kind = TN_KIND_ARRAY, .array = { .each = &each } };
    TN_ARRAY_OF(int64_t) numbers = { 0 };
    tn__faults faults;
    assert_int_equal(tn__kind_size(&field), sizeof numbers);
    assert_int_equal(tn__decode_value(*state, &field, TN_S("[1,2,3]"), &numbers, &faults),
        TN__DECODED);
    assert_int_equal(numbers.n, 3);
    assert_int_equal(numbers.at[2], 3);
    assert_int_equal(tn__decode_value(*state, &field, TN_S("[1,[]]"), &numbers, &faults),
        TN__INVALID);
    assert_str(faults_text(*state, &faults), "/1: must be an integer, found an array of 0 items");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_kind_is_read),
        CASE(what_is_absent_is_null_empty_or_the_fallback),
        CASE(null_means_absent_where_a_member_may_be_absent),
        CASE(strings_outlive_the_text),
        CASE(members_may_come_in_any_order),
        CASE(decode_reports_every_fault_at_once),
        CASE(null_is_a_fault_where_a_member_is_required),
        CASE(the_whole_must_be_an_object),
        CASE(arrays_are_counted),
        CASE(every_shape_of_a_rule_has_its_words),
        CASE(a_number_without_a_fraction_is_an_integer),
        CASE(an_integer_is_a_number_too),
        CASE(zero_has_no_sign),
        CASE(lengths_count_characters),
        CASE(found_values_are_cut),
        CASE(found_values_stay_on_one_line),
        CASE(pointers_are_escaped_and_cut),
        CASE(faults_beyond_the_limit_are_counted),
        CASE(faults_start_anew_with_each_call),
        CASE(an_open_schema_ignores_what_it_does_not_know),
        CASE(long_strings_never_reach_a_pattern),
        CASE(a_value_of_any_kind_is_decoded_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
