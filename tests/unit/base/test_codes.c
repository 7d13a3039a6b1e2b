/* Base 64 URL and percent coding. */
#include "unit.h"

#include <stdlib.h>

static tn_arena *arena;

static void base64url_agrees_with_the_rfc(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
        { "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" },
        { "\xFB\xEF\xFF", "--__" } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        tn_str back;
        assert_str(tn__b64url(arena, pairs[i][0], strlen(pairs[i][0])), pairs[i][1]);
        assert_true(tn__b64url_parse(arena, tn_str_of(pairs[i][1]), &back));
        assert_str(back, pairs[i][0]);
    }
}

static void base64url_round_trips_any_bytes(void **state)
{
    (void)state;
    srand(2);
    for (size_t n = 0; n < 200; n++) {
        unsigned char bytes[200];
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)rand();
        tn_str back, text = tn__b64url(arena, bytes, n);
        assert_int_equal(text.len, (n * 8 + 5) / 6);
        assert_true(tn__b64url_parse(arena, text, &back));
        assert_int_equal(back.len, n);
        assert_memory_equal(back.data, bytes, n);
    }
}

static void base64url_refuses_all_but_the_one_text(void **state)
{
    (void)state;
    static const char *const bad[] = { "Z", "Zm9vY", "Zg==", "Zm8=", "Zm+v", "Zm/v", "Zm 9v",
        "Zm9v\n", "Zh", "Zm9", "Zm9vYh", "Z\x80", "Zm9v." };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tn_str out;
        if (tn__b64url_parse(arena, tn_str_of(bad[i]), &out))
            fail_msg("%s was accepted", bad[i]);
    }
    tn_str out;
    assert_false(tn__b64url_parse(arena, TN_S("Z\0"), &out));
}

static void percent_decodes_escapes_and_plus(void **state)
{
    (void)state;
    tn_str out;
    assert_true(tn__percent_decode(arena, TN_S("a%20b+c%2Fd%c3%BC"), false, &out));
    assert_str(out, "a b+c/dü");
    assert_true(tn__percent_decode(arena, TN_S("a%20b+c%2B"), true, &out));
    assert_str(out, "a b c+");
    assert_true(tn__percent_decode(arena, TN_S(""), true, &out));
    assert_str(out, "");
    assert_true(tn__percent_decode(arena, TN_S("%FF%7F%01"), false, &out));
    assert_str(out, "\xFF\x7F\x01");
}

static void percent_refuses_broken_escapes_and_nul(void **state)
{
    (void)state;
    static const char *const bad[] = { "%", "a%", "%2", "a%2", "%zz", "%2g", "%g2", "%%20", "% 20",
        "%00", "a%00b", "%+1", "%\xFFg" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tn_str out;
        if (tn__percent_decode(arena, tn_str_of(bad[i]), true, &out))
            fail_msg("%s was accepted", bad[i]);
    }
    tn_str out;
    assert_false(tn__percent_decode(arena, TN_S("a\0b"), false, &out));
}

static void percent_encodes_all_but_the_unreserved(void **state)
{
    (void)state;
    tn__buf buf = { .arena = arena };
    tn__percent_encode(&buf, TN_S("AZaz09-._~ /?&=+%\xFF@[`{"));
    assert_str(tn__buf_str(&buf), "AZaz09-._~%20%2F%3F%26%3D%2B%25%FF%40%5B%60%7B");
}

static void percent_round_trips_every_byte_but_nul(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char byte = (char)c;
        tn__buf buf = { .arena = arena };
        tn_str out;
        tn__percent_encode(&buf, (tn_str){ &byte, 1 });
        assert_true(tn__percent_decode(arena, tn__buf_str(&buf), true, &out));
        assert_int_equal(out.len, 1);
        assert_int_equal(out.data[0], byte);
    }
}

static int open_arena(void **state)
{
    (void)state;
    arena = tn__arena_open(4096);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    tn__arena_close(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64url_agrees_with_the_rfc),
        cmocka_unit_test(base64url_round_trips_any_bytes),
        cmocka_unit_test(base64url_refuses_all_but_the_one_text),
        cmocka_unit_test(percent_decodes_escapes_and_plus),
        cmocka_unit_test(percent_refuses_broken_escapes_and_nul),
        cmocka_unit_test(percent_encodes_all_but_the_unreserved),
        cmocka_unit_test(percent_round_trips_every_byte_but_nul),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
