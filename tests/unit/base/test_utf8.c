/* UTF-8, against a decoder that is written another way. */
#include "unit.h"

/* Decodes by the bits first and asks afterwards whether the number was allowed that many bytes. */
static bool naive_valid(const unsigned char *c, size_t n)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    for (size_t i = 0; i < n;) {
        size_t len = c[i] < 0x80    ? 1
            : (c[i] & 0xE0) == 0xC0 ? 2
            : (c[i] & 0xF0) == 0xE0 ? 3
            : (c[i] & 0xF8) == 0xF0 ? 4
                                    : 0;
        if (len == 0 || i + len > n)
            return false;
        uint32_t point = len == 1 ? c[i] : c[i] & (0x7FU >> len);
        for (size_t k = 1; k < len; k++) {
            if ((c[i + k] & 0xC0) != 0x80)
                return false;
            point = point << 6 | (c[i + k] & 0x3F);
        }
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        if (point > 0x10FFFF || surrogate || point < least[len])
            return false;
        i += len;
    }
    return true;
}

static const unsigned char edges[] = { 0x00, 0x41, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
    0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5,
    0xFF };

static void validity_agrees_with_a_naive_decoder(void **state)
{
    (void)state;
    const size_t n = sizeof edges;
    for (size_t i = 0; i < n * n * n * n; i++) {
        unsigned char c[4] = { edges[i % n], edges[i / n % n], edges[i / n / n % n],
            edges[i / n / n / n] };
        for (size_t len = 1; len <= 4; len++) {
            bool valid = tn__utf8_valid((tn_str){ (char *)c, len });
            assert_int_equal(valid, naive_valid(c, len));
        }
    }
}

/* The fast path takes eight bytes at a time. */
static void one_bad_byte_is_seen_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        for (size_t place = 0; place < len; place++) {
            char text[40];
            memset(text, 'a', len);
            assert_true(tn__utf8_valid((tn_str){ text, len }));
            text[place] = (char)0xA0;
            assert_false(tn__utf8_valid((tn_str){ text, len }));
        }
    }
}

static void empty_is_valid(void **state)
{
    (void)state;
    assert_true(tn__utf8_valid((tn_str){ NULL, 0 }));
    assert_int_equal(tn__utf8_length((tn_str){ NULL, 0 }), 0);
}

static void length_counts_code_points(void **state)
{
    (void)state;
    assert_int_equal(tn__utf8_length(TN_S("abc")), 3);
    assert_int_equal(tn__utf8_length(TN_S("aß日😀")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validity_agrees_with_a_naive_decoder),
        cmocka_unit_test(one_bad_byte_is_seen_at_every_place),
        cmocka_unit_test(empty_is_valid),
        cmocka_unit_test(length_counts_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
