/* The rules of fields, checked and put into words. The words are the same for JSON, parameters and
 * the environment. */
#include "schema/rule.h"
#include "schema/pattern.h"

#include <assert.h>
#include <math.h>

/* ---- Checks ------------------------------------------------------------- */

int64_t tn__rule_len_max(const struct tn_str_rule *rule)
{
    if (rule->bounded && rule->max != INT64_MAX)
        return rule->max;
    return rule->pattern == NULL ? -1 : TN__PATTERN_CHARS_MAX;
}

int64_t tn__rule_len_told(const struct tn_str_rule *rule)
{
    bool bounded = rule->bounded && rule->max != INT64_MAX;
    if (!bounded && rule->pattern != NULL && tn__pattern_is_finite(rule->pattern))
        return -1;
    return tn__rule_len_max(rule);
}

/* The bytes of a string bound its characters from both sides (one to four bytes each), so counting
 * is seldom needed. */
static bool length_fits(const struct tn_str_rule *rule, tn_str s)
{
    int64_t max = tn__rule_len_max(rule), min = rule->bounded ? rule->min : 0;
    int64_t bytes = (int64_t)s.len;
    if (bytes < min || (max >= 0 && bytes / 4 > max))
        return false;
    if (bytes / 4 >= min && (max < 0 || bytes <= max))
        return true;
    int64_t chars = (int64_t)tn__utf8_length(s);
    return chars >= min && (max < 0 || chars <= max);
}

bool tn__rule_str(const struct tn_str_rule *rule, tn_str s)
{
    return length_fits(rule, s) && (rule->pattern == NULL || tn__pattern_matches(rule->pattern, s));
}

bool tn__rule_int(const struct tn_int_rule *rule, int64_t v)
{
    return !rule->bounded || (v >= rule->min && v <= rule->max);
}

bool tn__rule_real(const struct tn_real_rule *rule, double v)
{
    return !rule->bounded || (v >= rule->min && v <= rule->max);
}

bool tn__rule_count(const struct tn_array_rule *rule, size_t n)
{
    assert(n <= INT64_MAX);
    return !rule->bounded || ((int64_t)n >= rule->min && (int64_t)n <= rule->max);
}

int tn__rule_choice(const struct tn_enum_rule *rule, tn_str name)
{
    for (int i = 0; rule->names[i] != NULL; i++)
        if (strlen(rule->names[i]) == name.len && memcmp(rule->names[i], name.data, name.len) == 0)
            return i;
    return -1;
}

/* ---- What is allowed ---------------------------------------------------- */

/* "1 character", "1 to 20 characters", "at least 3 items". */
static void write_amount(tn__buf *out, int64_t min, int64_t max, const char *thing)
{
    if (max == INT64_MAX || max < 0)
        tn__buf_printf(out, "at least %lld", (long long)min);
    else if (min <= 0 && max > 0)
        tn__buf_printf(out, "at most %lld", (long long)max);
    else if (min == max)
        tn__buf_printf(out, "%lld", (long long)min);
    else
        tn__buf_printf(out, "%lld to %lld", (long long)min, (long long)max);
    int64_t last = max == INT64_MAX || max < 0 ? min : max;
    tn__buf_printf(out, " %s%s", thing, last == 1 ? "" : "s");
}

static void write_str(tn__buf *out, const struct tn_str_rule *rule)
{
    tn__buf_add_z(out, "a string");
    int64_t min = rule->bounded ? rule->min : 0, max = tn__rule_len_told(rule);
    if (min > 0 || max >= 0) {
        tn__buf_add_z(out, " of ");
        write_amount(out, min, max, "character");
    }
    if (rule->pattern != NULL)
        tn__buf_printf(out, " that matches %s", rule->pattern);
}

static void write_int(tn__buf *out, const struct tn_int_rule *rule)
{
    tn__buf_add_z(out, "an integer");
    if (!rule->bounded || (rule->min == INT64_MIN && rule->max == INT64_MAX))
        return;
    if (rule->min == INT64_MIN)
        tn__buf_printf(out, " of at most %lld", (long long)rule->max);
    else if (rule->max == INT64_MAX)
        tn__buf_printf(out, " of at least %lld", (long long)rule->min);
    else
        tn__buf_printf(out, " from %lld to %lld", (long long)rule->min, (long long)rule->max);
}

/* Bounds may be infinite: then there is none on that side. */
static void write_real(tn__buf *out, const struct tn_real_rule *rule)
{
    tn__buf_add_z(out, "a number");
    if (!rule->bounded)
        return;
    if (isinf(rule->min)) {
        tn__buf_add_z(out, " of at most ");
    } else {
        tn__buf_add_z(out, isinf(rule->max) ? " of at least " : " from ");
        tn__json_real(out, rule->min);
    }
    if (!isinf(rule->min) && !isinf(rule->max))
        tn__buf_add_z(out, " to ");
    if (!isinf(rule->max))
        tn__json_real(out, rule->max);
}

