/* From text to the structs that a handler sees: path, query and body, with all their faults at once.
 *
 * A list's own parameters, `limit` and `cursor`, are taken out of the query before the service's
 * schema sees it; the stream's `from` likewise. A route without a query schema takes no parameters. */
#include "http/cursor.h"
#include "http/request.h"

#include <assert.h>

enum { PAIRS_MAX = 64 };

/* ---- The query ---------------------------------------------------------- */

struct nothing {
    char unused;
};
static const tn_schema nothing_schema = { .name = "nothing", .size = sizeof(struct nothing) };

struct list_query {
    int64_t limit;
    const tn_str *cursor;
};
static const tn_schema list_query_schema = TN_SCHEMA(list_query,
    TN_INT(list_query, limit, TN_RANGE(1, TN__PAGE_LIMIT_MAX), TN_FALLBACK(TN__PAGE_LIMIT_DEFAULT)),
    TN_STR(list_query, cursor));

enum { FROM_NOW, FROM_START };
struct stream_query {
    unsigned from;
};
static const tn_schema stream_query_schema = TN_SCHEMA(stream_query,
    TN_ENUM(stream_query, from, .names = TN_NAMES("now", "start"), .fallback = "now"));

/* What the chassis itself takes from the query of a route. */
static const tn_schema *own_schema(const tn_route *route)
{
    if (route->page != NULL)
        return &list_query_schema;
    return route->stream != NULL ? &stream_query_schema : &nothing_schema;
}

/* False when a pair can't be decoded. */
static bool pair_read(tn_arena *arena, tn_str text, tn__pair *pair)
{
    tn_str value = text, name;
    tn__str_cut(&value, '=', &name);
    if (value.data == NULL)
        value = TN_S("");
    return tn__percent_decode(arena, name, true, &pair->name) &&
        tn__percent_decode(arena, value, true, &pair->value) && tn__utf8_valid(pair->name) &&
        tn__utf8_valid(pair->value);
}

static bool query_split(tn_req *req)
{
    tn_str rest = req->query, text;
    if (rest.len == 0)
        return true;
    req->pairs = tn_alloc(req->arena, PAIRS_MAX * sizeof req->pairs[0]);
    while (tn__str_cut(&rest, '&', &text)) {
        if (text.len == 0)
            continue;
        if (req->n_pairs == PAIRS_MAX) {
            tn__answer_problem(req, TN__BAD_REQUEST, "The query has more than %d parameters.",
                PAIRS_MAX);
            return false;
        }
        if (!pair_read(req->arena, text, &req->pairs[req->n_pairs++])) {
            tn__answer_problem(req, TN__BAD_REQUEST,
                "The query is not valid: each %% has to stand with two hexadecimal digits, for UTF-8 "
                "without zeros.");
            return false;
        }
    }
    return true;
}

/* Parts the pairs into those that `own` knows and the others, in the arena. */
static tn__pair *take_own(tn_req *req, const tn_schema *own, size_t *n_own, tn__pair **others)
{
    tn__pair *mine = tn_alloc(req->arena, 2 * req->n_pairs * sizeof mine[0]);
    *others = mine + req->n_pairs;
    *n_own = 0;
    for (size_t i = 0, n = 0; i < req->n_pairs; i++)
        if (tn__field_find(own, req->pairs[i].name) != NULL)
            mine[(*n_own)++] = req->pairs[i];
        else
            (*others)[n++] = req->pairs[i];
    return mine;
}

static void append(tn__faults *to, const tn__faults *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (to->n < TN__FAULTS_MAX)
            to->at[to->n++] = from->at[i];
        else
            to->more++;
    to->more += from->more;
}

static void add_fault(tn__faults *to, const char *name, const char *detail)
{
    if (to->n < TN__FAULTS_MAX)
        to->at[to->n++] = (tn__fault){ tn_str_of(name), tn_str_of(detail) };
}

static bool has_fault(const tn__faults *faults, tn_str name)
{
    for (size_t i = 0; i < faults->n; i++)
        if (tn_str_eq(faults->at[i].pointer, name))
            return true;
    return false;
}

static void page_read(tn_req *req, const struct list_query *list, tn__faults *faults)
{
    req->page = (tn__page_wanted){ .limit = list->limit, .from_start = list->cursor == NULL };
    if (list->cursor == NULL || has_fault(faults, TN_S("cursor")))
        return;
    if (!tn__cursor_read(req->arena, req->match.endpoint->pattern, *list->cursor,
            &req->page.position))
        add_fault(faults, "cursor", "is not a cursor that this list has given");
}

