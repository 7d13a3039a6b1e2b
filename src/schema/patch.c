/* JSON Merge Patch (RFC 7396) on structs.
 *
 * A patch is decoded once, when it arrives: into a struct of the schema that holds the new values,
 * and for each field what is to happen to it. Each member is valid by itself before a patch exists.
 * Laid over a struct it can only fail where it makes an object that wasn't there, by leaving out
 * what that object requires; that is looked for first, so a patch changes all or nothing.
 *
 * As RFC 7396 has it: null removes, objects are merged, arrays and all else are replaced. Removing a
 * member that has a fallback gives the fallback. What the patch doesn't name stays, valid or not. */
#include "schema/decode.h"

#include <assert.h>

typedef enum { KEEP, SET, REMOVE, MERGE } change;

struct tn__patch {
    const tn_schema *schema;
    void *values;     /* a struct of the schema, filled where the change is SET, or MERGE of JSON */
    char *changes;    /* a change for each field */
    tn__patch **into; /* for objects to MERGE: the patch of the object */
};

/* ---- Decoding ----------------------------------------------------------- */

static tn__patch *patch_open(tn_arena *arena, const tn_schema *schema)
{
    tn__patch *patch = tn_alloc(arena, sizeof *patch);
    patch->schema = schema;
    patch->values = tn_alloc(arena, schema->size);
    patch->changes = tn_alloc(arena, schema->n_fields);
    patch->into = tn_alloc(arena, schema->n_fields * sizeof *patch->into);
    return patch;
}

static tn__patch *decode_object(tn__reporter *r, const tn__where *place, const tn_schema *schema,
    const json_t *object);

static change decode_change(tn__reporter *r, const tn__where *place, const tn_field *field,
    const json_t *json, tn__patch *patch)
{
    if (json_is_null(json)) {
        if (!tn__field_may_be_absent(field))
            tn__fault_json(r, place, field, json);
        return REMOVE;
    }
    if (field->kind == TN_KIND_OBJECT && json_is_object(json)) {
        size_t i = (size_t)(field - patch->schema->fields);
        patch->into[i] = decode_object(r, place, field->object.schema, json);
        return MERGE;
    }
    void *value = tn__field_open(r->arena, field, patch->values);
    tn__decode_any(r, place, field, json, value);
    return field->kind == TN_KIND_JSON && json_is_object(json) ? MERGE : SET;
}

static tn__patch *decode_object(tn__reporter *r, const tn__where *place, const tn_schema *schema,
    const json_t *object)
{
    tn__patch *patch = patch_open(r->arena, schema);
    size_t next = 0;
    const char *name;
    size_t len;
    json_t *json;
    json_object_keylen_foreach((json_t *)object, name, len, json)
    {
        tn__where below = { .up = place, .name = { name, len } };
        size_t i = tn__field_index(schema, below.name, next);
        next = i + 1;
        if (i < schema->n_fields)
            patch->changes[i] = (char)decode_change(r, &below, &schema->fields[i], json, patch);
        else if (!schema->open)
            tn__fault_unknown(r, &below, schema);
    }
    return patch;
}

static tn__patch *decode_whole(tn__reporter *r, const tn_schema *schema, const json_t *json)
{
    tn_field whole = { .name = "", .kind = TN_KIND_OBJECT, .object = { .schema = schema } };
    if (json_is_object(json))
        return decode_object(r, NULL, schema, json);
    tn__fault_json(r, NULL, &whole, json);
    return NULL;
}

tn__decoded tn__decode_patch(tn_arena *arena, const tn_schema *schema, tn_str text,
    tn__patch **patch, tn__faults *faults)
{
    tn__faults_reset(faults);
    tn__reporter r = { .arena = arena, .faults = faults };
    *patch = NULL;
    tn_str why;
    const json_t *json = tn__json_read(arena, text, &why);
    if (json == NULL)
        tn__fault_add(&r, NULL, "%.*s", TN_FMT(why));
    else
        *patch = decode_whole(&r, schema, json);
    tn__json_done();
    if (json == NULL)
        return TN__SYNTAX;
    return faults->n == 0 ? TN__DECODED : TN__INVALID;
}

/* ---- Will it fit? ------------------------------------------------------- */

static void check_onto(tn__reporter *r, const tn__where *place, const tn__patch *patch,
    const void *target);

/* What the database holds may be more than we read, and must not be lost by being taken for nothing. */
static void check_json(tn__reporter *r, const tn__where *place, const tn_json *old)
{
    tn_str why;
    if (old != NULL && tn__json_read(r->arena, old->text, &why) == NULL)
        tn__fault_add(r, place, "cannot be merged with what is there: %.*s", TN_FMT(why));
    tn__json_done();
}

