/* Writing a JSON document for people.
 *
 * Invariant: brackets and commas are always right: what is written is valid JSON as long as opens
 * and ends match and objects get keys, which assertions see to. */
#include "schema/doc.h"

#include <assert.h>

static void new_line(tn__doc *doc)
{
    tn__buf_add_char(&doc->out, '\n');
    for (int i = 0; i < doc->depth; i++)
        tn__buf_add_z(&doc->out, "  ");
}

/* What stands before a value. */
static void begin(tn__doc *doc, const char *key)
{
    assert(doc->depth == 0 || (doc->closing[doc->depth - 1] == '}') == (key != NULL));
    if (doc->started)
        tn__buf_add_char(&doc->out, ',');
    if (doc->depth > 0)
        new_line(doc);
    if (key != NULL) {
        tn__json_str(&doc->out, tn_str_of(key));
        tn__buf_add_z(&doc->out, ": ");
    }
    doc->started = true;
}

static void open(tn__doc *doc, const char *key, char opening, char closing)
{
    begin(doc, key);
    assert(doc->depth < TN__DOC_DEPTH_MAX);
    tn__buf_add_char(&doc->out, opening);
    doc->closing[doc->depth++] = closing;
    doc->started = false;
}

void tn__doc_object(tn__doc *doc, const char *key)
{
    open(doc, key, '{', '}');
}

void tn__doc_array(tn__doc *doc, const char *key)
{
    open(doc, key, '[', ']');
}

void tn__doc_end(tn__doc *doc)
{
    assert(doc->depth > 0);
    doc->depth--;
    if (doc->started)
        new_line(doc);
    tn__buf_add_char(&doc->out, doc->closing[doc->depth]);
    doc->started = true;
}

void tn__doc_str(tn__doc *doc, const char *key, tn_str value)
{
    begin(doc, key);
    tn__json_str(&doc->out, value);
}

void tn__doc_z(tn__doc *doc, const char *key, const char *value)
{
    tn__doc_str(doc, key, tn_str_of(value));
}

void tn__doc_printf(tn__doc *doc, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn__doc_str(doc, key, tn_vprintf(doc->out.arena, format, args));
    va_end(args);
}

void tn__doc_int(tn__doc *doc, const char *key, int64_t value)
{
    begin(doc, key);
    tn__buf_add_i64(&doc->out, value);
}

void tn__doc_real(tn__doc *doc, const char *key, double value)
{
    begin(doc, key);
    tn__json_real(&doc->out, value);
}

void tn__doc_bool(tn__doc *doc, const char *key, bool value)
{
    begin(doc, key);
    tn__buf_add_z(&doc->out, value ? "true" : "false");
}

void tn__doc_null(tn__doc *doc, const char *key)
{
    begin(doc, key);
    tn__buf_add_z(&doc->out, "null");
}

void tn__doc_json(tn__doc *doc, const char *key, const json_t *value)
{
    const char *name;
    json_t *member;
    if (json_is_object(value)) {
        tn__doc_object(doc, key);
        json_object_foreach((json_t *)value, name, member) tn__doc_json(doc, name, member);
        tn__doc_end(doc);
    } else if (json_is_array(value)) {
        tn__doc_array(doc, key);
        for (size_t i = 0; i < json_array_size(value); i++)
            tn__doc_json(doc, NULL, json_array_get(value, i));
        tn__doc_end(doc);
    } else {
        begin(doc, key);
        tn__json_write(&doc->out, value);
    }
}

void tn__doc_ref(tn__doc *doc, const char *key, const char *section, tn_str name)
{
    tn__doc_object(doc, key);
    tn__doc_printf(doc, "$ref", "#/components/%s/%.*s", section, TN_FMT(name));
    tn__doc_end(doc);
}

tn_str tn__doc_text(tn__doc *doc)
{
    assert(doc->depth == 0);
    tn__buf_add_char(&doc->out, '\n');
    return tn__buf_str(&doc->out);
}
