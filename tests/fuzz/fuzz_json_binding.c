/* Any bytes as the JSON of a body, and as a merge patch of one.
 *
 * Always: what is refused says why, shortly and in UTF-8; what is taken reads back as the same when
 * it is written; what a patch makes of a valid struct is valid. The first byte picks the schema. */
#include "fuzz.h"

#include "schema/schema.h"

struct part {
    tn_str name;
    const double *weight;
    tn_str unit;
};
static const tn_schema part_schema = TN_SCHEMA(part, TN_STR(part, name, TN_LEN(1, 10)),
    TN_REAL(part, weight, TN_RANGE(0, 1e6)),
    TN_STR(part, unit, .pattern = "^[a-z]{1,3}$", .fallback = "kg"));

struct tree {
    int64_t n;
    TN_ARRAY_OF(struct tree) below;
};
static const tn_schema tree_schema = TN_SCHEMA(tree, TN_INT(tree, n, TN_FALLBACK(0)),
    TN_ARRAY(tree, below, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &tree_schema),
        .may_be_absent = true));

struct all {
    tn_str s;
    const tn_str *o;
    int64_t i;
    double r;
    bool b;
    int e;
    tn_uuid u;
    const tn_time *t;
    tn_json j;
    const tn_json *k;
    struct part p;
    const struct part *q;
    TN_ARRAY_OF(tn_str) l;
    TN_ARRAY_OF(struct part) m;
};
static const tn_schema all_schema = TN_SCHEMA(all, TN_STR(all, s, .pattern = "^(a|b)*c?.*$"),
    TN_STR(all, o, TN_LEN(0, 5)), TN_INT(all, i, TN_RANGE(-9, 9)), TN_REAL(all, r), TN_BOOL(all, b),
    TN_ENUM(all, e, .names = TN_NAMES("x", "y"), .fallback = "y"), TN_UUID(all, u), TN_TIME(all, t),
    TN_JSON(all, j), TN_JSON(all, k), TN_OBJECT(all, p, part), TN_OBJECT(all, q, part),
    TN_ARRAY(all, l, TN_COUNT(0, 4), .each = TN_EACH(TN_KIND_STR, str, TN_LEN(1, 3)),
        .may_be_absent = true),
    TN_ARRAY(all, m, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &part_schema)));

struct heard {
    tn_uuid id;
    tn_json data;
};
static const tn_schema heard_schema = TN_OPEN_SCHEMA(heard, TN_UUID(heard, id),
    TN_JSON(heard, data));

/* A schema, and a struct of it for patches to be laid over. */
static const struct {
    const tn_schema *schema;
    const char *valid;
} tables[] = {
    { &all_schema,
        "{\"s\":\"ab\",\"i\":1,\"r\":0.5,\"b\":true,\"u\":\"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\","
        "\"j\":{\"a\":{\"b\":[1]}},\"p\":{\"name\":\"n\"},\"m\":[]}" },
    { &tree_schema, "{\"n\":1}" },
    { &part_schema, "{\"name\":\"n\",\"weight\":2.5}" },
    { &heard_schema, "{\"id\":\"018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a\",\"data\":null}" },
};

static void told_well(const tn__faults *faults, tn__decoded how)
{
    always((how == TN__DECODED) == (faults->n == 0));
    always(how != TN__SYNTAX || (faults->n == 1 && faults->at[0].pointer.len == 0));
    always(faults->n <= TN__FAULTS_MAX && (faults->more == 0 || faults->n == TN__FAULTS_MAX));
    for (size_t i = 0; i < faults->n; i++) {
        always(faults->at[i].detail.len > 0 && faults->at[i].detail.len < 1000);
        always(tn__utf8_valid(faults->at[i].detail) && tn__utf8_valid(faults->at[i].pointer));
        always(faults->at[i].pointer.len < (size_t)TN__JSON_DEPTH_MAX * 600);
    }
}

static tn_str encoded(tn_arena *arena, const tn_schema *schema, const void *at)
{
    tn__buf out = { .arena = arena };
    tn__encode_json(&out, schema, at);
    return tn__buf_str(&out);
}

/* What is written is read, and is the same when it is written again. */
static void reads_back(tn_arena *arena, const tn_schema *schema, const void *at)
{
    tn_str text = encoded(arena, schema, at);
    void *again = tn_alloc(arena, schema->size);
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    always(tn__decode_json(arena, schema, text, again, faults) == TN__DECODED);
    always(tn_str_eq(text, encoded(arena, schema, again)));
}

static void decode(tn_arena *arena, const tn_schema *schema, tn_str text)
{
    void *out = tn_alloc(arena, schema->size);
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    tn__decoded how = tn__decode_json(arena, schema, text, out, faults);
    told_well(faults, how);
    if (how == TN__DECODED)
        reads_back(arena, schema, out);
}

static void patch(tn_arena *arena, const tn_schema *schema, const char *valid, tn_str text)
{
    void *target = tn_alloc(arena, schema->size);
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    always(tn__decode_json(arena, schema, tn_str_of(valid), target, faults) == TN__DECODED);
    tn__patch *patch;
    tn__decoded how = tn__decode_patch(arena, schema, text, &patch, faults);
    told_well(faults, how);
    if (how != TN__DECODED)
        return;
    tn_str before = encoded(arena, schema, target);
    if (tn__patch_apply(arena, patch, target, faults))
        reads_back(arena, schema, target);
    else
        always(tn_str_eq(before, encoded(arena, schema, target)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t table = data[0] % (sizeof tables / sizeof *tables);
    tn_str text = { (const char *)data + 1, size - 1 };
    tn_arena *arena = tn__arena_open(4096);
    decode(arena, tables[table].schema, text);
    patch(arena, tables[table].schema, tables[table].valid, text);
    tn__arena_close(arena);
    return 0;
}
