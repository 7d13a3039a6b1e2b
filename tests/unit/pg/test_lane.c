/* Lanes: sharing of batches, and who answers for a failure. */
#include "fixture.h"

static void a_write_is_durable_when_it_answers(void **state)
{
    (void)state;
    job *j = start(insert_row, 1);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE id = 1 AND v = 'v1'"), 1);
}

static int64_t transactions(void)
{
    return number("SELECT count(DISTINCT xmin::text) FROM t");
}

static void writes_in_flight_together_share_a_commit(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) {
        start(insert_row_with_key, i);
    }
    finish();
    assert_int_equal(number("SELECT count(*) FROM t"), 64);
    assert_int_equal(number("SELECT count(*) FROM keys"), 64);
    assert_int_equal(number("SELECT count(*) FROM notes"), 64);
    assert_int_equal(transactions(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(a_write_is_durable_when_it_answers),
        PG_TEST(writes_in_flight_together_share_a_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
