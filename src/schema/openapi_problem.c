/* The schemas of problems (RFC 9457), as members of components/schemas. */
#include "schema/openapi.h"

static void write_member(tn__doc *doc, const char *name, const char *type, const char *format,
    const char *description)
{
    tn__doc_object(doc, name);
    tn__doc_z(doc, "description", description);
    tn__doc_z(doc, "type", type);
    if (format != NULL)
        tn__doc_z(doc, "format", format);
    tn__doc_end(doc);
}

static void write_names(tn__doc *doc, const char *key, const char *const *names)
{
    tn__doc_array(doc, key);
    for (size_t i = 0; names[i] != NULL; i++)
        tn__doc_z(doc, NULL, names[i]);
    tn__doc_end(doc);
}

static void write_status(tn__doc *doc)
{
    tn__doc_object(doc, "status");
    tn__doc_z(doc, "description", "The status of the answer.");
    tn__doc_z(doc, "type", "integer");
    tn__doc_int(doc, "minimum", 400);
    tn__doc_int(doc, "maximum", 599);
    tn__doc_end(doc);
}

static void write_problem(tn__doc *doc)
{
    tn__doc_object(doc, "Problem");
    tn__doc_z(doc, "description", "What went wrong (RFC 9457).");
    tn__doc_z(doc, "type", "object");
    write_names(doc, "required", TN_NAMES("type", "title", "status", "detail", "request_id"));
    tn__doc_object(doc, "properties");
    write_member(doc, "type", "string", "uri-reference",
        "The problem's type: /problems/ and its name, where a page describes it.");
    write_member(doc, "title", "string", NULL, "The type in words, the same each time.");
    write_status(doc);
    write_member(doc, "detail", "string", NULL, "What happened this time.");
    write_member(doc, "instance", "string", "uri-reference", "The path of the request.");
    write_member(doc, "request_id", "string", NULL, "The request's X-Request-Id.");
    tn__doc_end(doc);
    tn__doc_end(doc);
}

/* One of the two ways in which a fault names its place. */
static void write_place(tn__doc *doc, const char *const *required)
{
    tn__doc_object(doc, NULL);
    write_names(doc, "required", required);
    tn__doc_end(doc);
}

static void write_fault(tn__doc *doc)
{
    tn__doc_object(doc, "items");
    tn__doc_z(doc, "type", "object");
    write_names(doc, "required", TN_NAMES("detail"));
    tn__doc_array(doc, "oneOf");
    write_place(doc, TN_NAMES("pointer"));
    write_place(doc, TN_NAMES("parameter", "in"));
    tn__doc_end(doc);
    tn__doc_object(doc, "properties");
    write_member(doc, "pointer", "string", NULL,
        "The place in the body: a JSON Pointer (RFC 6901).");
    write_member(doc, "parameter", "string", NULL, "The name of the parameter.");
    tn__doc_object(doc, "in");
    tn__doc_z(doc, "description", "Where the parameter is.");
    tn__doc_z(doc, "type", "string");
    write_names(doc, "enum", TN_NAMES("path", "query", "header"));
    tn__doc_end(doc);
    write_member(doc, "detail", "string", NULL, "What was found, and what is allowed.");
    tn__doc_end(doc);
    tn__doc_end(doc);
}

static void write_validation(tn__doc *doc)
{
    tn__doc_object(doc, "ValidationProblem");
    tn__doc_z(doc, "description", "Everything that breaks a rule of the request's schema.");
    tn__doc_array(doc, "allOf");
    tn__doc_ref(doc, NULL, "schemas", TN_S("Problem"));
    tn__doc_object(doc, NULL);
    tn__doc_z(doc, "type", "object");
    write_names(doc, "required", TN_NAMES("errors"));
    tn__doc_object(doc, "properties");
    tn__doc_object(doc, "errors");
    tn__doc_z(doc, "description", "All faults that were found.");
    tn__doc_z(doc, "type", "array");
    tn__doc_int(doc, "minItems", 1);
    write_fault(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
    tn__doc_end(doc);
}

void tn__write_problem_schemas(tn__doc *doc)
{
    write_problem(doc);
    write_validation(doc);
}
