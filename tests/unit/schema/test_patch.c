/* Merge patches (RFC 7396) on structs. */
#include "unit.h"

static const char ORDER[] =
    "{\"customer\": \"Ada\", \"note\": \"Ring twice.\", \"priority\": 9, \"gift\": true,"
    " \"account_id\": \"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\", \"extra\": {\"a\": 1, \"b\": {\"c\":"
    " [1], \"d\": null}}, \"home\": {\"street\": \"Main Street 1\", \"line2\": \"x\", \"floor\": 3},"
    " \"lines\": [{\"sku\": \"BOLT-M8\", \"quantity\": 2}], \"tags\": [\"a\"]}";

static struct order_new order(tn_arena *arena)
{
    struct order_new made;
    tn__faults faults;
    assert_int_equal(tn__decode_json(arena, &order_new_schema, tn_str_of(ORDER), &made, &faults),
        TN__DECODED);
    return made;
}

static tn_str text_of(tn_arena *arena, const tn_schema *schema, const void *at)
{
    tn__buf out = { .arena = arena };
    tn__encode_json(&out, schema, at);
    return tn__buf_str(&out);
}

static tn__patch *patch_of(tn_arena *arena, const char *text)
{
    tn__patch *patch;
    tn__faults faults;
    if (tn__decode_patch(arena, &order_new_schema, tn_str_of(text), &patch, &faults) != TN__DECODED)
        fail_msg("%.*s", TN_FMT(faults_text(arena, &faults)));
    assert_non_null(patch);
    return patch;
}

static struct order_new patched(tn_arena *arena, const char *text)
{
    struct order_new target = order(arena);
    tn__faults faults;
    if (!tn__patch_apply(arena, patch_of(arena, text), &target, &faults))
        fail_msg("%.*s", TN_FMT(faults_text(arena, &faults)));
    assert_int_equal(faults.n, 0);
    return target;
}

static void refused(tn_arena *arena, tn_str text, tn__decoded how, const char *told)
{
    tn__patch *patch;
    tn__faults faults;
    assert_int_equal(tn__decode_patch(arena, &order_new_schema, text, &patch, &faults), how);
    assert_str(faults_text(arena, &faults), told);
}

static void an_empty_patch_changes_nothing(void **state)
{
    struct order_new before = order(*state), after = patched(*state, "{}");
    assert_true(tn_str_eq(text_of(*state, &order_new_schema, &after),
        text_of(*state, &order_new_schema, &before)));
}

static void what_is_named_is_replaced_and_the_rest_stays(void **state)
{
    struct order_new after = patched(*state,
        "{\"customer\": \"Bob\", \"priority\": 1, \"preferred\": \"pickup\", \"how\": \"standard\","
        " \"weight_kg\": 3, \"deliver_at\": \"2026-02-01T08:00:00Z\"}");
    assert_str(after.customer, "Bob");
    assert_int_equal(after.priority, 1);
    assert_int_equal(*after.preferred, PICKUP);
    assert_int_equal(after.how, STANDARD);
    assert_true(after.weight_kg == 3);
    assert_str(tn_time_str(*state, *after.deliver_at), "2026-02-01T08:00:00.000000Z");
    assert_str(*after.note, "Ring twice.");
    assert_true(after.gift);
}

static void null_removes_or_gives_the_fallback(void **state)
{
    struct order_new after = patched(*state,
        "{\"note\": null, \"priority\": null, \"tags\": null, \"labels\": null,"
        " \"gift\": null, \"billing\": null, \"home\": {\"line2\": null}}");
    assert_null(after.note);
    assert_int_equal(after.priority, 5);
    assert_int_equal(after.tags.n, 0);
    assert_null(after.labels);
    assert_false(after.gift);
    assert_null(after.billing);
    assert_null(after.home.line2);
    assert_int_equal(*after.home.floor, 3);
}

static void arrays_are_replaced_whole(void **state)
{
    struct order_new after = patched(*state,
        "{\"lines\": [{\"sku\": \"NUT\", \"quantity\": 7}], \"tags\": [\"x\", \"y\"]}");
    assert_int_equal(after.lines.n, 1);
    assert_str(after.lines.at[0].sku, "NUT");
    assert_int_equal(after.tags.n, 2);
}

static void objects_are_merged(void **state)
{
    struct order_new after = patched(*state, "{\"home\": {\"street\": \"Side Street 2\"}}");
    assert_str(after.home.street, "Side Street 2");
    assert_str(*after.home.line2, "x");
    assert_int_equal(*after.home.floor, 3);
}

