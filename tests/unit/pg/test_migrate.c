/* Migrations: applied once and in order, and what is refused. */
#include "fixture.h"

#include <pthread.h>
#include <stdlib.h>

static tn_str why;
static tn_arena *arena;

static int open_all(void **state)
{
    open_world(state);
    arena = tn__arena_open(4096);
    why = (tn_str){ NULL, 0 };
    return 0;
}

static int close_all(void **state)
{
    tn__arena_close(arena);
    return close_world(state);
}

#define MIGRATE_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_all, close_all)

static tn__migrated migrate(const char *set, const tn_migration *migrations, size_t n)
{
    return tn__migrate(arena, options.url, set, migrations, n, 5000, &why);
}

#define MIGRATE(set, ...)                                                                          \
    migrate((set), (const tn_migration[]){ __VA_ARGS__ },                                          \
        sizeof((const tn_migration[]){ __VA_ARGS__ }) / sizeof(tn_migration))

#define FIRST                                                                                      \
    {                                                                                              \
        "0001_a.sql", "CREATE TABLE a (id bigint); INSERT INTO a VALUES (1);"                      \
    }
#define SECOND                                                                                     \
    {                                                                                              \
        "0002_b.sql", "CREATE TABLE b (id bigint);"                                                \
    }
#define THIRD                                                                                      \
    {                                                                                              \
        "0003_c.sql", "CREATE TABLE c (id bigint);"                                                \
    }

static int64_t applied(void)
{
    return number("SELECT count(*) FROM trunnion_migrations");
}

static void what_is_missing_is_applied_in_order(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE("items", FIRST), TN__MIGRATE_DONE);
    assert_int_equal(MIGRATE("items", FIRST, SECOND, THIRD), TN__MIGRATE_DONE);
    assert_int_equal(MIGRATE("items", FIRST, SECOND, THIRD), TN__MIGRATE_DONE);
    assert_int_equal(number("SELECT count(*) FROM a"), 1);
    assert_int_equal(applied(), 3);
    assert_int_equal(number("SELECT count(*) FROM trunnion_migrations WHERE set_name = 'items'"
                            " AND applied_at <= now() AND length(checksum) = 64"),
        3);
}

static void sets_do_not_know_each_other(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE("trunnion", FIRST), TN__MIGRATE_DONE);
    assert_int_equal(MIGRATE("items", { "0001_a.sql", "CREATE TABLE other (id bigint)" }),
        TN__MIGRATE_DONE);
    assert_int_equal(applied(), 2);
}

static void nothing_to_do_is_done(void **state)
{
    (void)state;
    assert_int_equal(migrate("items", NULL, 0), TN__MIGRATE_DONE);
    assert_int_equal(applied(), 0);
}

static void one_that_has_changed_is_refused(void **state)
{
    (void)state;
    MIGRATE("items", FIRST);
    assert_int_equal(MIGRATE("items", { "0001_a.sql", "CREATE TABLE a (id bigint, more text)" },
                         SECOND),
        TN__MIGRATE_REFUSED);
    assert_str(why, "migration 0001_a.sql has changed since it was applied");
    assert_int_equal(applied(), 1);
}

static void one_that_is_gone_is_refused(void **state)
{
    (void)state;
    MIGRATE("items", FIRST, SECOND, THIRD);
    assert_int_equal(MIGRATE("items", FIRST, THIRD), TN__MIGRATE_REFUSED);
    assert_str(why, "migration 0002_b.sql was applied to this database, but is gone");
    assert_int_equal(MIGRATE("items", SECOND), TN__MIGRATE_REFUSED);
    assert_str(why, "migration 0001_a.sql was applied to this database, but is gone");
}

static void those_of_a_newer_version_are_let_be(void **state)
{
    (void)state;
    MIGRATE("items", FIRST, SECOND, THIRD);
    assert_int_equal(MIGRATE("items", FIRST), TN__MIGRATE_DONE);
    assert_int_equal(migrate("items", NULL, 0), TN__MIGRATE_DONE);
    assert_int_equal(MIGRATE("items", FIRST, SECOND, THIRD), TN__MIGRATE_DONE);
    assert_int_equal(applied(), 3);
}

static void one_that_comes_too_late_is_refused(void **state)
{
    (void)state;
    MIGRATE("items", FIRST, THIRD);
    assert_int_equal(MIGRATE("items", FIRST, SECOND, THIRD), TN__MIGRATE_REFUSED);
    assert_str(why,
        "migration 0002_b.sql is new, but 0003_c.sql, which comes after it, was applied");
    assert_int_equal(applied(), 2);
}

static void names_out_of_order_are_refused(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE("items", SECOND, FIRST), TN__MIGRATE_REFUSED);
    assert_str(why, "migration 0001_a.sql must not come after 0002_b.sql");
    assert_int_equal(MIGRATE("items", FIRST, FIRST), TN__MIGRATE_REFUSED);
}

