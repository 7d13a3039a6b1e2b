/* Tables as JSON Schema (2020-12, in words that draft 7 also knows, for AsyncAPI). */
#pragma once

#include "schema/doc.h"
#include "schema/field.h"

/* One table describes several things: what is answered (nothing is ever null; more members may come
 * one day), what may be sent (null stands for absent; unknown members are refused), a merge patch of
 * that, and a page of answers. */
typedef enum { TN__FORM_REPLY, TN__FORM_BODY, TN__FORM_PATCH, TN__FORM_PAGE } tn__form;

#define TN__COMPONENTS_MAX 1024

typedef struct {
    const tn_schema *schema;
    tn__form form;
    tn_str name;
} tn__component;

/* The schemas that a document defines, each under its name. All are added before one is named. */
typedef struct {
    tn_arena *arena;
    tn__component at[TN__COMPONENTS_MAX];
    size_t n;
} tn__components;

/* Adds a schema and those within it; NULL is ignored. */
void tn__components_add(tn__components *components, const tn_schema *schema, tn__form form);
/* Gives each its name: the tag, with Input, Patch or Page behind it where that tells them apart. */
void tn__components_name(tn__components *components);
tn_str tn__component_name(const tn__components *components, const tn_schema *schema, tn__form form);
/* Writes them as members of the object that is open. */
void tn__components_write(tn__doc *doc, const tn__components *components);

void tn__doc_schema_ref(tn__doc *doc, const char *key, const tn__components *components,
    const tn_schema *schema, tn__form form);
/* The schema of a parameter: `field` without its summary, never null. */
void tn__doc_parameter(tn__doc *doc, const char *key, const tn_field *field, tn__form form);
/* The summary of a field, or NULL. */
const char *tn__field_summary(const tn_field *field);
