/* Arguments as libpq takes them: one by one for a statement, in arrays for a bulk. */
#pragma once

#include "base/base.h"
#include <trunnion/query.h>

#include <libpq-fe.h>

/* The arguments of one execution, in the transaction's arena. */
typedef struct {
    const char *const *values; /* NULL is SQL NULL */
    const int *lengths;
} tn__params;

/* How a kind of argument is declared to the server, and in which format it is sent. Numbers, UUIDs
 * and times are binary and of a fixed type. Strings and JSON are text of the type that the server
 * infers, so that one may stand for a text, an enum, a jsonb or a date; for text, the formats are
 * the same bytes. */
Oid tn__param_type(tn_kind kind);
int tn__param_format(tn_kind kind);

/* False when a string holds a NUL, which no value of PostgreSQL's may. */
bool tn__params_encode(tn_arena *arena, tn_args args, tn__params *params);

/* The array that a column of a bulk is sent as. */
Oid tn__array_type(tn_kind kind);
void tn__array_begin(tn__buf *out, tn_kind kind);
void tn__array_add(tn__buf *out, const tn_arg *arg);
void tn__array_end(tn__buf *out, size_t n);

/* True when a string among them holds a NUL. */
bool tn__args_hold_nul(tn_args args);
