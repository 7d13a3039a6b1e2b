/* Small functions on strings, and the hash. */
#include "unit.h"

#include <stdlib.h>

static void equality_is_of_bytes(void **state)
{
    (void)state;
    assert_true(tn_str_eq(TN_S("a\0b"), TN_S("a\0b")));
    assert_false(tn_str_eq(TN_S("a\0b"), TN_S("a\0c")));
    assert_false(tn_str_eq(TN_S("a"), TN_S("ab")));
    assert_true(tn_str_eq((tn_str){ NULL, 0 }, TN_S("")));
    assert_true(tn_str_eq(tn_str_of(NULL), (tn_str){ NULL, 0 }));
}

static void case_is_ignored_in_ascii_only(void **state)
{
    (void)state;
    assert_true(tn__str_eq_nocase(TN_S("Content-TYPE"), TN_S("content-type")));
    assert_false(tn__str_eq_nocase(TN_S("@[`{"), TN_S("`{@[")));
    assert_false(tn__str_eq_nocase(TN_S("\xC3\x84"), TN_S("\xC3\xA4")));
    assert_false(tn__str_eq_nocase(TN_S("a"), TN_S("ab")));
    assert_true(tn__str_eq_nocase((tn_str){ NULL, 0 }, TN_S("")));
}

static void prefix_may_be_all_or_nothing(void **state)
{
    (void)state;
    assert_true(tn__str_has_prefix(TN_S("abc"), TN_S("ab")));
    assert_true(tn__str_has_prefix(TN_S("abc"), TN_S("abc")));
    assert_true(tn__str_has_prefix(TN_S("abc"), TN_S("")));
    assert_true(tn__str_has_prefix((tn_str){ NULL, 0 }, (tn_str){ NULL, 0 }));
    assert_false(tn__str_has_prefix(TN_S("ab"), TN_S("abc")));
    assert_false(tn__str_has_prefix(TN_S("abc"), TN_S("b")));
}

static void trim_takes_spaces_off_both_ends(void **state)
{
    (void)state;
    assert_str(tn__str_trim(TN_S(" \t\r\na b\n ")), "a b");
    assert_str(tn__str_trim(TN_S("ab")), "ab");
    assert_str(tn__str_trim(TN_S("  ")), "");
    assert_str(tn__str_trim((tn_str){ NULL, 0 }), "");
    assert_str(tn__str_trim(TN_S("\v\f")), "\v\f");
}

static void assert_parts(tn_str s, size_t n, const char *const *parts)
{
    tn_str part;
    for (size_t i = 0; i < n; i++) {
        assert_true(tn__str_cut(&s, ',', &part));
        assert_str(part, parts[i]);
    }
    assert_false(tn__str_cut(&s, ',', &part));
    assert_false(tn__str_cut(&s, ',', &part));
}

static void cut_gives_empty_parts_too(void **state)
{
    (void)state;
    assert_parts(TN_S("a,,b,"), 4, (const char *[]){ "a", "", "b", "" });
    assert_parts(TN_S(",a"), 2, (const char *[]){ "", "a" });
    assert_parts(TN_S("abc"), 1, (const char *[]){ "abc" });
    assert_parts(TN_S(""), 1, (const char *[]){ "" });
    assert_parts((tn_str){ NULL, 0 }, 0, NULL);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void hash_spreads_similar_strings(void **state)
{
    (void)state;
    enum { N = 100000, BUCKETS = 1024 };
    uint64_t *hashes = tn__xmalloc(N * sizeof *hashes);
    size_t low[BUCKETS] = { 0 }, high[BUCKETS] = { 0 };
    for (int i = 0; i < N; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "item-%d", i);
        hashes[i] = tn__hash((tn_str){ text, (size_t)len });
        low[hashes[i] % BUCKETS]++;
        high[hashes[i] >> 54]++;
    }
    for (int i = 0; i < BUCKETS; i++) {
        assert_in_range(low[i], 40, 180);
        assert_in_range(high[i], 40, 180);
    }
    qsort(hashes, N, sizeof *hashes, compare_hashes);
    for (int i = 1; i < N; i++)
        assert_true(hashes[i - 1] != hashes[i]);
    free(hashes);
}

static void hash_depends_on_each_byte_and_the_length(void **state)
{
    (void)state;
    char text[40] = { 0 };
    for (size_t len = 0; len < sizeof text; len++) {
        uint64_t zero = tn__hash((tn_str){ text, len });
        assert_true(zero == tn__hash((tn_str){ text, len }));
        if (len > 0)
            assert_true(zero != tn__hash((tn_str){ text, len - 1 }));
        for (size_t i = 0; i < len; i++) {
            text[i] = 1;
            assert_true(zero != tn__hash((tn_str){ text, len }));
            text[i] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_of_bytes),
        cmocka_unit_test(case_is_ignored_in_ascii_only),
        cmocka_unit_test(prefix_may_be_all_or_nothing),
        cmocka_unit_test(trim_takes_spaces_off_both_ends),
        cmocka_unit_test(cut_gives_empty_parts_too),
        cmocka_unit_test(hash_spreads_similar_strings),
        cmocka_unit_test(hash_depends_on_each_byte_and_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
