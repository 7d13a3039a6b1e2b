/* Request ids, idempotency keys, and what they are hashed to. */
#include "unit/base/unit.h"

#include "http/ids.h"
#include "schema/pattern.h"
#include "schema/schema.h"

#include <ctype.h>
#include <jansson.h>

static tn_arena *arena;
static tn__digest *digest;

static int open_digest(void **state)
{
    (void)state;
    arena = tn__arena_open(1024);
    digest = tn__digest_open();
    return 0;
}

static int close_digest(void **state)
{
    (void)state;
    tn__digest_close(digest);
    tn__arena_close(arena);
    return 0;
}

static void request_id_has_1_to_128_plain_characters(void **state)
{
    (void)state;
    char text[130];
    memset(text, 'x', sizeof text);
    assert_true(tn__request_id_valid(TN_S("aZ09._-")));
    assert_true(tn__request_id_valid((tn_str){ text, 128 }));
    assert_false(tn__request_id_valid((tn_str){ text, 129 }));
    assert_false(tn__request_id_valid((tn_str){ NULL, 0 }));
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool plain = c < 128 && (isalnum(c) || strchr("._-", c) != NULL) && c != 0;
        assert_int_equal(tn__request_id_valid((tn_str){ &one, 1 }), plain);
    }
}

static tn_str key_of(const char *field)
{
    tn_str key;
    return tn__idempotency_key_read(arena, tn_str_of(field), &key) ? key : (tn_str){ NULL, 0 };
}

static void key_may_stand_bare_or_in_quotes(void **state)
{
    (void)state;
    assert_str(key_of("8e03978e-40d5-43dd-bc93-6894a57f9324"),
        "8e03978e-40d5-43dd-bc93-6894a57f9324");
    assert_str(key_of("\"abc\""), "abc");
    assert_str(key_of("\"a\\\"b\\\\c\""), "a\"b\\c");
    assert_str(key_of("a\"b"), "a\"b");
    assert_str(key_of("!~"), "!~");
}

static void key_that_is_neither_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "\"\"", "\"", "\"abc", "abc d", "\"abc d\"", "\"a\"b",
        "\"a\\", "\"a\\b\"", "a\tb", "\x7f", "\xc3\xbc", "\"a\" \"b\"", "a, b" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(key_of(bad[i]).data);
}

static void key_has_at_most_255_characters(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'k', sizeof text);
    text[255] = '\0';
    assert_int_equal(key_of(text).len, 255);
    text[255] = 'k';
    text[256] = '\0';
    assert_null(key_of(text).data);
    text[0] = text[256] = '"';
    text[257] = '\0';
    assert_int_equal(key_of(text).len, 255);
    text[256] = 'k';
    text[257] = '"';
    text[258] = '\0';
    assert_null(key_of(text).data);
}

/* ---- What the document tells ------------------------------------------------- */

/* The pattern of Idempotency-Key in the document of a service; to be freed. */
static char *key_pattern(void)
{
    static const tn_route routes[] = {
        { TN_POST, "/things", NULL, .summary = "", .idempotent = true },
    };
    const tn_service service = { .name = "s", .version = "1.0.0", .routes = TN_LIST(routes) };
    tn_str text = tn__openapi(arena, &service);
    const char *pattern = NULL;
    json_t *document = json_loadb(text.data, text.len, 0, NULL);
    json_unpack(document, "{s{s{s{s{ss}}}}}", "components", "parameters", "IdempotencyKey",
        "schema", "pattern", &pattern);
    assert_non_null(pattern);
    char *copy = strdup(pattern);
    json_decref(document);
    return copy;
}

static void assert_told(const char *pattern, const char *field)
{
    if (tn__pattern_matches(pattern, tn_str_of(field)) != (key_of(field).data != NULL))
        fail_msg("%s is %s", field, key_of(field).data != NULL ? "taken" : "refused");
}

/* Every word of up to five of the characters that mean something. */
static void the_document_tells_which_keys_are_taken(void **state)
{
    (void)state;
    static const char letters[] = { '\"', '\\', 'a', ' ', '[', ']' };
    enum { N = sizeof letters, LENGTH_MAX = 5 };
    char *pattern = key_pattern();
    char word[LENGTH_MAX + 1];
    for (size_t length = 0, count = 1; length <= LENGTH_MAX; length++, count *= N)
        for (size_t i = 0; i < count; i++) {
            size_t rest = i;
            for (size_t k = 0; k < length; k++, rest /= N)
                word[k] = letters[rest % N];
            word[length] = '\0';
            assert_told(pattern, word);
        }
    free(pattern);
}