static void write_choice(tn__buf *out, const struct tn_enum_rule *rule)
{
    tn__buf_add_z(out, rule->names[1] == NULL ? "" : "one of ");
    for (size_t i = 0; rule->names[i] != NULL; i++)
        tn__buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", rule->names[i]);
}

static void write_array(tn__buf *out, const struct tn_array_rule *rule)
{
    tn__buf_add_z(out, "an array");
    if (!rule->bounded)
        return;
    tn__buf_add_z(out, " of ");
    write_amount(out, rule->min, rule->max, "item");
}

void tn__rule_write(tn__buf *out, const tn_field *field)
{
    switch (field->kind) {
    case TN_KIND_STR:
        write_str(out, &field->str);
        break;
    case TN_KIND_INT:
        write_int(out, &field->num);
        break;
    case TN_KIND_REAL:
        write_real(out, &field->real);
        break;
    case TN_KIND_BOOL:
        tn__buf_add_z(out, "true or false");
        break;
    case TN_KIND_ENUM:
        write_choice(out, &field->choice);
        break;
    case TN_KIND_UUID:
        tn__buf_add_z(out, "a UUID such as 018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a");
        break;
    case TN_KIND_TIME:
        tn__buf_add_z(out, "a time such as 2026-01-31T09:15:00Z (RFC 3339)");
        break;
    case TN_KIND_JSON:
        tn__buf_add_z(out, "a JSON value");
        break;
    case TN_KIND_OBJECT:
        tn__buf_add_z(out, "an object");
        break;
    case TN_KIND_ARRAY:
        write_array(out, &field->array);
        break;
    }
}

/* ---- What was found ----------------------------------------------------- */

/* A value that was cut also says how long it is: the reason may be its length. */
static void write_found_text(tn__buf *out, tn_str s)
{
    tn__buf_add_char(out, '"');
    tn__show(out, s, TN__VALUE_SHOWN_MAX);
    tn__buf_add_char(out, '"');
    size_t chars = tn__utf8_valid(s) ? tn__utf8_length(s) : s.len;
    if (chars > TN__VALUE_SHOWN_MAX)
        tn__buf_printf(out, " (%zu characters)", chars);
}

static void write_found(tn__buf *out, const json_t *found)
{
    switch (json_typeof(found)) {
    case JSON_OBJECT:
        tn__buf_add_z(out, "an object");
        break;
    case JSON_ARRAY:
        tn__buf_printf(out, "an array of %zu item%s", json_array_size(found),
            json_array_size(found) == 1 ? "" : "s");
        break;
    case JSON_STRING:
        write_found_text(out, tn__json_text(found));
        break;
    default:
        tn__json_write(out, found); /* numbers, true, false and null are short */
        break;
    }
}

static tn__buf must_be(tn__reporter *r, const tn_field *field)
{
    tn__buf out = { .arena = r->arena };
    tn__buf_add_z(&out, "must be ");
    tn__rule_write(&out, field);
    return out;
}

static void add(tn__reporter *r, const tn__where *at, const tn__buf *detail)
{
    tn__fault_add(r, at, "%.*s", TN_FMT(tn__buf_str(detail)));
}

void tn__fault_json(tn__reporter *r, const tn__where *at, const tn_field *field,
    const json_t *found)
{
    if (!tn__fault_wanted(r))
        return;
    tn__buf detail = must_be(r, field);
    tn__buf_add_z(&detail, ", found ");
    write_found(&detail, found);
    add(r, at, &detail);
}

void tn__fault_text(tn__reporter *r, const tn__where *at, const tn_field *field, tn_str found)
{
    if (!tn__fault_wanted(r))
        return;
    tn__buf detail = must_be(r, field);
    tn__buf_add_z(&detail, ", found ");
    write_found_text(&detail, found);
    add(r, at, &detail);
}

void tn__fault_missing(tn__reporter *r, const tn__where *at, const tn_field *field)
{
    if (!tn__fault_wanted(r))
        return;
    tn__buf detail = must_be(r, field);
    tn__buf_add_z(&detail, ", but is missing");
    add(r, at, &detail);
}

void tn__fault_unknown(tn__reporter *r, const tn__where *at, const tn_schema *schema)
{
    if (!tn__fault_wanted(r))
        return;
    tn__buf detail = { .arena = r->arena };
    tn__buf_add_z(&detail,
        schema->n_fields == 0 ? "is unknown; none are known" : "is unknown; known are ");
    for (size_t i = 0; i < schema->n_fields; i++)
        tn__buf_printf(&detail, "%s%s", i == 0 ? "" : ", ", schema->fields[i].name);
    add(r, at, &detail);
}
