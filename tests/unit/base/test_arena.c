/* The arena: alignment, zeroing, growth, reset, and what AddressSanitizer sees of it. */
#include "unit.h"

#include "base/arena.h"
#include "base/sanitizer.h"

static void alloc_gives_zeroed_aligned_bytes(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(128);
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < 300; n++) {
            unsigned char *p = tn_alloc(arena, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xFF, n);
        }
        tn__arena_reset(arena);
    }
    tn__arena_close(arena);
}

static void pieces_never_overlap(void **state)
{
    (void)state;
    enum { PIECES = 2000 };
    tn_arena *arena = tn__arena_open(64);
    unsigned char *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        size_t n = i * 37 % 1500;
        pieces[i] = tn_alloc(arena, n);
        memset(pieces[i], (int)(i % 251), n);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t b = 0; b < i * 37 % 1500; b++)
            assert_int_equal(pieces[i][b], i % 251);
    tn__arena_close(arena);
}

static void long_piece_leaves_the_current_block_in_use(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    char *before = tn_alloc(arena, 16);
    memset(tn_alloc(arena, 10 << 20), 1, 10 << 20);
    memset(tn_alloc(arena, 4096), 1, 4096);
    char *after = tn_alloc(arena, 16);
    assert_true(after > before && after - before < 4096);
    tn__arena_close(arena);
}

static void reset_starts_again_at_the_first_block(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(1024);
    char *first = tn_alloc(arena, 100);
    for (int i = 0; i < 1000; i++)
        tn_alloc(arena, 1000);
    tn__arena_reset(arena);
    assert_int_equal(tn__arena_used(arena), 0);
    assert_ptr_equal(tn_alloc(arena, 100), first);
    tn__arena_close(arena);
}

static void used_counts_what_was_handed_out(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(64);
    assert_int_equal(tn__arena_used(arena), 0);
    tn_alloc(arena, 10);
    tn_alloc(arena, 100000);
    assert_int_equal(tn__arena_used(arena), 100010);
    tn__arena_close(arena);
}

static const char digits[10] = { '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' };

static void newest_piece_grows_in_place(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    tn_alloc(arena, 8);
    char *p = tn__arena_take(arena, 10);
    memcpy(p, digits, sizeof digits);
    char *grown = tn__arena_grow(arena, p, 10, 1000);
    assert_ptr_equal(grown, p);
    memset(grown + 10, 'x', 990);
    assert_memory_equal(grown, digits, sizeof digits);
    assert_int_equal(grown[10], 'x');
    assert_int_equal(tn__arena_used(arena), 1008);
    tn__arena_close(arena);
}

static void older_piece_moves_when_it_grows(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    char *p = tn__arena_take(arena, 10);
    memcpy(p, digits, sizeof digits);
    char *newer = tn_alloc(arena, 1);
    char *grown = tn__arena_grow(arena, p, 10, 50);
    assert_ptr_not_equal(grown, p);
    memset(grown + 10, 'x', 40);
    assert_memory_equal(grown, digits, sizeof digits);
    assert_int_equal(grown[10], 'x');
    assert_int_equal(*newer, 0);
    tn__arena_close(arena);
}

static void piece_moves_to_another_block_when_its_own_is_full(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(128);
    char *p = tn__arena_take(arena, 10);
    memcpy(p, digits, sizeof digits);
    for (size_t n = 10; n < 300000; n = n * 3) {
        p = tn__arena_grow(arena, p, n, n * 3);
        memset(p + n, 'x', n * 2);
        assert_memory_equal(p, digits, sizeof digits);
        assert_int_equal(p[10], 'x');
    }
    tn__arena_close(arena);
}

static void grow_from_nothing_is_a_new_piece(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(128);
    char *p = tn__arena_grow(arena, NULL, 0, 20);
    memset(p, 'x', 20);
    assert_int_equal(tn__arena_used(arena), 20);
    tn__arena_close(arena);
}

static void copy_ends_in_nul_and_keeps_nul_inside(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(128);
    tn_str copy = tn_copy(arena, TN_S("a\0b"));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b\0", 4);
    tn_str none = tn_copy(arena, (tn_str){ NULL, 0 });
    assert_int_equal(none.len, 0);
    assert_string_equal(none.data, "");
    tn__arena_close(arena);
}

static void printf_gives_text_of_any_length(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(128);
    for (int width = 1; width < 2000; width += 7) {
        tn_str s = tn_printf(arena, "%*d", width, 7);
        assert_int_equal(s.len, width);
        assert_int_equal(strlen(s.data), width);
        assert_int_equal(s.data[width - 1], '7');
    }
    assert_str(tn_printf(arena, "%.*s-%d", TN_FMT(TN_S("ab")), 5), "ab-5");
    assert_str(tn_printf(arena, "%s", ""), "");
    tn__arena_close(arena);
}

static void close_of_null_does_nothing(void **state)
{
    (void)state;
    tn__arena_close(NULL);
}

#if TN__ASAN
static void unused_memory_is_poisoned(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    char *p = tn_alloc(arena, 13);
    assert_false(__asan_address_is_poisoned(p + 12));
    assert_true(__asan_address_is_poisoned(p + 13));
    char *grown = tn__arena_grow(arena, p, 13, 20);
    assert_false(__asan_address_is_poisoned(grown + 19));
    assert_true(__asan_address_is_poisoned(grown + 20));
    assert_true(__asan_address_is_poisoned(p + 4000));
    tn__arena_reset(arena);
    assert_true(__asan_address_is_poisoned(p));
    tn__arena_close(arena);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_gives_zeroed_aligned_bytes),
        cmocka_unit_test(pieces_never_overlap),
        cmocka_unit_test(long_piece_leaves_the_current_block_in_use),
        cmocka_unit_test(reset_starts_again_at_the_first_block),
        cmocka_unit_test(used_counts_what_was_handed_out),
        cmocka_unit_test(newest_piece_grows_in_place),
        cmocka_unit_test(older_piece_moves_when_it_grows),
        cmocka_unit_test(piece_moves_to_another_block_when_its_own_is_full),
        cmocka_unit_test(grow_from_nothing_is_a_new_piece),
        cmocka_unit_test(copy_ends_in_nul_and_keeps_nul_inside),
        cmocka_unit_test(printf_gives_text_of_any_length),
        cmocka_unit_test(close_of_null_does_nothing),
#if TN__ASAN
        cmocka_unit_test(unused_memory_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
