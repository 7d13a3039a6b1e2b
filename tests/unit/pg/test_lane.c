/* Lanes: sharing of batches, and who answers for a failure. */
#include "fixture.h"

#include "pg/state.h"

/* ---- Sharing ------------------------------------------------------------ */

static int64_t commits(void)
{
    return number("SELECT count(DISTINCT xmin::text) FROM t");
}

static void a_write_is_there_when_it_answers(void **state)
{
    (void)state;
    job *j = start(insert_row, 1);
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE id = 1 AND v = 'v1'"), 1);
}

static void writes_in_flight_together_share_a_commit(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++)
        start(insert_row_with_key, i);
    finish();
    assert_int_equal(number("SELECT count(*) FROM t"), 64);
    assert_int_equal(number("SELECT count(*) FROM keys"), 64);
    assert_int_equal(number("SELECT count(*) FROM notes"), 64);
    assert_int_equal(commits(), 1);
}

static void a_batch_holds_no_more_than_it_may(void **state)
{
    (void)state;
    options.batch_max = 8;
    reopen();
    for (int i = 0; i < 64; i++)
        start(insert_row, i);
    finish();
    assert_int_equal(number("SELECT count(*) FROM t"), 64);
    assert_int_equal(commits(), 8);
}

static void a_batch_ends_where_its_bytes_do(void **state)
{
    (void)state;
    static char megabytes[2 << 20];
    memset(megabytes, 'x', sizeof megabytes);
    sql("ALTER TABLE t DROP CONSTRAINT t_v_unique");
    for (int i = 0; i < 6; i++)
        start_with(insert_row, i, (tn_str){ megabytes, sizeof megabytes }, 0);
    finish();
    assert_int_equal(number("SELECT count(*) FROM t"), 6);
    assert_int_equal(commits(), 3);
}

/* At the commit a deferred trigger sleeps, long after the statement's own result has come. */
static void sleep_at_commit(const char *condition)
{
    sql("CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END$$;"
        "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW WHEN (%s) EXECUTE FUNCTION nap()",
        condition);
}

static void nothing_is_answered_before_the_commit(void **state)
{
    (void)state;
    sleep_at_commit("NEW.id = 2");
    job *first = start(insert_row, 1), *second = start(insert_row, 2);
    finish();
    assert_true(first->ok && second->ok);
    assert_true(first->took_us > 500000);
    assert_true(second->took_us > 500000);
}

static void two_batches_are_in_flight_and_no_third(void **state)
{
    (void)state;
    PGconn *other = hold_commits("INSERT");
    for (int i = 0; i < 3; i++) {
        start(insert_row, i);
        run_for(20);
    }
    assert_int_equal(pg->write.n_in_flight, 2);
    assert_int_equal(pg->write.shared.n, 1);
    PQfinish(other);
    finish();
    assert_int_equal(commits(), 3);
}

static void a_full_queue_turns_writes_away(void **state)
{
    (void)state;
    options.queue_max = 4;
    reopen();
    job *j[6];
    for (int i = 0; i < 6; i++)
        j[i] = start(insert_row, i);
    finish();
    for (int i = 0; i < 4; i++)
        assert_true(j[i]->ok);
    assert_failed(j[4], TN__FAIL_BUSY);
    assert_failed(j[5], TN__FAIL_BUSY);
    assert_int_equal(number("SELECT count(*) FROM t"), 4);
}

static void begin_nothing(job *j)
{
    commit(j, begin(j, TN__WRITE));
}

static void an_empty_transaction_asks_nothing_of_the_server(void **state)
{
    (void)state;
    job *j = start(begin_nothing, 0);
    assert_true(j->done && j->ok);
}

/* ---- Failures that have a culprit --------------------------------------- */

static void one_violation_among_64_fails_alone(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1000, 'taken')");
    job *j[64];
    for (int i = 0; i < 64; i++) {
        j[i] = i == 40 ? start_with(insert_row_with_key, i, TN_S("taken"), 0)
                       : start(insert_row_with_key, i);
    }
    finish();
    for (int i = 0; i < 64; i++)
        assert_int_equal(j[i]->ok, i != 40);
    assert_failed(j[40], TN__FAIL_CONSTRAINT);
    assert_str(j[40]->failure.constraint, "t_v_unique");
    assert_str(j[40]->failure.sqlstate, "23505");
    assert_str(j[40]->failure.query, "insert_t");
    assert_int_equal(number("SELECT count(*) FROM t"), 64);
    assert_int_equal(number("SELECT count(*) FROM keys"), 63);
    assert_int_equal(number("SELECT count(*) FROM notes"), 63);
}

