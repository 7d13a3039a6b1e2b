/* Plans, and the reading of values.
 *
 * Invariants: a value is read only by the reader that its column's type and its field's kind choose
 * together, and each reader checks the length it was given, so that no bytes of the server's can
 * make us read past them. What no reader exists for is refused when the plan is made. */
#include "pg/rows.h"

#include "pg/oid.h"
#include "pg/wire.h"
#include "schema/schema.h"

#include <assert.h>
#include <stdlib.h>

/* ---- Readers ------------------------------------------------------------ */

typedef bool reader(tn_arena *arena, const tn_field *field, tn_str bytes, void *value);

#define UNUSED __attribute__((unused))

static bool read_integer(tn_str bytes, int64_t *v)
{
    switch (bytes.len) {
    case 2:
        *v = tn__get16(bytes.data);
        return true;
    case 4:
        *v = tn__get32(bytes.data);
        return true;
    case 8:
        *v = tn__get64(bytes.data);
        return true;
    default:
        return false;
    }
}

static bool read_int(UNUSED tn_arena *arena, UNUSED const tn_field *field, tn_str bytes,
    void *value)
{
    int64_t v;
    if (!read_integer(bytes, &v))
        return false;
    memcpy(value, &v, sizeof v);
    return true;
}

static bool read_real_of_int(UNUSED tn_arena *arena, UNUSED const tn_field *field, tn_str bytes,
    void *value)
{
    int64_t v;
    if (!read_integer(bytes, &v))
        return false;
    double real = (double)v;
    memcpy(value, &real, sizeof real);
    return true;
}

static bool read_real(UNUSED tn_arena *arena, UNUSED const tn_field *field, tn_str bytes,
    void *value)
{
    double real;
    if (bytes.len == sizeof(double)) {
        real = tn__get_double(bytes.data);
    } else if (bytes.len == sizeof(float)) {
        int32_t bits = tn__get32(bytes.data);
        float narrow;
        memcpy(&narrow, &bits, sizeof narrow);
        real = (double)narrow;
    } else {
        return false;
    }
    memcpy(value, &real, sizeof real);
    return true;
}

static bool read_bool(UNUSED tn_arena *arena, UNUSED const tn_field *field, tn_str bytes,
    void *value)
{
    bool v = bytes.len == 1 && bytes.data[0] != 0;
    memcpy(value, &v, sizeof v);
    return bytes.len == 1;
}

static bool read_uuid(UNUSED tn_arena *arena, UNUSED const tn_field *field, tn_str bytes,
    void *value)
{
    if (bytes.len != sizeof(tn_uuid))
        return false;
    memcpy(value, bytes.data, sizeof(tn_uuid));
    return true;
}

static bool read_time(UNUSED tn_arena *arena, UNUSED const tn_field *field, tn_str bytes,
    void *value)
{
    if (bytes.len != sizeof(int64_t))
        return false;
    tn_time v = { tn__time_from_pg(tn__get64(bytes.data)) };
    memcpy(value, &v, sizeof v);
    return true;
}

static bool read_str(tn_arena *arena, UNUSED const tn_field *field, tn_str bytes, void *value)
{
    tn_str v = tn_copy(arena, bytes);
    memcpy(value, &v, sizeof v);
    return true;
}

static bool read_enum(UNUSED tn_arena *arena, const tn_field *field, tn_str bytes, void *value)
{
    const char *const *names = field->choice.names;
    for (int i = 0; names[i] != NULL; i++) {
        if (tn_str_eq(bytes, tn_str_of(names[i]))) {
            memcpy(value, &i, sizeof i);
            return true;
        }
    }
    return false;
}

static bool read_json(tn_arena *arena, UNUSED const tn_field *field, tn_str bytes, void *value)
{
    tn_json v = { tn_copy(arena, bytes) };
    memcpy(value, &v, sizeof v);
    return true;
}

/* An object or array is decoded by its field's own rules, as the one member of an object. */
static bool read_nested(tn_arena *arena, const tn_field *field, tn_str bytes, void *value)
{
    tn_field alone = *field;
    alone.offset = 0;
    alone.optional = false;
    const tn_schema wrapper = { .name = "column",
        .size = tn__kind_size(field),
        .fields = &alone,
        .n_fields = 1 };
    tn__buf text = { .arena = arena };
    tn__buf_reserve(&text, bytes.len + strlen(field->name) + 6);
    tn__buf_add_char(&text, '{');
    tn__json_str(&text, tn_str_of(field->name));
    tn__buf_add_char(&text, ':');
    tn__buf_add_str(&text, bytes);
    tn__buf_add_char(&text, '}');
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    return tn__decode_json(arena, &wrapper, tn__buf_str(&text), value, faults) == TN__DECODED;
}

