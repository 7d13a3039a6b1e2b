/* JSON that isn't: each way is refused as syntax, with line and column. */
#include "unit.h"

#include "base/sanitizer.h"

#include <jansson.h>
#include <pthread.h>
#include <sys/mman.h>

struct any {
    tn_json v;
};
static const tn_schema any_schema = TN_SCHEMA(any, TN_JSON(any, v));

struct node {
    TN_ARRAY_OF(struct node) below;
};
static const tn_schema node_schema = TN_SCHEMA(node,
    TN_ARRAY(node, below, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &node_schema),
        .may_be_absent = true));

static tn__decoded decode_any(tn_arena *arena, tn_str text, struct any *any, tn__faults *faults)
{
    return tn__decode_json(arena, &any_schema, text, any, faults);
}

static void refused(tn_arena *arena, tn_str text, const char *why)
{
    struct any any;
    tn__faults faults;
    tn__decoded decoded = decode_any(arena, text, &any, &faults);
    if (decoded != TN__SYNTAX)
        fail_msg("not refused: %.*s", TN_FMT(text));
    assert_int_equal(faults.n, 1);
    assert_str(faults.at[0].pointer, "");
    assert_str(faults.at[0].detail, why);
}

static void broken_json_is_refused_with_line_and_column(void **state)
{
    refused(*state, TN_S(""), "line 1, column 1: the text is empty");
    refused(*state, TN_S("{"),
        "line 1, column 1: the text ends too early: string or '}' expected near end of file");
    refused(*state, TN_S("{\"v\": 1,}"), "line 1, column 9: string or '}' expected near '}'");
    refused(*state, TN_S("{\n  \"v\": [1,\n  2,]}"), "line 3, column 5: unexpected token near ']'");
    refused(*state, TN_S("{'v': 1}"), "line 1, column 2: string or '}' expected near '''");
    refused(*state, TN_S("{\"v\": 01}"), "line 1, column 7: invalid token near '0'");
    refused(*state, TN_S("{\"v\": NaN}"), "line 1, column 9: invalid token near 'NaN'");
    refused(*state, TN_S("{\"v\": \"a\nb\"}"), "line 1, column 8: unexpected newline near '\"a'");
    refused(*state, TN_S("{\"v\": \"\\x\"}"), "line 1, column 9: invalid escape near '\"\\x'");
    refused(*state, TN_S("\xEF\xBB\xBF{}"), "line 1, column 1: invalid token near '\xEF\xBB\xBF'");
}

static void anything_after_the_value_is_refused(void **state)
{
    refused(*state, TN_S("{\"v\": 1} x"),
        "line 1, column 10: nothing may follow the value; found more near 'x'");
    refused(*state, TN_S("{\"v\": 1}{}"),
        "line 1, column 9: nothing may follow the value; found more near '{'");
}

static void duplicate_members_are_refused_at_every_depth(void **state)
{
    refused(*state, TN_S("{\"v\": 1, \"v\": 2}"),
        "line 1, column 12: a member is named twice near '\"v\"'");
    refused(*state, TN_S("{\"v\": [{\"a\": 1, \"\\u0061\": 2}]}"),
        "line 1, column 24: a member is named twice near '\"\\u0061\"'");
}

static void nul_is_refused_raw_and_escaped(void **state)
{
    refused(*state, TN_S("{\"v\": 1\0}"), "line 1, column 8: a NUL byte is not allowed");
    refused(*state, TN_S("{\"v\": 1}\0"), "line 1, column 9: a NUL byte is not allowed");
    refused(*state, TN_S("{\"v\":\n\"\0\"}"), "line 2, column 2: a NUL byte is not allowed");
    refused(*state, TN_S("{\"v\": \"\\u0000\"}"),
        "line 1, column 14: the character NUL (\\u0000) is not allowed");
    refused(*state, TN_S("{\"\\u0000\": 1}"),
        "line 1, column 9: the character NUL (\\u0000) is not allowed");
}

static void invalid_utf8_is_refused(void **state)
{
    static const char *const bad[] = { "\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xE2\x82" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct any any;
        tn__faults faults;
        tn_str text = tn_printf(*state, "{\"v\": \"%s\"}", bad[i]);
        assert_int_equal(decode_any(*state, text, &any, &faults), TN__SYNTAX);
        assert_true(
            tn__str_has_prefix(faults.at[0].detail, TN_S("line 1, column 7: not valid UTF-8: ")));
    }
    refused(*state, TN_S("{\"v\": \"\\ud800\"}"),
        "line 1, column 14: invalid Unicode '\\uD800' near '\"\\ud800\"'");
}

