/* Examples for the documents, made of the tables' own. */
#pragma once

#include "schema/doc_schema.h"

/* The field's example or fallback, which it must have. */
void tn__doc_example_of(tn__doc *doc, const char *key, const tn_field *field);
void tn__doc_fallback(tn__doc *doc, const char *key, const tn_field *field);

/* One value: the field's example, its fallback, or one that is made up, which tn__has_value() must
 * have said is possible. */
bool tn__has_value(const tn_field *field);
void tn__doc_value(tn__doc *doc, const char *key, const tn_field *field);

/* True when a whole example can be made: where a field gives none, one is made up, which fails only
 * for patterns. */
bool tn__has_example(const tn_schema *schema, tn__form form);
void tn__doc_example(tn__doc *doc, const char *key, const tn_schema *schema, tn__form form);
/* A scalar's example as bare text. */
tn_str tn__example_text(tn_arena *arena, const tn_field *field);

extern const char tn__example_uuid[], tn__example_time[];