static void many_violations_fail_one_by_one(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1000, 'taken')");
    job *j[64];
    for (int i = 0; i < 64; i++) {
        j[i] = i % 6 == 0 ? start_with(insert_row_with_key, i, TN_S("taken"), 0)
                          : start(insert_row_with_key, i);
    }
    finish();
    for (int i = 0; i < 64; i++)
        assert_int_equal(j[i]->ok, i % 6 != 0);
    assert_int_equal(number("SELECT count(*) FROM t"), 1 + 64 - 11);
    assert_int_equal(number("SELECT count(*) FROM notes"), 64 - 11);
}

static void all_may_fail(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1000, 'taken')");
    for (int i = 0; i < 32; i++)
        start_with(insert_row, i, TN_S("taken"), 0);
    finish();
    assert_int_equal(number("SELECT count(*) FROM t"), 1);
}

/* Nobody is undone for ever: those whom faults hold up go on among fewer and fewer. */
static void half_of_a_batch_may_fail(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1000, 'taken')");
    job *j[128];
    for (int i = 0; i < 128; i++) {
        j[i] = i % 2 == 0 ? start_with(insert_row_with_key, i, TN_S("taken"), 0)
                          : start(insert_row_with_key, i);
    }
    finish();
    for (int i = 0; i < 128; i++)
        assert_int_equal(j[i]->ok, i % 2 != 0);
    assert_int_equal(number("SELECT count(*) FROM keys"), 64);
}

/* The one at fault goes alone, and all the others in one commit. */
static void a_fault_costs_the_others_one_more_try(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1000, 'taken')");
    for (int i = 0; i < 64; i++)
        if (i == 40)
            start_with(insert_row, i, TN_S("taken"), 0);
        else
            start(insert_row, i);
    finish();
    assert_int_equal(number("SELECT count(DISTINCT xmin::text) FROM t WHERE id < 1000"), 1);
}

static void of_twins_in_a_batch_the_first_wins(void **state)
{
    (void)state;
    job *first = start_with(insert_row, 1, TN_S("same"), 0);
    job *second = start_with(insert_row, 2, TN_S("same"), 0);
    finish();
    assert_true(first->ok);
    assert_failed(second, TN__FAIL_CONSTRAINT);
    assert_int_equal(number("SELECT id FROM t"), 1);
}

static void run_wrong_sql(job *j)
{
    static const tn_query wrong = { "wrong", "INSRT INTO t VALUES (1)" };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, TN_S("undone")));
    tn_run(tx, &wrong, TN_NO_ARGS);
    commit(j, tx);
}

static void wrong_sql_fails_alone_and_is_logged(void **state)
{
    (void)state;
    capture_log();
    job *before = start(insert_row, 1), *wrong = start(run_wrong_sql, 2),
        *after = start(insert_row, 3);
    finish();
    assert_true(before->ok && after->ok);
    assert_failed(wrong, TN__FAIL_ERROR);
    assert_str(wrong->failure.query, "wrong");
    assert_str(wrong->failure.sqlstate, "42601");
    assert_int_equal(number("SELECT count(*) FROM t"), 2);
    const char *log = captured_log();
    assert_non_null(strstr(log, "\"message\":\"query failed\""));
    assert_non_null(strstr(log, "\"query\":\"wrong\",\"sqlstate\":\"42601\""));
}

static void insert_by_another_statement(job *j)
{
    static const tn_query other = { "other", "INSERT INTO t VALUES ($1, 'o' || $1::text)" };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &other, TN_ARGS(j->id));
    commit(j, tx);
}

/* The failure skips the preparing of a statement that the next batch, on its way, relies on. */
static void a_statement_whose_preparing_was_skipped_is_prepared_again(void **state)
{
    (void)state;
    options.batch_max = 2;
    reopen();
    job *failing = start_with(insert_row, 1, (tn_str){ "\xff", 1 }, 0);
    job *j[5];
    for (int i = 0; i < 5; i++)
        j[i] = start(insert_by_another_statement, 10 + i);
    finish();
    assert_failed(failing, TN__FAIL_ERROR);
    for (int i = 0; i < 5; i++)
        assert_true(j[i]->ok);
    assert_int_equal(number("SELECT count(*) FROM t"), 5);
}

