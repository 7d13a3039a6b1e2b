/* Checks the routes: paths and what stands in their braces, and which columns go together. */
#include "schema/check.h"
#include "schema/field.h"
#include "schema/paths.h"
#include "schema/pattern.h"

#include <stdio.h>

static bool is_safe(const tn_route *route)
{
    return route->method == TN_GET;
}

static tn_str place_of(tn__checker *c, const tn_route *route)
{
    return tn_printf(c->arena, "%s %s", tn__verb(route->method),
        route->path == NULL ? "?" : route->path);
}

/* ---- Paths -------------------------------------------------------------- */

static bool is_segment(tn_str part)
{
    if (part.len > 2 && part.data[0] == '{' && part.data[part.len - 1] == '}')
        return tn__is_identifier((tn_str){ part.data + 1, part.len - 2 });
    static const char marks[] = "-._~";
    for (size_t i = 0; i < part.len; i++) {
        char a = part.data[i];
        bool alnum = (a >= 'a' && a <= 'z') || (a >= 'A' && a <= 'Z') || (a >= '0' && a <= '9');
        if (!alnum && memchr(marks, a, sizeof marks - 1) == NULL)
            return false;
    }
    return part.len > 0 && !tn_str_eq(part, TN_S(".")) && !tn_str_eq(part, TN_S(".."));
}

static size_t count_braces(const char *path, tn_str name)
{
    size_t n = 0;
    tn_str found;
    while (tn__path_brace(&path, &found))
        n += name.data == NULL || tn_str_eq(name, found);
    return n;
}

/* False when what follows can't rely on the path. */
static bool check_path(tn__checker *c, tn_str place, const char *what, const char *path)
{
    tn_str rest = tn_str_of(path), part;
    size_t segments = 0;
    bool fine = rest.len > 1 && rest.data[0] == '/';
    if (fine) {
        rest = (tn_str){ rest.data + 1, rest.len - 1 };
        for (; fine && tn__str_cut(&rest, '/', &part); segments++)
            fine = is_segment(part);
    }
    if (!fine)
        tn__check_fail(c, place,
            "%s must be like /orders/{id}: segments of letters, digits and -._~, or a field's name "
            "in braces",
            what);
    else if (segments > TN__PATH_SEGMENTS_MAX ||
        count_braces(path, (tn_str){ NULL, 0 }) > TN__PATH_BRACES_MAX)
        tn__check_fail(c, place, "%s may have at most %d segments and %d names in braces", what,
            TN__PATH_SEGMENTS_MAX, TN__PATH_BRACES_MAX);
    return fine;
}

/* ---- Parameters --------------------------------------------------------- */

static void check_params(tn__checker *c, tn_str place, const tn_route *route)
{
    const char *at = route->path;
    tn_str name;
    while (tn__path_brace(&at, &name)) {
        if (route->params == NULL || tn__field_find(route->params, name) == NULL)
            tn__check_fail(c, place, "{%.*s} is no field of .params", TN_FMT(name));
        if (count_braces(route->path, name) > 1)
            tn__check_fail(c, place, "{%.*s} is in the path twice", TN_FMT(name));
    }
    for (size_t i = 0; route->params != NULL && i < route->params->n_fields; i++) {
        const tn_field *field = &route->params->fields[i];
        if (count_braces(route->path, tn_str_of(field->name)) == 0)
            tn__check_fail(c, place, "the field %s of .params is not in the path", field->name);
        if (!tn__is_scalar(field) || tn__field_may_be_absent(field))
            tn__check_fail(c, place,
                "the path's field %s must be required, and neither JSON nor an "
                "object nor an array",
                field->name);
    }
}

/* The chassis adds parameters of its own to pages and streams. */
static bool is_taken(const tn_route *route, const char *name)
{
    if (route->page != NULL)
        return strcmp(name, "limit") == 0 || strcmp(name, "cursor") == 0;
    return route->stream != NULL && strcmp(name, "from") == 0;
}

static void check_query(tn__checker *c, tn_str place, const tn_route *route)
{
    for (size_t i = 0; route->query != NULL && i < route->query->n_fields; i++) {
        const tn_field *field = &route->query->fields[i];
        if (!tn__is_scalar(field))
            tn__check_fail(c, place, "the query's field %s may not be JSON, an object or an array",
                field->name);
        if (is_taken(route, field->name))
            tn__check_fail(c, place, "the query's field %s is the chassis's own", field->name);
    }
}

/* ---- Columns that go together ------------------------------------------- */

static void check_answer(tn__checker *c, tn_str place, const tn_route *route)
{
    int answers = (route->reply != NULL) + (route->page != NULL) + (route->stream != NULL);
    if (answers > 1)
        tn__check_fail(c, place, "only one of .reply, .page and .stream can be the answer");
    if ((route->page != NULL || route->stream != NULL) && route->method != TN_GET)
        tn__check_fail(c, place, "pages and streams are for GET");
    if (route->stream != NULL && route->handler != NULL)
        tn__check_fail(c, place, "a stream has no handler");
    if (route->stream == NULL && route->handler == NULL)
        tn__check_fail(c, place, "the handler is missing");
    if (route->status != 0 && (route->status < 200 || route->status > 299))
        tn__check_fail(c, place, "the status of success must be from 200 to 299, found %d",
            route->status);
    if ((route->status == 204 || route->status == 205) && answers > 0)
        tn__check_fail(c, place, "a %d has no body, so nothing can be replied", route->status);
    if ((route->page != NULL || route->stream != NULL) && route->status != 0 &&
        route->status != 200)
        tn__check_fail(c, place, "pages and streams are answered with 200");
}

