/* The cursor of a list. */
#include "unit/base/unit.h"

#include "http/cursor.h"

#include <ctype.h>

#define LIST TN_S("/api/v1/items")

static tn_arena *arena;

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

static tn_arg back(tn_kind kind, const void *value)
{
    tn_arg position;
    assert_true(
        tn__cursor_read(arena, LIST, tn__cursor_write(arena, LIST, kind, value), &position));
    assert_int_equal(position.kind, kind);
    assert_false(position.null);
    return position;
}

static void each_kind_of_key_comes_back(void **state)
{
    (void)state;
    const int64_t numbers[] = { 0, -1, 42, INT64_MIN, INT64_MAX };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(back(TN_KIND_INT, &numbers[i]).i, numbers[i]);
        assert_int_equal(back(TN_KIND_TIME, &(tn_time){ numbers[i] }).t.us, numbers[i]);
    }
    tn_uuid id = tn_uuid_v7();
    assert_memory_equal(back(TN_KIND_UUID, &id).u.b, id.b, sizeof id.b);
    assert_str(back(TN_KIND_STR, &TN_S("Bolt \xc3\xbc")).s, "Bolt \xc3\xbc");
    assert_int_equal(back(TN_KIND_STR, &TN_S("")).s.len, 0);
}

static void cursor_is_plain_in_a_query(void **state)
{
    (void)state;
    tn_uuid id;
    memset(&id, 0xff, sizeof id);
    tn_str cursor = tn__cursor_write(arena, LIST, TN_KIND_UUID, &id);
    for (size_t i = 0; i < cursor.len; i++)
        assert_true(isalnum((unsigned char)cursor.data[i]) || strchr("-_", cursor.data[i]) != NULL);
}

static void cursor_of_another_list_is_refused(void **state)
{
    (void)state;
    int64_t key = 7;
    tn_arg position;
    tn_str cursor = tn__cursor_write(arena, TN_S("/api/v1/others"), TN_KIND_INT, &key);
    assert_false(tn__cursor_read(arena, LIST, cursor, &position));
}

/* Every single change of a character, every cut and every longer one. */
static void cursor_that_was_touched_is_refused(void **state)
{
    (void)state;
    int64_t key = 1234567890;
    tn_arg position;
    tn_str good = tn__cursor_write(arena, LIST, TN_KIND_INT, &key);
    for (size_t i = 0; i < good.len; i++) {
        tn_str changed = tn_copy(arena, good);
        ((char *)changed.data)[i] = good.data[i] == 'x' ? 'y' : 'x';
        assert_false(tn__cursor_read(arena, LIST, changed, &position));
        assert_false(tn__cursor_read(arena, LIST, (tn_str){ good.data, i }, &position));
        assert_false(tn__cursor_read(arena, LIST, (tn_str){ good.data + i + 1, good.len - i - 1 },
            &position));
    }
    static const char *const tails[] = { "A", "AA", "AAA", "AAAA", "=", "==" };
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        tn_str longer = tn_printf(arena, "%.*s%s", TN_FMT(good), tails[i]);
        assert_false(tn__cursor_read(arena, LIST, longer, &position));
    }
}

static void rubbish_is_refused(void **state)
{
    (void)state;
    static const char *const rubbish[] = { "", "x", "!!!!", "AAAA", "MQ==", "bnVsbA", "-1", " ",
        "\xff", "../../etc" };
    tn_arg position;
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++)
        assert_false(tn__cursor_read(arena, LIST, tn_str_of(rubbish[i]), &position));
    char *text = memset(tn_alloc(arena, 5000), 'a', 5000);
    assert_false(tn__cursor_read(arena, LIST, (tn_str){ text, 5000 }, &position));
}

#define CURSOR_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CURSOR_TEST(each_kind_of_key_comes_back),
        CURSOR_TEST(cursor_is_plain_in_a_query),
        CURSOR_TEST(cursor_of_another_list_is_refused),
        CURSOR_TEST(cursor_that_was_touched_is_refused),
        CURSOR_TEST(rubbish_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
