/* Content negotiation: see negotiate.h. */
#include "http/negotiate.h"

#include "http/headers.h"

#define QUALITY_MAX 1000

typedef struct {
    tn_str type, subtype, parameters;
} media_range;

static bool range_read(tn_str text, media_range *range)
{
    tn_str name;
    range->parameters = text;
    if (!tn__str_cut(&range->parameters, ';', &name))
        return false;
    range->subtype = tn__str_trim(name);
    if (!tn__str_cut(&range->subtype, '/', &range->type))
        return false;
    return tn__is_token(range->type) && tn__is_token(range->subtype);
}

/* qvalue = "0" [ "." 0*3DIGIT ] / "1" [ "." 0*3"0" ], in thousandths; -1 when it isn't one. */
static int quality_read(tn_str s)
{
    if (s.len < 1 || s.len > 5 || (s.data[0] != '0' && s.data[0] != '1') ||
        (s.len > 1 && s.data[1] != '.'))
        return -1;
    int q = (s.data[0] - '0') * QUALITY_MAX;
    for (size_t i = 2, unit = 100; i < s.len; i++, unit /= 10) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return -1;
        q += (s.data[i] - '0') * (int)unit;
    }
    return q <= QUALITY_MAX ? q : -1;
}

/* The weight among a range's parameters; a broken one counts as none. */
static int quality_of(const media_range *range)
{
    tn_str rest = range->parameters, parameter;
    while (tn__str_cut(&rest, ';', &parameter)) {
        tn_str name, value = parameter;
        if (!tn__str_cut(&value, '=', &name) || !tn__str_eq_nocase(tn__str_trim(name), TN_S("q")))
            continue;
        int q = quality_read(tn__str_trim(value));
        return q < 0 ? QUALITY_MAX : q;
    }
    return QUALITY_MAX;
}

/* 3 for the very type, 2 for type slash star, 1 for star slash star, 0 when it isn't covered. */
static int specificity(const media_range *range, tn_str type, tn_str subtype)
{
    if (tn_str_eq(range->type, TN_S("*")))
        return tn_str_eq(range->subtype, TN_S("*")) ? 1 : 0;
    if (!tn__str_eq_nocase(range->type, type))
        return 0;
    if (tn_str_eq(range->subtype, TN_S("*")))
        return 2;
    return tn__str_eq_nocase(range->subtype, subtype) ? 3 : 0;
}

int tn__accept_quality(tn_str accept, tn_str type, tn_str subtype)
{
    tn_str element;
    int best = 0, quality = 0;
    bool valid = false;
    while (tn__list_next(&accept, &element)) {
        media_range range;
        if (!range_read(element, &range))
            continue;
        valid = true;
        int match = specificity(&range, type, subtype);
        if (match > best) {
            best = match;
            quality = quality_of(&range);
        }
    }
    return valid ? quality : QUALITY_MAX;
}

bool tn__accepts_json(tn_str accept)
{
    return tn__accept_quality(accept, TN_S("application"), TN_S("json")) > 0 ||
        tn__accept_quality(accept, TN_S("application"), TN_S("problem+json")) > 0;
}

static bool parameters_are_utf8(tn_str rest)
{
    tn_str parameter;
    while (tn__str_cut(&rest, ';', &parameter)) {
        tn_str name, value = tn__str_trim(parameter);
        if (value.len == 0)
            continue;
        if (!tn__str_cut(&value, '=', &name) || !tn__str_eq_nocase(name, TN_S("charset")))
            return false;
        if (!tn__str_eq_nocase(value, TN_S("utf-8")) &&
            !tn__str_eq_nocase(value, TN_S("\"utf-8\"")))
            return false;
    }
    return true;
}

bool tn__content_is_json(tn_str content_type, bool merge_patch)
{
    media_range range;
    if (!range_read(content_type, &range) || !tn__str_eq_nocase(range.type, TN_S("application")) ||
        !parameters_are_utf8(range.parameters))
        return false;
    return tn__str_eq_nocase(range.subtype, TN_S("json")) ||
        (merge_patch && tn__str_eq_nocase(range.subtype, TN_S("merge-patch+json")));
}
