/* Tables as JSON Schema. */
#include "schema/doc_schema.h"
#include "schema/doc_example.h"
#include "schema/paths.h"
#include "schema/rule.h"

#include <assert.h>
#include <math.h>

/* ---- Which there are, and their names ------------------------------------ */

static bool is_there(const tn__components *components, const tn_schema *schema, tn__form form)
{
    for (size_t i = 0; i < components->n; i++)
        if (components->at[i].schema == schema && components->at[i].form == form)
            return true;
    return false;
}

/* Arrays are replaced as a whole by a merge patch, so what is in them is not a patch. */
static void add_nested(tn__components *components, const tn_field *field, tn__form form)
{
    if (field->kind == TN_KIND_OBJECT)
        tn__components_add(components, field->object.schema, form);
    else if (field->kind == TN_KIND_ARRAY)
        add_nested(components, field->array.each, form == TN__FORM_PATCH ? TN__FORM_BODY : form);
}

void tn__components_add(tn__components *components, const tn_schema *schema, tn__form form)
{
    if (schema == NULL || is_there(components, schema, form))
        return;
    assert(components->n < TN__COMPONENTS_MAX);
    components->at[components->n++] = (tn__component){ .schema = schema, .form = form };
    if (form == TN__FORM_PAGE) {
        tn__components_add(components, schema, TN__FORM_REPLY);
        return;
    }
    for (size_t i = 0; i < schema->n_fields; i++)
        add_nested(components, &schema->fields[i], form);
}

static bool ends_with(tn_str s, tn_str end)
{
    return s.len >= end.len && tn_str_eq((tn_str){ s.data + s.len - end.len, end.len }, end);
}

/* A tag such as item_patch already says what it is. */
static const char *suffix_of(const tn__components *components, const tn__component *component,
    tn_str name)
{
    switch (component->form) {
    case TN__FORM_REPLY:
        return "";
    case TN__FORM_BODY:
        return is_there(components, component->schema, TN__FORM_REPLY) ? "Input" : "";
    case TN__FORM_PATCH:
        return ends_with(name, TN_S("Patch")) ? "" : "Patch";
    case TN__FORM_PAGE:
        return "Page";
    }
    return "";
}

static bool is_taken(const tn__components *components, size_t before, tn_str name)
{
    for (size_t i = 0; i < before; i++)
        if (tn_str_eq(components->at[i].name, name))
            return true;
    return false;
}

void tn__components_name(tn__components *components)
{
    for (size_t i = 0; i < components->n; i++) {
        tn__component *component = &components->at[i];
        tn_str name = tn__pascal(components->arena, component->schema->name);
        name = tn_printf(components->arena, "%.*s%s", TN_FMT(name),
            suffix_of(components, component, name));
        while (is_taken(components, i, name))
            name = tn_printf(components->arena, "%.*s_", TN_FMT(name));
        component->name = name;
    }
}

tn_str tn__component_name(const tn__components *components, const tn_schema *schema, tn__form form)
{
    for (size_t i = 0; i < components->n; i++)
        if (components->at[i].schema == schema && components->at[i].form == form)
            return components->at[i].name;
    assert(false); /* it was not added */
    return TN_S("");
}

/* ---- Fields -------------------------------------------------------------- */

const char *tn__field_summary(const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        return field->str.summary;
    case TN_KIND_INT:
        return field->num.summary;
    case TN_KIND_REAL:
        return field->real.summary;
    case TN_KIND_BOOL:
        return field->flag.summary;
    case TN_KIND_ENUM:
        return field->choice.summary;
    case TN_KIND_UUID:
    case TN_KIND_TIME:
    case TN_KIND_JSON:
        return field->any.summary;
    case TN_KIND_OBJECT:
        return field->object.summary;
    case TN_KIND_ARRAY:
        return field->array.summary;
    }
    return NULL;
}

static void write_type(tn__doc *doc, const char *type, bool nullable)
{
    if (!nullable) {
        tn__doc_z(doc, "type", type);
        return;
    }
    tn__doc_array(doc, "type");
    tn__doc_z(doc, NULL, type);
    tn__doc_z(doc, NULL, "null");
    tn__doc_end(doc);
}

/* No text of PostgreSQL's holds a NUL, so none comes in. */
#define WITHOUT_NUL "^[^\\u0000]*$"

