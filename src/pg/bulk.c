/* Puts rows of many transactions into arrays.
 *
 * Rows marked `first` carry a unique key. They are sent in the order of it, so that two batches on
 * two connections that hold the same keys take them in the same order, and one waits for the other
 * rather than both for each other. */
#include "pg/state.h"

#include <assert.h>
#include <stdlib.h>

enum { KEPT_BYTES_MAX = 1 << 20 };

static struct tn__bulk_group *group_of(tn__bulks *bulks, tn__statement *statement)
{
    for (size_t i = 0; i < bulks->n; i++)
        if (bulks->groups[i].statement == statement)
            return &bulks->groups[i];
    assert(bulks->n < TN__BULKS_MAX);
    struct tn__bulk_group *group = &bulks->groups[bulks->n++];
    group->statement = statement;
    group->n = 0;
    return group;
}

static void add(struct tn__bulk_group *group, const tn__bulk_row *row)
{
    if (group->n == group->cap) {
        group->cap = group->cap == 0 ? 64 : group->cap * 2;
        group->rows = tn__xrealloc(group->rows, group->cap * sizeof(*group->rows));
    }
    group->rows[group->n++] = row;
}

static void gather(tn__bulks *bulks, tn_tx *const *txs, size_t n, bool first)
{
    bulks->n = 0;
    for (size_t i = 0; i < n; i++) {
        const tn__bulk_row *row = txs[i] == NULL ? NULL : txs[i]->rows.first;
        for (; row != NULL; row = row->next)
            if (row->first == first)
                add(group_of(bulks, row->statement), row);
    }
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_str(tn_str a, tn_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Any total order serves, as long as every process has the same. */
static int compare_keys(const void *left, const void *right)
{
    const tn_arg *a = (*(const tn__bulk_row *const *)left)->args;
    const tn_arg *b = (*(const tn__bulk_row *const *)right)->args;
    switch (a->kind) {
    case TN_KIND_UUID:
        return memcmp(a->u.b, b->u.b, sizeof a->u.b);
    case TN_KIND_STR:
        return compare_str(a->s, b->s);
    case TN_KIND_INT:
        return compare_numbers(a->i, b->i);
    default:
        return 0;
    }
}

static void encode_column(tn__buf *out, const struct tn__bulk_group *group, size_t column)
{
    out->len = 0;
    tn__array_begin(out, group->statement->kinds[column]);
    for (size_t i = 0; i < group->n; i++)
        tn__array_add(out, &group->rows[i]->args[column]);
    tn__array_end(out, group->n);
}

static void send(tn__bulks *bulks, tn__conn *conn, const struct tn__bulk_group *group, int tag)
{
    const char *values[TN__PARAMS_MAX];
    int lengths[TN__PARAMS_MAX];
    for (size_t i = 0; i < group->statement->n_params; i++) {
        encode_column(&bulks->columns[i], group, i);
        assert(bulks->columns[i].len <= INT32_MAX);
        values[i] = bulks->columns[i].data;
        lengths[i] = (int)bulks->columns[i].len;
    }
    tn__conn_execute(conn, group->statement, &(tn__params){ values, lengths }, tag);
    for (size_t i = 0; i < group->statement->n_params; i++)
        if (bulks->columns[i].cap > KEPT_BYTES_MAX)
            tn__buf_deinit(&bulks->columns[i]);
}

void tn__bulks_send(tn__bulks *bulks, tn__conn *conn, tn_tx *const *txs, size_t n, bool first,
    int tag)
{
    gather(bulks, txs, n, first);
    for (size_t i = 0; i < bulks->n; i++) {
        struct tn__bulk_group *group = &bulks->groups[i];
        if (first)
            qsort(group->rows, group->n, sizeof(*group->rows), compare_keys);
        send(bulks, conn, group, tag);
    }
}

void tn__bulks_deinit(tn__bulks *bulks)
{
    for (size_t i = 0; i < TN__BULKS_MAX; i++)
        free(bulks->groups[i].rows);
    for (size_t i = 0; i < TN__PARAMS_MAX; i++)
        tn__buf_deinit(&bulks->columns[i]);
}
