/* Conditional requests: see conditional.h. */
#include "http/conditional.h"

#include "http/headers.h"

tn_str tn__etag_of(tn_arena *arena, int64_t version)
{
    tn__buf out = { .arena = arena };
    tn__buf_reserve(&out, 24);
    tn__buf_add_char(&out, '"');
    tn__buf_add_i64(&out, version);
    tn__buf_add(&out, "\"", 2); /* with its NUL, which is not counted */
    return (tn_str){ out.data, out.len - 1 };
}

static bool tag_matches(tn_str element, tn_str etag, tn__comparison comparison)
{
    if (tn__str_has_prefix(element, TN_S("W/"))) {
        if (comparison == TN__STRONG)
            return false;
        element = (tn_str){ element.data + 2, element.len - 2 };
    }
    return tn_str_eq(element, etag);
}

bool tn__etag_listed(tn_str field, tn_str etag, tn__comparison comparison)
{
    tn_str element;
    if (tn_str_eq(field, TN_S("*")))
        return true;
    while (tn__list_next(&field, &element))
        if (tag_matches(element, etag, comparison))
            return true;
    return false;
}

tn__condition tn__condition_of(tn_str if_match, tn_str if_none_match, tn_str etag, bool safe)
{
    if (if_match.data != NULL && !tn__etag_listed(if_match, etag, TN__STRONG))
        return TN__PRECONDITION_FAILED;
    if (if_none_match.data != NULL && tn__etag_listed(if_none_match, etag, TN__WEAK))
        return safe ? TN__NOT_MODIFIED : TN__PRECONDITION_FAILED;
    return TN__GO_ON;
}
