/* Checks one schema: names, bounds, patterns, fallbacks, examples, and where its members lie. */
#include "schema/check.h"
#include "schema/decode.h"
#include "schema/paths.h"
#include "schema/pattern.h"

#include <math.h>

static void check_field(tn__checker *c, tn_str place, const tn_field *field);

/* ---- Rules -------------------------------------------------------------- */

/* Bounds of lengths and counts. A bound that was set without its macro would not be looked at. */
static void check_bounds(tn__checker *c, tn_str place, bool bounded, int64_t min, int64_t max,
    const char *macro)
{
    if (!bounded && (min != 0 || max != 0))
        tn__check_fail(c, place, "a bound is set without %s", macro);
    if (bounded && (min < 0 || max < min))
        tn__check_fail(c, place, "%s(%lld, %lld) holds nothing", macro, (long long)min,
            (long long)max);
}

static void check_fallback_text(tn__checker *c, tn_str place, const tn_field *field,
    const char *fallback)
{
    _Alignas(max_align_t) char value[64];
    if (fallback != NULL && !tn__read_text(c->arena, field, tn_str_of(fallback), value))
        tn__check_fail(c, place, "the fallback \"%s\" breaks the field's own rule", fallback);
}

static void check_str(tn__checker *c, tn_str place, const tn_field *field)
{
    const struct tn_str_rule *rule = &field->str;
    check_bounds(c, place, rule->bounded, rule->min, rule->max, "TN_LEN");
    tn_str why = rule->pattern == NULL ? TN_S("") : tn__pattern_fault(c->arena, rule->pattern);
    if (why.len > 0)
        tn__check_fail(c, place, "the pattern %s: %.*s", rule->pattern, TN_FMT(why));
    else if (rule->pattern != NULL && tn__rule_len_max(rule) > TN__PATTERN_CHARS_MAX)
        tn__check_fail(c, place, "a string with a pattern may have at most %d characters",
            TN__PATTERN_CHARS_MAX);
    else
        check_fallback_text(c, place, field, rule->fallback);
}

static void check_int(tn__checker *c, tn_str place, const struct tn_int_rule *rule)
{
    if (!rule->bounded && (rule->min != 0 || rule->max != 0))
        tn__check_fail(c, place, "a bound is set without TN_RANGE");
    if (rule->bounded && rule->max < rule->min)
        tn__check_fail(c, place, "TN_RANGE(%lld, %lld) holds nothing", (long long)rule->min,
            (long long)rule->max);
    if (!rule->has_fallback && rule->fallback != 0)
        tn__check_fail(c, place, "a fallback is set without TN_FALLBACK");
    if (rule->has_fallback && !tn__rule_int(rule, rule->fallback))
        tn__check_fail(c, place, "the fallback %lld breaks the field's own rule",
            (long long)rule->fallback);
}

static void check_real(tn__checker *c, tn_str place, const struct tn_real_rule *rule)
{
    if (!rule->bounded && (rule->min != 0 || rule->max != 0))
        tn__check_fail(c, place, "a bound is set without TN_RANGE");
    if (rule->bounded && !(rule->min <= rule->max))
        tn__check_fail(c, place, "TN_RANGE(%g, %g) holds nothing", rule->min, rule->max);
    if (!rule->has_fallback && rule->fallback != 0)
        tn__check_fail(c, place, "a fallback is set without TN_FALLBACK");
    if (rule->has_fallback && (!isfinite(rule->fallback) || !tn__rule_real(rule, rule->fallback)))
        tn__check_fail(c, place, "the fallback %g breaks the field's own rule", rule->fallback);
}

static void check_enum(tn__checker *c, tn_str place, const tn_field *field)
{
    const char *const *names = field->choice.names;
    if (names == NULL || names[0] == NULL) {
        tn__check_fail(c, place, "it has no names");
        return;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        if (*names[i] == '\0' || !tn__utf8_valid(tn_str_of(names[i])))
            tn__check_fail(c, place, "a name is empty or not UTF-8");
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                tn__check_fail(c, place, "the name \"%s\" is there twice", names[i]);
    }
    check_fallback_text(c, place, field, field->choice.fallback);
}

static void check_array(tn__checker *c, tn_str place, const tn_field *field)
{
    const struct tn_array_rule *rule = &field->array;
    check_bounds(c, place, rule->bounded, rule->min, rule->max, "TN_COUNT");
    if (rule->each == NULL) {
        tn__check_fail(c, place, "it has no .each");
        return;
    }
    tn_str below = tn_printf(c->arena, "%.*s[]", TN_FMT(place));
    if (rule->each->optional || tn__field_has_fallback(rule->each))
        tn__check_fail(c, below, "elements cannot be absent: no optional, no fallback");
    check_field(c, below, rule->each);
}

