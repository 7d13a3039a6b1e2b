/* The relay's own connection to PostgreSQL: prepared statements in pipelines, each step within its
 * time. It lives on a thread of its own, so it may block; but never without a limit. */
#pragma once

#include "base/base.h"

#include <libpq-fe.h>

typedef struct {
    const char *name, *sql;
} tn__db_statement;

typedef struct {
    PGconn *conn;  /* NULL: not connected */
    char why[256]; /* why it was lost or couldn't be had */
} tn__db;

typedef struct {
    const char *url, *application_name;
    int connect_timeout_ms, statement_timeout_ms;
    /* The server ends a session that leaves a transaction open for longer: its rows are then free
     * for other replicas, whatever has become of us. */
    int idle_in_transaction_timeout_ms;
    const char *listen; /* a channel */
    const tn__db_statement *statements;
    size_t n_statements;
} tn__db_options;

/* Connects, prepares the statements and listens. False with `why`. */
bool tn__db_open(tn__db *db, const tn__db_options *options);
void tn__db_close(tn__db *db);

/* A statement of a pipeline: its parameters as text, NULL is SQL NULL. */
typedef struct {
    const char *name;
    int n_params;
    const char *const *params;
} tn__db_call;
/* Runs the calls as one pipeline with one Sync, at most TN__DB_CALLS_MAX. results[i] is the i-th
 * call's, to be cleared by the caller. False when one failed: the connection is closed then, so that
 * no transaction is left behind, and there are no results. */
#define TN__DB_CALLS_MAX 4
bool tn__db_run(tn__db *db, const tn__db_call *calls, size_t n, PGresult **results, int timeout_ms);

/* Reads what has come; true when there was a notification. */
bool tn__db_notified(tn__db *db);
