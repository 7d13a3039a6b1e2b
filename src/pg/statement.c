/* The table of statements, hashed by name. */
#include "pg/statement.h"

#include <assert.h>
#include <stdlib.h>

/* The advice of OpenTelemetry's semantic conventions, and two buckets below it for what a batch
 * makes fast. */
static const double duration_bounds[] = {
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1,
    5,
    10,
};

static tn__metric *duration_of(const char *name)
{
    const tn__label label = { "db_operation_name", name };
    return tn__histogram("db_client_operation_duration_seconds",
        "From sending a statement to its result.", duration_bounds,
        sizeof duration_bounds / sizeof *duration_bounds, &label, 1);
}

static _Noreturn void misuse(const char *name, const char *what)
{
    TN_LOG(TN_ERROR, what, TN_LOG_Z("query", name));
    tn__log_close();
    abort();
}

static char *copy(const char *z)
{
    size_t size = strlen(z) + 1;
    return memcpy(tn__xmalloc(size), z, size);
}

static tn__statement *make(tn__statements *all, const char *name, const char *sql,
    const tn_kind *kinds, size_t n_kinds, bool arrays)
{
    if (all->n == TN__STATEMENTS_MAX)
        misuse(name, "too many different queries; their names must be constants");
    tn__statement *made = tn__xcalloc(1, sizeof *made);
    made->name = copy(name);
    made->sql = copy(sql);
    made->id = all->n++;
    made->n_params = n_kinds;
    made->arrays = arrays;
    made->duration = duration_of(name);
    for (size_t i = 0; i < n_kinds; i++) {
        made->kinds[i] = kinds[i];
        made->types[i] = arrays ? tn__array_type(kinds[i]) : tn__param_type(kinds[i]);
        made->formats[i] = arrays || tn__param_format(kinds[i]);
    }
    return made;
}

static tn__statement *get(tn__statements *all, const char *name, const char *sql,
    const tn_kind *kinds, size_t n_kinds, bool arrays)
{
    tn__statement **bucket = &all->buckets[tn__hash(tn_str_of(name)) % TN__STATEMENT_BUCKETS];
    for (tn__statement *at = *bucket; at != NULL; at = at->next_in_bucket) {
        if (strcmp(at->name, name) != 0)
            continue;
        if (strcmp(at->sql, sql) != 0 || at->arrays != arrays)
            misuse(name, "two different queries have the same name");
        if (at->n_params != n_kinds || memcmp(at->kinds, kinds, n_kinds * sizeof *kinds) != 0)
            misuse(name, "a query was called with arguments of other kinds than before");
        return at;
    }
    tn__statement *made = make(all, name, sql, kinds, n_kinds, arrays);
    made->next_in_bucket = *bucket;
    *bucket = made;
    return made;
}

tn__statement *tn__statement_of_query(tn__statements *all, const tn_query *query, tn_args args)
{
    assert(query->name != NULL && query->sql != NULL);
    assert(args.n <= TN__PARAMS_MAX);
    tn_kind kinds[TN__PARAMS_MAX];
    for (size_t i = 0; i < args.n; i++)
        kinds[i] = args.at[i].kind;
    return get(all, query->name, query->sql, kinds, args.n, false);
}

tn__statement *tn__statement_of_bulk(tn__statements *all, const char *name, const char *sql,
    const tn_kind *kinds, size_t n_kinds)
{
    assert(n_kinds > 0 && n_kinds <= TN__PARAMS_MAX);
    return get(all, name, sql, kinds, n_kinds, true);
}

void tn__statements_deinit(tn__statements *all)
{
    for (size_t i = 0; i < TN__STATEMENT_BUCKETS; i++) {
        while (all->buckets[i] != NULL) {
            tn__statement *gone = all->buckets[i];
            all->buckets[i] = gone->next_in_bucket;
            free(gone->name);
            free(gone->sql);
            free(gone);
        }
    }
    *all = (tn__statements){ .n = 0 };
}