static void write_str(tn__doc *doc, const struct tn_str_rule *rule, tn__form form, bool nullable)
{
    write_type(doc, "string", nullable);
    if (rule->bounded && rule->min > 0)
        tn__doc_int(doc, "minLength", rule->min);
    if (tn__rule_len_told(rule) >= 0)
        tn__doc_int(doc, "maxLength", tn__rule_len_told(rule));
    if (rule->pattern != NULL)
        tn__doc_z(doc, "pattern", rule->pattern);
    else if (form != TN__FORM_REPLY)
        tn__doc_z(doc, "pattern", WITHOUT_NUL);
}

static void write_int(tn__doc *doc, const struct tn_int_rule *rule, bool nullable)
{
    write_type(doc, "integer", nullable);
    tn__doc_z(doc, "format", "int64");
    if (rule->bounded && rule->min != INT64_MIN)
        tn__doc_int(doc, "minimum", rule->min);
    if (rule->bounded && rule->max != INT64_MAX)
        tn__doc_int(doc, "maximum", rule->max);
}

static void write_real(tn__doc *doc, const struct tn_real_rule *rule, bool nullable)
{
    write_type(doc, "number", nullable);
    tn__doc_z(doc, "format", "double");
    if (rule->bounded && isfinite(rule->min))
        tn__doc_real(doc, "minimum", rule->min);
    if (rule->bounded && isfinite(rule->max))
        tn__doc_real(doc, "maximum", rule->max);
}

static void write_enum(tn__doc *doc, const struct tn_enum_rule *rule, bool nullable)
{
    write_type(doc, "string", nullable);
    tn__doc_array(doc, "enum");
    for (size_t i = 0; rule->names[i] != NULL; i++)
        tn__doc_z(doc, NULL, rule->names[i]);
    if (nullable)
        tn__doc_null(doc, NULL);
    tn__doc_end(doc);
}

static void write_text(tn__doc *doc, const char *format, bool nullable)
{
    write_type(doc, "string", nullable);
    tn__doc_z(doc, "format", format);
}

static void write_scalar(tn__doc *doc, const tn_field *field, tn__form form, bool nullable)
{
    switch (field->kind) {
    case TN_KIND_STR:
        write_str(doc, &field->str, form, nullable);
        break;
    case TN_KIND_INT:
        write_int(doc, &field->num, nullable);
        break;
    case TN_KIND_REAL:
        write_real(doc, &field->real, nullable);
        break;
    case TN_KIND_BOOL:
        write_type(doc, "boolean", nullable);
        break;
    case TN_KIND_ENUM:
        write_enum(doc, &field->choice, nullable);
        break;
    case TN_KIND_UUID:
        write_text(doc, "uuid", nullable);
        break;
    case TN_KIND_TIME:
        write_text(doc, "date-time", nullable);
        break;
    case TN_KIND_JSON: /* whatever it is: no keyword */
    case TN_KIND_OBJECT:
    case TN_KIND_ARRAY:
        break;
    }
}

/* In a merge patch null removes, and what is required can't be. */
static void write_any_but_null(tn__doc *doc)
{
    tn__doc_object(doc, "not");
    tn__doc_z(doc, "type", "null");
    tn__doc_end(doc);
}

static void write_fallback(tn__doc *doc, const tn_field *field)
{
    if (field->kind == TN_KIND_ARRAY && field->array.may_be_absent) {
        tn__doc_array(doc, "default");
        tn__doc_end(doc);
    } else if (tn__field_has_fallback(field)) {
        tn__doc_fallback(doc, "default", field);
    }
}

static void write_examples(tn__doc *doc, const tn_field *field)
{
    if (tn__field_example(field) == NULL)
        return;
    tn__doc_array(doc, "examples");
    tn__doc_example_of(doc, NULL, field);
    tn__doc_end(doc);
}

void tn__doc_parameter(tn__doc *doc, const char *key, const tn_field *field, tn__form form)
{
    tn__doc_object(doc, key);
    write_scalar(doc, field, form, false);
    write_fallback(doc, field);
    write_examples(doc, field);
    tn__doc_end(doc);
}

static void write_field(tn__doc *doc, const char *key, const tn__components *components,
    const tn_field *field, tn__form form, bool nullable);

/* Beside $ref draft 7 sees nothing else, so what goes beside it stands beside allOf or anyOf. */
static void write_object(tn__doc *doc, const tn__components *components, const tn_field *field,
    tn__form form, bool nullable)
{
    tn_str name = tn__component_name(components, field->object.schema, form);
    if (!nullable && field->object.summary == NULL) {
        tn__doc_printf(doc, "$ref", "#/components/schemas/%.*s", TN_FMT(name));
        return;
    }
    tn__doc_array(doc, nullable ? "anyOf" : "allOf");
    tn__doc_ref(doc, NULL, "schemas", name);
    if (nullable) {
        tn__doc_object(doc, NULL);
        tn__doc_z(doc, "type", "null");
        tn__doc_end(doc);
    }
    tn__doc_end(doc);
}