/* jsonb is a version, which is 1, and the text. */
static bool jsonb_text(tn_str *bytes)
{
    if (bytes->len < 2 || bytes->data[0] != 1)
        return false;
    *bytes = (tn_str){ bytes->data + 1, bytes->len - 1 };
    return true;
}

static bool read_jsonb(tn_arena *arena, const tn_field *field, tn_str bytes, void *value)
{
    return jsonb_text(&bytes) && read_json(arena, field, bytes, value);
}

static bool read_nested_jsonb(tn_arena *arena, const tn_field *field, tn_str bytes, void *value)
{
    return jsonb_text(&bytes) && read_nested(arena, field, bytes, value);
}

/* ---- Which reader ------------------------------------------------------- */

static bool is_text(Oid type, const tn__text_types *types)
{
    switch (type) {
    case TN__OID_TEXT:
    case TN__OID_VARCHAR:
    case TN__OID_BPCHAR:
    case TN__OID_NAME:
        return true;
    default:
        break;
    }
    for (size_t i = 0; i < types->n; i++)
        if (types->at[i] == type)
            return true;
    return false;
}

static bool is_integer(Oid type)
{
    return type == TN__OID_INT2 || type == TN__OID_INT4 || type == TN__OID_INT8;
}

static reader *real_reader(Oid type)
{
    if (type == TN__OID_FLOAT4 || type == TN__OID_FLOAT8)
        return read_real;
    return is_integer(type) ? read_real_of_int : NULL;
}

static reader *json_reader(Oid type, reader *json, reader *jsonb)
{
    return type == TN__OID_JSON ? json : type == TN__OID_JSONB ? jsonb : NULL;
}

/* NULL when a column of that type can't become a field of that kind. */
static reader *find_reader(tn_kind kind, Oid type, const tn__text_types *types)
{
    switch (kind) {
    case TN_KIND_STR:
        return is_text(type, types) ? read_str : NULL;
    case TN_KIND_ENUM:
        return is_text(type, types) ? read_enum : NULL;
    case TN_KIND_INT:
        return is_integer(type) ? read_int : NULL;
    case TN_KIND_REAL:
        return real_reader(type);
    case TN_KIND_BOOL:
        return type == TN__OID_BOOL ? read_bool : NULL;
    case TN_KIND_UUID:
        return type == TN__OID_UUID ? read_uuid : NULL;
    case TN_KIND_TIME:
        return type == TN__OID_TIMESTAMPTZ ? read_time : NULL;
    case TN_KIND_JSON:
        return json_reader(type, read_json, read_jsonb);
    case TN_KIND_OBJECT:
    case TN_KIND_ARRAY:
        return json_reader(type, read_nested, read_nested_jsonb);
    }
    return NULL;
}

static const char *const kind_names[] = {
    [TN_KIND_STR] = "string",
    [TN_KIND_INT] = "integer",
    [TN_KIND_REAL] = "real",
    [TN_KIND_BOOL] = "boolean",
    [TN_KIND_ENUM] = "enum",
    [TN_KIND_UUID] = "UUID",
    [TN_KIND_TIME] = "time",
    [TN_KIND_JSON] = "JSON",
    [TN_KIND_OBJECT] = "object",
    [TN_KIND_ARRAY] = "array",
};

/* The types that people most often meet the refusal with, by name. */
static tn_str type_name(tn_arena *arena, Oid type)
{
    static const struct {
        Oid type;
        const char *name;
    } names[] = {
        { TN__OID_BOOL, "boolean" },
        { 17, "bytea" },
        { 18, "\"char\"" },
        { TN__OID_NAME, "name" },
        { TN__OID_INT8, "bigint" },
        { TN__OID_INT2, "smallint" },
        { TN__OID_INT4, "integer" },
        { TN__OID_TEXT, "text" },
        { 26, "oid" },
        { TN__OID_JSON, "json" },
        { 142, "xml" },
        { TN__OID_FLOAT4, "real" },
        { TN__OID_FLOAT8, "double precision" },
        { 790, "money" },
        { 869, "inet" },
        { TN__OID_BOOL_ARRAY, "boolean[]" },
        { 1005, "smallint[]" },
        { 1007, "integer[]" },
        { TN__OID_TEXT_ARRAY, "text[]" },
        { TN__OID_INT8_ARRAY, "bigint[]" },
        { TN__OID_BPCHAR, "character" },
        { TN__OID_VARCHAR, "character varying" },
        { 1082, "date" },
        { 1083, "time" },
        { 1114, "timestamp without time zone" },
        { TN__OID_TIMESTAMPTZ, "timestamp with time zone" },
        { 1186, "interval" },
        { 1700, "numeric" },
        { TN__OID_UUID, "uuid" },
        { TN__OID_UUID_ARRAY, "uuid[]" },
        { TN__OID_JSONB, "jsonb" },
        { 2278, "void" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == type)
            return tn_str_of(names[i].name);
    return tn_printf(arena, "type with oid %u", type);
}

/* ---- Fields without a value --------------------------------------------- */

/* A member that may be missing from JSON may also be missing from a row. */
static bool has_fallback(const tn_field *field)
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
    case TN_KIND_ARRAY:
        return field->array.may_be_absent;
    default:
        return false;
    }
}

