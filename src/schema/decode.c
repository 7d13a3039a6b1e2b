/* From JSON to structs, by the tables.
 *
 * Invariants: every fault is reported, none stops the rest. Strings are copied, since the tree's
 * memory is given back at the end; nothing in `out` points into the text or the tree. What the
 * struct holds after a fault is defined (zeros or values) but of no use. Recursion is bounded by the
 * depth of the text, TN__JSON_DEPTH_MAX. */
#include "schema/decode.h"

#include <assert.h>
#include <math.h>

/* Integers beyond this may already have been rounded when they were read as a double. */
static const double EXACT_MAX = 9007199254740992; /* 2^53 */

/* A number without a fraction is an integer, however it is written: JSON Schema says so, and our
 * documents speak JSON Schema. */
static bool to_int(const json_t *json, int64_t *v)
{
    if (json_is_integer(json)) {
        *v = json_integer_value(json);
        return true;
    }
    if (!json_is_real(json))
        return false;
    double real = json_real_value(json);
    if (fabs(real) > EXACT_MAX || real != floor(real))
        return false;
    *v = (int64_t)real;
    return true;
}

static bool decode_str(tn_arena *arena, const tn_field *field, const json_t *json, tn_str *value)
{
    if (!json_is_string(json) || !tn__rule_str(&field->str, tn__json_text(json)))
        return false;
    *value = tn_copy(arena, tn__json_text(json));
    return true;
}

static bool decode_int(const tn_field *field, const json_t *json, int64_t *value)
{
    return to_int(json, value) && tn__rule_int(&field->num, *value);
}

static bool decode_real(const tn_field *field, const json_t *json, double *value)
{
    if (!json_is_number(json))
        return false;
    *value = tn__without_sign_of_zero(json_number_value(json));
    return tn__rule_real(&field->real, *value);
}

static bool decode_bool(const json_t *json, bool *value)
{
    *value = json_is_true(json);
    return json_is_boolean(json);
}

static bool decode_enum(const tn_field *field, const json_t *json, int *value)
{
    int choice = json_is_string(json) ? tn__rule_choice(&field->choice, tn__json_text(json)) : -1;
    *value = choice < 0 ? 0 : choice;
    return choice >= 0;
}

static bool decode_raw(tn_arena *arena, const json_t *json, tn_json *value)
{
    tn__buf text = { .arena = arena };
    tn__json_write(&text, json);
    value->text = tn__buf_str(&text);
    return true;
}

/* The kinds without places of their own below them. */
static bool decode_scalar(tn_arena *arena, const tn_field *field, const json_t *json, void *value)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return decode_str(arena, field, json, value);
    case TN_KIND_INT:
        return decode_int(field, json, value);
    case TN_KIND_REAL:
        return decode_real(field, json, value);
    case TN_KIND_BOOL:
        return decode_bool(json, value);
    case TN_KIND_ENUM:
        return decode_enum(field, json, value);
    case TN_KIND_UUID:
        return json_is_string(json) && tn__uuid_parse(tn__json_text(json), value);
    case TN_KIND_TIME:
        return json_is_string(json) && tn__time_parse(tn__json_text(json), value);
    case TN_KIND_JSON:
        return decode_raw(arena, json, value);
    case TN_KIND_OBJECT:
    case TN_KIND_ARRAY:
        break;
    }
    assert(false); /* the others are decoded elsewhere */
    return false;
}

static void decode_array(tn__reporter *r, const tn__where *place, const tn_field *field,
    const json_t *json, tn__array *value)
{
    size_t n = json_array_size(json);
    if (!json_is_array(json) || !tn__rule_count(&field->array, n)) {
        tn__fault_json(r, place, field, json);
        return;
    }
    const tn_field *each = field->array.each;
    size_t bytes = tn__kind_size(each);
    char *elements = n == 0 ? NULL : tn_alloc(r->arena, n * bytes);
    for (size_t i = 0; i < n; i++) {
        tn__where below = { .up = place, .index = i };
        tn__decode_any(r, &below, each, json_array_get(json, i), elements + i * bytes);
    }
    *value = (tn__array){ elements, n };
}

void tn__decode_any(tn__reporter *r, const tn__where *place, const tn_field *field,
    const json_t *json, void *value)
{
    if (field->kind == TN_KIND_ARRAY)
        decode_array(r, place, field, json, value);
    else if (field->kind == TN_KIND_OBJECT && json_is_object(json))
        tn__decode_object(r, place, field->object.schema, json, value);
    else if (field->kind == TN_KIND_OBJECT || !decode_scalar(r->arena, field, json, value))
        tn__fault_json(r, place, field, json);
}

static void decode_missing(tn__reporter *r, const tn__where *place, const tn_field *field,
    void *out)
{
    tn__where below = { .up = place, .name = tn_str_of(field->name) };
    if (tn__field_may_be_absent(field))
        tn__field_clear(field, out);
    else
        tn__fault_missing(r, &below, field);
}

void tn__decode_object(tn__reporter *r, const tn__where *place, const tn_schema *schema,
    const json_t *object, void *out)
{
    assert(json_is_object(object) && schema->n_fields <= TN__FIELDS_MAX);
    tn__field_set seen = { 0 };
    size_t next = 0;
    const char *name;
    size_t len;
    json_t *json;
    /* The macro wants a json_t that isn't const, though it changes nothing. */
    json_object_keylen_foreach((json_t *)object, name, len, json)
    {
        tn__where below = { .up = place, .name = { name, len } };
        size_t i = tn__field_index(schema, below.name, next);
        next = i + 1;
        if (i == schema->n_fields) {
            if (!schema->open)
                tn__fault_unknown(r, &below, schema);
            continue;
        }
        const tn_field *field = &schema->fields[i];
        if (json_is_null(json) && tn__field_may_be_absent(field))
            continue;
        tn__set_add(&seen, i);
        tn__decode_any(r, &below, field, json, tn__field_open(r->arena, field, out));
    }
    for (size_t i = 0; i < schema->n_fields; i++)
        if (!tn__set_has(&seen, i))
            decode_missing(r, place, &schema->fields[i], out);
}

/* ---- The interface ------------------------------------------------------ */

static const json_t *read_whole(tn__reporter *r, tn_str text)
{
    tn_str why;
    const json_t *json = tn__json_read(r->arena, text, &why);
    if (json == NULL)
        tn__fault_add(r, NULL, "%.*s", TN_FMT(why));
    return json;
}

tn__decoded tn__decode_json(tn_arena *arena, const tn_schema *schema, tn_str text, void *out,
    tn__faults *faults)
{
    tn_field whole = { .name = "", .kind = TN_KIND_OBJECT, .object = { .schema = schema } };
    memset(out, 0, schema->size);
    return tn__decode_value(arena, &whole, text, out, faults);
}

tn__decoded tn__decode_value(tn_arena *arena, const tn_field *field, tn_str text, void *value,
    tn__faults *faults)
{
    tn__faults_reset(faults);
    tn__reporter r = { .arena = arena, .faults = faults };
    const json_t *json = read_whole(&r, text);
    if (json != NULL)
        tn__decode_any(&r, NULL, field, json, value);
    tn__json_done();
    if (json == NULL)
        return TN__SYNTAX;
    return faults->n == 0 ? TN__DECODED : TN__INVALID;
}