static void check_object(tn__checker *c, tn_str place, const tn_field *field)
{
    if (field->object.schema == NULL)
        tn__check_fail(c, place, "it has no .schema");
    else
        tn__check_schema(c, field->object.schema);
}

static void check_rule(tn__checker *c, tn_str place, const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        check_str(c, place, field);
        break;
    case TN_KIND_INT:
        check_int(c, place, &field->num);
        break;
    case TN_KIND_REAL:
        check_real(c, place, &field->real);
        break;
    case TN_KIND_ENUM:
        check_enum(c, place, field);
        break;
    case TN_KIND_ARRAY:
        check_array(c, place, field);
        break;
    case TN_KIND_OBJECT:
        check_object(c, place, field);
        break;
    case TN_KIND_BOOL:
        if (field->flag.fallback && !field->flag.has_fallback)
            tn__check_fail(c, place, "a fallback is set without TN_FALLBACK");
        break;
    case TN_KIND_UUID:
    case TN_KIND_TIME:
    case TN_KIND_JSON:
        break;
    }
}

/* ---- Examples ----------------------------------------------------------- */

static bool example_fits(tn__checker *c, const tn_field *field, tn_str example)
{
    _Alignas(max_align_t) char value[64];
    if (tn__is_scalar(field))
        return tn__read_text(c->arena, field, example, value);
    tn_str why;
    bool fits = tn__json_read(c->arena, example, &why) != NULL;
    tn__json_done();
    return fits;
}

/* Only where the rule itself is right: a bad pattern can't be matched. */
static void check_example(tn__checker *c, tn_str place, const tn_field *field)
{
    const char *example = tn__field_example(field);
    if (example != NULL && !example_fits(c, field, tn_str_of(example)))
        tn__check_fail(c, place, "the example \"%s\" breaks the field's own rule", example);
}

/* ---- Fields and schemas ------------------------------------------------- */

static void check_field(tn__checker *c, tn_str place, const tn_field *field)
{
    size_t before = c->faults->n + c->faults->more;
    check_rule(c, place, field);
    if (c->faults->n + c->faults->more == before)
        check_example(c, place, field);
    if (field->optional && tn__field_has_fallback(field))
        tn__check_fail(c, place, "a fallback means that the member is always there: no pointer");
}

static void check_member(tn__checker *c, const tn_schema *schema, size_t i)
{
    const tn_field *field = &schema->fields[i];
    tn_str place = tn_printf(c->arena, "schema %s: %s", schema->name, field->name);
    if (!tn__is_identifier(tn_str_of(field->name)))
        tn__check_fail(c, place, "the name of a field must be a C identifier");
    for (size_t j = 0; j < i; j++)
        if (strcmp(schema->fields[j].name, field->name) == 0)
            tn__check_fail(c, place, "the field is in the table twice");
    size_t faults = c->faults->n + c->faults->more;
    check_field(c, place, field);
    bool sound = c->faults->n + c->faults->more == faults;
    if (sound &&
        (field->offset > schema->size || tn__field_size(field) > schema->size - field->offset))
        tn__check_fail(c, place, "the field lies outside of struct %s", schema->name);
}

static bool is_known(tn__checker *c, const tn_schema *schema)
{
    for (size_t i = 0; i < c->n_schemas; i++)
        if (c->schemas[i] == schema)
            return true;
    return false;
}

/* The documents name schemas by their tags, beside a few of the chassis's own. */
static void check_name(tn__checker *c, tn_str place, const tn_schema *schema)
{
    static const char *const taken[] = { "Problem", "ValidationProblem", "SentHeaders",
        "ReceivedHeaders" };
    tn_str pascal = tn__pascal(c->arena, schema->name);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (tn_str_eq(pascal, tn_str_of(taken[i])))
            tn__check_fail(c, place, "the documents have a %s of their own", taken[i]);
    for (size_t i = 0; i < c->n_schemas; i++)
        if (tn_str_eq(pascal, tn__pascal(c->arena, c->schemas[i]->name)))
            tn__check_fail(c, place, "another schema has this name");
}

void tn__check_schema(tn__checker *c, const tn_schema *schema)
{
    if (is_known(c, schema))
        return;
    tn_str place = tn_printf(c->arena, "schema %s", schema->name);
    if (!tn__is_identifier(tn_str_of(schema->name))) {
        tn__check_fail(c, place, "the name must be a C identifier");
        return;
    }
    check_name(c, place, schema);
    if (c->n_schemas == TN__SCHEMAS_MAX) {
        tn__check_fail(c, place, "a service may have at most %d schemas", TN__SCHEMAS_MAX);
        return;
    }
    c->schemas[c->n_schemas++] = schema;
    if (schema->n_fields == 0 || schema->n_fields > TN__FIELDS_MAX) {
        tn__check_fail(c, place, "a schema may have 1 to %d fields", TN__FIELDS_MAX);
        return;
    }
    for (size_t i = 0; i < schema->n_fields; i++)
        check_member(c, schema, i);
}
