/* The statements of a worker: every query and bulk by its name, as it was first used.
 *
 * A name stands for one SQL text with one list of kinds, for it names the prepared statement, the
 * metric and the log lines. Two texts or two lists under one name end the process: the mistake is in
 * the program, and going on would run the wrong SQL. */
#pragma once

#include "pg/params.h"
#include "telemetry/telemetry.h"

#define TN__STATEMENTS_MAX 1024
#define TN__PARAMS_MAX     64

typedef struct tn__statement tn__statement;
struct tn__statement {
    char *name, *sql;
    size_t id; /* from 0, without gaps: its place in a connection's table */
    size_t n_params;
    tn_kind kinds[TN__PARAMS_MAX];
    Oid types[TN__PARAMS_MAX];
    int formats[TN__PARAMS_MAX];
    bool arrays;          /* the parameters are arrays of the kinds */
    tn__metric *duration; /* db_client_operation_duration_seconds */
    tn__statement *next_in_bucket;
};

#define TN__STATEMENT_BUCKETS 256
typedef struct {
    tn__statement *buckets[TN__STATEMENT_BUCKETS];
    size_t n;
} tn__statements;

/* The statement of that name; made on first use. */
tn__statement *tn__statement_of_query(tn__statements *all, const tn_query *query, tn_args args);
tn__statement *tn__statement_of_bulk(tn__statements *all, const char *name, const char *sql,
    const tn_kind *kinds, size_t n_kinds);
void tn__statements_deinit(tn__statements *all);