static void check_body(tn__checker *c, tn_str place, const tn_route *route)
{
    if (route->body != NULL && (route->method == TN_GET || route->method == TN_DELETE))
        tn__check_fail(c, place, "a body has no meaning for this method");
    if (route->merge_patch && (route->method != TN_PATCH || route->body == NULL))
        tn__check_fail(c, place, "a merge patch is for PATCH and needs .body");
    if (route->idempotent && is_safe(route))
        tn__check_fail(c, place, "GET changes nothing: it needs no idempotency key");
}

static void check_etag(tn__checker *c, tn_str place, const tn_route *route)
{
    if (route->etag == NULL)
        return;
    if (route->reply == NULL) {
        if (is_safe(route))
            tn__check_fail(c, place, ".etag needs a .reply");
        return;
    }
    const tn_field *field = tn__field_find(route->reply, tn_str_of(route->etag));
    if (field == NULL || field->kind != TN_KIND_INT || field->optional)
        tn__check_fail(c, place, ".etag \"%s\" is no required int64_t field of the reply",
            route->etag);
}

static bool may_be_in_path(const tn_field *field)
{
    return field != NULL && tn__is_scalar(field) && !field->optional;
}

static void check_location(tn__checker *c, tn_str place, const tn_route *route)
{
    if (route->location == NULL || !check_path(c, place, ".location", route->location))
        return;
    if (route->status != 201)
        tn__check_fail(c, place, ".location goes with the status 201");
    const char *at = route->location;
    tn_str name;
    while (tn__path_brace(&at, &name))
        if (route->reply == NULL || !may_be_in_path(tn__field_find(route->reply, name)))
            tn__check_fail(c, place,
                ".location: {%.*s} is no required field of the reply that has one text",
                TN_FMT(name));
}

/* ---- Streams ------------------------------------------------------------ */

static void check_stream_query(tn__checker *c, tn_str place, const char *what,
    const tn_query *query)
{
    if (query == NULL || query->name == NULL || query->sql == NULL)
        tn__check_fail(c, place, ".stream: .%s is missing", what);
}

static void check_stream_field(tn__checker *c, tn_str place, const tn_stream *stream,
    const char *what, const char *name, tn_kind kind)
{
    const tn_field *field = stream->data == NULL || name == NULL
        ? NULL
        : tn__field_find(stream->data, tn_str_of(name));
    if (field == NULL || field->kind != kind || field->optional)
        tn__check_fail(c, place, ".stream: .%s \"%s\" is no required %s field of .data", what,
            name == NULL ? "" : name, kind == TN_KIND_INT ? "int64_t" : "tn_str");
}

static void check_stream(tn__checker *c, tn_str place, const tn_stream *stream)
{
    if (stream == NULL)
        return;
    check_stream_query(c, place, "after", stream->after);
    check_stream_query(c, place, "newest", stream->newest);
    check_stream_field(c, place, stream, "id", stream->id, TN_KIND_INT);
    check_stream_field(c, place, stream, "event", stream->event, TN_KIND_STR);
    if (!tn__is_like(stream->channel, "^[a-z_][a-z0-9_]{0,62}$"))
        tn__check_fail(c, place, ".stream: .channel must be like ^[a-z_][a-z0-9_]{0,62}$");
    if (stream->data != NULL)
        tn__check_schema(c, stream->data);
}

/* ---- Routes ------------------------------------------------------------- */

/* The path with nothing in its braces: two routes whose shapes are one meet the same requests. */
static tn_str shape_of(tn__checker *c, const char *path)
{
    tn__buf shape = { .arena = c->arena };
    bool inside = false;
    for (; *path != '\0'; path++) {
        if (*path == '}')
            inside = false;
        if (!inside)
            tn__buf_add_char(&shape, *path);
        if (*path == '{')
            inside = true;
    }
    return tn__buf_str(&shape);
}

static void check_twins(tn__checker *c, tn_str place, const tn_route *a, const tn_route *b)
{
    if (a->path == NULL || b->path == NULL)
        return;
    bool alike = tn_str_eq(shape_of(c, a->path), shape_of(c, b->path));
    if (alike && strcmp(a->path, b->path) != 0)
        tn__check_fail(c, place, "%s is the same path under other names", a->path);
    else if (alike && a->method == b->method)
        tn__check_fail(c, place, "the route is in the table twice");
    else if (tn_str_eq(tn__operation_id(c->arena, a), tn__operation_id(c->arena, b)))
        tn__check_fail(c, place, "its operationId is also that of %s", a->path);
}

static void check_schemas(tn__checker *c, const tn_route *route)
{
    const tn_schema *const schemas[] = { route->params, route->query, route->body, route->reply,
        route->page };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        if (schemas[i] != NULL)
            tn__check_schema(c, schemas[i]);
}

static void check_route(tn__checker *c, const tn_route *route)
{
    tn_str place = place_of(c, route);
    if (check_path(c, place, "the path", route->path))
        check_params(c, place, route);
    check_schemas(c, route);
    check_query(c, place, route);
    check_answer(c, place, route);
    check_body(c, place, route);
    check_etag(c, place, route);
    check_location(c, place, route);
    check_stream(c, place, route->stream);
}

void tn__check_routes(tn__checker *c, const tn_service *service)
{
    for (size_t i = 0; i < service->routes.n; i++) {
        const tn_route *route = &service->routes.at[i];
        check_route(c, route);
        for (size_t j = 0; j < i; j++)
            check_twins(c, place_of(c, route), &service->routes.at[j], route);
    }
}
