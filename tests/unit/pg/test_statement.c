/* Statements by name, and programs that misuse a name: they end, so each such case runs in a process
 * of its own. */
#include "../base/unit.h"

#include "pg/oid.h"
#include "pg/statement.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static tn__statements all;

static int close_all(void **state)
{
    (void)state;
    tn__statements_deinit(&all);
    return 0;
}

#define STATEMENT_TEST(fn) cmocka_unit_test_setup_teardown(fn, NULL, close_all)

static const tn_query one = { "one", "SELECT $1, $2" };

static void a_name_is_one_statement(void **state)
{
    (void)state;
    tn__statement *first = tn__statement_of_query(&all, &one, TN_ARGS(1, TN_S("a")));
    const tn_query same = { "one", "SELECT $1, $2" };
    assert_ptr_equal(tn__statement_of_query(&all, &same, TN_ARGS(2, TN_S("b"))), first);
    assert_string_equal(first->name, "one");
    assert_int_equal(first->n_params, 2);
    assert_int_equal(first->types[0], TN__OID_INT8);
    assert_int_equal(first->formats[0], 1);
    assert_int_equal(first->types[1], InvalidOid);
    assert_int_equal(first->formats[1], 0);
}

static void ids_count_without_gaps(void **state)
{
    (void)state;
    const tn_query two = { "two", "SELECT 2" };
    assert_int_equal(tn__statement_of_query(&all, &one, TN_ARGS(1, 2))->id, 0);
    assert_int_equal(tn__statement_of_query(&all, &two, TN_NO_ARGS)->id, 1);
    assert_int_equal(tn__statement_of_query(&all, &one, TN_ARGS(3, 4))->id, 0);
}

static void a_bulk_takes_arrays(void **state)
{
    (void)state;
    const tn_kind kinds[] = { TN_KIND_UUID, TN_KIND_STR };
    tn__statement *bulk = tn__statement_of_bulk(&all, "bulk", "SELECT unnest($1), $2", kinds, 2);
    assert_int_equal(bulk->types[0], TN__OID_UUID_ARRAY);
    assert_int_equal(bulk->types[1], TN__OID_TEXT_ARRAY);
    assert_int_equal(bulk->formats[1], 1);
}

/* ---- Misuse ------------------------------------------------------------- */

static bool aborts(void (*misuse)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka and the sanitizers may have handlers */
        misuse();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void use_two_texts(void)
{
    const tn_query other = { "one", "SELECT $2, $1" };
    tn__statement_of_query(&all, &one, TN_ARGS(1, 2));
    tn__statement_of_query(&all, &other, TN_ARGS(1, 2));
}

static void use_other_kinds(void)
{
    tn__statement_of_query(&all, &one, TN_ARGS(1, 2));
    tn__statement_of_query(&all, &one, TN_ARGS(1, TN_S("2")));
}

static void use_other_count(void)
{
    tn__statement_of_query(&all, &one, TN_ARGS(1, 2));
    tn__statement_of_query(&all, &one, TN_ARGS(1));
}

static void use_too_many(void)
{
    for (int i = 0; i <= TN__STATEMENTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "q%d", i);
        tn__statement_of_query(&all, &(tn_query){ name, "SELECT 1" }, TN_NO_ARGS);
    }
}

static void use_nothing_wrong(void)
{
    tn__statement_of_query(&all, &one, TN_ARGS(1, 2));
}

static void two_texts_under_one_name_end_the_process(void **state)
{
    (void)state;
    assert_true(aborts(use_two_texts));
    assert_false(aborts(use_nothing_wrong));
}

static void other_arguments_than_before_end_the_process(void **state)
{
    (void)state;
    assert_true(aborts(use_other_kinds));
    assert_true(aborts(use_other_count));
}

static void names_made_at_run_time_end_the_process(void **state)
{
    (void)state;
    assert_true(aborts(use_too_many));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATEMENT_TEST(a_name_is_one_statement),
        STATEMENT_TEST(ids_count_without_gaps),
        STATEMENT_TEST(a_bulk_takes_arrays),
        STATEMENT_TEST(two_texts_under_one_name_end_the_process),
        STATEMENT_TEST(other_arguments_than_before_end_the_process),
        STATEMENT_TEST(names_made_at_run_time_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
