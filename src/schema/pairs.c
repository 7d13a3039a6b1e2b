/* From named texts to structs: query and path parameters, and the environment.
 *
 * A text is what stands after the "=": percent-decoded by the caller, and for strings taken as it
 * is, without trimming. Arrays, objects and JSON values are read from JSON text. */
#include "schema/decode.h"

#include <assert.h>

static bool read_str(tn_arena *arena, const tn_field *field, tn_str text, tn_str *value)
{
    if (!tn__utf8_valid(text) || (text.len > 0 && memchr(text.data, 0, text.len) != NULL))
        return false;
    *value = tn_copy(arena, text);
    return tn__rule_str(&field->str, *value);
}

static bool read_real(const tn_field *field, tn_str text, double *value)
{
    if (!tn__real_parse(text, value))
        return false;
    *value = tn__without_sign_of_zero(*value);
    return tn__rule_real(&field->real, *value);
}

static bool read_bool(tn_str text, bool *value)
{
    *value = tn_str_eq(text, TN_S("true"));
    return *value || tn_str_eq(text, TN_S("false"));
}

static bool read_enum(const tn_field *field, tn_str text, int *value)
{
    int choice = tn__rule_choice(&field->choice, text);
    *value = choice < 0 ? 0 : choice;
    return choice >= 0;
}

bool tn__read_text(tn_arena *arena, const tn_field *field, tn_str text, void *value)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return read_str(arena, field, text, value);
    case TN_KIND_INT:
        return tn__i64_parse(text, value) && tn__rule_int(&field->num, *(int64_t *)value);
    case TN_KIND_REAL:
        return read_real(field, text, value);
    case TN_KIND_BOOL:
        return read_bool(text, value);
    case TN_KIND_ENUM:
        return read_enum(field, text, value);
    case TN_KIND_UUID:
        return tn__uuid_parse(text, value);
    case TN_KIND_TIME:
        return tn__time_parse(text, value);
    case TN_KIND_JSON:
    case TN_KIND_OBJECT:
    case TN_KIND_ARRAY:
        break;
    }
    return false;
}

static void read_json(tn__reporter *r, const tn__where *place, const tn_field *field, tn_str text,
    void *value)
{
    tn_str why;
    const json_t *json = tn__json_read(r->arena, text, &why);
    if (json == NULL)
        tn__fault_add(r, place, "must be JSON: %.*s", TN_FMT(why));
    else
        tn__decode_any(r, place, field, json, value);
    tn__json_done();
}

static void read_pair(tn__reporter *r, const tn_field *field, const tn__pair *pair, void *out)
{
    tn__where place = { .name = pair->name };
    void *value = tn__field_open(r->arena, field, out);
    bool json = field->kind == TN_KIND_JSON || field->kind == TN_KIND_OBJECT ||
        field->kind == TN_KIND_ARRAY;
    if (json)
        read_json(r, &place, field, pair->value, value);
    else if (!tn__read_text(r->arena, field, pair->value, value))
        tn__fault_text(r, &place, field, pair->value);
}

static void read_missing(tn__reporter *r, const tn_field *field, void *out)
{
    tn__where place = { .name = tn_str_of(field->name) };
    if (tn__field_may_be_absent(field))
        tn__field_clear(field, out);
    else
        tn__fault_missing(r, &place, field);
}

bool tn__decode_pairs(tn_arena *arena, const tn_schema *schema, const tn__pair *pairs, size_t n,
    void *out, tn__faults *faults)
{
    assert(schema->n_fields <= TN__FIELDS_MAX);
    tn__faults_reset(faults);
    memset(out, 0, schema->size);
    tn__reporter r = { .arena = arena, .faults = faults, .plain = true };
    tn__field_set seen = { 0 };
    for (size_t i = 0; i < n; i++) {
        size_t f = tn__field_index(schema, pairs[i].name, i);
        tn__where place = { .name = pairs[i].name };
        if (f == schema->n_fields && !schema->open)
            tn__fault_unknown(&r, &place, schema);
        else if (f < schema->n_fields && tn__set_has(&seen, f))
            tn__fault_add(&r, &place, "must be given once, found it again");
        else if (f < schema->n_fields) {
            tn__set_add(&seen, f);
            read_pair(&r, &schema->fields[f], &pairs[i], out);
        }
    }
    for (size_t f = 0; f < schema->n_fields; f++)
        if (!tn__set_has(&seen, f))
            read_missing(&r, &schema->fields[f], out);
    return faults->n == 0;
}
