/* The OpenAPI 3.1 document of a service, from its tables.
 *
 * Everything that the chassis does for a route is said here, too: parameters, headers, and each
 * problem that the route can answer with. The order is that of the tables, so the document only
 * changes where they do. */
#include "schema/openapi.h"
#include "schema/doc_example.h"
#include "schema/paths.h"

#include <stdio.h>

typedef struct {
    tn__doc doc;
    const tn_service *service;
    tn__components *schemas;
    tn__answers *answers;
} writer;

/* ---- Info ------------------------------------------------------------------ */

static void write_info(writer *w)
{
    const tn_service *service = w->service;
    const char *title = service->title != NULL ? service->title : service->name;
    tn__doc_object(&w->doc, "info");
    tn__doc_z(&w->doc, "title", title);
    tn__doc_z(&w->doc, "version", service->version);
    tn__doc_z(&w->doc, "description", service->summary != NULL ? service->summary : title);
    tn__doc_end(&w->doc);
}

static void write_servers_and_tags(writer *w)
{
    const tn_service *service = w->service;
    tn__doc_array(&w->doc, "servers");
    tn__doc_object(&w->doc, NULL);
    tn__doc_z(&w->doc, "url", "/api/v1");
    tn__doc_z(&w->doc, "description", "The service that serves this document.");
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
    tn__doc_array(&w->doc, "tags");
    tn__doc_object(&w->doc, NULL);
    tn__doc_z(&w->doc, "name", service->name);
    if (service->summary != NULL)
        tn__doc_z(&w->doc, "description", service->summary);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

/* ---- What comes in ------------------------------------------------------------ */

static void write_parameter(tn__doc *doc, const tn_field *field, const char *in)
{
    bool path = strcmp(in, "path") == 0;
    tn__doc_object(doc, NULL);
    tn__doc_z(doc, "name", field->name);
    tn__doc_z(doc, "in", in);
    if (tn__field_summary(field) != NULL)
        tn__doc_z(doc, "description", tn__field_summary(field));
    if (path || !tn__field_may_be_absent(field))
        tn__doc_bool(doc, "required", true);
    tn__doc_parameter(doc, "schema", field, TN__FORM_BODY);
    tn__doc_end(doc);
}

static void write_parameters(writer *w, const tn_route *route)
{
    tn__doc_array(&w->doc, "parameters");
    for (size_t i = 0; route->params != NULL && i < route->params->n_fields; i++)
        write_parameter(&w->doc, &route->params->fields[i], "path");
    for (size_t i = 0; route->query != NULL && i < route->query->n_fields; i++)
        write_parameter(&w->doc, &route->query->fields[i], "query");
    tn__write_param_refs(&w->doc, route);
    tn__doc_end(&w->doc);
}

static void write_content(writer *w, const char *media_type, const tn_schema *schema, tn__form form)
{
    tn__doc_object(&w->doc, media_type);
    tn__doc_schema_ref(&w->doc, "schema", w->schemas, schema, form);
    if (form == TN__FORM_PAGE && tn__has_example(schema, TN__FORM_REPLY)) {
        tn__doc_object(&w->doc, "example");
        tn__doc_array(&w->doc, "items");
        tn__doc_example(&w->doc, NULL, schema, TN__FORM_REPLY);
        tn__doc_end(&w->doc);
        tn__doc_end(&w->doc);
    } else if (form != TN__FORM_PAGE && tn__has_example(schema, form)) {
        tn__doc_example(&w->doc, "example", schema, form);
    }
    tn__doc_end(&w->doc);
}

static void write_body(writer *w, const tn_route *route)
{
    if (route->body == NULL)
        return;
    tn__form form = route->merge_patch ? TN__FORM_PATCH : TN__FORM_BODY;
    tn__doc_object(&w->doc, "requestBody");
    tn__doc_bool(&w->doc, "required", true);
    tn__doc_object(&w->doc, "content");
    if (route->merge_patch)
        write_content(w, "application/merge-patch+json", route->body, form);
    write_content(w, "application/json", route->body, form);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

/* ---- What goes out ------------------------------------------------------------- */

static int status_of(const tn_route *route)
{
    bool replies = route->reply != NULL || route->page != NULL || route->stream != NULL;
    return route->status != 0 ? route->status : replies ? 200 : 204;
}

static void write_headers(writer *w, const tn_route *route)
{
    tn__doc_object(&w->doc, "headers");
    for (tn__doc_header i = 0; i < TN__HEADERS; i++)
        if (tn__route_has_header(route, i))
            tn__write_header_ref(&w->doc, i);
    tn__doc_end(&w->doc);
}

/* OpenAPI 3.1 has no words for the events of a stream, so its data is named in an extension. */
static void write_stream(writer *w, const tn_stream *stream)
{
    tn__doc_object(&w->doc, "text/event-stream");
    tn__doc_object(&w->doc, "schema");
    tn_str name = tn__component_name(w->schemas, stream->data, TN__FORM_REPLY);
    tn__doc_z(&w->doc, "type", "string");
    tn__doc_printf(&w->doc, "description",
        "Server-sent events: `id` is the data's %s, `event` its %s, and `data` one line of JSON, "
        "as in the schema %.*s.",
        stream->id, stream->event, TN_FMT(name));
    tn__doc_end(&w->doc);
    tn__doc_schema_ref(&w->doc, "x-event-data", w->schemas, stream->data, TN__FORM_REPLY);
    tn__doc_end(&w->doc);
}

static void write_success(writer *w, const tn_route *route)
{
    char status[16];
    snprintf(status, sizeof status, "%d", status_of(route));
    tn__doc_object(&w->doc, status);
    tn__doc_z(&w->doc, "description", tn__status_phrase(status_of(route)));
    write_headers(w, route);
    if (route->reply != NULL || route->page != NULL || route->stream != NULL) {
        tn__doc_object(&w->doc, "content");
        if (route->stream != NULL)
            write_stream(w, route->stream);
        else if (route->page != NULL)
            write_content(w, "application/json", route->page, TN__FORM_PAGE);
        else
            write_content(w, "application/json", route->reply, TN__FORM_REPLY);
        tn__doc_end(&w->doc);
    }
    tn__doc_end(&w->doc);
}

static void write_not_modified(writer *w, const tn_route *route)
{
    if (!tn__route_has_param(route, TN__PARAM_IF_NONE_MATCH))
        return;
    tn__doc_object(&w->doc, "304");
    tn__doc_z(&w->doc, "description", tn__status_phrase(304));
    write_headers(w, route);
    tn__doc_end(&w->doc);
}

/* ---- Operations ------------------------------------------------------------------ */

static void write_words(writer *w, const tn_route *route)
{
    if (route->summary != NULL)
        tn__doc_z(&w->doc, "summary", route->summary);
    if (route->description != NULL)
        tn__doc_z(&w->doc, "description", route->description);
    else if (route->summary != NULL)
        tn__doc_printf(&w->doc, "description", "%s.", route->summary);
    else
        tn__doc_printf(&w->doc, "description", "%s %s", tn__verb(route->method), route->path);
}

static void write_operation(writer *w, const tn_route *route)
{
    static const char *const keys[] = { [TN_GET] = "get",
        [TN_POST] = "post",
        [TN_PUT] = "put",
        [TN_PATCH] = "patch",
        [TN_DELETE] = "delete" };
    tn__doc_object(&w->doc, keys[route->method]);
    tn__doc_array(&w->doc, "tags");
    tn__doc_z(&w->doc, NULL, w->service->name);
    tn__doc_end(&w->doc);
    tn__doc_str(&w->doc, "operationId", tn__operation_id(w->doc.out.arena, route));
    write_words(w, route);
    write_parameters(w, route);
    write_body(w, route);
    tn__doc_object(&w->doc, "responses");
    write_success(w, route);
    write_not_modified(w, route);
    tn__write_answer_refs(&w->doc, w->answers, route);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

/* The methods of one path stand together where the path is first met. */
static void write_path(writer *w, size_t first)
{
    const tn_service *service = w->service;
    const char *path = service->routes.at[first].path;
    for (size_t i = 0; i < first; i++)
        if (strcmp(service->routes.at[i].path, path) == 0)
            return;
    tn__doc_object(&w->doc, path);
    for (size_t i = first; i < service->routes.n; i++)
        if (strcmp(service->routes.at[i].path, path) == 0)
            write_operation(w, &service->routes.at[i]);
    tn__doc_end(&w->doc);
}

/* ---- Components -------------------------------------------------------------------- */

static void add_schemas(writer *w)
{
    for (size_t i = 0; i < w->service->routes.n; i++) {
        const tn_route *route = &w->service->routes.at[i];
        tn__components_add(w->schemas, route->body,
            route->merge_patch ? TN__FORM_PATCH : TN__FORM_BODY);
        tn__components_add(w->schemas, route->reply, TN__FORM_REPLY);
        tn__components_add(w->schemas, route->page, TN__FORM_PAGE);
        if (route->stream != NULL)
            tn__components_add(w->schemas, route->stream->data, TN__FORM_REPLY);
    }
    tn__components_name(w->schemas);
}

static void write_components(writer *w)
{
    tn__doc_object(&w->doc, "components");
    tn__doc_object(&w->doc, "schemas");
    tn__components_write(&w->doc, w->schemas);
    tn__write_problem_schemas(&w->doc);
    tn__doc_end(&w->doc);
    tn__doc_object(&w->doc, "parameters");
    tn__write_params(&w->doc, w->service);
    tn__doc_end(&w->doc);
    tn__doc_object(&w->doc, "headers");
    tn__write_headers(&w->doc, w->service);
    tn__doc_end(&w->doc);
    tn__doc_object(&w->doc, "responses");
    tn__write_answers(&w->doc, w->answers);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

tn_str tn__openapi(tn_arena *arena, const tn_service *service)
{
    writer w = { .doc = { .out = { .arena = arena } }, .service = service };
    w.schemas = tn_alloc(arena, sizeof *w.schemas);
    w.schemas->arena = arena;
    add_schemas(&w);
    w.answers = tn__answers_open(arena, service);
    tn__doc_object(&w.doc, NULL);
    tn__doc_z(&w.doc, "openapi", "3.1.0");
    write_info(&w);
    write_servers_and_tags(&w);
    tn__doc_object(&w.doc, "paths");
    for (size_t i = 0; i < service->routes.n; i++)
        write_path(&w, i);
    tn__doc_end(&w.doc);
    if (service->routes.n > 0)
        write_components(&w);
    tn__doc_end(&w.doc);
    return tn__doc_text(&w.doc);
}