static void write_array(tn__doc *doc, const tn__components *components, const tn_field *field,
    tn__form form, bool nullable)
{
    const struct tn_array_rule *rule = &field->array;
    write_type(doc, "array", nullable);
    tn__form below = form == TN__FORM_PATCH ? TN__FORM_BODY : form;
    write_field(doc, "items", components, rule->each, below, false);
    if (rule->bounded && rule->min > 0)
        tn__doc_int(doc, "minItems", rule->min);
    if (rule->bounded && rule->max != INT64_MAX)
        tn__doc_int(doc, "maxItems", rule->max);
}

static void write_field(tn__doc *doc, const char *key, const tn__components *components,
    const tn_field *field, tn__form form, bool nullable)
{
    tn__doc_object(doc, key);
    if (tn__field_summary(field) != NULL)
        tn__doc_z(doc, "description", tn__field_summary(field));
    if (field->kind == TN_KIND_OBJECT)
        write_object(doc, components, field, form, nullable);
    else if (field->kind == TN_KIND_ARRAY)
        write_array(doc, components, field, form, nullable);
    else if (field->kind == TN_KIND_JSON && form == TN__FORM_PATCH && !nullable)
        write_any_but_null(doc);
    else
        write_scalar(doc, field, form, nullable);
    if (form == TN__FORM_BODY)
        write_fallback(doc, field);
    write_examples(doc, field);
    tn__doc_end(doc);
}

/* ---- Schemas ------------------------------------------------------------- */

static bool is_required(const tn_field *field, tn__form form)
{
    if (form == TN__FORM_REPLY)
        return !field->optional;
    return form == TN__FORM_BODY && !tn__field_may_be_absent(field);
}

static void write_required(tn__doc *doc, const tn_schema *schema, tn__form form)
{
    bool any = false;
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (!is_required(&schema->fields[i], form))
            continue;
        if (!any)
            tn__doc_array(doc, "required");
        any = true;
        tn__doc_z(doc, NULL, schema->fields[i].name);
    }
    if (any)
        tn__doc_end(doc);
}

static void write_schema(tn__doc *doc, const tn__components *components,
    const tn__component *component)
{
    const tn_schema *schema = component->schema;
    tn__form form = component->form;
    write_type(doc, "object", false);
    write_required(doc, schema, form);
    tn__doc_object(doc, "properties");
    for (size_t i = 0; i < schema->n_fields; i++) {
        const tn_field *field = &schema->fields[i];
        bool nullable = form != TN__FORM_REPLY && tn__field_may_be_absent(field);
        write_field(doc, field->name, components, field, form, nullable);
    }
    tn__doc_end(doc);
    if (form != TN__FORM_REPLY && !schema->open)
        tn__doc_bool(doc, "additionalProperties", false);
}

static void write_page(tn__doc *doc, const tn__components *components,
    const tn__component *component)
{
    write_type(doc, "object", false);
    tn__doc_array(doc, "required");
    tn__doc_z(doc, NULL, "items");
    tn__doc_end(doc);
    tn__doc_object(doc, "properties");
    tn__doc_object(doc, "items");
    write_type(doc, "array", false);
    tn__doc_schema_ref(doc, "items", components, component->schema, TN__FORM_REPLY);
    tn__doc_int(doc, "maxItems", TN__PAGE_LIMIT_MAX);
    tn__doc_end(doc);
    tn__doc_object(doc, "next_cursor");
    tn__doc_z(doc, "description",
        "Where the next page begins: the parameter cursor of the next request. Absent on the last "
        "page.");
    write_type(doc, "string", false);
    tn__doc_end(doc);
    tn__doc_end(doc);
}

void tn__components_write(tn__doc *doc, const tn__components *components)
{
    for (size_t i = 0; i < components->n; i++) {
        const tn__component *component = &components->at[i];
        tn__doc_object(doc, component->name.data);
        if (component->form == TN__FORM_PAGE)
            write_page(doc, components, component);
        else
            write_schema(doc, components, component);
        tn__doc_end(doc);
    }
}

void tn__doc_schema_ref(tn__doc *doc, const char *key, const tn__components *components,
    const tn_schema *schema, tn__form form)
{
    tn__doc_ref(doc, key, "schemas", tn__component_name(components, schema, form));
}
