/* From structs to JSON text, straight from the tables.
 *
 * What is encoded comes from the service or the database, so it isn't validated again; a value that
 * no table can describe (an enum beyond its names) is a programmer error. */
#include "schema/field.h"

#include <assert.h>

static tn_str choice_name(const tn_field *field, const void *value)
{
    int choice = *(const int *)value;
    assert(choice >= 0);
    for (int i = 0; i <= choice; i++)
        assert(field->choice.names[i] != NULL);
    return tn_str_of(field->choice.names[choice]);
}

/* The text may have been laid out over lines by whoever wrote it; a JSON value of ours is one line,
 * as server-sent events and logs need it. Raw line ends are always outside strings. */
static void encode_raw(tn__buf *out, const tn_json *json)
{
    assert(json->text.len > 0); /* a tn_json is never empty */
    size_t start = out->len;
    tn__buf_add_str(out, json->text);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
}

static void encode_value(tn__buf *out, const tn_field *field, const void *value);

static void encode_array(tn__buf *out, const tn_field *field, const tn__array *array)
{
    const tn_field *each = field->array.each;
    size_t bytes = tn__kind_size(each);
    tn__buf_add_char(out, '[');
    for (size_t i = 0; i < array->n; i++) {
        if (i > 0)
            tn__buf_add_char(out, ',');
        encode_value(out, each, (const char *)array->at + i * bytes);
    }
    tn__buf_add_char(out, ']');
}

static void encode_value(tn__buf *out, const tn_field *field, const void *value)
{
    switch (field->kind) {
    case TN_KIND_STR:
        tn__json_str(out, *(const tn_str *)value);
        break;
    case TN_KIND_INT:
        tn__buf_add_i64(out, *(const int64_t *)value);
        break;
    case TN_KIND_REAL:
        tn__json_real(out, *(const double *)value);
        break;
    case TN_KIND_BOOL:
        tn__buf_add_z(out, *(const bool *)value ? "true" : "false");
        break;
    case TN_KIND_ENUM:
        tn__json_str(out, choice_name(field, value));
        break;
    case TN_KIND_UUID:
        tn__json_uuid(out, *(const tn_uuid *)value);
        break;
    case TN_KIND_TIME:
        tn__json_time(out, *(const tn_time *)value);
        break;
    case TN_KIND_JSON:
        encode_raw(out, value);
        break;
    case TN_KIND_OBJECT:
        tn__encode_json(out, field->object.schema, value);
        break;
    case TN_KIND_ARRAY:
        encode_array(out, field, value);
        break;
    }
}

/* Names of fields are C identifiers: they need no escapes. */
void tn__encode_json(tn__buf *out, const tn_schema *schema, const void *at)
{
    char before = '{';
    for (size_t i = 0; i < schema->n_fields; i++) {
        const tn_field *field = &schema->fields[i];
        const void *value = tn__field_value(field, at);
        if (value == NULL)
            continue;
        size_t len = strlen(field->name);
        tn__buf_reserve(out, len + 4);
        char *to = out->data + out->len;
        *to++ = before;
        *to++ = '"';
        memcpy(to, field->name, len);
        to[len] = '"';
        to[len + 1] = ':';
        out->len += len + 4;
        before = ',';
        encode_value(out, field, value);
    }
    tn__buf_add_z(out, before == '{' ? "{}" : "}");
}

void tn__encode_field(tn__buf *out, const tn_field *field, const void *at)
{
    const void *value = tn__field_value(field, at);
    if (value == NULL)
        tn__buf_add_z(out, "null");
    else
        encode_value(out, field, value);
}

static void encode_bare_time(tn__buf *out, tn_time time)
{
    char text[27];
    tn__time_write(time, text);
    tn__buf_add(out, text, sizeof text);
}

static void encode_bare_uuid(tn__buf *out, tn_uuid id)
{
    char text[36];
    tn__uuid_write(id, text);
    tn__buf_add(out, text, sizeof text);
}

void tn__encode_text(tn__buf *out, const tn_field *field, const void *at)
{
    const void *value = tn__field_value(field, at);
    if (value == NULL)
        return;
    switch (field->kind) {
    case TN_KIND_STR:
        tn__buf_add_str(out, *(const tn_str *)value);
        break;
    case TN_KIND_ENUM:
        tn__buf_add_str(out, choice_name(field, value));
        break;
    case TN_KIND_UUID:
        encode_bare_uuid(out, *(const tn_uuid *)value);
        break;
    case TN_KIND_TIME:
        encode_bare_time(out, *(const tn_time *)value);
        break;
    default:
        encode_value(out, field, value);
        break;
    }
}
