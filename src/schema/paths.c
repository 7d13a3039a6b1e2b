/* Names made of other names: what the documents call operations, schemas and channels. */
#include "schema/paths.h"

bool tn__path_brace(const char **at, tn_str *name)
{
    const char *open = strchr(*at, '{');
    const char *close = open == NULL ? NULL : strchr(open, '}');
    if (close == NULL)
        return false;
    *name = (tn_str){ open + 1, (size_t)(close - open - 1) };
    *at = close + 1;
    return true;
}

const char *tn__verb(tn_method method)
{
    static const char *const verbs[] = {
        [TN_GET] = "GET",
        [TN_POST] = "POST",
        [TN_PUT] = "PUT",
        [TN_PATCH] = "PATCH",
        [TN_DELETE] = "DELETE",
    };
    return verbs[method];
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

tn_str tn__operation_id(tn_arena *arena, const tn_route *route)
{
    tn__buf id = { .arena = arena };
    for (const char *c = tn__verb(route->method); *c != '\0'; c++)
        tn__buf_add_char(&id, to_lower(*c));
    for (const char *c = route->path; *c != '\0'; c++)
        if (*c == '{')
            tn__buf_add_z(&id, "by_");
        else if (*c != '}')
            tn__buf_add_char(&id, is_alnum(*c) ? *c : '_');
    return tn_copy(arena, tn__buf_str(&id));
}

tn_str tn__pascal(tn_arena *arena, const char *name)
{
    tn__buf out = { .arena = arena };
    bool start = true;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '*')
            tn__buf_add_z(&out, "Any");
        else if (*c == '#')
            tn__buf_add_z(&out, "All");
        else if (is_alnum(*c))
            tn__buf_add_char(&out, start ? to_upper(*c) : *c);
        start = !is_alnum(*c);
    }
    return tn_copy(arena, tn__buf_str(&out));
}
