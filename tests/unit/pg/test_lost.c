/* Lost connections: what is run again, what is not, and how long anybody waits. */
#include "fixture.h"

#include "gate.h"
#include "pg/state.h"

#include <stdlib.h>

/* ---- Backends that are ended --------------------------------------------- */

static const tn_query touch = { "touch", "UPDATE t SET v = v || '!' WHERE id = $1" };

static void touch_row(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &touch, TN_ARGS(j->id));
    commit(j, tx);
}

static void touch_row_with_key(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &touch, TN_ARGS(j->id));
    tn__tx_bulk(tx, &keys, TN_ARGS(key_of(j->id), TN_S("reply")));
    commit(j, tx);
}

static PGconn *lock_row_1(void)
{
    options.lock_timeout_ms = 10000;
    reopen();
    sql("INSERT INTO t VALUES (1, 'locked'), (2, 'free')");
    PGconn *other = other_connection();
    on(other, "BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    return other;
}

static void a_write_with_a_key_is_run_again(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    job *j = start(touch_row_with_key, 1);
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    end_backends("wait_event_type = 'Lock'");
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    assert_false(j->done);
    on(other, "ROLLBACK");
    finish();
    assert_true(j->ok);
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'locked!'"), 1);
    assert_int_equal(number("SELECT count(*) FROM keys"), 1);
    PQfinish(other);
}

static void a_write_without_a_key_is_unknown(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    job *with = start(touch_row_with_key, 2), *without = start(touch_row, 1);
    await_sql(BACKENDS(1, "wait_event_type = 'Lock'"));
    job *queued = start(insert_row, 7);
    run_for(20);
    job *unsent = start(insert_row, 8);
    run_for(20);
    end_backends("wait_event_type = 'Lock'");
    finish();
    assert_true(with->ok && unsent->ok);
    assert_failed(without, TN__FAIL_UNKNOWN);
    assert_failed(queued, TN__FAIL_UNKNOWN); /* it was on its way in the second batch */
    assert_int_equal(number("SELECT count(*) FROM t WHERE v = 'free!'"), 1);
    PQfinish(other);
}

static void a_write_that_kills_its_backend_is_not_run_for_ever(void **state)
{
    (void)state;
    sql("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$;"
        "CREATE TRIGGER die BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 13)"
        " EXECUTE FUNCTION die()");
    job *poison = start(insert_row_with_key, 13);
    finish();
    assert_failed(poison, TN__FAIL_UNKNOWN);
    job *after = start(insert_row_with_key, 14);
    finish();
    assert_true(after->ok);
}

static void read_after_nap(job *j)
{
    static const tn_query nap = { "nap", "SELECT count(*) AS n FROM t, pg_sleep(0.3)" };
    struct count count = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(count, &count), &nap, TN_NO_ARGS);
    commit(j, tx);
}

static void read_behind_lock(job *j)
{
    static const tn_query behind_lock = {
        "behind_lock",
        "SELECT count(*) AS n FROM t, pg_advisory_xact_lock_shared(1)",
    };
    struct count count = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(count, &count), &behind_lock, TN_NO_ARGS);
    commit(j, tx);
}

static void a_read_is_run_again(void **state)
{
    (void)state;
    PGconn *other = lock_row_1();
    on(other, "SELECT pg_advisory_xact_lock(1)");
    job *j = start(read_behind_lock, 0);
    await_sql(BACKENDS(1, "wait_event = 'advisory'"));
    end_backends("wait_event = 'advisory'");
    on(other, "ROLLBACK");
    finish();
    assert_true(j->ok);
    PQfinish(other);
}

/* ---- The answer is lost -------------------------------------------------- */

static char gate_url[256];

static const char *part_of(const PQconninfoOption *parts, const char *keyword)
{
    while (strcmp(parts->keyword, keyword) != 0)
        parts++;
    return parts->val;
}

static int open_gate(void **state)
{
    open_world(state);
    PQconninfoOption *parts = PQconninfoParse(options.url, NULL);
    int gate_port = gate_open((int)number("SELECT %s", part_of(parts, "port")));
    snprintf(gate_url, sizeof gate_url, "postgresql://%s:%s@127.0.0.1:%d/%s",
        part_of(parts, "user"), part_of(parts, "password"), gate_port, part_of(parts, "dbname"));
    PQconninfoFree(parts);
    options.url = gate_url;
    reopen();
    return 0;
}

static int close_gate(void **state)
{
    close_world(state);
    gate_close();
    return 0;
}

#define GATE_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_gate, close_gate)

static void a_key_that_was_committed_unheard_fails_with_its_constraint(void **state)
{
    (void)state;
    gate_deafen();
    job *j = start(insert_row_with_key, 1);
    await_sql("1 = (SELECT count(*) FROM t)");
    assert_false(j->done);
    gate_cut();
    finish();
    assert_failed(j, TN__FAIL_CONSTRAINT);
    assert_str(j->failure.constraint, "keys_pkey");
    assert_int_equal(number("SELECT count(*) FROM t"), 1);
    assert_int_equal(number("SELECT count(*) FROM notes"), 1);
}

static void a_write_that_was_committed_unheard_is_unknown(void **state)
{
    (void)state;
    gate_deafen();
    job *j = start(insert_row, 1);
    await_sql("1 = (SELECT count(*) FROM t)");
    gate_cut();
    finish();
    assert_failed(j, TN__FAIL_UNKNOWN);
}

static void who_can_not_learn_in_time_whether_it_was_committed_is_unknown(void **state)
{
    (void)state;
    be_patient(500);
    gate_deafen();
    job *j = start(insert_row_with_key, 1);
    await_sql("1 = (SELECT count(*) FROM t)");
    gate_shut(true);
    gate_cut();
    finish();
    assert_failed(j, TN__FAIL_UNKNOWN);
    gate_shut(false);
    await_up();
}