static void forget_all_statements(job *j)
{
    static const tn_query forget = { "forget", "DEALLOCATE ALL" };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &forget, TN_NO_ARGS);
    commit(j, tx);
}

static void a_statement_that_is_gone_is_prepared_again(void **state)
{
    (void)state;
    start(insert_row_with_key, 1);
    finish();
    start(forget_all_statements, 0);
    finish();
    job *j[2] = { start(insert_row_with_key, 2), start(insert_row, 3) };
    finish();
    assert_true(j[0]->ok && j[1]->ok);
    assert_int_equal(number("SELECT count(*) FROM t"), 3);
}

static void values_are_never_logged(void **state)
{
    (void)state;
    capture_log();
    sql("ALTER TABLE t ALTER v TYPE uuid USING v::uuid");
    job *j = start_with(insert_row, 1, TN_S("secret"), 0);
    finish();
    assert_failed(j, TN__FAIL_ERROR);
    assert_str(j->failure.sqlstate, "22P02");
    const char *log = captured_log();
    assert_non_null(strstr(log, "invalid input syntax for type uuid"));
    assert_null(strstr(log, "secret"));
}

static void a_nul_is_refused_before_it_is_sent(void **state)
{
    (void)state;
    job *j = start_with(insert_row, 1, TN_S("a\0b"), 0);
    assert_true(j->done);
    assert_failed(j, TN__FAIL_ERROR);
    assert_str(j->failure.sqlstate, "22021");
    assert_str(j->failure.query, "insert_t");
}

/* ---- Failures of the whole batch ----------------------------------------- */

static void a_known_key_fails_only_the_one_that_brings_it(void **state)
{
    (void)state;
    job *before = start(insert_row_with_key, 5);
    finish();
    assert_true(before->ok);
    sql("DELETE FROM t");
    job *j[64];
    for (int i = 0; i < 64; i++)
        j[i] = start(insert_row_with_key, i);
    finish();
    for (int i = 0; i < 64; i++)
        assert_int_equal(j[i]->ok, i != 5);
    assert_failed(j[5], TN__FAIL_CONSTRAINT);
    assert_str(j[5]->failure.constraint, "keys_pkey");
    assert_str(j[5]->failure.query, "insert_keys");
    assert_int_equal(number("SELECT count(*) FROM t"), 63);
    assert_int_equal(number("SELECT count(*) FROM notes"), 64);
}

static void insert_with_key_7(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, tn_printf(j->arena, "v%d", (int)j->id)));
    tn__tx_bulk(tx, &keys, TN_ARGS(key_of(7), TN_S("reply")));
    commit(j, tx);
}

static void a_key_twice_in_a_batch_is_taken_once(void **state)
{
    (void)state;
    job *j[16];
    for (int i = 0; i < 16; i++)
        j[i] = start(i == 3 || i == 12 ? insert_with_key_7 : insert_row, i);
    finish();
    int won = j[3]->ok + j[12]->ok;
    assert_int_equal(won, 1);
    assert_failed(j[3]->ok ? j[12] : j[3], TN__FAIL_CONSTRAINT);
    assert_int_equal(number("SELECT count(*) FROM t"), 15);
    assert_int_equal(number("SELECT count(*) FROM keys"), 1);
}

static void note_badly(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, TN_S("undone")));
    tn__tx_bulk(tx, &notes, TN_ARGS(j->id, TN_S("bad")));
    commit(j, tx);
}

static void a_bad_row_of_a_bulk_fails_only_its_owner(void **state)
{
    (void)state;
    job *j[32];
    for (int i = 0; i < 32; i++)
        j[i] = start(i == 20 ? note_badly : insert_row_with_key, i);
    finish();
    for (int i = 0; i < 32; i++)
        assert_int_equal(j[i]->ok, i != 20);
    assert_str(j[20]->failure.constraint, "notes_not_bad");
    assert_int_equal(number("SELECT count(*) FROM t"), 31);
    assert_int_equal(number("SELECT count(*) FROM notes"), 31);
}

static void a_deferred_constraint_fails_only_its_owner(void **state)
{
    (void)state;
    sql("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent SELECT generate_series(0, 31);"
        "DELETE FROM parent WHERE id = 9;"
        "ALTER TABLE t ADD CONSTRAINT t_has_parent FOREIGN KEY (id) REFERENCES parent"
        " DEFERRABLE INITIALLY DEFERRED");
    job *j[32];
    for (int i = 0; i < 32; i++)
        j[i] = start(insert_row, i);
    finish();
    for (int i = 0; i < 32; i++)
        assert_int_equal(j[i]->ok, i != 9);
    assert_failed(j[9], TN__FAIL_CONSTRAINT);
    assert_str(j[9]->failure.constraint, "t_has_parent");
    assert_str(j[9]->failure.query, "commit");
    assert_int_equal(number("SELECT count(*) FROM t"), 31);
}

