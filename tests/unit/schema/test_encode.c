/* Structs as JSON, and single values as JSON or text. */
#include "unit.h"

static tn_str encoded(tn_arena *arena, const tn_schema *schema, const void *at)
{
    tn__buf out = { .arena = arena };
    tn__encode_json(&out, schema, at);
    return tn__buf_str(&out);
}

static void what_was_decoded_is_encoded_again(void **state)
{
    static const char text[] =
        "{\"customer\":\"Ada \\\"é\\\"\",\"note\":\"\",\"priority\":9,\"weight_kg\":2.25,"
        "\"gift\":true,\"how\":\"pickup\",\"preferred\":\"standard\","
        "\"account_id\":\"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\","
        "\"deliver_at\":\"2026-02-01T08:00:00.500000Z\",\"extra\":{\"a\":[1,2.5,null]},"
        "\"labels\":[],\"home\":{\"street\":\"Main Street 1\",\"line2\":\"\",\"country\":\"FR\","
        "\"floor\":-2},\"billing\":{\"street\":\"Elsewhere\",\"country\":\"DE\"},"
        "\"lines\":[{\"sku\":\"BOLT-M8\",\"quantity\":2},{\"sku\":\"NUT\",\"quantity\":3,"
        "\"discount\":0.5}],\"tags\":[\"a\",\"b\"],\"currency\":\"USD\"}";
    struct order_new order;
    tn__faults faults;
    assert_int_equal(tn__decode_json(*state, &order_new_schema, tn_str_of(text), &order, &faults),
        TN__DECODED);
    assert_str(encoded(*state, &order_new_schema, &order), text);
}

static void absent_members_are_left_out(void **state)
{
    struct address address = { .street = TN_S("s"), .country = TN_S("DE") };
    assert_str(encoded(*state, &address_schema, &address), "{\"street\":\"s\",\"country\":\"DE\"}");
}

struct lone {
    const tn_str *a;
};
static const tn_schema lone_schema = TN_SCHEMA(lone, TN_STR(lone, a));

static void an_object_of_absent_members_is_empty(void **state)
{
    struct lone lone = { NULL };
    assert_str(encoded(*state, &lone_schema, &lone), "{}");
}

/* A double beyond 64 bits must not look like an integer, which would be refused as too large. */
static void large_numbers_are_read_again(void **state)
{
    static const char *const texts[] = { "777777777777777777770.0", "9223372036854775808.0",
        "-9223372036854775809.5", "1e300", "999999999999999999.9" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tn_field field = { .name = "", .kind = TN_KIND_REAL };
        double v = 0, again = 0;
        tn__faults faults;
        tn_str text = tn_str_of(texts[i]);
        assert_int_equal(tn__decode_value(*state, &field, text, &v, &faults), TN__DECODED);
        tn__buf out = { .arena = *state };
        tn__encode_field(&out, &field, &v);
        assert_int_equal(tn__decode_value(*state, &field, tn__buf_str(&out), &again, &faults),
            TN__DECODED);
        assert_true(v == again);
    }
}

static void json_is_always_one_line(void **state)
{
    struct order_new order = { .extra = { TN_S("{\n  \"a\":\r\n 1,\t\"b\": \"\\n\"}") } };
    const tn_field *extra = tn__field_find(&order_new_schema, TN_S("extra"));
    tn__buf out = { .arena = *state };
    tn__encode_field(&out, extra, &order);
    assert_str(tn__buf_str(&out), "{   \"a\":   1,\t\"b\": \"\\n\"}");
}

/* ---- Single fields --------------------------------------------------------------- */

static tn_str text_of(tn_arena *arena, const char *name, const struct order_new *order)
{
    tn__buf out = { .arena = arena };
    tn__encode_text(&out, tn__field_find(&order_new_schema, tn_str_of(name)), order);
    return out.data == NULL ? TN_S("") : tn__buf_str(&out);
}

