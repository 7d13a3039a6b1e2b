/* Any bytes as a query string: split, percent-decoded, bound to a struct.
 *
 * Always: what is refused says why, shortly and in UTF-8; what is taken reads back as the same when
 * its values are written as texts. */
#include "fuzz.h"

#include "schema/schema.h"

enum { PAIRS_MAX = 64 };

struct query {
    const tn_str *q;
    const tn_str *code;
    int64_t limit;
    const int64_t *big;
    const double *r;
    const bool *b;
    const int *e;
    const tn_uuid *u;
    const tn_time *t;
    const tn_json *j;
    TN_ARRAY_OF(int64_t) l;
};
static const tn_schema query_schema = TN_SCHEMA(query, TN_STR(query, q, TN_LEN(1, 8)),
    TN_STR(query, code, .pattern = "^[A-Z]+(-[0-9]{2,3})?$"),
    TN_INT(query, limit, TN_RANGE(1, 100), TN_FALLBACK(20)), TN_INT(query, big), TN_REAL(query, r),
    TN_BOOL(query, b), TN_ENUM(query, e, .names = TN_NAMES("x", "y")), TN_UUID(query, u),
    TN_TIME(query, t), TN_JSON(query, j),
    TN_ARRAY(query, l, .each = TN_EACH(TN_KIND_INT, num, .bounded = false), .may_be_absent = true));

static size_t split(tn_arena *arena, tn_str text, tn__pair *pairs)
{
    size_t n = 0;
    tn_str part, name;
    while (n < PAIRS_MAX && tn__str_cut(&text, '&', &part)) {
        tn_str value = part;
        if (!tn__str_cut(&value, '=', &name))
            continue;
        value = value.data == NULL ? TN_S("") : value;
        if (tn__percent_decode(arena, name, true, &pairs[n].name) &&
            tn__percent_decode(arena, value, true, &pairs[n].value))
            n++;
    }
    return n;
}

static void told_well(const tn__faults *faults, bool taken)
{
    always(taken == (faults->n == 0));
    for (size_t i = 0; i < faults->n; i++) {
        always(faults->at[i].detail.len > 0 && faults->at[i].detail.len < 1000);
        always(faults->at[i].pointer.len < 300);
        always(tn__utf8_valid(faults->at[i].detail) && tn__utf8_valid(faults->at[i].pointer));
    }
}

/* The fields that have a value, as texts. */
static size_t write_pairs(tn_arena *arena, const struct query *query, tn__pair *pairs)
{
    size_t n = 0;
    for (size_t i = 0; i < query_schema.n_fields; i++) {
        const tn_field *field = &query_schema.fields[i];
        if (tn__field_value(field, query) == NULL)
            continue;
        tn__buf text = { .arena = arena };
        tn__encode_text(&text, field, query);
        pairs[n].name = tn_str_of(field->name);
        pairs[n++].value = text.data == NULL ? TN_S("") : tn__buf_str(&text);
    }
    return n;
}

static tn_str encoded(tn_arena *arena, const struct query *query)
{
    tn__buf out = { .arena = arena };
    tn__encode_json(&out, &query_schema, query);
    return tn__buf_str(&out);
}

static void reads_back(tn_arena *arena, const struct query *query, tn__faults *faults)
{
    tn__pair pairs[PAIRS_MAX];
    size_t n = write_pairs(arena, query, pairs);
    struct query again;
    always(tn__decode_pairs(arena, &query_schema, pairs, n, &again, faults));
    always(tn_str_eq(encoded(arena, query), encoded(arena, &again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tn_arena *arena = tn__arena_open(4096);
    tn__pair pairs[PAIRS_MAX];
    size_t n = split(arena, (tn_str){ (const char *)data, size }, pairs);
    struct query query;
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    bool taken = tn__decode_pairs(arena, &query_schema, pairs, n, &query, faults);
    told_well(faults, taken);
    if (taken)
        reads_back(arena, &query, faults);
    tn__arena_close(arena);
    return 0;
}
