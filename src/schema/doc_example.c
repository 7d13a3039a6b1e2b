/* Examples: what a field says itself, else its fallback, else something that its rule allows. Fields
 * that may be absent are left out when they give no example. */
#include "schema/doc_example.h"

#include <assert.h>
#include <math.h>

/* A schema that contains itself is followed this far. */
enum { DEPTH_MAX = 8, MADE_UP_MAX = 32, ELEMENTS_MAX = 8 };

const char tn__example_uuid[] = "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a";
const char tn__example_time[] = "2026-01-31T09:15:00.000000Z";

void tn__doc_example_of(tn__doc *doc, const char *key, const tn_field *field)
{
    tn_str text = tn_str_of(tn__field_example(field)), why;
    bool quoted = field->kind == TN_KIND_STR || field->kind == TN_KIND_ENUM ||
        field->kind == TN_KIND_UUID || field->kind == TN_KIND_TIME;
    if (quoted) {
        tn__doc_str(doc, key, text);
        return;
    }
    const json_t *value = tn__json_read(doc->out.arena, text, &why);
    assert(value != NULL); /* the tables were checked */
    tn__doc_json(doc, key, value);
    tn__json_done();
}

void tn__doc_fallback(tn__doc *doc, const char *key, const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        tn__doc_z(doc, key, field->str.fallback);
        break;
    case TN_KIND_INT:
        tn__doc_int(doc, key, field->num.fallback);
        break;
    case TN_KIND_REAL:
        tn__doc_real(doc, key, field->real.fallback);
        break;
    case TN_KIND_BOOL:
        tn__doc_bool(doc, key, field->flag.fallback);
        break;
    case TN_KIND_ENUM:
        tn__doc_z(doc, key, field->choice.fallback);
        break;
    default:
        assert(false); /* the other kinds have none */
    }
}

/* ---- Made up ------------------------------------------------------------- */

static int64_t int_of(const struct tn_int_rule *rule)
{
    if (!rule->bounded || (rule->min <= 1 && rule->max >= 1))
        return 1;
    return rule->min > 1 ? rule->min : rule->max;
}

static double real_of(const struct tn_real_rule *rule)
{
    if (!rule->bounded || (rule->min <= 1 && rule->max >= 1))
        return 1;
    return rule->min > 1 ? rule->min : rule->max;
}

static tn_str str_of(tn_arena *arena, const struct tn_str_rule *rule)
{
    int64_t min = rule->bounded ? rule->min : 0, max = rule->bounded ? rule->max : INT64_MAX;
    int64_t len = min > 4 ? min : max < 4 ? max : 4;
    char *text = tn_alloc(arena, (size_t)len + 1);
    for (int64_t i = 0; i < len; i++)
        text[i] = "text"[i % 4];
    return (tn_str){ text, (size_t)len };
}

static void make_up(tn__doc *doc, const char *key, const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        tn__doc_str(doc, key, str_of(doc->out.arena, &field->str));
        break;
    case TN_KIND_INT:
        tn__doc_int(doc, key, int_of(&field->num));
        break;
    case TN_KIND_REAL:
        tn__doc_real(doc, key, real_of(&field->real));
        break;
    case TN_KIND_BOOL:
        tn__doc_bool(doc, key, true);
        break;
    case TN_KIND_ENUM:
        tn__doc_z(doc, key, field->choice.names[0]);
        break;
    case TN_KIND_UUID:
        tn__doc_z(doc, key, tn__example_uuid);
        break;
    case TN_KIND_TIME:
        tn__doc_z(doc, key, tn__example_time);
        break;
    default:
        tn__doc_object(doc, key);
        tn__doc_end(doc);
        break;
    }
}

static bool can_make_up(const tn_field *field)
{
    const struct tn_str_rule *rule = &field->str;
    return field->kind != TN_KIND_STR ||
        (rule->pattern == NULL && (!rule->bounded || rule->min <= MADE_UP_MAX));
}

tn_str tn__example_text(tn_arena *arena, const tn_field *field)
{
    if (tn__field_example(field) != NULL)
        return tn_str_of(tn__field_example(field));
    switch (field->kind) {
    case TN_KIND_UUID:
        return tn_str_of(tn__example_uuid);
    case TN_KIND_TIME:
        return tn_str_of(tn__example_time);
    case TN_KIND_INT:
        return tn_printf(arena, "%lld", (long long)int_of(&field->num));
    case TN_KIND_ENUM:
        return tn_str_of(field->choice.names[0]);
    default:
        return TN_S("1");
    }
}

/* ---- Whole examples ------------------------------------------------------- */

/* Left out: what may be absent, unless it has an example. A patch shows what has an example. */
static bool is_shown(const tn_field *field, tn__form form)
{
    if (tn__field_example(field) != NULL)
        return true;
    if (form == TN__FORM_REPLY)
        return !field->optional;
    return form == TN__FORM_BODY && !tn__field_may_be_absent(field);
}

static size_t elements_of(const struct tn_array_rule *rule)
{
    if (!rule->bounded)
        return 1;
    return (size_t)(rule->min > 1 ? rule->min : rule->max < 1 ? rule->max : 1);
}

static bool has_example(const tn_schema *schema, tn__form form, int depth);

static bool has_value(const tn_field *field, tn__form form, int depth)
{
    if (tn__field_example(field) != NULL || tn__field_has_fallback(field))
        return true;
    if (field->kind == TN_KIND_OBJECT)
        return has_example(field->object.schema, form, depth + 1);
    if (field->kind == TN_KIND_ARRAY)
        return elements_of(&field->array) <= ELEMENTS_MAX &&
            has_value(field->array.each, form, depth + 1);
    return can_make_up(field);
}

static bool has_example(const tn_schema *schema, tn__form form, int depth)
{
    if (depth > DEPTH_MAX)
        return false;
    for (size_t i = 0; i < schema->n_fields; i++)
        if (is_shown(&schema->fields[i], form) && !has_value(&schema->fields[i], form, depth))
            return false;
    return true;
}

bool tn__has_example(const tn_schema *schema, tn__form form)
{
    return has_example(schema, form, 0);
}

static void write_value(tn__doc *doc, const char *key, const tn_field *field, tn__form form)
{
    if (tn__field_example(field) != NULL) {
        tn__doc_example_of(doc, key, field);
    } else if (tn__field_has_fallback(field)) {
        tn__doc_fallback(doc, key, field);
    } else if (field->kind == TN_KIND_OBJECT) {
        tn__doc_example(doc, key, field->object.schema, form);
    } else if (field->kind == TN_KIND_ARRAY) {
        tn__doc_array(doc, key);
        for (size_t i = 0; i < elements_of(&field->array); i++)
            write_value(doc, NULL, field->array.each, form);
        tn__doc_end(doc);
    } else {
        make_up(doc, key, field);
    }
}

void tn__doc_example(tn__doc *doc, const char *key, const tn_schema *schema, tn__form form)
{
    tn__doc_object(doc, key);
    for (size_t i = 0; i < schema->n_fields; i++)
        if (is_shown(&schema->fields[i], form))
            write_value(doc, schema->fields[i].name, &schema->fields[i], form);
    tn__doc_end(doc);
}

bool tn__has_value(const tn_field *field)
{
    return has_value(field, TN__FORM_REPLY, 0);
}

void tn__doc_value(tn__doc *doc, const char *key, const tn_field *field)
{
    write_value(doc, key, field, TN__FORM_REPLY);
}