static void query_read(tn_req *req, tn__faults *faults)
{
    const tn_schema *own = own_schema(req->route);
    const tn_schema *theirs = req->route->query != NULL ? req->route->query : &nothing_schema;
    faults->n = faults->more = 0;
    if (own == &nothing_schema && theirs == own && req->n_pairs == 0)
        return;
    size_t n_own;
    tn__pair *others, *mine = take_own(req, own, &n_own, &others);
    void *taken = tn_alloc(req->arena, own->size);
    tn__faults of_own;
    req->search = tn_alloc(req->arena, theirs->size);
    tn__decode_pairs(req->arena, theirs, others, req->n_pairs - n_own, req->search, faults);
    bool fine = tn__decode_pairs(req->arena, own, mine, n_own, taken, &of_own);
    append(faults, &of_own);
    if (own == &stream_query_schema)
        req->stream_from_start = fine && ((struct stream_query *)taken)->from == FROM_START;
    if (own == &list_query_schema)
        page_read(req, taken, faults);
}

/* ---- Path and body ------------------------------------------------------ */

static void params_read(tn_req *req, tn__faults *faults)
{
    const tn_schema *schema = req->route->params;
    faults->n = faults->more = 0;
    if (schema == NULL)
        return;
    req->params = tn_alloc(req->arena, schema->size);
    tn__decode_pairs(req->arena, schema, req->match.params, req->match.n_params, req->params,
        faults);
}

static tn__decoded body_read(tn_req *req, tn__faults *faults)
{
    const tn_schema *schema = req->route->body;
    tn_str text = tn__buf_str(&req->body);
    faults->n = faults->more = 0;
    if (schema == NULL)
        return TN__DECODED;
    if (text.data == NULL)
        text = TN_S("");
    if (req->route->merge_patch)
        return tn__decode_patch(req->arena, schema, text, &req->patch, faults);
    req->input = tn_alloc(req->arena, schema->size);
    return tn__decode_json(req->arena, schema, text, req->input, faults);
}

/* ---- All of it ---------------------------------------------------------- */

typedef struct {
    tn__faults path, query, body;
} all_faults;

static bool refuse_invalid(tn_req *req, const all_faults *faults)
{
    size_t n = faults->path.n + faults->query.n + faults->body.n;
    size_t more = faults->path.more + faults->query.more + faults->body.more;
    if (n == 0)
        return true;
    tn__problem problem = tn__problem_of(TN__VALIDATION,
        more == 0
            ? tn_printf(req->arena, "%zu %s not valid.", n, n == 1 ? "value is" : "values are")
            : tn_printf(req->arena, "%zu values are not valid; %zu of them are listed.", n + more,
                  n));
    problem.faults[TN__IN_PATH] = &faults->path;
    problem.faults[TN__IN_QUERY] = &faults->query;
    problem.faults[TN__IN_BODY] = &faults->body;
    tn__answer_faults(req, &problem);
    return false;
}

static bool refuse_syntax(tn_req *req, const tn__faults *faults)
{
    assert(faults->n == 1);
    tn__answer_problem(req, TN__BAD_REQUEST, "The body is not valid JSON: %.*s",
        TN_FMT(faults->at[0].detail));
    return false;
}

static bool read_all(tn_req *req, all_faults *faults)
{
    params_read(req, &faults->path);
    query_read(req, &faults->query);
    if (body_read(req, &faults->body) == TN__SYNTAX)
        return refuse_syntax(req, &faults->body);
    return refuse_invalid(req, faults);
}

bool tn__input_read(tn_req *req)
{
    /* 6 KiB, on the loop's own stack: handlers start later. */
    all_faults faults;
    return query_split(req) && read_all(req, &faults);
}

/* ---- What a handler sees ------------------------------------------------ */

const void *tn_params_(tn_req *req, const tn_schema *schema)
{
    assert(req->route->params == schema);
    (void)schema;
    return req->params;
}

const void *tn_query_(tn_req *req, const tn_schema *schema)
{
    assert(req->route->query == schema);
    (void)schema;
    return req->search;
}

const void *tn_body_(tn_req *req, const tn_schema *schema)
{
    assert(req->route->body == schema && !req->route->merge_patch);
    (void)schema;
    return req->input;
}