static void a_deadline_passes_on_a_line_gone_dead(void **state)
{
    (void)state;
    gate_deafen();
    job *j = start_with(insert_row_with_key, 1, TN_S("x"), 200);
    finish();
    assert_failed(j, TN__FAIL_TIMEOUT);
}

/* ---- The server is away -------------------------------------------------- */

static void a_short_absence_is_only_a_delay(void **state)
{
    (void)state;
    gate_shut(true);
    gate_cut();
    run_for(50);
    assert_false(tn__pg_up(pg, NULL));
    job *write = start(insert_row, 1), *read = start(read_after_nap, 0);
    run_for(300);
    assert_false(write->done || read->done);
    gate_shut(false);
    finish();
    assert_true(write->ok && read->ok);
}

static void look_and_commit(job *j)
{
    struct count count = { 0 };
    tn_tx *tx = begin(j, TN__WRITE);
    tn_one(tx, TN_REF(count, &count), &count_t, TN_NO_ARGS);
    tn_wait(tx);
    commit(j, tx);
}

static void a_long_absence_is_waited_for_once(void **state)
{
    (void)state;
    be_patient(TN__RECONNECT_WAIT_US / 1000);
    gate_shut(true);
    gate_cut();
    job *j[3] = { start(insert_row, 1), start(read_after_nap, 0), start(look_and_commit, 0) };
    finish();
    for (int i = 0; i < 3; i++) {
        assert_failed(j[i], TN__FAIL_UNAVAILABLE);
        assert_in_range(j[i]->took_us, 500000, 15000000);
    }
    job *later[3] = { start(insert_row, 1), start(read_after_nap, 0), start(look_and_commit, 0) };
    for (int i = 0; i < 3; i++) {
        assert_true(later[i]->done);
        assert_failed(later[i], TN__FAIL_UNAVAILABLE);
    }
    gate_shut(false);
    await_up();
    job *again[2] = { start(insert_row, 1), start(look_and_commit, 0) };
    finish();
    assert_true(again[0]->ok && again[1]->ok);
}

static bool is_down(void)
{
    return !tn__pg_up(pg, NULL);
}

static size_t times_in(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
        n++;
    return n;
}

static void each_change_is_logged_once(void **state)
{
    (void)state;
    capture_log();
    gate_shut(true);
    gate_cut();
    run_until(is_down);
    run_for(700); /* several attempts */
    gate_shut(false);
    await_up();
    assert_int_equal(times_in(captured_log(), "database is down"), 1);
    assert_int_equal(times_in(captured_log(), "database is up"), 1);
    assert_int_equal(times_in(captured_log(), "\n"), 2);
}

static void a_server_that_restarts_is_met_again(void **state)
{
    (void)state;
    start(insert_row_with_key, 1);
    start(look_and_commit, 0);
    finish();
    server("kill");
    run_until(is_down);
    tn_str why = { NULL, 0 };
    run_for(100);
    assert_false(tn__pg_up(pg, &why));
    assert_true(why.len > 0);
    server("start");
    await_up();
    job *j[2] = { start(insert_row_with_key, 2), start(look_and_commit, 0) };
    finish();
    assert_true(j[0]->ok && j[1]->ok);
    assert_int_equal(number("SELECT count(*) FROM t"), 2);
}

static void a_server_that_is_not_there_yet_is_waited_for(void **state)
{
    (void)state;
    tn__pg_close(pg);
    server("stop");
    pg = tn__pg_open(loop, &options);
    job *early = start(insert_row, 1);
    finish();
    assert_failed(early, TN__FAIL_UNAVAILABLE);
    server("start");
    await_up();
    job *j = start(insert_row, 2);
    finish();
    assert_true(j->ok);
}

static bool down_as(const char *part)
{
    tn_str why = { NULL, 0 };
    return !tn__pg_up(pg, &why) && why.data != NULL && strstr(why.data, part) != NULL;
}

static bool down_as_of_nobody(void)
{
    return down_as("_of_nobody");
}

static void a_server_that_refuses_says_why(void **state)
{
    (void)state;
    snprintf(gate_url, sizeof gate_url, "%s_of_nobody", options.url);
    tn__pg_close(pg);
    options.url = gate_url;
    pg = tn__pg_open(loop, &options);
    run_until(down_as_of_nobody);
}

static bool down_as_too_slow(void)
{
    return down_as("no connection within the time that it may take");
}

static void a_peer_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    options.connect_timeout_ms = 500;
    tn__pg_close(pg);
    gate_mute(true);
    pg = tn__pg_open(loop, &options);
    run_until(down_as_too_slow);
    gate_mute(false);
    await_up();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(a_write_with_a_key_is_run_again),
        PG_TEST(a_write_without_a_key_is_unknown),
        PG_TEST(a_write_that_kills_its_backend_is_not_run_for_ever),
        PG_TEST(a_read_is_run_again),
        GATE_TEST(a_key_that_was_committed_unheard_fails_with_its_constraint),
        GATE_TEST(a_write_that_was_committed_unheard_is_unknown),
        GATE_TEST(who_can_not_learn_in_time_whether_it_was_committed_is_unknown),
        GATE_TEST(a_deadline_passes_on_a_line_gone_dead),
        GATE_TEST(a_short_absence_is_only_a_delay),
        GATE_TEST(a_long_absence_is_waited_for_once),
        GATE_TEST(each_change_is_logged_once),
        PG_TEST(a_server_that_restarts_is_met_again),
        PG_TEST(a_server_that_is_not_there_yet_is_waited_for),
        PG_TEST(a_server_that_refuses_says_why),
        GATE_TEST(a_peer_that_says_nothing_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
