/* From rows in binary format to structs. */
#pragma once

#include "base/base.h"
#include <trunnion/query.h>

#include <libpq-fe.h>

/* The types of this database that are sent as plain text: its enums, and citext. */
typedef struct {
    Oid *at; /* ascending */
    size_t n;
} tn__text_types;

/* Which column goes into which field, and how: made once for each statement and schema on each
 * connection, as the server doesn't change the columns of a prepared statement. */
typedef struct tn__plan tn__plan;
struct tn__plan {
    const tn_schema *schema;
    size_t n_columns;
    tn__plan *next;
    struct tn__column {
        const tn_field *field; /* NULL: the column is ignored */
        bool (*read)(tn_arena *arena, const tn_field *field, tn_str bytes, void *value);
        size_t size;
    } columns[];
};

/* NULL, with `why` in the arena, when the columns don't fit the schema. On the heap: free(). */
tn__plan *tn__plan_make(tn_arena *arena, const tn_schema *schema, const PGresult *result,
    const tn__text_types *types, tn_str *why);

/* Reads one row into a struct of the plan's schema; what it points to is in the arena. Fields that
 * have no column stay as they are. False, with `why`, when a value doesn't fit. */
bool tn__row_read(tn_arena *arena, const tn__plan *plan, const PGresult *result, int row, void *out,
    tn_str *why);