/* The parser quotes what it read: half a character, or one that would break a line. */
static void what_is_quoted_of_the_text_is_fit_to_be_shown(void **state)
{
    static const char *const texts[] = { "{\"v\": \"\\ud8\xCD\x92\"}", "{\"v\": \"a\x01\"}",
        "{\"v\": a\x7F}", "\x02", "{\"v\": 1} \x03" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct any any;
        tn__faults faults;
        assert_int_equal(decode_any(*state, tn_str_of(texts[i]), &any, &faults), TN__SYNTAX);
        tn_str told = faults.at[0].detail;
        assert_true(tn__utf8_valid(told));
        for (size_t j = 0; j < told.len; j++)
            assert_true((unsigned char)told.data[j] >= 0x20 && told.data[j] != 0x7F);
    }
}

static void numbers_out_of_range_are_refused(void **state)
{
    static const char why[] =
        ": a number is out of range (integers have 64 bits, other numbers are "
        "doubles)";
    static const char *const big[] = { "9223372036854775808", "-9223372036854775809", "1e999",
        "-1e999", "123456789012345678901234567890" };
    for (size_t i = 0; i < sizeof big / sizeof *big; i++) {
        struct any any;
        tn__faults faults;
        tn_str text = tn_printf(*state, "{\"v\": %s}", big[i]);
        assert_int_equal(decode_any(*state, text, &any, &faults), TN__SYNTAX);
        assert_non_null(strstr(faults.at[0].detail.data, why));
    }
}

static void numbers_at_the_edge_are_read(void **state)
{
    static const char *const values[][2] = { { "9223372036854775807", "9223372036854775807" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "1.7976931348623157e308", "1.7976931348623157e308" }, { "1e-400", "0" } };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct any any;
        tn__faults faults;
        tn_str text = tn_printf(*state, "{\"v\": %s}", values[i][0]);
        assert_int_equal(decode_any(*state, text, &any, &faults), TN__DECODED);
        assert_str(any.v.text, values[i][1]);
    }
}

/* {"v": [[[...]]]} with `depth` levels in all. */
static tn_str nested(tn_arena *arena, int depth)
{
    tn__buf out = { .arena = arena };
    tn__buf_add_z(&out, "{\"v\": ");
    for (int i = 1; i < depth; i++)
        tn__buf_add_char(&out, '[');
    for (int i = 1; i < depth; i++)
        tn__buf_add_char(&out, ']');
    tn__buf_add_char(&out, '}');
    return tn__buf_str(&out);
}

static void nesting_has_a_limit(void **state)
{
    struct any any;
    tn__faults faults;
    tn_str deepest = nested(*state, TN__JSON_DEPTH_MAX);
    assert_int_equal(decode_any(*state, deepest, &any, &faults), TN__DECODED);
    refused(*state, nested(*state, TN__JSON_DEPTH_MAX + 1),
        "line 1, column 38: nested deeper than 32 levels");
    refused(*state, nested(*state, 1000000), "line 1, column 38: nested deeper than 32 levels");
}

static void brackets_in_strings_are_not_nesting(void **state)
{
    struct any any;
    tn__faults faults;
    tn__buf text = { .arena = *state };
    tn__buf_add_z(&text, "{\"v\": \"\\\"");
    for (int i = 0; i < 100; i++)
        tn__buf_add_z(&text, "[{\\\\\\\"");
    tn__buf_add_z(&text, "\"}");
    assert_int_equal(decode_any(*state, tn__buf_str(&text), &any, &faults), TN__DECODED);
}

static void a_string_that_does_not_end_is_refused(void **state)
{
    static const char *const texts[] = { "\"", "{\"", "{\"v\": \"\\", "{\"v\": \"\\\"",
        "{\"v\": \"x" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct any any;
        tn__faults faults;
        assert_int_equal(decode_any(*state, tn_str_of(texts[i]), &any, &faults), TN__SYNTAX);
    }
}

/* {"v": [{},{},...]} of `n` values in all. */
static tn_str wide(tn_arena *arena, int n)
{
    tn__buf out = { .arena = arena };
    tn__buf_add_z(&out, "{\"v\": [0");
    for (int i = 3; i < n; i++)
        tn__buf_add_z(&out, ",1");
    tn__buf_add_z(&out, "]}");
    return tn__buf_str(&out);
}

static void a_text_may_not_hold_too_many_values(void **state)
{
    struct any any;
    tn__faults faults;
    tn_str widest = wide(*state, TN__JSON_VALUES_MAX - 1);
    assert_int_equal(decode_any(*state, widest, &any, &faults), TN__DECODED);
    assert_int_equal(decode_any(*state, wide(*state, TN__JSON_VALUES_MAX + 1), &any, &faults),
        TN__SYNTAX);
    assert_non_null(strstr(faults.at[0].detail.data, "more than 100000 values"));
}

/* The memory functions are set for the process; other users of jansson must not notice. */
static void jansson_still_serves_others(void **state)
{
    struct any any;
    tn__faults faults;
    assert_int_equal(decode_any(*state, TN_S("{\"v\": {\"a\": 1}}"), &any, &faults), TN__DECODED);
    json_t *mine = json_pack("{s:i, s:[s]}", "a", 1, "b", "c");
    assert_int_equal(decode_any(*state, TN_S("{\"v\": {\"a\": 1}}"), &any, &faults), TN__DECODED);
    char *text = json_dumps(mine, JSON_COMPACT);
    assert_string_equal(text, "{\"a\":1,\"b\":[\"c\"]}");
    free(text);
    json_decref(mine);
}

