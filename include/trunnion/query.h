/* The database, as a handler sees it: named queries in a transaction.
 *
 * A transaction is lazy. Its statements are queued and travel together; nothing waits until
 * tn_wait(), tn_maybe(), tn_all() or the final tn_commit()/tn_done(). The first failure sticks: it
 * turns every later step into a no-op and becomes the answer, so a handler checks nothing. A
 * transaction whose rows nobody looked at before the commit costs one round trip, which it shares
 * with the other requests in flight. */
#pragma once

#include <trunnion/schema.h>

/* A query has a name: it labels the span, the metric and the slow-query log, and names the prepared
 * statement. Names are unique within a service. Parameters are $1, $2, ... */
typedef struct {
    const char *name, *sql;
} tn_query;

/* One argument. NULL pointers are SQL NULL. */
typedef struct {
    tn_kind kind;
    bool null;
    union {
        tn_str s;
        int64_t i;
        double d;
        bool b;
        tn_uuid u;
        tn_time t;
        tn_json j;
    };
} tn_arg;

static inline tn_arg tn_arg_str_(tn_str v)
{
    return (tn_arg){ .kind = TN_KIND_STR, .s = v };
}
static inline tn_arg tn_arg_int_(int64_t v)
{
    return (tn_arg){ .kind = TN_KIND_INT, .i = v };
}
static inline tn_arg tn_arg_real_(double v)
{
    return (tn_arg){ .kind = TN_KIND_REAL, .d = v };
}
static inline tn_arg tn_arg_bool_(bool v)
{
    return (tn_arg){ .kind = TN_KIND_BOOL, .b = v };
}
static inline tn_arg tn_arg_uuid_(tn_uuid v)
{
    return (tn_arg){ .kind = TN_KIND_UUID, .u = v };
}
static inline tn_arg tn_arg_time_(tn_time v)
{
    return (tn_arg){ .kind = TN_KIND_TIME, .t = v };
}
static inline tn_arg tn_arg_json_(tn_json v)
{
    return (tn_arg){ .kind = TN_KIND_JSON, .j = v };
}
static inline tn_arg tn_arg_opt_str_(const tn_str *v)
{
    return v != NULL ? tn_arg_str_(*v) : (tn_arg){ .kind = TN_KIND_STR, .null = true };
}
static inline tn_arg tn_arg_opt_int_(const int64_t *v)
{
    return v != NULL ? tn_arg_int_(*v) : (tn_arg){ .kind = TN_KIND_INT, .null = true };
}
static inline tn_arg tn_arg_opt_real_(const double *v)
{
    return v != NULL ? tn_arg_real_(*v) : (tn_arg){ .kind = TN_KIND_REAL, .null = true };
}
static inline tn_arg tn_arg_opt_bool_(const bool *v)
{
    return v != NULL ? tn_arg_bool_(*v) : (tn_arg){ .kind = TN_KIND_BOOL, .null = true };
}
static inline tn_arg tn_arg_opt_uuid_(const tn_uuid *v)
{
    return v != NULL ? tn_arg_uuid_(*v) : (tn_arg){ .kind = TN_KIND_UUID, .null = true };
}
static inline tn_arg tn_arg_opt_time_(const tn_time *v)
{
    return v != NULL ? tn_arg_time_(*v) : (tn_arg){ .kind = TN_KIND_TIME, .null = true };
}
static inline tn_arg tn_arg_opt_json_(const tn_json *v)
{
    return v != NULL ? tn_arg_json_(*v) : (tn_arg){ .kind = TN_KIND_JSON, .null = true };
}

/* clang-format off */
#define TN_ARG(x) _Generic((x),                                                                    \
    tn_str: tn_arg_str_, const tn_str *: tn_arg_opt_str_, tn_str *: tn_arg_opt_str_,               \
    int: tn_arg_int_, int64_t: tn_arg_int_,                                                        \
    const int64_t *: tn_arg_opt_int_, int64_t *: tn_arg_opt_int_,                                  \
    double: tn_arg_real_, const double *: tn_arg_opt_real_,                                        \
    bool: tn_arg_bool_, const bool *: tn_arg_opt_bool_,                                            \
    tn_uuid: tn_arg_uuid_, const tn_uuid *: tn_arg_opt_uuid_, tn_uuid *: tn_arg_opt_uuid_,         \
    tn_time: tn_arg_time_, const tn_time *: tn_arg_opt_time_,                                      \
    tn_json: tn_arg_json_, const tn_json *: tn_arg_opt_json_)(x)