static void an_object_that_was_absent_is_made(void **state)
{
    struct order_new after = patched(*state,
        "{\"billing\": {\"street\": \"There\", \"line2\": null}}");
    assert_str(after.billing->street, "There");
    assert_str(after.billing->country, "DE"); /* the fallback of what the patch leaves out */
    assert_null(after.billing->line2);
    assert_null(after.billing->floor);
}

static void an_object_that_is_pointed_to_is_not_changed_in_place(void **state)
{
    struct order_new target = patched(*state, "{\"billing\": {\"street\": \"There\"}}");
    const struct address *before = target.billing;
    tn__faults faults;
    assert_true(tn__patch_apply(*state, patch_of(*state, "{\"billing\": {\"floor\": 1}}"), &target,
        &faults));
    assert_ptr_not_equal(before, target.billing);
    assert_null(before->floor);
    assert_int_equal(*target.billing->floor, 1);
    assert_str(target.billing->street, "There");
}

static void making_an_object_needs_what_it_requires(void **state)
{
    struct order_new target = order(*state);
    tn_str before = text_of(*state, &order_new_schema, &target);
    tn__faults faults;
    tn__patch *patch = patch_of(*state, "{\"customer\": \"Bob\", \"billing\": {\"floor\": 1}}");
    assert_false(tn__patch_apply(*state, patch, &target, &faults));
    assert_str(faults_text(*state, &faults),
        "/billing/street: must be a string of 1 to 80 characters, but is missing");
    tn_str after = text_of(*state, &order_new_schema, &target);
    assert_true(tn_str_eq(before, after)); /* all or nothing */
}

struct inner {
    int64_t a;
    int64_t b;
};
static const tn_schema inner_schema = TN_SCHEMA(inner, TN_INT(inner, a),
    TN_INT(inner, b, TN_FALLBACK(7)));
struct middle {
    struct inner in;
    const struct inner *maybe;
    tn_json any;
};
static const tn_schema middle_schema = TN_SCHEMA(middle, TN_OBJECT(middle, in, inner),
    TN_OBJECT(middle, maybe, inner), TN_JSON(middle, any));
struct outer {
    const struct middle *m;
};
static const tn_schema outer_schema = TN_SCHEMA(outer, TN_OBJECT(outer, m, middle));

static void objects_are_made_at_every_depth(void **state)
{
    tn__patch *patch;
    tn__faults faults;
    struct outer outer = { 0 };
    tn_str lacking = TN_S("{\"m\": {\"in\": {\"b\": 1}, \"maybe\": {}}}");
    assert_int_equal(tn__decode_patch(*state, &outer_schema, lacking, &patch, &faults),
        TN__DECODED);
    assert_false(tn__patch_apply(*state, patch, &outer, &faults));
    assert_str(faults_text(*state, &faults),
        "/m/in/a: must be an integer, but is missing\n"
        "/m/maybe/a: must be an integer, but is missing\n"
        "/m/any: must be a JSON value, but is missing");
    assert_null(outer.m);
    tn_str fine = TN_S(
        "{\"m\": {\"in\": {\"a\": 1}, \"maybe\": {\"a\": 2}, \"any\": {\"x\": null}}}");
    assert_int_equal(tn__decode_patch(*state, &outer_schema, fine, &patch, &faults), TN__DECODED);
    assert_true(tn__patch_apply(*state, patch, &outer, &faults));
    assert_str(text_of(*state, &outer_schema, &outer),
        "{\"m\":{\"in\":{\"a\":1,\"b\":7},\"maybe\":{\"a\":2,\"b\":7},\"any\":{}}}");
}

/* ---- JSON values ------------------------------------------------------------- */

static void json_values_are_merged_as_the_rfc_has_it(void **state)
{
    struct order_new after = patched(*state,
        "{\"extra\": {\"a\": null, \"b\": {\"c\": [2, null], \"e\": {\"f\": null}}, \"g\": 1.5}}");
    assert_str(after.extra.text, "{\"b\":{\"c\":[2,null],\"d\":null,\"e\":{}},\"g\":1.5}");
    after = patched(*state, "{\"extra\": [null]}");
    assert_str(after.extra.text, "[null]");
    after = patched(*state, "{\"labels\": {\"x\": {\"y\": null, \"z\": 1}}}");
    assert_str(after.labels->text, "{\"x\":{\"z\":1}}");
}

