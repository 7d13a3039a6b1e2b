/* What an error of the server means to a transaction. */
#pragma once

#include "pg/pg.h"

#include <libpq-fe.h>

/* A failure that a transaction has met and that isn't its answer yet: the batch that it was met in
 * may be taken apart, or the transaction rolled back. */
typedef struct {
    tn__failure failure;
    tn_str message; /* for the log; empty when the failure is an everyday one */
} tn__met;

void tn__met_error(tn_arena *arena, const PGresult *result, const char *query, tn__met *met);
/* The rows are not what was asked for. */
void tn__met_misfit(tn_arena *arena, const char *query, tn_str message, tn__met *met);

/* True when the same may go well next time: a serialization failure, a deadlock, or a prepared
 * statement that is to be made anew. */
bool tn__error_may_pass(const PGresult *result);
/* True when the server spent a timeout before it said so, and would again. */
bool tn__error_took_long(const PGresult *result);
