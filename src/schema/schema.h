/* From JSON and text to structs and back, by the tables of include/trunnion/schema.h. */
#pragma once

#include "base/base.h"
#include <trunnion/service.h>

/* One thing that is wrong, found at a JSON Pointer (RFC 6901) into the body, or at the name of a
 * parameter. Texts say what was found and what is allowed. */
typedef struct {
    tn_str pointer;
    tn_str detail;
} tn__fault;

/* The faults of one input: all of them, up to TN__FAULTS_MAX, then `more` counts the rest. Each
 * function that takes it starts it anew: it need not be initialized. */
#define TN__FAULTS_MAX 64
typedef struct {
    tn__fault at[TN__FAULTS_MAX];
    size_t n, more;
} tn__faults;

/* JSON text that isn't JSON: where and why, such as "line 3, column 7: '}' expected near ','".
 * Refused as syntax: duplicate keys, invalid UTF-8, NUL, numbers out of a double's or int64's
 * range, nesting deeper than TN__JSON_DEPTH_MAX, more values than TN__JSON_VALUES_MAX, anything after
 * the value. */
#define TN__JSON_DEPTH_MAX  32
#define TN__JSON_VALUES_MAX 100000

typedef enum { TN__DECODED, TN__SYNTAX, TN__INVALID } tn__decoded;

/* Decodes a JSON object into `out` (schema->size bytes, zeroed by the call); everything it points
 * to is in the arena. On TN__SYNTAX there is one fault with the empty pointer; on TN__INVALID
 * all faults are listed. */
tn__decoded tn__decode_json(tn_arena *arena, const tn_schema *schema, tn_str text, void *out,
    tn__faults *faults);
/* The same for one value of any kind: `value` has tn__kind_size(field) bytes, zeroed by the caller;
 * name, offset and optional of the field don't matter. */
tn__decoded tn__decode_value(tn_arena *arena, const tn_field *field, tn_str text, void *value,
    tn__faults *faults);

/* The parsed text of a merge patch (RFC 7396), checked on its own: every member it names fits the
 * field or is null for an optional one. `*patch` is in the arena. */
typedef struct tn__patch tn__patch;
tn__decoded tn__decode_patch(tn_arena *arena, const tn_schema *schema, tn_str text,
    tn__patch **patch, tn__faults *faults);
/* Lays it over a struct of that schema. False, with faults, when the result isn't valid. */
bool tn__patch_apply(tn_arena *arena, const tn__patch *patch, void *target, tn__faults *faults);

/* Decodes named texts (query parameters, path parameters, environment variables) into `out`: one
 * text a field. A name given twice, or unknown to a closed schema, is a fault; pointers are the
 * names. */
typedef struct {
    tn_str name, value;
} tn__pair;
bool tn__decode_pairs(tn_arena *arena, const tn_schema *schema, const tn__pair *pairs, size_t n,
    void *out, tn__faults *faults);

/* Writes a struct as a JSON object; absent optional members are left out. */
void tn__encode_json(tn__buf *out, const tn_schema *schema, const void *at);
/* Writes one field's value as JSON, or as bare text (for Location, event ids). */
void tn__encode_field(tn__buf *out, const tn_field *field, const void *at);
void tn__encode_text(tn__buf *out, const tn_field *field, const void *at);
const tn_field *tn__field_find(const tn_schema *schema, tn_str name);
/* The value's place: follows the pointer of an optional field; NULL when it is absent. */
const void *tn__field_value(const tn_field *field, const void *at);
size_t tn__kind_size(const tn_field *field);

/* Checks a service's tables for what the compiler can't see (a Location that names no field, a bad
 * pattern, a path parameter without a field, two routes alike ...). Each fault names the place;
 * none is right. Called at start and by tests. */
void tn__tables_check(tn_arena *arena, const tn_service *service, tn__faults *faults);

/* Paging, as the documents say it: the parameter `limit` of a route with `.page`. */
#define TN__PAGE_LIMIT_MAX     100
#define TN__PAGE_LIMIT_DEFAULT 20

/* The documents, as JSON text with two spaces of indent and a stable order, of a service whose
 * tables are right and hold the routes that the chassis adds, too. */
tn_str tn__openapi(tn_arena *arena, const tn_service *service);
tn_str tn__asyncapi(tn_arena *arena, const tn_service *service);