static void one_that_fails_leaves_nothing_and_names_its_line(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE("items", FIRST,
                         { "0002_bad.sql",
                             "CREATE TABLE b (id bigint);\n-- \xc3\xa9\nCREATE TABEL c ();\n" }),
        TN__MIGRATE_REFUSED);
    assert_str(why, "migration 0002_bad.sql, line 3: syntax error at or near \"TABEL\"");
    assert_int_equal(applied(), 1);
    assert_int_equal(number("SELECT count(*) FROM pg_tables WHERE tablename = 'b'"), 0);
    assert_int_equal(MIGRATE("items", FIRST, SECOND), TN__MIGRATE_DONE);
}

static void one_that_commits_by_itself_is_refused(void **state)
{
    (void)state;
    assert_int_equal(MIGRATE("items", { "0001_a.sql", "CREATE TABLE a (id bigint); COMMIT" }),
        TN__MIGRATE_REFUSED);
    assert_str(why, "migration 0001_a.sql ends its transaction itself");
    assert_int_equal(applied(), 0);
}

static void a_server_that_is_away_is_unreachable(void **state)
{
    (void)state;
    const tn_migration first = FIRST;
    assert_int_equal(tn__migrate(arena, "postgresql://test@127.0.0.1:1/test", "items", &first, 1,
                         1000, &why),
        TN__MIGRATE_UNREACHABLE);
    assert_non_null(strstr(why.data, "refused"));
}

/* ---- At the same time ---------------------------------------------------- */

typedef struct {
    pthread_t thread;
    tn_arena *arena;
    tn__migrated migrated;
    tn_str why;
} process;

static void *migrate_slowly(void *arg)
{
    static const tn_migration slow[] = {
        { "0001_a.sql", "CREATE TABLE a (id bigint); SELECT pg_sleep(0.3)" },
        { "0002_b.sql", "CREATE TABLE b (id bigint); SELECT pg_sleep(0.1)" },
    };
    process *p = arg;
    p->migrated = tn__migrate(p->arena, options.url, "items", slow, 2, 10000, &p->why);
    return NULL;
}

static void processes_at_the_same_time_take_turns(void **state)
{
    (void)state;
    process processes[4];
    for (int i = 0; i < 4; i++) {
        processes[i] = (process){ .arena = tn__arena_open(1024) };
        assert_int_equal(pthread_create(&processes[i].thread, NULL, migrate_slowly, &processes[i]),
            0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(processes[i].thread, NULL);
        assert_int_equal(processes[i].migrated, TN__MIGRATE_DONE);
        tn__arena_close(processes[i].arena);
    }
    assert_int_equal(applied(), 2);
}

static void a_turn_that_does_not_come_is_unreachable(void **state)
{
    (void)state;
    const tn_migration first = FIRST;
    PGconn *other = other_connection();
    on(other, "SELECT pg_advisory_lock(8390898172903911278)");
    assert_int_equal(tn__migrate(arena, options.url, "items", &first, 1, 200, &why),
        TN__MIGRATE_UNREACHABLE);
    assert_non_null(strstr(why.data, "waiting for the migrations of another process"));
    PQfinish(other);
}

static void the_urls_own_options_hold(void **state)
{
    (void)state;
    const tn_migration first = FIRST;
    tn_str url = tn_printf(arena, "%s?options=-csearch_path%%3Delsewhere", options.url);
    sql("CREATE SCHEMA elsewhere");
    assert_int_equal(tn__migrate(arena, url.data, "items", &first, 1, 5000, &why),
        TN__MIGRATE_DONE);
    int64_t found = number("SELECT count(*) FROM pg_tables WHERE schemaname = 'elsewhere'");
    sql("DROP SCHEMA elsewhere CASCADE");
    assert_int_equal(found, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATE_TEST(what_is_missing_is_applied_in_order),
        MIGRATE_TEST(sets_do_not_know_each_other),
        MIGRATE_TEST(nothing_to_do_is_done),
        MIGRATE_TEST(one_that_has_changed_is_refused),
        MIGRATE_TEST(one_that_is_gone_is_refused),
        MIGRATE_TEST(those_of_a_newer_version_are_let_be),
        MIGRATE_TEST(one_that_comes_too_late_is_refused),
        MIGRATE_TEST(names_out_of_order_are_refused),
        MIGRATE_TEST(one_that_fails_leaves_nothing_and_names_its_line),
        MIGRATE_TEST(one_that_commits_by_itself_is_refused),
        MIGRATE_TEST(a_server_that_is_away_is_unreachable),
        MIGRATE_TEST(processes_at_the_same_time_take_turns),
        MIGRATE_TEST(a_turn_that_does_not_come_is_unreachable),
        MIGRATE_TEST(the_urls_own_options_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