static void *decode_often(void *arg)
{
    tn_arena *arena = tn__arena_open(1024);
    for (int i = 0; i < 300; i++) {
        struct order_new order;
        tn__faults faults;
        tn__decoded decoded = tn__decode_json(arena, &order_new_schema, *(tn_str *)arg, &order,
            &faults);
        assert_int_equal(decoded, TN__DECODED);
        assert_str(order.home.street, "Main Street 1");
        tn__arena_reset(arena);
    }
    tn__arena_close(arena);
    return NULL;
}

static void threads_decode_at_the_same_time(void **state)
{
    (void)state;
    tn_str text = TN_S("{\"customer\": \"Ada\", \"account_id\": "
                       "\"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\", \"extra\": [1, {\"a\": null}], "
                       "\"home\": {\"street\": \"Main Street 1\"}, "
                       "\"lines\": [{\"sku\": \"BOLT-M8\", \"quantity\": 2}]}");
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode_often, &text), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* ---- The stack ------------------------------------------------------------ */

enum { STACK_BYTES = 1024 * 1024, PAINT = 0xA5 };

static void *rest(void *arg)
{
    return arg;
}

/* The longest string that reaches a pattern, of characters with four bytes. */
static void match_long(tn_arena *arena)
{
    static const tn_field field = { .kind = TN_KIND_STR,
        .str = { .pattern = "^(a|.b|(c.)+)*.*$" } };
    tn__buf text = { .arena = arena };
    tn__buf_add_char(&text, '"');
    for (int i = 0; i < 1024; i++)
        tn__buf_add_z(&text, "\U0001F600");
    tn__buf_add_char(&text, '"');
    tn_str value = { 0 };
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    assert_int_equal(tn__decode_value(arena, &field, tn__buf_str(&text), &value, faults),
        TN__DECODED);
}

/* As deep as text and struct can go, with a fault at the bottom, and a pattern's first use. */
static void *go_deep(void *arg)
{
    tn_arena *arena = arg;
    match_long(arena);
    tn__buf text = { .arena = arena };
    for (int i = 0; i < TN__JSON_DEPTH_MAX / 2; i++)
        tn__buf_add_z(&text, "{\"below\":[");
    tn__buf_add_z(&text, "1");
    for (int i = 0; i < TN__JSON_DEPTH_MAX / 2; i++)
        tn__buf_add_z(&text, "]}");
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    struct node node;
    assert_int_equal(tn__decode_json(arena, &node_schema, tn__buf_str(&text), &node, faults),
        TN__INVALID);
    struct address address;
    tn_str fine = TN_S("{\"street\": \"Main Street 1\", \"country\": \"DE\"}");
    assert_int_equal(tn__decode_json(arena, &address_schema, fine, &address, faults), TN__DECODED);
    tn__patch *patch;
    assert_int_equal(tn__decode_patch(arena, &address_schema, fine, &patch, faults), TN__DECODED);
    assert_true(tn__patch_apply(arena, patch, &address, faults));
    return NULL;
}

static size_t stack_used(void *(*fn)(void *), void *arg)
{
    unsigned char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(stack, MAP_FAILED);
    memset(stack, PAINT, STACK_BYTES);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstack(&attr, stack, STACK_BYTES), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, &attr, fn, arg), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    size_t untouched = 0;
    while (untouched < STACK_BYTES && stack[untouched] == PAINT)
        untouched++;
    munmap(stack, STACK_BYTES);
    return STACK_BYTES - untouched;
}

/* Handlers are coroutines with stacks of 64 KB, eight times that under the sanitizers. */
static void decoding_takes_less_than_half_of_a_coroutines_stack(void **state)
{
    size_t base = stack_used(rest, NULL), deep = stack_used(go_deep, *state);
    size_t used = deep > base ? deep - base : 0;
    size_t limit = (size_t)32 * 1024 * (TN__ASAN || TN__TSAN ? 8 : 1);
    print_message("# %zu bytes of stack\n", used);
    assert_true(used < limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(broken_json_is_refused_with_line_and_column),
        CASE(anything_after_the_value_is_refused),
        CASE(duplicate_members_are_refused_at_every_depth),
        CASE(nul_is_refused_raw_and_escaped),
        CASE(invalid_utf8_is_refused),
        CASE(what_is_quoted_of_the_text_is_fit_to_be_shown),
        CASE(numbers_out_of_range_are_refused),
        CASE(numbers_at_the_edge_are_read),
        CASE(nesting_has_a_limit),
        CASE(brackets_in_strings_are_not_nesting),
        CASE(a_string_that_does_not_end_is_refused),
        CASE(a_text_may_not_hold_too_many_values),
        CASE(jansson_still_serves_others),
        CASE(threads_decode_at_the_same_time),
        CASE(decoding_takes_less_than_half_of_a_coroutines_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