/* ---- Time and locks ----------------------------------------------------- */

static void sleep_long(job *j)
{
    static const tn_query nap = { "nap", "SELECT pg_sleep(20)" };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &nap, TN_NO_ARGS);
    commit(j, tx);
}

static void a_statement_that_takes_too_long_fails_alone(void **state)
{
    (void)state;
    options.statement_timeout_ms = 200;
    reopen();
    job *before = start(insert_row, 1), *slow = start(sleep_long, 2), *after = start(insert_row, 3);
    finish();
    assert_true(before->ok && after->ok);
    assert_failed(slow, TN__FAIL_TIMEOUT);
    assert_str(slow->failure.sqlstate, "57014");
}

static const tn_query touch = { "touch", "UPDATE t SET v = v || '!' WHERE id = $1" };

static void touch_row(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &touch, TN_ARGS(j->id));
    commit(j, tx);
}

static void a_lock_that_is_not_had_in_time_fails_alone(void **state)
{
    (void)state;
    options.lock_timeout_ms = 100;
    reopen();
    sql("INSERT INTO t VALUES (1, 'locked')");
    PGconn *other = other_connection();
    on(other, "BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    job *before = start(insert_row, 2), *locked = start(touch_row, 1),
        *after = start(insert_row, 3);
    finish();
    assert_true(before->ok && after->ok);
    assert_failed(locked, TN__FAIL_BUSY);
    assert_str(locked->failure.sqlstate, "55P03");
    on(other, "ROLLBACK");
    PQfinish(other);
}

/* The bulk names no culprit. Halving would wait for the lock at each halving. */
static void a_locked_key_is_waited_for_twice_at_most(void **state)
{
    (void)state;
    options.lock_timeout_ms = 1000;
    reopen();
    PGconn *other = other_connection();
    on(other, "BEGIN; INSERT INTO keys VALUES ('07000000-0000-0000-0000-000000000000', 'theirs')");
    job *j[64];
    for (int i = 0; i < 64; i++)
        j[i] = start(i == 20 ? insert_with_key_7 : insert_row_with_key, i == 7 ? 1000 : i);
    finish();
    for (int i = 0; i < 64; i++) {
        assert_int_equal(j[i]->ok, i != 20);
        assert_true(j[i]->took_us < 6000000); /* At each halving it would be seven seconds. */
    }
    assert_failed(j[20], TN__FAIL_BUSY);
    assert_str(j[20]->failure.query, "insert_keys");
    PQfinish(other);
}

static const tn_query await_7 = { "await_7", "SELECT pg_advisory_xact_lock(7)" };

static void touch_two(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &touch, TN_ARGS((int64_t)1));
    tn_run(tx, &await_7, TN_NO_ARGS);
    tn_run(tx, &touch, TN_ARGS((int64_t)2));
    commit(j, tx);
}

static bool waits_for_7(void)
{
    return number("SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                  " WHERE d.datname = current_database() AND locktype = 'advisory'"
                  " AND NOT granted") == 1;
}

/* The victim is who looks for a deadlock when there is one, once, a second after it began to wait.
 * The other one has looked by then. */
static void the_victim_of_a_deadlock_is_run_again(void **state)
{
    (void)state;
    options.lock_timeout_ms = 20000;
    options.statement_timeout_ms = 20000;
    reopen();
    sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); SELECT pg_advisory_lock(7)");
    PGconn *other = other_connection();
    on(other, "BEGIN; UPDATE t SET v = v || '?' WHERE id = 2");
    job *j = start(touch_two, 0), *neighbour = start(insert_row, 3);
    run_until(waits_for_7);
    assert_int_equal(PQsendQuery(other, "UPDATE t SET v = v || '?' WHERE id = 1; COMMIT"), 1);
    run_for(2000);
    sql("SELECT pg_advisory_unlock(7)");
    finish();
    assert_true(j->ok && neighbour->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v IN ('a?!', 'b?!', 'v3')"), 3);
    PQfinish(other);
}

/* ---- Giving up ---------------------------------------------------------- */

