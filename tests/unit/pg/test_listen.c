/* Notifications: each is told of, and so is a time in which some may have been missed. */
#include "fixture.h"

#include "pg/state.h"

static int heard, heard_other;

static void hear(void *arg)
{
    (*(int *)arg)++;
}

static bool heard_once(void)
{
    return heard >= 1;
}

static int listen_to_first(void **state)
{
    open_world(state);
    heard = heard_other = 0;
    tn__pg_listen(pg, "first", hear, &heard);
    run_until(heard_once); /* since some may have been missed before */
    return 0;
}

#define LISTEN_TEST(fn) cmocka_unit_test_setup_teardown(fn, listen_to_first, close_world)

static bool heard_four(void)
{
    return heard >= 4;
}

static void each_notification_is_told_of(void **state)
{
    (void)state;
    sql("NOTIFY first, 'a'; NOTIFY first, 'b'; NOTIFY first, 'c'");
    run_until(heard_four);
    run_for(50);
    assert_int_equal(heard, 4);
}

static bool heard_other_once(void)
{
    return heard_other >= 1;
}

static bool heard_other_twice(void)
{
    return heard_other >= 2;
}

static void channels_are_told_apart(void **state)
{
    (void)state;
    tn__pg_listen(pg, "Other \"channel\"", hear, &heard_other);
    run_until(heard_other_once);
    run_for(100);
    assert_int_equal(heard_other, 1);
    sql("NOTIFY \"Other \"\"channel\"\"\"; NOTIFY third");
    run_until(heard_other_twice);
    assert_int_equal(heard, 1);
}

static void a_channel_has_as_many_listeners_as_it_likes(void **state)
{
    (void)state;
    tn__pg_listen(pg, "first", hear, &heard_other);
    run_until(heard_other_once);
    run_for(100);
    sql("NOTIFY first");
    run_until(heard_other_twice);
    assert_int_equal(heard, 2);
}

static bool heard_twice(void)
{
    return heard >= 2;
}

static bool heard_thrice(void)
{
    return heard >= 3;
}

static void a_reconnect_is_told_of_once_on_each_channel(void **state)
{
    (void)state;
    end_backends("query LIKE 'LISTEN%'");
    run_until(heard_twice);
    run_for(100);
    assert_int_equal(heard, 2);
    sql("NOTIFY first");
    run_until(heard_thrice);
}

static void a_notification_comes_with_the_commit_of_a_batch(void **state)
{
    (void)state;
    sql("CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN NOTIFY first; RETURN NULL; END$$;"
        "CREATE TRIGGER tell AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION tell()");
    for (int i = 0; i < 10; i++)
        start(insert_row, i);
    finish();
    run_until(heard_twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTEN_TEST(each_notification_is_told_of),
        LISTEN_TEST(channels_are_told_apart),
        LISTEN_TEST(a_channel_has_as_many_listeners_as_it_likes),
        LISTEN_TEST(a_reconnect_is_told_of_once_on_each_channel),
        LISTEN_TEST(a_notification_comes_with_the_commit_of_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