static bool read_fallback(tn_arena *arena, const tn_field *field, size_t size, void *value)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return read_str(arena, field, tn_str_of(field->str.fallback), value);
    case TN_KIND_ENUM:
        return read_enum(arena, field, tn_str_of(field->choice.fallback), value);
    case TN_KIND_INT:
        memcpy(value, &field->num.fallback, size);
        return true;
    case TN_KIND_REAL:
        memcpy(value, &field->real.fallback, size);
        return true;
    case TN_KIND_BOOL:
        memcpy(value, &field->flag.fallback, size);
        return true;
    default:
        memset(value, 0, size); /* the empty array */
        return true;
    }
}

static bool read_null(tn_arena *arena, const struct tn__column *column, char *member, tn_str *why)
{
    const tn_field *field = column->field;
    if (field->optional) {
        memset(member, 0, sizeof(void *));
        return true;
    }
    if (has_fallback(field) && read_fallback(arena, field, column->size, member))
        return true;
    *why = tn_printf(arena, "column %s is null, but the field is required", field->name);
    return false;
}

/* ---- Plans -------------------------------------------------------------- */

static bool plan_column(tn_arena *arena, struct tn__column *column, Oid type,
    const tn__text_types *types, tn_str *why)
{
    const tn_field *field = column->field;
    column->read = find_reader(field->kind, type, types);
    column->size = tn__kind_size(field);
    if (column->read == NULL) {
        *why = tn_printf(arena,
            "column %s is of type %.*s, which can't be read into a field of kind %s", field->name,
            TN_FMT(type_name(arena, type)), kind_names[field->kind]);
        return false;
    }
    return true;
}

static bool has_column(const tn__plan *plan, const tn_field *field)
{
    for (size_t i = 0; i < plan->n_columns; i++)
        if (plan->columns[i].field == field)
            return true;
    return false;
}

static bool plan_is_whole(tn_arena *arena, const tn__plan *plan, tn_str *why)
{
    for (size_t i = 0; i < plan->schema->n_fields; i++) {
        const tn_field *field = &plan->schema->fields[i];
        if (!field->optional && !has_fallback(field) && !has_column(plan, field)) {
            *why = tn_printf(arena, "no column %s, which the schema %s requires", field->name,
                plan->schema->name);
            return false;
        }
    }
    return true;
}

tn__plan *tn__plan_make(tn_arena *arena, const tn_schema *schema, const PGresult *result,
    const tn__text_types *types, tn_str *why)
{
    int n = PQnfields(result);
    tn__plan *plan = tn__xcalloc(1, sizeof *plan + (size_t)n * sizeof plan->columns[0]);
    plan->schema = schema;
    for (int i = 0; i < n; i++) {
        struct tn__column *column = &plan->columns[plan->n_columns];
        const tn_field *field = tn__field_find(schema, tn_str_of(PQfname(result, i)));
        /* Of two columns of one name the first counts. */
        column->field = field != NULL && has_column(plan, field) ? NULL : field;
        plan->n_columns++;
        if (column->field != NULL && !plan_column(arena, column, PQftype(result, i), types, why)) {
            free(plan);
            return NULL;
        }
    }
    if (!plan_is_whole(arena, plan, why)) {
        free(plan);
        return NULL;
    }
    return plan;
}

static bool read_value(tn_arena *arena, const struct tn__column *column, tn_str bytes, char *member,
    tn_str *why)
{
    const tn_field *field = column->field;
    void *value = field->optional ? tn_alloc(arena, column->size) : member;
    if (!column->read(arena, field, bytes, value)) {
        *why = tn_printf(arena, "the value of column %s doesn't fit a field of kind %s",
            field->name, kind_names[field->kind]);
        return false;
    }
    if (field->optional)
        memcpy(member, &value, sizeof value);
    return true;
}

bool tn__row_read(tn_arena *arena, const tn__plan *plan, const PGresult *result, int row, void *out,
    tn_str *why)
{
    assert((size_t)PQnfields(result) == plan->n_columns && row < PQntuples(result));
    for (size_t i = 0; i < plan->n_columns; i++) {
        const struct tn__column *column = &plan->columns[i];
        if (column->field == NULL)
            continue;
        char *member = (char *)out + column->field->offset;
        int at = (int)i;
        if (PQgetisnull(result, row, at)) {
            if (!read_null(arena, column, member, why))
                return false;
            continue;
        }
        tn_str bytes = { PQgetvalue(result, row, at), (size_t)PQgetlength(result, row, at) };
        if (!read_value(arena, column, bytes, member, why))
            return false;
    }
    return true;
}
