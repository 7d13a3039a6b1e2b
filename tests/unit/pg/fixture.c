/* The world of the tests: see fixture.h. */
#include "fixture.h"

#include "pg/state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

tn__loop *loop;
tn__pg *pg;
tn__pg_options options;

static PGconn *beside;
static tn_arena *memory; /* of the test: what outlives the coroutines */

enum { JOBS_MAX = 512, GIVE_UP_MS = 20000 };
static job *jobs[JOBS_MAX];
static size_t n_jobs, n_running;

static struct {
    int file, stderr_before;
    char *text;
} captured = { .file = -1 };

/* ---- Beside the worker -------------------------------------------------- */

static const char *environment(const char *name)
{
    const char *found = getenv(name);
    if (found == NULL) {
        fprintf(stderr, "%s is not set: use tests/support/with-stack\n", name);
        exit(1);
    }
    return found;
}

static const char *url(void)
{
    return environment("TEST_DATABASE_URL");
}

PGconn *other_connection(void)
{
    PGconn *other = PQconnectdb(url());
    assert_int_equal(PQstatus(other), CONNECTION_OK);
    /* Who waits for a lock that a failed test has left must fail too, and not wait for ever. */
    PQclear(PQexec(other, "SET client_min_messages = warning; SET lock_timeout = '30s'"));
    return other;
}

void on(PGconn *other, const char *statement)
{
    PGresult *result = PQexec(other, statement);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", statement, PQresultErrorMessage(result));
    PQclear(result);
}

static tn_str print(const char *format, va_list args)
{
    return tn_vprintf(memory, format, args);
}

void sql(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    on(beside, print(format, args).data);
    va_end(args);
}

int64_t number(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PGresult *result = PQexec(beside, print(format, args).data);
    va_end(args);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", format, PQresultErrorMessage(result));
    assert_int_equal(PQntuples(result), 1);
    int64_t found = 0;
    assert_true(tn__i64_parse(tn_str_of(PQgetvalue(result, 0, 0)), &found));
    PQclear(result);
    return found;
}

void end_backends(const char *condition)
{
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'test' AND (%s)",
        condition);
}

void server(const char *verb)
{
    bool starts = strcmp(verb, "start") == 0;
    if (!starts) {
        PQfinish(beside);
        beside = NULL;
    }
    tn_str command = tn_printf(memory, "%s %s postgres >/dev/null", environment("TEST_STACK"),
        verb);
    assert_int_equal(system(command.data), 0);
    if (starts)
        beside = other_connection();
}

/* ---- The worker --------------------------------------------------------- */

static void open_pg(void)
{
    pg = tn__pg_open(loop, &options);
    await_up();
    be_patient(10000);
}

void be_patient(int64_t ms)
{
    pg->reconnect_wait_us = ms * 1000;
}

int open_world(void **state)
{
    (void)state;
    memory = tn__arena_open(65536);
    beside = other_connection();
    sql("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;"
        "CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL CONSTRAINT t_v_unique UNIQUE);"
        "CREATE TABLE keys (id uuid PRIMARY KEY, reply text NOT NULL);"
        "CREATE TABLE notes (id bigint NOT NULL, note text,"
        " CONSTRAINT notes_not_bad CHECK (note <> 'bad'))");
    loop = tn__loop_open();
    options = (tn__pg_options){
        .url = url(),
        .application_name = "test",
        .pool_max = 4,
        .batch_max = 128,
        .batches_in_flight_max = 2,
        .queue_max = 1024,
        .lock_timeout_ms = 500,
        .statement_timeout_ms = 5000,
        .connect_timeout_ms = 3000,
    };
    open_pg();
    return 0;
}

static void end_capture(void)
{
    if (captured.file >= 0) {
        dup2(captured.stderr_before, STDERR_FILENO);
        close(captured.stderr_before);
        close(captured.file);
        captured.file = -1;
    }
}

int close_world(void **state)
{
    (void)state;
    end_capture();
    free(captured.text);
    captured.text = NULL;
    for (size_t i = 0; i < n_jobs; i++)
        if (jobs[i]->arena != NULL)
            tn__arena_close(jobs[i]->arena);
    n_jobs = n_running = 0;
    tn__pg_close(pg);
    tn__loop_close(loop);
    PQfinish(beside);
    tn__arena_close(memory);
    return 0;
}

void reopen(void)
{
    tn__pg_close(pg);
    open_pg();
}

PGconn *hold_commits(const char *event)
{
    options.lock_timeout_ms = 10000;
    reopen();
    sql("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END$$;"
        "CREATE CONSTRAINT TRIGGER hold AFTER %s ON t DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION hold()",
        event);
    PGconn *other = other_connection();
    on(other, "SELECT pg_advisory_lock(1)");
    return other;
}

/* ---- Running the loop --------------------------------------------------- */

static bool (*awaited)(void);
static bool gave_up, seen; /* what held once may not hold when it is asked again */

static void look(tn__timer *timer)
{
    seen = awaited();
    if (seen)
        tn__loop_stop(loop);
    else
        tn__timer_start(loop, timer, tn__mono_us() + 1000);
}

static void give_up(tn__timer *timer)
{
    (void)timer;
    gave_up = true;
    tn__loop_stop(loop);
}

