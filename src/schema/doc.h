/* Writing a JSON document for people: two spaces of indent, members in the order of writing. */
#pragma once

#include "schema/json.h"

#define TN__DOC_DEPTH_MAX 64

typedef struct {
    tn__buf out;
    int depth;
    char closing[TN__DOC_DEPTH_MAX];
    bool started; /* something stands in the innermost object or array */
} tn__doc;

/* `key` is NULL for elements of an array and for the whole. */
void tn__doc_object(tn__doc *doc, const char *key);
void tn__doc_array(tn__doc *doc, const char *key);
/* Closes the innermost object or array. */
void tn__doc_end(tn__doc *doc);

void tn__doc_str(tn__doc *doc, const char *key, tn_str value);
void tn__doc_z(tn__doc *doc, const char *key, const char *value);
void tn__doc_printf(tn__doc *doc, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tn__doc_int(tn__doc *doc, const char *key, int64_t value);
void tn__doc_real(tn__doc *doc, const char *key, double value);
void tn__doc_bool(tn__doc *doc, const char *key, bool value);
void tn__doc_null(tn__doc *doc, const char *key);
void tn__doc_json(tn__doc *doc, const char *key, const json_t *value);
/* {"$ref": "#/components/<section>/<name>"} */
void tn__doc_ref(tn__doc *doc, const char *key, const char *section, tn_str name);
/* The finished text, with a line end. */
tn_str tn__doc_text(tn__doc *doc);
