/* The problems that each operation may answer with.
 *
 * Which of the chassis's problems a route can meet follows from its row. Problems of the service
 * that come from a constraint belong to what writes; its other ones may come from any handler. Routes
 * that can meet the same problems share one answer in components/responses. */
#include "schema/doc_example.h"
#include "schema/openapi.h"
#include "schema/paths.h"
#include "schema/rule.h"

#include <assert.h>
#include <stdio.h>

enum { STATUS_MIN = 400, STATUS_MAX = 599 };

static bool may_answer(const tn_route *route, tn__slug slug)
{
    bool body = route->body != NULL, writes = !tn__route_is_safe(route);
    switch (slug) {
    case TN__KEY_MISSING:
        return tn__route_needs_key(route);
    case TN__KEY_INVALID:
    case TN__KEY_IN_USE:
    case TN__KEY_REUSED:
        return route->idempotent;
    case TN__NOT_FOUND:
        return route->params != NULL;
    case TN__METHOD_NOT_ALLOWED: /* what is described here is allowed */
    case TN__SLUGS:
        return false;
    case TN__CONFLICT:
        return writes;
    case TN__PRECONDITION:
        return tn__route_has_param(route, TN__PARAM_IF_MATCH);
    case TN__CONTENT_TOO_LARGE:
    case TN__UNSUPPORTED_MEDIA_TYPE:
        return body;
    case TN__VALIDATION: /* at the least a parameter that nobody knows */
    case TN__BAD_REQUEST:
    case TN__NOT_ACCEPTABLE:
    case TN__REQUEST_TIMEOUT:
    case TN__URI_TOO_LONG:
    case TN__HEADER_TOO_LARGE:
    case TN__INTERNAL_ERROR:
    case TN__UNAVAILABLE:
    case TN__GATEWAY_TIMEOUT:
        return true;
    }
    return false;
}

static bool may_answer_own(const tn_route *route, const tn_problem *problem)
{
    return problem->constraint == NULL ? route->handler != NULL : !tn__route_is_safe(route);
}

/* A problem from either table. */
typedef struct {
    const char *slug, *title, *meaning;
} choice;

typedef struct {
    choice at[TN__PROBLEMS_EACH_MAX];
    size_t n;
} choices;

static void add_choice(choices *set, const char *slug, const char *title, const char *meaning)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->at[i].slug, slug) == 0)
            return; /* several constraints may lead to one problem */
    if (set->n < TN__PROBLEMS_EACH_MAX)
        set->at[set->n++] = (choice){ slug, title, meaning };
}

static choices choices_of(const tn_service *service, const tn_route *route, int status)
{
    choices set = { .n = 0 };
    for (size_t i = 0; i < TN__SLUGS; i++) {
        const tn__problem_type *p = &tn__problem_types[i];
        if (p->status == status && may_answer(route, (tn__slug)i))
            add_choice(&set, p->slug, p->title, p->meaning);
    }
    for (size_t i = 0; i < service->problems.n; i++) {
        const tn_problem *p = &service->problems.at[i];
        if (p->status == status && may_answer_own(route, p))
            add_choice(&set, p->type, p->title, p->title);
    }
    return set;
}

/* ---- Finding and naming ------------------------------------------------------ */

static tn_str slugs_of(tn_arena *arena, const choices *set)
{
    tn__buf out = { .arena = arena };
    for (size_t i = 0; i < set->n; i++)
        tn__buf_printf(&out, "%s%s", i == 0 ? "" : ",", set->at[i].slug);
    return tn__buf_str(&out);
}

static const tn__answer *find(const tn__answers *answers, int status, tn_str slugs)
{
    for (size_t i = 0; i < answers->n; i++)
        if (answers->at[i].status == status && tn_str_eq(answers->at[i].slugs, slugs))
            return &answers->at[i];
    return NULL;
}

