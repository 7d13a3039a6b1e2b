/* A worker's connections to a real server, coroutines to use them, and a connection beside them to
 * look at what they did. The server is named by TEST_DATABASE_URL (tests/support/with-stack). */
#pragma once

#include "../base/unit.h"

#include "pg/pg.h"

#include <libpq-fe.h>

/* Of the test that runs. */
extern tn__loop *loop;
extern tn__pg *pg;
extern tn__pg_options options; /* change them, and call reopen() */

/* Opens both, with a clean schema: table t (id bigint primary key, v text not null, constraint
 * t_v_unique unique (v)), and keys and notes for bulks. */
int open_world(void **state);
int close_world(void **state);
#define PG_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_world, close_world)

/* Closes the worker's connections and opens them again, with `options`. */
void reopen(void);
/* How long a reconnect may take; long, unless a test says otherwise, for machines that are busy. */
void be_patient(int64_t ms);
/* Runs the loop until the lanes are up. */
void await_up(void);

/* ---- Beside the worker -------------------------------------------------- */

/* Runs SQL, which must succeed. */
void sql(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first column of its first row. */
int64_t number(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Another connection, for locks that others hold. */
PGconn *other_connection(void);
void on(PGconn *other, const char *statement);
/* From now on a transaction of the worker that does this to t ("INSERT") stands still in its commit,
 * after all its results have come, until the connection that is returned is finished. */
PGconn *hold_commits(const char *event);
/* The process ids of the worker's backends; ends them. */
void end_backends(const char *condition);
/* Stops, kills or starts the server; connects again after a start. */
void server(const char *verb);

/* ---- In coroutines ------------------------------------------------------ */

/* What one coroutine does and what came of it. Its arena lives as long as it does. */
typedef struct job job;
struct job {
    void (*run)(job *j);
    tn_arena *arena;
    tn__co *co;
    int64_t deadline_us; /* TN__NEVER */
    int64_t id;          /* for `run` */
    tn_str text;
    const void *arg;
    bool ok;
    bool done;
    tn__failure failure; /* copied; its strings live as long as the test */
    int64_t took_us;
};

/* A job for `run`, started at once. Made in the test's own memory. */
job *start(void (*run)(job *j), int64_t id);
/* The same, with a text and a deadline from now. */
job *start_with(void (*run)(job *j), int64_t id, tn_str text, int64_t timeout_ms);
/* Runs the loop until all jobs are done; fails the test after 20 s. */
void finish(void);
/* Runs the loop for that time, or until the condition holds. */
void run_for(int64_t ms);
void run_until(bool (*condition)(void));
/* Runs the loop until the condition holds in the database. */
void await_sql(const char *condition);
/* A condition: so many backends of the worker are in that state of pg_stat_activity. */
#define BACKENDS(n, state)                                                                         \
#n " = (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test' AND " state ")"
/* Ends the job's transaction: commits, and keeps what came of it. */
void commit(job *j, tn_tx *tx);
tn_tx *begin(job *j, tn__tx_mode mode);
/* The transaction failed or was committed without tn__tx_commit(). */
void keep_failure(job *j, tn_tx *tx);

#define assert_failed(job_, kind_) assert_int_equal((job_)->failure.kind, (kind_))

/* ---- Statements that many tests use ------------------------------------- */

extern const tn_query insert_t; /* (id, v) */
extern const tn_query count_t;  /* -> n */
extern const tn__bulk keys;     /* first: (uuid, text) into keys */
extern const tn__bulk notes;    /* (bigint, text) into notes */
tn_uuid key_of(int64_t n);

struct count {
    int64_t n;
};
extern const tn_schema count_schema;

/* Inserts row `id` with the text, or "v<id>". */
void insert_row(job *j);
/* The same, with a key and a note. */
void insert_row_with_key(job *j);

/* ---- The log ------------------------------------------------------------ */

/* Keeps what is logged from here on from standard error. */
void capture_log(void);
/* The text that was logged since; until the next capture or the end of the test. */
const char *captured_log(void);