#define TN_A1_(a) TN_ARG(a)
#define TN_A2_(a, ...) TN_ARG(a), TN_A1_(__VA_ARGS__)
#define TN_A3_(a, ...) TN_ARG(a), TN_A2_(__VA_ARGS__)
#define TN_A4_(a, ...) TN_ARG(a), TN_A3_(__VA_ARGS__)
#define TN_A5_(a, ...) TN_ARG(a), TN_A4_(__VA_ARGS__)
#define TN_A6_(a, ...) TN_ARG(a), TN_A5_(__VA_ARGS__)
#define TN_A7_(a, ...) TN_ARG(a), TN_A6_(__VA_ARGS__)
#define TN_A8_(a, ...) TN_ARG(a), TN_A7_(__VA_ARGS__)
#define TN_A9_(a, ...) TN_ARG(a), TN_A8_(__VA_ARGS__)
#define TN_A10_(a, ...) TN_ARG(a), TN_A9_(__VA_ARGS__)
#define TN_A11_(a, ...) TN_ARG(a), TN_A10_(__VA_ARGS__)
#define TN_A12_(a, ...) TN_ARG(a), TN_A11_(__VA_ARGS__)
#define TN_A13_(a, ...) TN_ARG(a), TN_A12_(__VA_ARGS__)
#define TN_A14_(a, ...) TN_ARG(a), TN_A13_(__VA_ARGS__)
#define TN_A15_(a, ...) TN_ARG(a), TN_A14_(__VA_ARGS__)
#define TN_A16_(a, ...) TN_ARG(a), TN_A15_(__VA_ARGS__)
#define TN_PICK_(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, N, ...) N
#define TN_MAP_(...) TN_PICK_(__VA_ARGS__, TN_A16_, TN_A15_, TN_A14_, TN_A13_, TN_A12_, TN_A11_,   \
    TN_A10_, TN_A9_, TN_A8_, TN_A7_, TN_A6_, TN_A5_, TN_A4_, TN_A3_, TN_A2_, TN_A1_, 0)(__VA_ARGS__)
#define TN_PICK_COUNT_(...) TN_PICK_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
/* clang-format on */

#define TN_ARGS_MAX 16

/* The arguments of a query. The values are copied when a statement is queued; the bytes that
 * strings point to must live as long as the request or message, as all arena memory does. To C,
 * `true` and comparisons are of type int: pass a bool variable, or cast. */
typedef struct {
    const tn_arg *at;
    size_t n;
} tn_args;

/* One to TN_ARGS_MAX arguments of the types above. */
#define TN_ARGS(...)                                                                               \
    ((tn_args){ (const tn_arg[]){ TN_MAP_(__VA_ARGS__) }, TN_PICK_COUNT_(__VA_ARGS__) })
#define TN_NO_ARGS ((tn_args){ NULL, 0 })

typedef struct tn_tx tn_tx;

/* Rows that tn_all() read: an array of structs of the schema asked for. */
typedef struct {
    const tn_schema *schema;
    void *at;
    size_t n;
} tn_rows;

/* Queues a query that gives one row, read into `row` by the columns' names: a column without a
 * field is ignored, a required field without a column is a programmer error. No row is the failure
 * "not found" (404). The members of `row` may be looked at after tn_wait(). */
void tn_one(tn_tx *tx, tn_ref row, const tn_query *query, tn_args args);

/* Queues a query whose rows don't matter. */
void tn_run(tn_tx *tx, const tn_query *query, tn_args args);

/* Runs a query and waits: true and `row` filled when it gave a row, false when it gave none. */
bool tn_maybe(tn_tx *tx, tn_ref row, const tn_query *query, tn_args args);

/* Runs a query and waits: all its rows, in the arena. Limit the query: rows beyond 10,000 fail. */
tn_rows tn_all(tn_tx *tx, const tn_schema *schema, const tn_query *query, tn_args args);

/* Waits for all that is queued: true when nothing has failed and every row asked for is filled. */
bool tn_wait(tn_tx *tx);
