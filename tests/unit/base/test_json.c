/* JSON text: escapes, invalid UTF-8, and numbers that read back the same. */
#include "unit.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

static tn_arena *arena;

static tn_str written(tn_str s)
{
    tn__buf buf = { .arena = arena };
    tn__json_str(&buf, s);
    return tn__buf_str(&buf);
}

static tn_str real(double v)
{
    tn__buf buf = { .arena = arena };
    tn__json_real(&buf, v);
    return tn__buf_str(&buf);
}

static void plain_text_is_only_quoted(void **state)
{
    (void)state;
    assert_str(written(TN_S("")), "\"\"");
    assert_str(written((tn_str){ NULL, 0 }), "\"\"");
    assert_str(written(TN_S("hello, world / 123 ~\x7f")), "\"hello, world / 123 ~\x7f\"");
    assert_str(written(TN_S("grüße 日本 😀")), "\"grüße 日本 😀\"");
}

/* The fast path takes eight bytes at a time: each byte value at each place must be seen. */
static void every_byte_is_escaped_at_every_place(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        char escape[8];
        const char *at = c == 0 ? NULL : strchr("\bb\tt\nn\ff\rr\"\"\\\\", (int)c);
        bool has_letter = at != NULL && (c < 0x20 || c == '"' || c == '\\');
        if (has_letter)
            snprintf(escape, sizeof escape, "\\%c", at[1]);
        else
            snprintf(escape, sizeof escape, c < 0x20 ? "\\u%04x" : "%c", c);
        for (size_t place = 0; place < 20; place++) {
            char text[20], wanted[64];
            memset(text, 'a', sizeof text);
            text[place] = (char)c;
            snprintf(wanted, sizeof wanted, "\"%.*s%s%.*s\"", (int)place, "aaaaaaaaaaaaaaaaaaaa",
                escape, (int)(19 - place), "aaaaaaaaaaaaaaaaaaaa");
            assert_str(written((tn_str){ text, sizeof text }), wanted);
        }
        tn__arena_reset(arena);
    }
}

static void nul_is_escaped(void **state)
{
    (void)state;
    assert_str(written(TN_S("a\0b")), "\"a\\u0000b\"");
}

/* The example of the Unicode Standard, table 3-8, and its neighbours. */
static void invalid_utf8_becomes_replacement_characters(void **state)
{
    (void)state;
#define R "\xEF\xBF\xBD"
    assert_str(written(TN_S("a\xF1\x80\x80\xE1\x80\xC2"
                            "b\x80"
                            "c\x80\xBF"
                            "d")),
        "\"a" R R R "b" R "c" R R "d\"");
    assert_str(written(TN_S("\xC0\xAF")), "\"" R R "\"");             /* overlong */
    assert_str(written(TN_S("\xED\xA0\x80")), "\"" R R R "\"");       /* a surrogate */
    assert_str(written(TN_S("\xF4\x90\x80\x80")), "\"" R R R R "\""); /* above U+10FFFF */
    assert_str(written(TN_S("\xE2\x82")), "\"" R "\"");               /* cut off */
    assert_str(written(TN_S("\xF0\x9F\x98x")), "\"" R "x\"");
    assert_str(written(TN_S("\xFF")), "\"" R "\"");
#undef R
}

static void whatever_goes_in_valid_utf8_comes_out(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 20000; i++) {
        char bytes[24];
        for (size_t b = 0; b < sizeof bytes; b++)
            bytes[b] = (char)(rand() % 3 == 0 ? rand() : 0x80 + rand() % 0x80);
        assert_true(tn__utf8_valid(written((tn_str){ bytes, (size_t)rand() % sizeof bytes })));
        tn__arena_reset(arena);
    }
}

static void reals_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        { 0.0, "0" },
        { -0.0, "-0" },
        { 1.0, "1" },
        { -1.5, "-1.5" },
        { 0.1, "0.1" },
        { 0.3, "0.3" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1.0 / 3.0, "0.3333333333333333" },
        { 2.0 / 3.0, "0.6666666666666666" },
        { 19.99, "19.99" },
        { 123456.789, "123456.789" },
        { 1e-5, "0.00001" },
        { 1.5e-6, "1.5e-6" },
        { 1e-7, "1e-7" },
        { 9007199254740992.0, "9007199254740992" },
        { 9007199254740994.0, "9007199254740994" },
        { 123456789012345680, "123456789012345680" },
        { 1e17, "100000000000000000" },
        { 1e18, "1e18" },
        { 1e20, "1e20" },
        { 1.5e300, "1.5e300" },
        { 1.7976931348623157e308, "1.7976931348623157e308" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 5e-324, "5e-324" },
        { -1.5e-323, "-1.5e-323" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_str(real(cases[i].v), cases[i].text);
}

static void reals_read_back_as_the_same_double(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 50000; i++) {
        double v, back;
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(&v, &seed, sizeof v);
        if (!isfinite(v))
            continue;
        tn_str text = real(v);
        assert_true(tn__real_parse(text, &back));
        assert_memory_equal(&back, &v, sizeof v);
        tn__arena_reset(arena);
    }
}

static void what_is_not_a_number_is_null(void **state)
{
    (void)state;
    assert_str(real((double)NAN), "null");
    assert_str(real((double)INFINITY), "null");
    assert_str(real((double)-INFINITY), "null");
}

static void ids_and_times_are_quoted(void **state)
{
    (void)state;
    tn__buf buf = { .arena = arena };
    tn__json_uuid(&buf, (tn_uuid){ { 0x01, 0x9a, [15] = 0xff } });
    tn__json_time(&buf, (tn_time){ 0 });
    assert_str(tn__buf_str(&buf),
        "\"019a0000-0000-0000-0000-0000000000ff\"\"1970-01-01T00:00:00.000000Z\"");
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
        cmocka_unit_test(plain_text_is_only_quoted),
        cmocka_unit_test(every_byte_is_escaped_at_every_place),
        cmocka_unit_test(nul_is_escaped),
        cmocka_unit_test(invalid_utf8_becomes_replacement_characters),
        cmocka_unit_test(whatever_goes_in_valid_utf8_comes_out),
        cmocka_unit_test(reals_are_as_short_as_they_can_be),
        cmocka_unit_test(reals_read_back_as_the_same_double),
        cmocka_unit_test(what_is_not_a_number_is_null),
        cmocka_unit_test(ids_and_times_are_quoted),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
