/* Transactions that look at rows before their commit, each on a session of the pool. */
#include "fixture.h"

#include "pg/state.h"

struct t_row {
    int64_t id;
    tn_str v;
};
static const tn_schema t_row_schema = TN_SCHEMA(t_row, TN_INT(t_row, id), TN_STR(t_row, v));

static const tn_query lock_t = { "lock_t", "SELECT * FROM t WHERE id = $1 FOR UPDATE" };
static const tn_query set_t = { "set_t", "UPDATE t SET v = $2 WHERE id = $1 RETURNING *" };
static const tn_query all_t = { "all_t", "SELECT * FROM t ORDER BY id" };

/* Locks row `id`, looks at it, and appends a mark to its text. */
static void append_mark(job *j)
{
    struct t_row row = { 0 };
    tn_ref current = TN_REF(t_row, &row);
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, current, &lock_t, TN_ARGS(j->id));
    if (tn_wait(tx)) {
        assert_false(tn__tx_pending(tx, &row));
        assert_int_equal(row.id, j->id);
    }
    tn_one(tx, current, &set_t, TN_ARGS(row.id, tn_printf(j->arena, "%.*s!", TN_FMT(row.v))));
    tn__tx_bulk(tx, &notes, TN_ARGS(j->id, TN_S("marked")));
    tn__tx_bulk(tx, &keys, TN_ARGS(key_of(number("SELECT count(*) FROM keys")), TN_S("")));
    commit(j, tx);
}

static bool sessions_are_back(void)
{
    size_t idle = 0, up = 0;
    for (const tn__session *at = pg->pool.idle; at != NULL; at = at->next_idle)
        idle++;
    for (size_t i = 0; i < pg->pool.n; i++)
        up += tn__conn_is_up(&pg->pool.sessions[i].conn);
    return idle == up && pg->pool.n_waiting == 0;
}

/* ---- The ordinary ------------------------------------------------------- */

static void rows_can_be_looked_at_before_the_commit(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    job *j = start(append_mark, 1);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a!'"), 1);
    assert_int_equal(number("SELECT count(*) FROM notes WHERE note = 'marked'"), 1);
    assert_int_equal(number("SELECT count(*) FROM keys"), 1);
}

static void a_session_is_used_again(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    for (int i = 0; i < 5; i++) {
        start(append_mark, 1);
        finish();
    }
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a!!!!!'"), 1);
    /* Two lanes and one session; those of the test before may be on their way out still. */
    await_sql(BACKENDS(3, "true"));
}

static void transactions_on_sessions_take_turns(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, '')");
    sql("ALTER TABLE keys DROP CONSTRAINT keys_pkey");
    for (int i = 0; i < 50; i++)
        start(append_mark, 1);
    finish();
    assert_int_equal(number("SELECT length(v) FROM t"), 50);
    assert_int_equal(number("SELECT count(*) FROM notes"), 50);
    await_sql(BACKENDS(6, "true")); /* two lanes and the whole pool */
    run_until(sessions_are_back);
}

static void look_around(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    assert_false(tn_maybe(tx, TN_REF(t_row, &row), &lock_t, TN_ARGS((int64_t)99)));
    assert_true(tn_maybe(tx, TN_REF(t_row, &row), &lock_t, TN_ARGS((int64_t)2)));
    assert_str(row.v, "b");
    tn_run(tx, &insert_t, TN_ARGS((int64_t)4, TN_S("d")));
    tn_rows rows = tn_all(tx, &t_row_schema, &all_t, TN_NO_ARGS);
    assert_int_equal(rows.n, 4);
    const struct t_row *at = rows.at;
    assert_str(at[3].v, "d");
    commit(j, tx);
}

static void a_transaction_sees_its_own_writes(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    job *j = start(look_around, 0);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t"), 4);
}

/* ---- Deferred functions ------------------------------------------------- */

struct told {
    struct t_row *row;
    int calls;
};

static void tell(tn_tx *tx, void *arg)
{
    struct told *told = arg;
    told->calls++;
    assert_false(tn__tx_pending(tx, told->row));
    tn__tx_bulk(tx, &notes, TN_ARGS(told->row->id, told->row->v));
    if (told->calls == 1)
        tn__tx_defer(tx, tell, told);
}

static void update_and_tell(job *j)
{
    struct t_row row = { 0 };
    struct told told = { .row = &row };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &set_t, TN_ARGS(j->id, TN_S("told")));
    tn__tx_defer(tx, tell, &told);
    commit(j, tx);
    assert_int_equal(told.calls, j->ok ? 2 : 0);
}

