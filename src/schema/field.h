/* Fields and the places in a struct that they describe. */
#pragma once

#include "schema/schema.h"

/* Fields of one schema: a decoder keeps a bit for each on its stack. */
#define TN__FIELDS_MAX 256
/* Objects within objects, as tables nest them. */
#define TN__SCHEMA_DEPTH_MAX 16

typedef struct {
    uint64_t bits[TN__FIELDS_MAX / 64];
} tn__field_set;

static inline bool tn__set_has(const tn__field_set *set, size_t i)
{
    return (set->bits[i / 64] >> (i % 64) & 1) != 0;
}
static inline void tn__set_add(tn__field_set *set, size_t i)
{
    set->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* The memory of any TN_ARRAY_OF(T). */
typedef struct {
    const void *at;
    size_t n;
} tn__array;

/* The index of the field of that name, or schema->n_fields. Members mostly come in the order of the
 * table: the search starts at `hint`. */
size_t tn__field_index(const tn_schema *schema, tn_str name, size_t hint);
/* True when a value need not be given: the field is optional or has a fallback. */
bool tn__field_may_be_absent(const tn_field *field);
bool tn__field_has_fallback(const tn_field *field);
/* The bytes that the field takes in its struct: of the value, or of the pointer to it. */
size_t tn__field_size(const tn_field *field);
/* Where to put the value: in the struct, or in new memory that the struct then points to. */
void *tn__field_open(tn_arena *arena, const tn_field *field, void *at);
/* Leaves the field as it is when no value was given: NULL, empty, or its fallback. */
void tn__field_clear(const tn_field *field, void *at);
/* The example of a value as text, or NULL. */
const char *tn__field_example(const tn_field *field);