/* RFC 7396, appendix A, as far as a patch of a member goes: target, patch, result. */
static void the_examples_of_the_rfc_hold(void **state)
{
    static const char *const rows[][3] = {
        { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
        { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
        { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
        { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
        { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
        { "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
        { "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
        { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
        { "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
        { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct order_new target = order(*state);
        target.extra.text = tn_str_of(rows[i][0]);
        tn_str text = tn_printf(*state, "{\"extra\": %s}", rows[i][1]);
        tn__faults faults;
        assert_true(tn__patch_apply(*state, patch_of(*state, text.data), &target, &faults));
        assert_str(target.extra.text, rows[i][2]);
    }
}

static void a_stored_value_that_cannot_be_read_is_not_lost(void **state)
{
    struct order_new target = order(*state);
    target.extra.text = TN_S("{\"big\": 123456789012345678901234567890}");
    tn__faults faults;
    assert_false(
        tn__patch_apply(*state, patch_of(*state, "{\"extra\": {\"a\": 1}}"), &target, &faults));
    assert_int_equal(faults.n, 1);
    assert_str(faults.at[0].pointer, "/extra");
    assert_str(target.extra.text, "{\"big\": 123456789012345678901234567890}");
    assert_true(tn__patch_apply(*state, patch_of(*state, "{\"extra\": 1}"), &target, &faults));
    assert_str(target.extra.text, "1");
}

/* ---- Faults ------------------------------------------------------------------- */

static void every_member_is_checked_before_there_is_a_patch(void **state)
{
    refused(*state,
        TN_S("{\"customer\": null, \"priority\": 10, \"home\": null, \"extra\": null,"
             " \"billing\": {\"street\": \"\", \"zip\": 1, \"floor\": null}, \"lines\": [],"
             " \"tags\": [null], \"x\": 1, \"home\": 5}"),
        TN__SYNTAX, ": line 1, column 159: a member is named twice near '\"home\"'");
    refused(*state,
        TN_S("{\"customer\": null, \"priority\": 10, \"home\": null, \"extra\": null,"
             " \"billing\": {\"street\": \"\", \"zip\": 1, \"floor\": null}, \"lines\": [],"
             " \"tags\": [null], \"x\": 1}"),
        TN__INVALID,
        "/customer: must be a string of 1 to 20 characters, found null\n"
        "/priority: must be an integer from 0 to 9, found 10\n"
        "/home: must be an object, found null\n"
        "/extra: must be a JSON value, found null\n"
        "/billing/street: must be a string of 1 to 80 characters, found \"\"\n"
        "/billing/zip: is unknown; known are street, line2, country, floor\n"
        "/lines: must be an array of 1 to 3 items, found an array of 0 items\n"
        "/tags/0: must be a string of 1 to 10 characters, found null\n"
        "/x: is unknown; known are customer, note, priority, weight_kg, gift, how, preferred, "
        "account_id, deliver_at, extra, labels, home, billing, lines, tags, currency");
}

static void a_patch_must_be_an_object(void **state)
{
    refused(*state, TN_S("[1]"), TN__INVALID, ": must be an object, found an array of 1 item");
    refused(*state, TN_S("null"), TN__INVALID, ": must be an object, found null");
    refused(*state, TN_S(""), TN__SYNTAX, ": line 1, column 1: the text is empty");
}

static void an_open_schema_ignores_what_it_does_not_know(void **state)
{
    struct stock_moved moved = { .source_service = TN_S("a") };
    tn__patch *patch;
    tn__faults faults;
    tn_str text = TN_S("{\"x\": null, \"source_service\": \"b\"}");
    assert_int_equal(tn__decode_patch(*state, &stock_moved_schema, text, &patch, &faults),
        TN__DECODED);
    assert_true(tn__patch_apply(*state, patch, &moved, &faults));
    assert_str(moved.source_service, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_patch_changes_nothing),
        CASE(what_is_named_is_replaced_and_the_rest_stays),
        CASE(null_removes_or_gives_the_fallback),
        CASE(arrays_are_replaced_whole),
        CASE(objects_are_merged),
        CASE(an_object_that_was_absent_is_made),
        CASE(an_object_that_is_pointed_to_is_not_changed_in_place),
        CASE(making_an_object_needs_what_it_requires),
        CASE(objects_are_made_at_every_depth),
        CASE(json_values_are_merged_as_the_rfc_has_it),
        CASE(the_examples_of_the_rfc_hold),
        CASE(a_stored_value_that_cannot_be_read_is_not_lost),
        CASE(every_member_is_checked_before_there_is_a_patch),
        CASE(a_patch_must_be_an_object),
        CASE(an_open_schema_ignores_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