static PGconn *lock_row_1(void)
{
    options.lock_timeout_ms = 10000;
    reopen();
    sql("INSERT INTO t VALUES (1, 'locked')");
    PGconn *other = other_connection();
    on(other, "BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    return other;
}

static bool lane_is_idle(void)
{
    return pg->write.n_in_flight == 0 && pg->write.shared.n == 0;
}

static void a_deadline_frees_the_handler_not_the_statement(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    job *j = start_with(touch_row, 1, TN_S(""), 100), *neighbour = start(insert_row, 2);
    run_for(200);
    assert_true(j->done);
    assert_failed(j, TN__FAIL_TIMEOUT);
    assert_true(j->took_us < 4500000); /* The statement itself has five seconds. */
    assert_false(neighbour->done);
    on(other, "ROLLBACK");
    finish();
    assert_true(neighbour->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'locked!'"), 1);
    PQfinish(other);
}

static void what_was_not_sent_by_its_deadline_never_is(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    start(touch_row, 1);
    run_for(20);
    start(insert_row, 2);
    run_for(20);
    job *j = start_with(insert_row, 3, TN_S("late"), 50);
    run_for(100);
    assert_failed(j, TN__FAIL_TIMEOUT);
    on(other, "ROLLBACK");
    finish();
    run_until(lane_is_idle);
    assert_int_equal(number("SELECT count(*) FROM t WHERE id IN (2, 3)"), 1);
    PQfinish(other);
}

static void what_was_given_up_is_not_run_again(void **state)
{
    (void)state;
    options.lock_timeout_ms = 300;
    reopen();
    sql("INSERT INTO t VALUES (1, 'locked')");
    PGconn *other = other_connection();
    on(other, "BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    job *given_up = start_with(insert_row, 2, TN_S("given up"), 100);
    job *locked = start(touch_row, 1), *neighbour = start(insert_row, 3);
    finish();
    assert_failed(given_up, TN__FAIL_TIMEOUT);
    assert_failed(locked, TN__FAIL_BUSY);
    assert_true(neighbour->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE id = 2"), 0);
    PQfinish(other);
}

static void a_cancelled_coroutine_stops_waiting(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    job *in_flight = start(touch_row, 1);
    run_for(20);
    start(insert_row, 2);
    run_for(20);
    job *queued = start(insert_row, 3);
    run_for(20);
    tn__co_cancel(in_flight->co);
    tn__co_cancel(queued->co);
    run_for(20);
    assert_failed(in_flight, TN__FAIL_CANCELLED);
    assert_failed(queued, TN__FAIL_CANCELLED);
    on(other, "ROLLBACK");
    finish();
    assert_int_equal(number("SELECT count(*) FROM t WHERE id = 3"), 0);
    PQfinish(other);
}

static void connections_may_be_closed_with_statements_that_nobody_waits_for(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    start_with(touch_row, 1, TN_S(""), 50);
    finish();
    assert_false(lane_is_idle());
    reopen(); /* the sanitizers look on */
    PQfinish(other);
}

/* ---- Looking at rows ---------------------------------------------------- */

struct t_row {
    int64_t id;
    tn_str v;
};
static const tn_schema t_row_schema = TN_SCHEMA(t_row, TN_INT(t_row, id), TN_STR(t_row, v));

static const tn_query insert_returning = {
    "insert_returning",
    "INSERT INTO t VALUES ($1, $2) RETURNING id, v",
};
static const tn_query update_returning = {
    "update_returning",
    "UPDATE t SET v = 'updated' WHERE id = $1 RETURNING *",
};

static void insert_and_look(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &insert_returning, TN_ARGS(j->id, TN_S("new")));
    assert_true(tn__tx_pending(tx, &row));
    commit(j, tx);
    assert_int_equal(row.id, j->id);
    assert_str(row.v, "new");
}

static bool pool_is_untouched(void)
{
    return pg->pool.sessions[0].conn.state == TN__CONN_OFF;
}

static void a_row_that_comes_with_the_commit_needs_no_session(void **state)
{
    (void)state;
    job *j = start(insert_and_look, 1);
    finish();
    assert_true(j->ok);
    assert_true(pool_is_untouched());
}

static void update_missing(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &update_returning, TN_ARGS(j->id));
    commit(j, tx);
}

static void no_row_is_not_found(void **state)
{
    (void)state;
    job *j = start(update_missing, 1), *neighbour = start(insert_row, 2);
    finish();
    assert_failed(j, TN__FAIL_NOT_FOUND);
    assert_str(j->failure.query, "update_returning");
    assert_true(neighbour->ok);
    assert_true(pool_is_untouched());
}

static void update_missing_and_note(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, TN_S("undone")));
    tn_one(tx, TN_REF(t_row, &row), &update_returning, TN_ARGS((int64_t)99));
    tn__tx_bulk(tx, &notes, TN_ARGS(j->id, TN_S("undone")));
    commit(j, tx);
}

