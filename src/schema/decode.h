/* From JSON trees to structs; shared by the decoders of the layer. */
#pragma once

#include "schema/field.h"
#include "schema/json.h"
#include "schema/rule.h"

/* Decodes an object into `out`, which is zeroed. Faults go to the reporter. */
void tn__decode_object(tn__reporter *r, const tn__where *place, const tn_schema *schema,
    const json_t *object, void *out);
/* Decodes one value, which isn't a null that stands for absence, to `value` (tn__kind_size bytes,
 * zeroed). */
void tn__decode_any(tn__reporter *r, const tn__where *place, const tn_field *field,
    const json_t *json, void *value);

/* Reads a bare text as a value of a kind that has one text (not JSON, objects or arrays): false when
 * it doesn't keep the field's rule. */
bool tn__read_text(tn_arena *arena, const tn_field *field, tn_str text, void *value);