static void deferred_functions_run_once_the_rows_are_there(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    job *j = start(update_and_tell, 1);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM notes WHERE id = 1 AND note = 'told'"), 2);
}

static void deferred_functions_do_not_run_after_a_failure(void **state)
{
    (void)state;
    job *j = start(update_and_tell, 1);
    finish();
    assert_failed(j, TN__FAIL_NOT_FOUND);
    assert_int_equal(number("SELECT count(*) FROM notes"), 0);
}

static void insert_and_defer(job *j)
{
    struct t_row row = { .id = 5, .v = TN_S("known") };
    struct told told = { .row = &row, .calls = 1 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(row.id, row.v));
    tn__tx_defer(tx, tell, &told);
    commit(j, tx);
}

static void without_awaited_rows_deferring_costs_no_session(void **state)
{
    (void)state;
    job *j = start(insert_and_defer, 0);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM notes WHERE note = 'known'"), 1);
    await_sql(BACKENDS(2, "true"));
}

/* ---- Failure ------------------------------------------------------------ */

static void a_missing_row_rolls_back(void **state)
{
    (void)state;
    job *j = start(append_mark, 1);
    finish();
    assert_failed(j, TN__FAIL_NOT_FOUND);
    assert_str(j->failure.query, "lock_t");
    assert_int_equal(number("SELECT count(*) FROM notes"), 0);
    run_until(sessions_are_back);
}

static void set_and_violate(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &set_t, TN_ARGS((int64_t)1, TN_S("undone")));
    tn_wait(tx);
    tn_run(tx, &insert_t, TN_ARGS((int64_t)9, TN_S("taken")));
    commit(j, tx);
}

static void a_violation_rolls_back_what_was_seen(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a'), (2, 'taken')");
    job *j = start(set_and_violate, 0);
    finish();
    assert_failed(j, TN__FAIL_CONSTRAINT);
    assert_str(j->failure.constraint, "t_v_unique");
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a'"), 1);
    run_until(sessions_are_back);
    job *next = start(append_mark, 1);
    finish();
    assert_true(next->ok);
}

static void a_constraint_may_wait_for_the_commit(void **state)
{
    (void)state;
    sql("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO t VALUES (1, 'a');"
        "INSERT INTO parent VALUES (1);"
        "ALTER TABLE notes ADD CONSTRAINT notes_have_parent FOREIGN KEY (id) REFERENCES parent"
        " DEFERRABLE INITIALLY DEFERRED; DELETE FROM parent");
    job *j = start(append_mark, 1);
    finish();
    assert_failed(j, TN__FAIL_CONSTRAINT);
    assert_str(j->failure.constraint, "notes_have_parent");
    assert_str(j->failure.query, "commit");
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a'"), 1);
    run_until(sessions_are_back);
}

static void look_and_abandon(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &set_t, TN_ARGS(j->id, TN_S("undone")));
    assert_true(tn_wait(tx));
    tn__tx_abandon(tx);
    tn__tx_abandon(tx);
}

static void abandoning_rolls_back(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    start(look_and_abandon, 1);
    finish();
    run_until(sessions_are_back);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a'"), 1);
    assert_int_equal(number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'"
                            " AND state <> 'idle'"),
        0);
}

static const tn_problem taken = { "x", 409, "taken", "Taken" };

static void look_and_fail(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &set_t, TN_ARGS(j->id, TN_S("undone")));
    assert_true(tn_wait(tx));
    tn__tx_fail(tx, &(tn__failure){ .kind = TN__FAIL_PROBLEM, .problem = &taken });
    tn__tx_fail(tx, &(tn__failure){ .kind = TN__FAIL_STATUS, .status = 418 });
    tn_run(tx, &insert_t, TN_ARGS((int64_t)7, TN_S("never")));
    assert_int_equal(tn_all(tx, &t_row_schema, &all_t, TN_NO_ARGS).n, 0);
    assert_false(tn_wait(tx));
    commit(j, tx);
}

static void the_first_failure_sticks(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    job *j = start(look_and_fail, 1);
    finish();
    assert_failed(j, TN__FAIL_PROBLEM);
    assert_ptr_equal(j->failure.problem, &taken);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a'"), 1);
    assert_int_equal(number("SELECT count(*) FROM t"), 1);
}

static void run_wrong_sql(job *j)
{
    static const tn_query wrong = { "wrong", "SELECT nonsense FROM t" };
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &wrong, TN_NO_ARGS);
    assert_false(tn_wait(tx));
    commit(j, tx);
}