/* "Conflict", then "Conflict2" for the next that differs. */
static tn_str name_of(const tn__answers *answers, int status)
{
    size_t before = 0;
    for (size_t i = 0; i < answers->n; i++)
        before += answers->at[i].status == status;
    tn_str name = tn__pascal(answers->arena, tn__status_phrase(status));
    if (strcmp(tn__status_phrase(status), "Error") == 0)
        name = tn_printf(answers->arena, "Error%d", status);
    if (before == 0)
        return name;
    return tn_printf(answers->arena, "%.*s%zu", TN_FMT(name), before + 1);
}

static void add_answer(tn__answers *answers, const tn_route *route, int status)
{
    choices set = choices_of(answers->service, route, status);
    tn_str slugs = slugs_of(answers->arena, &set);
    if (set.n == 0 || find(answers, status, slugs) != NULL)
        return;
    assert(answers->n < TN__ANSWERS_MAX);
    tn_str name = name_of(answers, status);
    answers->at[answers->n++] = (tn__answer){ .status = status,
        .slugs = slugs,
        .name = name,
        .route = route };
}

tn__answers *tn__answers_open(tn_arena *arena, const tn_service *service)
{
    tn__answers *answers = tn_alloc(arena, sizeof *answers);
    answers->arena = arena;
    answers->service = service;
    for (int status = STATUS_MIN; status <= STATUS_MAX; status++)
        for (size_t i = 0; i < service->routes.n; i++)
            add_answer(answers, &service->routes.at[i], status);
    return answers;
}

void tn__write_answer_refs(tn__doc *doc, const tn__answers *answers, const tn_route *route)
{
    for (int status = STATUS_MIN; status <= STATUS_MAX; status++) {
        choices set = choices_of(answers->service, route, status);
        if (set.n == 0)
            continue;
        const tn__answer *answer = find(answers, status, slugs_of(answers->arena, &set));
        char key[16];
        snprintf(key, sizeof key, "%d", status);
        tn__doc_ref(doc, key, "responses", answer->name);
    }
    tn__doc_ref(doc, "default", "responses", TN_S("OtherProblem"));
}

/* ---- Writing ------------------------------------------------------------------ */

static const char VALIDATION[] = "validation-failed";

/* The path of a request that may be answered so, for the member instance. */
static tn_str instance_of(tn_arena *arena, const tn_route *route)
{
    tn__buf out = { .arena = arena };
    tn__buf_add_z(&out, "/api/v1");
    const char *from = route->path, *at = route->path;
    tn_str name;
    while (tn__path_brace(&at, &name)) {
        tn__buf_add(&out, from, (size_t)(name.data - 1 - from));
        const tn_field *field = tn__field_find(route->params, name);
        tn__percent_encode(&out, tn__example_text(arena, field));
        from = at;
    }
    tn__buf_add_z(&out, from);
    return tn__buf_str(&out);
}

static void write_fault_detail(tn__doc *doc, const tn_field *field, const char *found)
{
    tn__buf detail = { .arena = doc->out.arena };
    tn__buf_add_z(&detail, "must be ");
    tn__rule_write(&detail, field);
    tn__buf_add_z(&detail, found);
    tn__doc_str(doc, "detail", tn__buf_str(&detail));
}

/* The first field of what the route reads is at fault; where it reads nothing, a parameter too many. */
static void write_example_fault(tn__doc *doc, const tn_route *route)
{
    const tn_schema *params = route->query != NULL ? route->query : route->params;
    tn__doc_array(doc, "errors");
    tn__doc_object(doc, NULL);
    if (route->body != NULL) {
        tn__doc_printf(doc, "pointer", "/%s", route->body->fields[0].name);
        write_fault_detail(doc, &route->body->fields[0], ", found false");
    } else if (params != NULL) {
        tn__doc_z(doc, "parameter", params->fields[0].name);
        tn__doc_z(doc, "in", params == route->query ? "query" : "path");
        write_fault_detail(doc, &params->fields[0], ", found \"?\"");
    } else {
        tn__doc_z(doc, "parameter", "x");
        tn__doc_z(doc, "in", "query");
        tn__doc_z(doc, "detail", "is unknown; none are known");
    }
    tn__doc_end(doc);
    tn__doc_end(doc);
}