/* The first character, if it is a quote; then the rest of `each`, n times; then the end. */
static const char *many(char *text, const char *each, size_t n, const char *end)
{
    size_t at = 0;
    if (each[0] == '"')
        text[at++] = *each++;
    for (size_t i = 0; i < n * strlen(each); i++)
        text[at++] = each[i % strlen(each)];
    memcpy(text + at, end, strlen(end) + 1);
    return text;
}

static void the_document_tells_of_each_character_and_how_many(void **state)
{
    (void)state;
    char *pattern = key_pattern();
    char text[600];
    for (int c = 1; c < 256; c++) {
        snprintf(text, sizeof text, "%c", c);
        assert_told(pattern, text);
        snprintf(text, sizeof text, "\"%c\"", c);
        assert_told(pattern, text);
        snprintf(text, sizeof text, "\"\\%c\"", c);
        assert_told(pattern, text);
    }
    for (size_t n = 250; n < 260; n++) {
        assert_told(pattern, many(text, "a", n, ""));
        assert_told(pattern, many(text, "\"a", n, "\""));
        assert_told(pattern, many(text, "\"\\\"", n, "\""));
    }
    free(pattern);
}

/* ---- Hashes -------------------------------------------------------------------- */

/* printf 'alice\0POST\0/x\0k' | sha256sum */
static void key_id_is_half_of_sha_256(void **state)
{
    (void)state;
    tn_uuid id = tn__idempotency_id(digest, TN_S("alice"), TN_S("POST"), TN_S("/x"), TN_S("k"));
    assert_str(tn_uuid_str(arena, id), "3df0e44f-f3ba-bd76-88cb-5b6a50807855");
}

static void key_id_differs_by_each_part(void **state)
{
    (void)state;
    const tn_str parts[][4] = {
        { TN_S("a"), TN_S("POST"), TN_S("/x"), TN_S("k") },
        { TN_S(""), TN_S("POST"), TN_S("/x"), TN_S("k") },
        { TN_S("a"), TN_S("PATCH"), TN_S("/x"), TN_S("k") },
        { TN_S("a"), TN_S("POST"), TN_S("/"), TN_S("k") },
        { TN_S("a"), TN_S("POST"), TN_S("/"), TN_S("xk") },
    };
    enum { N = sizeof parts / sizeof parts[0] };
    tn_uuid ids[N];
    for (size_t i = 0; i < N; i++)
        ids[i] = tn__idempotency_id(digest, parts[i][0], parts[i][1], parts[i][2], parts[i][3]);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(ids[i].b, ids[k].b, sizeof ids[i].b);
}

/* printf 'POST\0/x\0q=1\0{}' | openssl dgst -sha256 -binary | basenc --base64url */
static void fingerprint_is_sha_256_in_base_64(void **state)
{
    (void)state;
    tn_str print = tn__idempotency_fingerprint(digest, arena, TN_S("POST"), TN_S("/x"), TN_S("q=1"),
        TN_S("{}"));
    assert_str(print, "lWIgAIn9eeoOIK-MqP6U2pAZZahMFG4pfHr6K1kNo-8");
    print = tn__idempotency_fingerprint(digest, arena, TN_S("POST"), TN_S("/x"),
        (tn_str){ NULL, 0 }, (tn_str){ NULL, 0 });
    assert_int_equal(print.len, 43);
}

#define IDS_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_digest, close_digest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_id_has_1_to_128_plain_characters),
        IDS_TEST(key_may_stand_bare_or_in_quotes),
        IDS_TEST(key_that_is_neither_is_refused),
        IDS_TEST(key_has_at_most_255_characters),
        IDS_TEST(the_document_tells_which_keys_are_taken),
        IDS_TEST(the_document_tells_of_each_character_and_how_many),
        IDS_TEST(key_id_is_half_of_sha_256),
        IDS_TEST(key_id_differs_by_each_part),
        IDS_TEST(fingerprint_is_sha_256_in_base_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
