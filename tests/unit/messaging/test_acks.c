/* Acknowledgements: few, and never of what isn't done. */
#include "messaging/acks.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdlib.h>

static int open_acks(void **state)
{
    static tn__acks acks;
    tn__acks_init(&acks, 8);
    *state = &acks;
    return 0;
}

static int close_acks(void **state)
{
    tn__acks_deinit(*state);
    return 0;
}

static void deliver(tn__acks *acks, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        tn__acks_delivered(acks, acks->next);
}

static void check_next(tn__acks *acks, uint64_t tag, bool multiple)
{
    uint64_t found;
    bool is_multiple;
    assert_true(tn__acks_take(acks, &found, &is_multiple));
    assert_int_equal(found, tag);
    assert_int_equal(is_multiple, multiple);
}

static void check_none(tn__acks *acks)
{
    assert_false(tn__acks_take(acks, &(uint64_t){ 0 }, &(bool){ false }));
}

static void a_run_from_the_lowest_is_one_ack(void **state)
{
    deliver(*state, 5);
    for (uint64_t tag = 4; tag >= 1; tag--)
        tn__acks_done(*state, tag);
    check_next(*state, 4, true);
    check_none(*state);
    tn__acks_done(*state, 5);
    check_next(*state, 5, false);
    check_none(*state);
}

static void what_is_done_behind_a_slow_one_is_acked_alone(void **state)
{
    deliver(*state, 5);
    tn__acks_done(*state, 3);
    tn__acks_done(*state, 5);
    check_next(*state, 3, false);
    check_next(*state, 5, false);
    check_none(*state);
    tn__acks_done(*state, 1);
    check_next(*state, 1, false);
    tn__acks_done(*state, 2);
    check_next(*state, 2, false);
    tn__acks_done(*state, 4);
    check_next(*state, 4, false);
    check_none(*state);
}

static void a_rejected_one_is_not_acked_again(void **state)
{
    deliver(*state, 4);
    tn__acks_done(*state, 1);
    tn__acks_settled(*state, 2);
    tn__acks_done(*state, 3);
    tn__acks_settled(*state, 4);
    /* RabbitMQ closes the channel when the tag of an ack is settled already. */
    check_next(*state, 3, true);
    check_none(*state);
    deliver(*state, 1);
    tn__acks_done(*state, 5);
    check_next(*state, 5, false);
}

static void a_slow_one_does_not_limit_those_behind_it(void **state)
{
    tn__acks *acks = *state;
    deliver(acks, 1);
    for (uint64_t tag = 2; tag < 1000; tag++) {
        deliver(acks, 1);
        tn__acks_done(acks, tag);
        check_next(acks, tag, false);
    }
    tn__acks_done(acks, 1);
    check_next(acks, 1, false);
    check_none(acks);
    assert_int_equal(acks->first, 1000);
}

/* A model of the broker: whatever the order, each tag is acked once, and only when it is done. */
static void any_order_acks_each_done_tag_once(void **state)
{
    enum { N = 5000, WINDOW = 8 };
    tn__acks *acks = *state;
    static uint8_t status[N + 1]; /* 1 open, 2 done, 3 acked or rejected */
    uint64_t delivered = 0;
    size_t open = 0, finished = 0;
    srandom(7);
    while (finished < N) {
        while (delivered < N && open < WINDOW && random() % 4 != 0) {
            tn__acks_delivered(acks, ++delivered);
            status[delivered] = 1;
            open++;
        }
        for (int i = 0; i < 3 && open > 0; i++) {
            uint64_t low = delivered > 40 ? delivered - 40 : 1;
            uint64_t tag = low + (uint64_t)random() % (delivered - low + 1);
            if (status[tag] != 1)
                continue;
            bool reject = random() % 5 == 0;
            status[tag] = reject ? 3 : 2;
            finished += reject;
            open -= reject;
            if (reject)
                tn__acks_settled(acks, tag);
            else
                tn__acks_done(acks, tag);
        }
        uint64_t tag;
        bool multiple;
        while (random() % 2 == 0 && tn__acks_take(acks, &tag, &multiple)) {
            assert_int_equal(status[tag], 2);
            for (uint64_t at = multiple ? 1 : tag; at <= tag; at++) {
                assert_true(status[at] != 1);
                finished += status[at] == 2;
                open -= status[at] == 2;
                status[at] = 3;
            }
        }
        /* One that stays open for long would end the test early. */
        for (uint64_t at = 1; at + 40 < delivered; at++)
            if (status[at] == 1) {
                status[at] = 2;
                tn__acks_done(acks, at);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_from_the_lowest_is_one_ack, open_acks, close_acks),
        cmocka_unit_test_setup_teardown(what_is_done_behind_a_slow_one_is_acked_alone, open_acks,
            close_acks),
        cmocka_unit_test_setup_teardown(a_rejected_one_is_not_acked_again, open_acks, close_acks),
        cmocka_unit_test_setup_teardown(a_slow_one_does_not_limit_those_behind_it, open_acks,
            close_acks),
        cmocka_unit_test_setup_teardown(any_order_acks_each_done_tag_once, open_acks, close_acks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