static tn_str json_of(tn_arena *arena, const char *name, const struct order_new *order)
{
    tn__buf out = { .arena = arena };
    tn__encode_field(&out, tn__field_find(&order_new_schema, tn_str_of(name)), order);
    return tn__buf_str(&out);
}

static void values_are_written_bare_or_as_json(void **state)
{
    static const tn_time at = { 1769850900123456 };
    static const tn_str note = { "a\"b", 3 };
    struct order_new order = { .note = &note,
        .priority = -7,
        .weight_kg = 0.1,
        .gift = true,
        .how = PICKUP,
        .deliver_at = &at };
    assert_true(tn__uuid_parse(TN_S("018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a"), &order.account_id));
    static const char *const rows[][3] = {
        { "note", "a\"b", "\"a\\\"b\"" },
        { "priority", "-7", "-7" },
        { "weight_kg", "0.1", "0.1" },
        { "gift", "true", "true" },
        { "how", "pickup", "\"pickup\"" },
        { "deliver_at", "2026-01-31T09:15:00.123456Z", "\"2026-01-31T09:15:00.123456Z\"" },
        { "account_id", "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a",
            "\"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\"" },
        { "preferred", "", "null" },
        { "lines", "[]", "[]" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_str(text_of(*state, rows[i][0], &order), rows[i][1]);
        assert_str(json_of(*state, rows[i][0], &order), rows[i][2]);
    }
}

static void fields_are_found_by_their_whole_name(void **state)
{
    (void)state;
    assert_ptr_equal(tn__field_find(&order_new_schema, TN_S("customer")),
        &order_new_schema.fields[0]);
    assert_ptr_equal(tn__field_find(&order_new_schema, TN_S("currency")),
        &order_new_schema.fields[15]);
    assert_null(tn__field_find(&order_new_schema, TN_S("custom")));
    assert_null(tn__field_find(&order_new_schema, TN_S("customers")));
    assert_null(tn__field_find(&order_new_schema, TN_S("")));
    assert_null(tn__field_find(&order_new_schema, TN_S("customer\0")));
}

static void the_value_of_a_field_is_where_it_lies_or_what_it_points_to(void **state)
{
    (void)state;
    static const int64_t floor = 3;
    struct address address = { .floor = &floor };
    const tn_field *fields = address_schema.fields;
    assert_ptr_equal(tn__field_value(&fields[0], &address), &address.street);
    assert_null(tn__field_value(&fields[1], &address));
    assert_ptr_equal(tn__field_value(&fields[3], &address), &floor);
}

static void sizes_of_kinds_are_those_of_their_types(void **state)
{
    (void)state;
    const tn_field *fields = order_new_schema.fields;
    static const size_t sizes[] = { sizeof(tn_str), sizeof(tn_str), sizeof(int64_t), sizeof(double),
        sizeof(bool), sizeof(delivery), sizeof(delivery), sizeof(tn_uuid), sizeof(tn_time),
        sizeof(tn_json), sizeof(tn_json), sizeof(struct address), sizeof(struct address),
        sizeof(((struct order_new *)0)->lines), sizeof(((struct order_new *)0)->tags),
        sizeof(tn_str) };
    assert_int_equal(order_new_schema.n_fields, sizeof sizes / sizeof *sizes);
    for (size_t i = 0; i < order_new_schema.n_fields; i++)
        assert_int_equal(tn__kind_size(&fields[i]), sizes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_decoded_is_encoded_again),
        CASE(absent_members_are_left_out),
        CASE(an_object_of_absent_members_is_empty),
        CASE(large_numbers_are_read_again),
        CASE(json_is_always_one_line),
        CASE(values_are_written_bare_or_as_json),
        CASE(fields_are_found_by_their_whole_name),
        CASE(the_value_of_a_field_is_where_it_lies_or_what_it_points_to),
        CASE(sizes_of_kinds_are_those_of_their_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
