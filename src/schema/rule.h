/* The rules of a field: which values it may hold, and how to say so. */
#pragma once

#include "schema/fault.h"
#include "schema/json.h"

/* True when the value keeps the field's rule; the kind has been checked. A NUL follows `s`. */
bool tn__rule_str(const struct tn_str_rule *rule, tn_str s);
bool tn__rule_int(const struct tn_int_rule *rule, int64_t v);
bool tn__rule_real(const struct tn_real_rule *rule, double v);
bool tn__rule_count(const struct tn_array_rule *rule, size_t n);
/* The index of a name of an enum, or -1. */
int tn__rule_choice(const struct tn_enum_rule *rule, tn_str name);

/* The longest string of a field, in code points; -1 when there is no limit. */
int64_t tn__rule_len_max(const struct tn_str_rule *rule);
/* The same for people, who need not be told where the pattern ends by itself. */
int64_t tn__rule_len_told(const struct tn_str_rule *rule);

/* What is allowed: "an integer from 0 to 100", "a string of 1 to 20 characters". */
void tn__rule_write(tn__buf *out, const tn_field *field);

/* Reports that a field doesn't keep its rule: what must be, and what was found. */
void tn__fault_json(tn__reporter *r, const tn__where *at, const tn_field *field,
    const json_t *found);
void tn__fault_text(tn__reporter *r, const tn__where *at, const tn_field *field, tn_str found);
void tn__fault_missing(tn__reporter *r, const tn__where *at, const tn_field *field);
/* Reports a member or parameter that the schema doesn't know. */
void tn__fault_unknown(tn__reporter *r, const tn__where *at, const tn_schema *schema);