static void turn(bool (*condition)(void), int64_t ms)
{
    tn__timer looks = { .on_time = look }, end = { .on_time = give_up };
    awaited = condition;
    gave_up = seen = false;
    tn__timer_start(loop, &looks, tn__mono_us());
    tn__timer_start(loop, &end, tn__mono_us() + ms * 1000);
    do {
        tn__loop_run(loop); /* a job that ended before it began to run may have stopped it */
    } while (!gave_up && !seen && !condition());
    tn__timer_stop(loop, &looks);
    tn__timer_stop(loop, &end);
}

void run_until(bool (*condition)(void))
{
    turn(condition, GIVE_UP_MS);
    assert_false(gave_up);
}

static bool never(void)
{
    return false;
}

void run_for(int64_t ms)
{
    turn(never, ms);
}

static bool is_up(void)
{
    return tn__pg_up(pg, NULL);
}

void await_up(void)
{
    run_until(is_up);
}

static const char *awaited_sql;

static bool sql_is_true(void)
{
    return number("SELECT count(*) FROM (SELECT 1 WHERE %s) AS x", awaited_sql) == 1;
}

void await_sql(const char *condition)
{
    awaited_sql = condition;
    run_until(sql_is_true);
}

static bool all_done(void)
{
    return n_running == 0;
}

void finish(void)
{
    run_until(all_done);
}

/* ---- Jobs --------------------------------------------------------------- */

static void run_job(void *arg)
{
    job *j = arg;
    int64_t began_us = tn__mono_us();
    j->co = tn__co_current();
    j->run(j);
    j->took_us = tn__mono_us() - began_us;
    j->done = true;
    /* The memory goes as soon as the handler is done, as in a service. */
    tn__arena_close(j->arena);
    j->arena = NULL;
    n_running--;
    if (n_running == 0)
        tn__loop_stop(loop);
}

job *start_with(void (*run)(job *j), int64_t id, tn_str text, int64_t timeout_ms)
{
    assert_true(n_jobs < JOBS_MAX);
    job *made = tn_alloc(memory, sizeof *made);
    *made = (job){ .run = run,
        .arena = tn__arena_open(4096),
        .id = id,
        .text = text,
        .deadline_us = timeout_ms == 0 ? TN__NEVER : tn__mono_us() + timeout_ms * 1000 };
    jobs[n_jobs++] = made;
    n_running++;
    tn__co_start(loop, run_job, made);
    return made;
}

job *start(void (*run)(job *j), int64_t id)
{
    return start_with(run, id, (tn_str){ NULL, 0 }, 0);
}

tn_tx *begin(job *j, tn__tx_mode mode)
{
    return tn__tx_open(pg, j->arena, mode, j->deadline_us);
}

void keep_failure(job *j, tn_tx *tx)
{
    j->failure = *tn__tx_failure(tx);
    j->failure.constraint = tn_copy(memory, j->failure.constraint);
    j->failure.sqlstate = tn_copy(memory, j->failure.sqlstate);
    j->failure.query = tn_copy(memory, j->failure.query);
}

void commit(job *j, tn_tx *tx)
{
    j->ok = tn__tx_commit(tx);
    keep_failure(j, tx);
    assert_int_equal(j->ok, j->failure.kind == TN__FAIL_NONE);
}

/* ---- Statements --------------------------------------------------------- */

const tn_query insert_t = { "insert_t", "INSERT INTO t (id, v) VALUES ($1, $2)" };
const tn_query count_t = { "count_t", "SELECT count(*) AS n FROM t" };
const tn__bulk keys = {
    .name = "insert_keys",
    .sql = "INSERT INTO keys SELECT * FROM unnest($1::uuid[], $2::text[])",
    .kinds = (const tn_kind[]){ TN_KIND_UUID, TN_KIND_STR },
    .n_kinds = 2,
    .first = true,
};
const tn__bulk notes = {
    .name = "insert_notes",
    .sql = "INSERT INTO notes SELECT * FROM unnest($1::bigint[], $2::text[])",
    .kinds = (const tn_kind[]){ TN_KIND_INT, TN_KIND_STR },
    .n_kinds = 2,
};
const tn_schema count_schema = TN_SCHEMA(count, TN_INT(count, n));

tn_uuid key_of(int64_t n)
{
    tn_uuid id = { { 0 } };
    memcpy(id.b, &n, sizeof n);
    return id;
}

static tn_str text_of(job *j)
{
    return j->text.data != NULL ? j->text : tn_printf(j->arena, "v%d", (int)j->id);
}

void insert_row(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, text_of(j)));
    commit(j, tx);
}

void insert_row_with_key(job *j)
{
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_t, TN_ARGS(j->id, text_of(j)));
    tn__tx_bulk(tx, &notes, TN_ARGS(j->id, TN_S("note")));
    tn__tx_bulk(tx, &keys, TN_ARGS(key_of(j->id), TN_S("reply")));
    commit(j, tx);
}

/* ---- The log ------------------------------------------------------------ */

void capture_log(void)
{
    end_capture();
    char path[] = "/tmp/trunnion-test-XXXXXX";
    captured.file = mkstemp(path);
    assert_true(captured.file >= 0);
    unlink(path);
    captured.stderr_before = dup(STDERR_FILENO);
    dup2(captured.file, STDERR_FILENO);
}

const char *captured_log(void)
{
    enum { BYTES_MAX = 65536 };
    free(captured.text);
    captured.text = tn__xcalloc(1, BYTES_MAX);
    assert_true(pread(captured.file, captured.text, BYTES_MAX - 1, 0) >= 0);
    return captured.text;
}