static void a_row_not_found_undoes_the_rest(void **state)
{
    (void)state;
    job *j = start(update_missing_and_note, 1);
    finish();
    assert_failed(j, TN__FAIL_NOT_FOUND);
    assert_int_equal(number("SELECT count(*) FROM t"), 0);
    assert_int_equal(number("SELECT count(*) FROM notes"), 0);
}

static void change_in_with(job *j)
{
    static const tn_query with = {
        "with",
        "WITH gone AS (DELETE FROM t) UPDATE t SET v = '' WHERE id = -1 RETURNING *",
    };
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(t_row, &row), &with, TN_NO_ARGS);
    commit(j, tx);
}

static void a_row_not_found_undoes_what_stands_in_with(void **state)
{
    (void)state;
    sql("INSERT INTO t VALUES (1, 'stays')");
    job *j = start(change_in_with, 0);
    finish();
    assert_failed(j, TN__FAIL_NOT_FOUND);
    assert_int_equal(number("SELECT count(*) FROM t"), 1);
}

static bool committed;
static void note_commit(void *arg)
{
    committed = arg != NULL;
}

static void insert_and_tell(job *j)
{
    committed = false;
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, j->text));
    tn__tx_on_commit(tx, note_commit, j);
    commit(j, tx);
}

static void on_commit_runs_after_a_commit_only(void **state)
{
    (void)state;
    start_with(insert_and_tell, 1, TN_S("same"), 0);
    finish();
    assert_true(committed);
    start_with(insert_and_tell, 2, TN_S("same"), 0);
    finish();
    assert_false(committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(a_write_is_there_when_it_answers),
        PG_TEST(writes_in_flight_together_share_a_commit),
        PG_TEST(a_batch_holds_no_more_than_it_may),
        PG_TEST(a_batch_ends_where_its_bytes_do),
        PG_TEST(nothing_is_answered_before_the_commit),
        PG_TEST(two_batches_are_in_flight_and_no_third),
        PG_TEST(a_full_queue_turns_writes_away),
        PG_TEST(an_empty_transaction_asks_nothing_of_the_server),
        PG_TEST(one_violation_among_64_fails_alone),
        PG_TEST(many_violations_fail_one_by_one),
        PG_TEST(all_may_fail),
        PG_TEST(half_of_a_batch_may_fail),
        PG_TEST(a_fault_costs_the_others_one_more_try),
        PG_TEST(of_twins_in_a_batch_the_first_wins),
        PG_TEST(wrong_sql_fails_alone_and_is_logged),
        PG_TEST(a_statement_whose_preparing_was_skipped_is_prepared_again),
        PG_TEST(a_statement_that_is_gone_is_prepared_again),
        PG_TEST(values_are_never_logged),
        PG_TEST(a_nul_is_refused_before_it_is_sent),
        PG_TEST(a_known_key_fails_only_the_one_that_brings_it),
        PG_TEST(a_key_twice_in_a_batch_is_taken_once),
        PG_TEST(a_bad_row_of_a_bulk_fails_only_its_owner),
        PG_TEST(a_deferred_constraint_fails_only_its_owner),
        PG_TEST(a_statement_that_takes_too_long_fails_alone),
        PG_TEST(a_lock_that_is_not_had_in_time_fails_alone),
        PG_TEST(a_locked_key_is_waited_for_twice_at_most),
        PG_TEST(the_victim_of_a_deadlock_is_run_again),
        PG_TEST(a_deadline_frees_the_handler_not_the_statement),
        PG_TEST(what_was_not_sent_by_its_deadline_never_is),
        PG_TEST(what_was_given_up_is_not_run_again),
        PG_TEST(a_cancelled_coroutine_stops_waiting),
        PG_TEST(connections_may_be_closed_with_statements_that_nobody_waits_for),
        PG_TEST(a_row_that_comes_with_the_commit_needs_no_session),
        PG_TEST(no_row_is_not_found),
        PG_TEST(a_row_not_found_undoes_the_rest),
        PG_TEST(a_row_not_found_undoes_what_stands_in_with),
        PG_TEST(on_commit_runs_after_a_commit_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
