/* Queries: how they are queued, and what becomes of their results. */
#include "pg/state.h"

#include <assert.h>

/* ---- Queueing ----------------------------------------------------------- */

static size_t bytes_of(tn_args args)
{
    size_t bytes = 0;
    for (size_t i = 0; i < args.n; i++) {
        const tn_arg *arg = &args.at[i];
        if (!arg->null && (arg->kind == TN_KIND_STR || arg->kind == TN_KIND_JSON))
            bytes += arg->kind == TN_KIND_STR ? arg->s.len : arg->j.text.len;
    }
    return bytes + args.n * sizeof(int64_t);
}

static void refuse_nul(tn_tx *tx, const char *name)
{
    tn__met_misfit(tx->arena, name, TN_S("a string argument holds a NUL"), &tx->met);
    tx->met.failure.sqlstate = TN_S("22021"); /* as the server would call it */
    tn__tx_settle(tx);
}

/* NULL when the transaction has failed. */
static tn__step *queue(tn_tx *tx, const tn_query *query, tn_args args)
{
    assert(!tx->ended);
    if (tn__tx_failed(tx))
        return NULL;
    tn__step *step = tn_alloc(tx->arena, sizeof *step);
    step->statement = tn__statement_of_query(&tx->pg->statements, query, args);
    if (!tn__params_encode(tx->arena, args, &step->params)) {
        refuse_nul(tx, query->name);
        return NULL;
    }
    *(tx->steps.last != NULL ? &tx->steps.last->next : &tx->steps.first) = step;
    tx->steps.last = step;
    tx->bytes += bytes_of(args);
    return step;
}

void tn_run(tn_tx *tx, const tn_query *query, tn_args args)
{
    queue(tx, query, args);
}

void tn_one(tn_tx *tx, tn_ref row, const tn_query *query, tn_args args)
{
    assert(row.schema != NULL && row.at != NULL);
    tn__step *step = queue(tx, query, args);
    if (step != NULL) {
        step->want = TN__WANT_ONE;
        step->row = row;
    }
}

bool tn_maybe(tn_tx *tx, tn_ref row, const tn_query *query, tn_args args)
{
    assert(row.schema != NULL && row.at != NULL);
    bool found = false;
    tn__step *step = queue(tx, query, args);
    if (step == NULL)
        return false;
    step->want = TN__WANT_MAYBE;
    step->row = row;
    step->found = &found;
    return tn_wait(tx) && found;
}

tn_rows tn_all(tn_tx *tx, const tn_schema *schema, const tn_query *query, tn_args args)
{
    tn_rows rows = { .schema = schema };
    tn__step *step = queue(tx, query, args);
    if (step != NULL) {
        step->want = TN__WANT_ALL;
        step->rows = &rows;
        if (!tn_wait(tx))
            rows = (tn_rows){ .schema = schema };
    }
    return rows;
}

void tn__tx_bulk(tn_tx *tx, const tn__bulk *bulk, tn_args row)
{
    assert(!tx->ended && tx->mode == TN__WRITE && row.n == bulk->n_kinds);
    if (tn__tx_failed(tx))
        return;
    if (tn__args_hold_nul(row)) {
        refuse_nul(tx, bulk->name);
        return;
    }
    tn__bulk_row *added = tn_alloc(tx->arena, sizeof *added + row.n * sizeof *row.at);
    added->statement = tn__statement_of_bulk(&tx->pg->statements, bulk->name, bulk->sql,
        bulk->kinds, bulk->n_kinds);
    added->first = bulk->first;
    for (size_t i = 0; i < row.n; i++) {
        assert(row.at[i].kind == bulk->kinds[i]);
        added->args[i] = row.at[i];
    }
    *(tx->rows.last != NULL ? &tx->rows.last->next : &tx->rows.first) = added;
    tx->rows.last = added;
    tx->has_first |= bulk->first;
    tx->bytes += bytes_of(row);
}

/* ---- Results ------------------------------------------------------------ */

void tn__tx_rewind(tn_tx *tx)
{
    tx->met = (tn__met){ .failure = { .kind = TN__FAIL_NONE } };
    tx->cursor = tx->steps.first;
    for (tn__step *step = tx->steps.first; step != NULL; step = step->next)
        step->arrived = false;
}

static void misfit(tn_tx *tx, const tn__step *step, tn_str why)
{
    tn__met_misfit(tx->arena, step->statement->name, why, &tx->met);
}

static bool read_rows(tn_tx *tx, tn__conn *conn, const tn__step *step, const PGresult *result,
    const tn_schema *schema, void *out)
{
    tn_str why;
    const tn__plan *plan = tn__conn_plan(conn, tx->arena, step->statement, schema, result, &why);
    bool ok = plan != NULL;
    char *at = out;
    for (int row = 0; ok && row < PQntuples(result); row++, at += schema->size)
        ok = tn__row_read(tx->arena, plan, result, row, at, &why);
    if (!ok)
        misfit(tx, step, why);
    return ok;
}

static void take_row(tn_tx *tx, tn__conn *conn, const tn__step *step, const PGresult *result)
{
    int n = PQntuples(result);
    if (n > 1) {
        misfit(tx, step, tn_printf(tx->arena, "%d rows where at most one was expected", n));
    } else if (n == 1) {
        read_rows(tx, conn, step, result, step->row.schema, step->row.at);
    } else if (step->want == TN__WANT_ONE) {
        tx->met.failure = (tn__failure){
            .kind = TN__FAIL_NOT_FOUND,
            .query = tn_copy(tx->arena, tn_str_of(step->statement->name)),
        };
    }
    if (step->want == TN__WANT_MAYBE)
        *step->found = n == 1;
}

static void take_rows(tn_tx *tx, tn__conn *conn, const tn__step *step, const PGresult *result)
{
    const tn_schema *schema = step->rows->schema;
    int n = PQntuples(result);
    if (n > TN__ROWS_MAX) {
        misfit(tx, step, tn_printf(tx->arena, "%d rows, which is more than %d", n, TN__ROWS_MAX));
        return;
    }
    void *at = n == 0 ? NULL : tn_alloc(tx->arena, (size_t)n * schema->size);
    if (read_rows(tx, conn, step, result, schema, at))
        *step->rows = (tn_rows){ schema, at, (size_t)n };
}

void tn__tx_take(tn_tx *tx, tn__conn *conn, const PGresult *result)
{
    tn__step *step = tx->cursor;
    assert(step != NULL);
    tx->cursor = step->next;
    step->arrived = true;
    if (step->want == TN__WANT_NOTHING || tx->met.failure.kind != TN__FAIL_NONE)
        return;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        misfit(tx, step, TN_S("no rows come from this statement: RETURNING is missing"));
    else if (step->want == TN__WANT_ALL)
        take_rows(tx, conn, step, result);
    else
        take_row(tx, conn, step, result);
}
