/* Fields and the places in a struct that they describe.
 *
 * Pointers inside structs are read and written with memcpy: the table knows a member as "a pointer
 * to something", the compiler knows it as a pointer to one type. */
#include "schema/field.h"

#include <assert.h>

static bool is_named(const tn_field *field, tn_str name)
{
    return strlen(field->name) == name.len && memcmp(field->name, name.data, name.len) == 0;
}

size_t tn__field_index(const tn_schema *schema, tn_str name, size_t hint)
{
    assert(schema->n_fields <= TN__FIELDS_MAX);
    if (name.len == 0)
        return schema->n_fields;
    for (size_t i = hint; i < schema->n_fields; i++)
        if (is_named(&schema->fields[i], name))
            return i;
    for (size_t i = 0; i < hint && i < schema->n_fields; i++)
        if (is_named(&schema->fields[i], name))
            return i;
    return schema->n_fields;
}

const tn_field *tn__field_find(const tn_schema *schema, tn_str name)
{
    size_t i = tn__field_index(schema, name, 0);
    return i == schema->n_fields ? NULL : &schema->fields[i];
}

size_t tn__kind_size(const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return sizeof(tn_str);
    case TN_KIND_INT:
        return sizeof(int64_t);
    case TN_KIND_REAL:
        return sizeof(double);
    case TN_KIND_BOOL:
        return sizeof(bool);
    case TN_KIND_ENUM:
        return sizeof(int);
    case TN_KIND_UUID:
        return sizeof(tn_uuid);
    case TN_KIND_TIME:
        return sizeof(tn_time);
    case TN_KIND_JSON:
        return sizeof(tn_json);
    case TN_KIND_OBJECT:
        return field->object.schema->size;
    case TN_KIND_ARRAY:
        return sizeof(tn__array);
    }
    return 0;
}

size_t tn__field_size(const tn_field *field)
{
    return field->optional ? sizeof(void *) : tn__kind_size(field);
}

bool tn__field_has_fallback(const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return field->str.fallback != NULL;
    case TN_KIND_INT:
        return field->num.has_fallback;
    case TN_KIND_REAL:
        return field->real.has_fallback;
    case TN_KIND_BOOL:
        return field->flag.has_fallback;
    case TN_KIND_ENUM:
        return field->choice.fallback != NULL;
    default:
        return false;
    }
}

bool tn__field_may_be_absent(const tn_field *field)
{
    return field->optional || tn__field_has_fallback(field) ||
        (field->kind == TN_KIND_ARRAY && field->array.may_be_absent);
}

const void *tn__field_value(const tn_field *field, const void *at)
{
    const char *slot = (const char *)at + field->offset;
    if (!field->optional)
        return slot;
    const void *value;
    memcpy(&value, slot, sizeof value);
    return value;
}

void *tn__field_open(tn_arena *arena, const tn_field *field, void *at)
{
    char *slot = (char *)at + field->offset;
    if (!field->optional)
        return slot;
    void *value = tn_alloc(arena, tn__kind_size(field));
    memcpy(slot, &value, sizeof value);
    return value;
}

static int choice_of(const struct tn_enum_rule *rule, const char *name)
{
    int i = 0;
    while (rule->names[i] != NULL && strcmp(rule->names[i], name) != 0)
        i++;
    assert(rule->names[i] != NULL);
    return i;
}

void tn__field_clear(const tn_field *field, void *at)
{
    char *slot = (char *)at + field->offset;
    memset(slot, 0, tn__field_size(field));
    if (!tn__field_has_fallback(field))
        return;
    assert(!field->optional);
    switch (field->kind) {
    case TN_KIND_STR:
        *(tn_str *)slot = tn_str_of(field->str.fallback);
        break;
    case TN_KIND_INT:
        *(int64_t *)slot = field->num.fallback;
        break;
    case TN_KIND_REAL:
        *(double *)slot = field->real.fallback;
        break;
    case TN_KIND_BOOL:
        *(bool *)slot = field->flag.fallback;
        break;
    case TN_KIND_ENUM:
        *(int *)slot = choice_of(&field->choice, field->choice.fallback);
        break;
    default:
        break;
    }
}

const char *tn__field_example(const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return field->str.example;
    case TN_KIND_INT:
        return field->num.example;
    case TN_KIND_REAL:
        return field->real.example;
    case TN_KIND_BOOL:
        return field->flag.example;
    case TN_KIND_ENUM:
        return field->choice.example;
    case TN_KIND_UUID:
    case TN_KIND_TIME:
    case TN_KIND_JSON:
        return field->any.example;
    case TN_KIND_OBJECT:
    case TN_KIND_ARRAY:
        break;
    }
    return NULL;
}