/* `target` is NULL when the object doesn't exist yet. */
static void check_field(tn__reporter *r, const tn__where *place, const tn__patch *patch, size_t i,
    const void *target)
{
    const tn_field *field = &patch->schema->fields[i];
    tn__where below = { .up = place, .name = tn_str_of(field->name) };
    if (patch->into[i] != NULL)
        check_onto(r, &below, patch->into[i],
            target == NULL ? NULL : tn__field_value(field, target));
    else if (target != NULL && patch->changes[i] == MERGE)
        check_json(r, &below, tn__field_value(field, target));
    else if (target == NULL && patch->changes[i] == KEEP && !tn__field_may_be_absent(field))
        tn__fault_missing(r, &below, field);
}

static void check_onto(tn__reporter *r, const tn__where *place, const tn__patch *patch,
    const void *target)
{
    for (size_t i = 0; i < patch->schema->n_fields; i++)
        check_field(r, place, patch, i, target);
}

/* ---- Laying it over ----------------------------------------------------- */

static void merge_objects(tn__buf *out, const json_t *target, const json_t *patch);

/* One member of the result: RFC 7396 2, MergePatch(Target[Name], Value). */
static void merge_member(tn__buf *out, char *before, const char *name, const json_t *target,
    const json_t *patch)
{
    if (json_is_null(patch))
        return;
    tn__buf_add_char(out, *before);
    *before = ',';
    tn__json_str(out, tn_str_of(name));
    tn__buf_add_char(out, ':');
    if (json_is_object(patch))
        merge_objects(out, target, patch);
    else
        tn__json_write(out, patch == NULL ? target : patch);
}

/* Writes MergePatch(target, patch); anything but an object is as good as an empty target. */
static void merge_objects(tn__buf *out, const json_t *target, const json_t *patch)
{
    const char *name;
    json_t *value;
    char before = '{';
    json_object_foreach((json_t *)target, name, value)
    {
        merge_member(out, &before, name, value, json_object_get(patch, name));
    }
    json_object_foreach((json_t *)patch, name, value)
    {
        if (json_object_get(target, name) == NULL)
            merge_member(out, &before, name, NULL, value);
    }
    tn__buf_add_z(out, before == '{' ? "{}" : "}");
}

/* Both texts are valid JSON by construction: one was decoded, the other is a tn_json. */
static tn_json merge_json(tn_arena *arena, const tn_json *target, const tn_json *patch)
{
    tn_str why;
    const json_t *under = target == NULL ? NULL : tn__json_read(arena, target->text, &why);
    const json_t *over = tn__json_read(arena, patch->text, &why);
    assert(over != NULL);
    tn__buf out = { .arena = arena };
    merge_objects(&out, under, over);
    tn__json_done();
    return (tn_json){ tn__buf_str(&out) };
}

static void lay_over(tn_arena *arena, const tn__patch *patch, void *target);

/* A new object, before the patch gives it what it must have. */
static void start_anew(const tn_schema *schema, void *at)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        const tn_field *field = &schema->fields[i];
        tn__field_clear(field, at);
        if (field->kind == TN_KIND_OBJECT && !field->optional)
            start_anew(field->object.schema, (char *)at + field->offset);
    }
}

/* An object that the struct only points to is const: the patch goes onto a copy. */
static void merge_object(tn_arena *arena, const tn__patch *into, const tn_field *field,
    void *target)
{
    const void *old = tn__field_value(field, target);
    void *object = tn__field_open(arena, field, target);
    if (old == NULL)
        start_anew(into->schema, object);
    else if (field->optional)
        memcpy(object, old, into->schema->size);
    lay_over(arena, into, object);
}

static void merge_field(tn_arena *arena, const tn__patch *patch, size_t i, void *target)
{
    const tn_field *field = &patch->schema->fields[i];
    if (field->kind == TN_KIND_OBJECT) {
        merge_object(arena, patch->into[i], field, target);
        return;
    }
    const tn_json *old = tn__field_value(field, target);
    tn_json merged = merge_json(arena, old, tn__field_value(field, patch->values));
    *(tn_json *)tn__field_open(arena, field, target) = merged;
}

static void lay_over(tn_arena *arena, const tn__patch *patch, void *target)
{
    for (size_t i = 0; i < patch->schema->n_fields; i++) {
        const tn_field *field = &patch->schema->fields[i];
        char *slot = (char *)target + field->offset;
        switch ((change)patch->changes[i]) {
        case KEEP:
            break;
        case SET:
            memcpy(slot, (char *)patch->values + field->offset, tn__field_size(field));
            break;
        case REMOVE:
            tn__field_clear(field, target);
            break;
        case MERGE:
            merge_field(arena, patch, i, target);
            break;
        }
    }
}

bool tn__patch_apply(tn_arena *arena, const tn__patch *patch, void *target, tn__faults *faults)
{
    tn__faults_reset(faults);
    tn__reporter r = { .arena = arena, .faults = faults };
    check_onto(&r, NULL, patch, target);
    if (faults->n == 0)
        lay_over(arena, patch, target);
    return faults->n == 0;
}
