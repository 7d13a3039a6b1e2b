/* UUIDs: version 7's layout and order, reading and writing. */
#include "unit.h"

/* The source itself: nobody lives to see its carries happen by chance. */
#include "base/uuid.c" /* NOLINT(bugprone-suspicious-include) */

#include <sys/wait.h>
#include <unistd.h>

static uint64_t ms_of(tn_uuid id)
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id.b[i];
    return ms;
}

static void v7_has_its_version_variant_and_time(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t before = (uint64_t)tn_now().us / 1000;
        tn_uuid id = tn_uuid_v7();
        uint64_t after = (uint64_t)tn_now().us / 1000;
        assert_int_equal(id.b[6] >> 4, 7);
        assert_int_equal(id.b[8] >> 6, 2);
        assert_in_range(ms_of(id), before, after);
    }
}

static void v7_rises_within_a_thread(void **state)
{
    (void)state;
    tn_uuid last = tn_uuid_v7();
    for (int i = 0; i < 200000; i++) {
        tn_uuid id = tn_uuid_v7();
        assert_true(memcmp(&last, &id, sizeof id) < 0);
        last = id;
    }
}

static void v7_differs_in_its_random_bits(void **state)
{
    (void)state;
    /* Each of the 61 bits that start random must be seen both set and unset. */
    uint8_t all[16], any[16] = { 0 };
    memset(all, 0xFF, sizeof all);
    for (int i = 0; i < 40; i++) {
        uint64_t ms = (uint64_t)tn_now().us / 1000;
        while ((uint64_t)tn_now().us / 1000 == ms)
            usleep(200);
        tn_uuid id = tn_uuid_v7();
        for (int b = 0; b < 16; b++) {
            all[b] &= id.b[b];
            any[b] |= id.b[b];
        }
    }
    assert_int_equal(any[6], 0x77); /* the first bit starts unset, so that there is room above */
    assert_int_equal(all[6], 0x70);
    assert_int_equal(any[8], 0xBF);
    assert_int_equal(all[8], 0x80);
    for (int b = 9; b < 16; b++) {
        assert_int_equal(any[b], 0xFF);
        assert_int_equal(all[b], 0);
    }
}

/* As if the clock had gone back by a day, so that the time stays and the rest rises. */
static void v7_rises_when_its_random_bits_run_over(void **state)
{
    (void)state;
    uint64_t tomorrow = (uint64_t)tn_now().us / 1000 + 86400000;
    self.ms = tomorrow;
    self.high = 5;
    self.low = LOW_BITS_MAX;
    tn_uuid id = tn_uuid_v7();
    assert_int_equal(ms_of(id), tomorrow);
    assert_int_equal((id.b[6] & 0x0F) << 8 | id.b[7], 6);
    assert_int_equal(id.b[8], 0x80); /* what is left after the carry is small */
    self.high = HIGH_BITS_MAX;
    self.low = LOW_BITS_MAX;
    id = tn_uuid_v7();
    assert_int_equal(ms_of(id), tomorrow + 1);
    assert_int_equal(id.b[6] >> 4, 7);
    self.ms = 0;
}

enum { THREADS = 4, IDS_A_THREAD = 20000, IDS = THREADS * IDS_A_THREAD };

static void *make_ids(void *arg)
{
    tn_uuid *ids = arg;
    for (int i = 0; i < IDS_A_THREAD; i++)
        ids[i] = tn_uuid_v7();
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(tn_uuid));
}

static void v7_is_unique_across_threads(void **state)
{
    (void)state;
    tn_uuid *ids = tn__xmalloc(IDS * sizeof *ids);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids,
                             &ids[(ptrdiff_t)i * IDS_A_THREAD]),
            0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, IDS, sizeof *ids, compare_ids);
    for (int i = 1; i < IDS; i++)
        assert_memory_not_equal(&ids[i - 1], &ids[i], sizeof *ids);
    free(ids);
}

/* Without care the child would go on with its parent's random bytes. */
static void forked_child_makes_other_ids(void **state)
{
    (void)state;
    int ends[2];
    tn_uuid theirs;
    tn_uuid_v7();
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        tn_uuid id = tn_uuid_v7();
        _exit(write(ends[1], &id, sizeof id) == (ssize_t)sizeof id ? 0 : 1);
    }
    tn_uuid ours = tn_uuid_v7();
    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_memory_not_equal(ours.b + 9, theirs.b + 9, 7);
    close(ends[0]);
    close(ends[1]);
}

static void text_round_trips_in_either_case(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(256);
    tn_uuid id;
    assert_true(tn__uuid_parse(TN_S("01234567-89AB-cdef-0123-456789ABCDEF"), &id));
    assert_str(tn_uuid_str(arena, id), "01234567-89ab-cdef-0123-456789abcdef");
    for (int i = 0; i < 1000; i++) {
        tn_uuid made = tn_uuid_v7(), back;
        char text[36];
        tn__uuid_write(made, text);
        assert_true(tn__uuid_parse((tn_str){ text, 36 }, &back));
        assert_memory_equal(&made, &back, sizeof made);
    }
    tn__arena_close(arena);
}

static void parse_refuses_what_is_not_a_uuid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdef0",
        "0123456789abcdef0123456789abcdef",
        "{1234567-89ab-cdef-0123-456789abcde}",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567-89ab-cdef-0123-456789abcde ",
        "01234567-89ab-cdef-0123456789ab-cdef",
        "012345678-9ab-cdef-0123-456789abcdef",
        "01234567_89ab_cdef_0123_456789abcdef",
        "@1234567-89ab-cdef-0123-456789abcdef",
        "`1234567-89ab-cdef-0123-456789abcdef",
        "\xFFg234567-89ab-cdef-0123-456789abcdef",
    };
    tn_uuid id = { { 42 } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (tn__uuid_parse(tn_str_of(bad[i]), &id))
            fail_msg("%s was accepted", bad[i]);
        assert_memory_equal(&id, &((tn_uuid){ { 42 } }), sizeof id);
    }
    assert_false(tn__uuid_parse(TN_S("0123456\0-89ab-cdef-0123-456789abcdef"), &id));
}

static void only_the_nil_uuid_is_nil(void **state)
{
    (void)state;
    assert_true(tn__uuid_is_nil((tn_uuid){ { 0 } }));
    for (int i = 0; i < 16; i++) {
        tn_uuid id = { { 0 } };
        id.b[i] = 1;
        assert_false(tn__uuid_is_nil(id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v7_has_its_version_variant_and_time),
        cmocka_unit_test(v7_rises_within_a_thread),
        cmocka_unit_test(v7_differs_in_its_random_bits),
        cmocka_unit_test(v7_rises_when_its_random_bits_run_over),
        cmocka_unit_test(v7_is_unique_across_threads),
        cmocka_unit_test(forked_child_makes_other_ids),
        cmocka_unit_test(text_round_trips_in_either_case),
        cmocka_unit_test(parse_refuses_what_is_not_a_uuid),
        cmocka_unit_test(only_the_nil_uuid_is_nil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
