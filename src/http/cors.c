/* Cross-origin requests: see cors.h. */
#include "http/cors.h"

static size_t count_parts(tn_str list)
{
    size_t n = 1;
    for (size_t i = 0; i < list.len; i++)
        n += list.data[i] == ',';
    return n;
}

void tn__cors_init(tn__cors *cors, tn_arena *arena, const char *allowed)
{
    tn_str rest = tn_copy(arena, tn_str_of(allowed)), part;
    *cors = (tn__cors){ .origins = tn_alloc(arena, count_parts(rest) * sizeof(tn_str)) };
    while (tn__str_cut(&rest, ',', &part)) {
        part = tn__str_trim(part);
        if (tn_str_eq(part, TN_S("*")))
            cors->any = true;
        else if (part.len > 0)
            cors->origins[cors->n++] = part;
    }
}

tn_str tn__cors_allowed(const tn__cors *cors, tn_str origin)
{
    if (origin.data == NULL)
        return origin;
    if (cors->any)
        return TN_S("*");
    /* Browsers send origins in lower case and without a slash, so the bytes are compared. */
    for (size_t i = 0; i < cors->n; i++)
        if (tn_str_eq(cors->origins[i], origin))
            return origin;
    return (tn_str){ NULL, 0 };
}

bool tn__cors_varies(const tn__cors *cors)
{
    return !cors->any && cors->n > 0;
}