static void wrong_sql_is_logged_each_time(void **state)
{
    (void)state;
    capture_log();
    for (int i = 0; i < 2; i++) {
        job *j = start(run_wrong_sql, 0);
        finish();
        assert_failed(j, TN__FAIL_ERROR);
        assert_str(j->failure.sqlstate, "42703");
    }
    const char *first = strstr(captured_log(), "\"query\":\"wrong\"");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"query\":\"wrong\""));
}

/* ---- Time, locks and limits ---------------------------------------------- */

static PGconn *lock_row_1(void)
{
    sql("INSERT INTO t VALUES (1, 'locked'), (2, 'free')");
    PGconn *other = other_connection();
    on(other, "BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    return other;
}

static void a_lock_that_is_not_had_in_time_is_busy(void **state)
{
    (void)state;
    options.lock_timeout_ms = 100;
    reopen();
    PGconn *other = lock_row_1();
    job *j = start(append_mark, 1);
    finish();
    assert_failed(j, TN__FAIL_BUSY);
    assert_str(j->failure.sqlstate, "55P03");
    PQfinish(other);
    run_until(sessions_are_back);
}

static void a_deadline_frees_the_handler_and_then_the_session(void **state)
{
    (void)state;
    options.lock_timeout_ms = 10000;
    options.pool_max = 1;
    reopen();
    PGconn *other = lock_row_1();
    job *j = start_with(append_mark, 1, TN_S(""), 100);
    finish();
    assert_failed(j, TN__FAIL_TIMEOUT);
    assert_true(j->took_us < 4500000); /* The statement itself has five seconds. */
    on(other, "ROLLBACK");
    job *next = start(append_mark, 2);
    finish();
    assert_true(next->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'locked'"), 1);
    PQfinish(other);
}

static void a_deadline_during_the_commit_leaves_it_to_the_server(void **state)
{
    (void)state;
    options.pool_max = 1;
    PGconn *other = hold_commits("UPDATE");
    sql("INSERT INTO t VALUES (1, 'a')");
    job *j = start_with(append_mark, 1, TN_S(""), 2000);
    finish();
    assert_failed(j, TN__FAIL_TIMEOUT);
    PQfinish(other);
    run_until(sessions_are_back);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a!'"), 1);
    await_sql(BACKENDS(3, "true"));
}

static void who_finds_no_session_waits_for_one_until_its_deadline(void **state)
{
    (void)state;
    options.lock_timeout_ms = 10000;
    options.pool_max = 1;
    reopen();
    PGconn *other = lock_row_1();
    job *holder = start(append_mark, 1);
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    job *late = start_with(append_mark, 2, TN_S(""), 100), *patient = start(append_mark, 2);
    run_for(200);
    assert_failed(late, TN__FAIL_TIMEOUT);
    assert_false(patient->done);
    on(other, "ROLLBACK");
    finish();
    assert_true(holder->ok && patient->ok);
    PQfinish(other);
}

static void only_so_many_wait_for_a_session(void **state)
{
    (void)state;
    options.lock_timeout_ms = 10000;
    options.pool_max = 1;
    options.queue_max = 2;
    reopen();
    sql("ALTER TABLE keys DROP CONSTRAINT keys_pkey");
    PGconn *other = lock_row_1();
    start(append_mark, 1);
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    start(append_mark, 2);
    start(append_mark, 2);
    job *one_too_many = start(append_mark, 2);
    assert_true(one_too_many->done);
    assert_failed(one_too_many, TN__FAIL_BUSY);
    on(other, "ROLLBACK");
    finish();
    PQfinish(other);
}

static void cancelling_frees_whoever_waits(void **state)
{
    (void)state;
    options.lock_timeout_ms = 10000;
    options.pool_max = 1;
    reopen();
    PGconn *other = lock_row_1();
    job *holder = start(append_mark, 1);
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    job *waiter = start(append_mark, 2);
    run_for(20);
    tn__co_cancel(waiter->co);
    tn__co_cancel(holder->co);
    finish();
    assert_failed(waiter, TN__FAIL_CANCELLED);
    assert_failed(holder, TN__FAIL_CANCELLED);
    on(other, "ROLLBACK");
    run_until(sessions_are_back);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'locked'"), 1);
    PQfinish(other);
}

/* ---- Lost sessions ------------------------------------------------------ */

static void wait_between(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &set_t, TN_ARGS(j->id, TN_S("undone")));
    assert_true(tn_wait(tx));
    tn__co_sleep(200000);
    tn_run(tx, &insert_t, TN_ARGS((int64_t)50, TN_S("undone too")));
    commit(j, tx);
}

static void a_session_lost_between_waits_did_nothing(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    job *j = start(wait_between, 1);
    await_sql(BACKENDS(1, "state = 'idle in transaction'"));
    end_backends("state = 'idle in transaction'");
    finish();
    assert_failed(j, TN__FAIL_UNAVAILABLE);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a'"), 1);
    assert_int_equal(number("SELECT count(*) FROM t"), 1);
}

static void a_session_lost_before_anything_was_seen_is_replaced(void **state)
{
    (void)state;
    options.lock_timeout_ms = 10000;
    reopen();
    PGconn *other = lock_row_1();
    job *j = start(append_mark, 1);
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    end_backends("wait_event_type = 'Lock'");
    run_for(100);
    assert_false(j->done);
    on(other, "ROLLBACK");
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'locked!'"), 1);
    PQfinish(other);
}

static void a_session_lost_while_it_was_idle_is_replaced(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    start(append_mark, 1);
    finish();
    run_until(sessions_are_back);
    end_backends("query LIKE 'COMMIT%'");
    job *j = start(append_mark, 1);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a!!'"), 1);
}

static bool over;

static void go_round(void *arg)
{
    (void)arg;
    while (!over)
        tn__co_sleep(0);
}

static void append_mark_and_break(job *j)
{
    append_mark(j);
    tn__conn_break(&pg->pool.sessions[0].conn, "broken");
}

/* With so many coroutines at work who is given it goes on in the next turn, when it's gone. */
static void a_session_lost_before_its_turn_comes_is_replaced(void **state)
{
    (void)state;
    options.pool_max = 1;
    reopen();
    sql("INSERT INTO t VALUES (1, 'a')");
    over = false;
    for (int i = 0; i < 4200; i++)
        tn__co_start(loop, go_round, NULL);
    job *first = start(append_mark_and_break, 1), *second = start(append_mark, 1);
    finish();
    over = true;
    run_for(100);
    assert_true(first->ok);
    assert_true(second->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'a!!'"), 1);
}

static void a_session_lost_while_committing_is_unknown(void **state)
{
    (void)state;
    PGconn *other = hold_commits("UPDATE");
    sql("INSERT INTO t VALUES (1, 'a')");
    job *j = start(append_mark, 1);
    await_sql(BACKENDS(1, "query = 'COMMIT' AND wait_event_type = 'Lock'"));
    end_backends("wait_event_type = 'Lock'");
    finish();
    assert_failed(j, TN__FAIL_UNKNOWN);
    PQfinish(other);
}

/* ---- A table that changes ------------------------------------------------ */

static void a_table_that_is_altered_is_met_once_as_busy(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'a')");
    start(append_mark, 1);
    finish();
    sql("ALTER TABLE t ADD COLUMN w text");
    job *first = start(append_mark, 1), *then = NULL;
    finish();
    assert_failed(first, TN__FAIL_BUSY);
    for (int i = 0; i < 2; i++) {
        then = start(append_mark, 1);
        finish();
    }
    assert_true(then->ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(rows_can_be_looked_at_before_the_commit),
        PG_TEST(a_session_is_used_again),
        PG_TEST(transactions_on_sessions_take_turns),
        PG_TEST(a_transaction_sees_its_own_writes),
        PG_TEST(deferred_functions_run_once_the_rows_are_there),
        PG_TEST(deferred_functions_do_not_run_after_a_failure),
        PG_TEST(without_awaited_rows_deferring_costs_no_session),
        PG_TEST(a_missing_row_rolls_back),
        PG_TEST(a_violation_rolls_back_what_was_seen),
        PG_TEST(a_constraint_may_wait_for_the_commit),
        PG_TEST(abandoning_rolls_back),
        PG_TEST(the_first_failure_sticks),
        PG_TEST(wrong_sql_is_logged_each_time),
        PG_TEST(a_lock_that_is_not_had_in_time_is_busy),
        PG_TEST(a_deadline_frees_the_handler_and_then_the_session),
        PG_TEST(a_deadline_during_the_commit_leaves_it_to_the_server),
        PG_TEST(who_finds_no_session_waits_for_one_until_its_deadline),
        PG_TEST(only_so_many_wait_for_a_session),
        PG_TEST(cancelling_frees_whoever_waits),
        PG_TEST(a_session_lost_between_waits_did_nothing),
        PG_TEST(a_session_lost_before_anything_was_seen_is_replaced),
        PG_TEST(a_session_lost_while_it_was_idle_is_replaced),
        PG_TEST(a_session_lost_before_its_turn_comes_is_replaced),
        PG_TEST(a_session_lost_while_committing_is_unknown),
        PG_TEST(a_table_that_is_altered_is_met_once_as_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