static void write_example(tn__doc *doc, const tn__answer *answer, const choice *problem)
{
    tn__doc_object(doc, problem->slug);
    tn__doc_z(doc, "summary", problem->title);
    tn__doc_object(doc, "value");
    tn__doc_printf(doc, "type", "/problems/%s", problem->slug);
    tn__doc_z(doc, "title", problem->title);
    tn__doc_int(doc, "status", answer->status);
    tn__doc_z(doc, "detail", problem->meaning);
    tn__doc_str(doc, "instance", instance_of(doc->out.arena, answer->route));
    tn__doc_z(doc, "request_id", "my-request-1");
    if (strcmp(problem->slug, VALIDATION) == 0)
        write_example_fault(doc, answer->route);
    tn__doc_end(doc);
    tn__doc_end(doc);
}

static bool has_slug(const choices *set, const char *slug)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->at[i].slug, slug) == 0)
            return true;
    return false;
}

static void write_problem_schema_ref(tn__doc *doc, const choices *set)
{
    bool validation = has_slug(set, VALIDATION);
    if (!validation || set->n == 1) {
        tn__doc_ref(doc, "schema", "schemas",
            validation ? TN_S("ValidationProblem") : TN_S("Problem"));
        return;
    }
    tn__doc_object(doc, "schema");
    tn__doc_array(doc, "anyOf");
    tn__doc_ref(doc, NULL, "schemas", TN_S("ValidationProblem"));
    tn__doc_ref(doc, NULL, "schemas", TN_S("Problem"));
    tn__doc_end(doc);
    tn__doc_end(doc);
}

static void write_description(tn__doc *doc, int status, const choices *set)
{
    tn__buf out = { .arena = doc->out.arena };
    tn__buf_printf(&out, "%s:", tn__status_phrase(status));
    for (size_t i = 0; i < set->n; i++)
        tn__buf_printf(&out, "%s %s", i == 0 ? "" : ",", set->at[i].slug);
    tn__buf_add_char(&out, '.');
    tn__doc_str(doc, "description", tn__buf_str(&out));
}

static void write_answer(tn__doc *doc, const tn__answers *answers, const tn__answer *answer)
{
    choices set = choices_of(answers->service, answer->route, answer->status);
    tn__doc_object(doc, answer->name.data);
    write_description(doc, answer->status, &set);
    tn__doc_object(doc, "headers");
    if (answer->status == 429 || answer->status == 503 || has_slug(&set, "idempotency-key-in-use"))
        tn__write_header_ref(doc, TN__HEADER_RETRY_AFTER);
    tn__write_header_ref(doc, TN__HEADER_REQUEST_ID);
    tn__doc_end(doc);
    tn__doc_object(doc, "content");
    tn__doc_object(doc, "application/problem+json");
    write_problem_schema_ref(doc, &set);
    tn__doc_object(doc, "examples");
    for (size_t i = 0; i < set.n; i++)
        write_example(doc, answer, &set.at[i]);
    tn__doc_end(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
}

static void write_other(tn__doc *doc)
{
    tn__doc_object(doc, "OtherProblem");
    tn__doc_z(doc, "description", "Any other problem.");
    tn__doc_object(doc, "headers");
    tn__write_header_ref(doc, TN__HEADER_REQUEST_ID);
    tn__doc_end(doc);
    tn__doc_object(doc, "content");
    tn__doc_object(doc, "application/problem+json");
    tn__doc_ref(doc, "schema", "schemas", TN_S("Problem"));
    tn__doc_end(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
}

void tn__write_answers(tn__doc *doc, const tn__answers *answers)
{
    for (size_t i = 0; i < answers->n; i++)
        write_answer(doc, answers, &answers->at[i]);
    if (answers->n > 0)
        write_other(doc);
}
