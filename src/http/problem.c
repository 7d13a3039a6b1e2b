/* Problems: see problem.h. */
#include "http/problem.h"

#include <assert.h>

tn__problem tn__problem_of(tn__slug slug, tn_str detail)
{
    const tn__problem_type *type = &tn__problem_types[slug];
    return (tn__problem){
        .status = type->status,
        .slug = type->slug,
        .title = type->title,
        .detail = detail,
    };
}

static void add_member(tn__buf *out, const char *name, tn_str value)
{
    tn__buf_printf(out, ",\"%s\":", name);
    tn__json_str(out, value);
}

static void add_fault(tn__buf *out, tn__place place, const tn__fault *fault)
{
    static const char *const names[TN__PLACES] = {
        [TN__IN_PATH] = "path",
        [TN__IN_QUERY] = "query",
        [TN__IN_HEADER] = "header",
    };
    tn__buf_add_z(out, place == TN__IN_BODY ? "{\"pointer\":" : "{\"parameter\":");
    tn__json_str(out, fault->pointer);
    if (place != TN__IN_BODY)
        tn__buf_printf(out, ",\"in\":\"%s\"", names[place]);
    add_member(out, "detail", fault->detail);
    tn__buf_add_char(out, '}');
}

static void add_faults(tn__buf *out, const tn__problem *problem)
{
    size_t n = 0;
    for (tn__place place = 0; place < (tn__place)TN__PLACES; place++) {
        const tn__faults *faults = problem->faults[place];
        for (size_t i = 0; faults != NULL && i < faults->n; i++) {
            tn__buf_add_z(out, n++ == 0 ? ",\"errors\":[" : ",");
            add_fault(out, place, &faults->at[i]);
        }
    }
    if (n > 0)
        tn__buf_add_char(out, ']');
}

void tn__problem_write(tn__buf *out, const tn__problem *problem)
{
    assert(problem->status >= 400 && problem->status <= 599);
    tn__buf_printf(out, "{\"type\":\"/problems/%s\"", problem->slug);
    add_member(out, "title", tn_str_of(problem->title));
    tn__buf_printf(out, ",\"status\":%d", problem->status);
    add_member(out, "detail", problem->detail);
    if (problem->instance.len > 0)
        add_member(out, "instance", problem->instance);
    add_member(out, "request_id", problem->request_id);
    add_faults(out, problem);
    tn__buf_add_char(out, '}');
}

void tn__html(tn__buf *out, tn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&':
            tn__buf_add_z(out, "&amp;");
            break;
        case '<':
            tn__buf_add_z(out, "&lt;");
            break;
        case '>':
            tn__buf_add_z(out, "&gt;");
            break;
        case '"':
            tn__buf_add_z(out, "&quot;");
            break;
        case '\'':
            tn__buf_add_z(out, "&#39;");
            break;
        default:
            tn__buf_add_char(out, text.data[i]);
        }
    }
}

static void html_page(tn__buf *out, const tn__problem_type *type)
{
    tn__buf_add_z(out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>");
    tn__html(out, tn_str_of(type->slug));
    tn__buf_add_z(out, "</title>\n<h1>");
    tn__html(out, tn_str_of(type->title));
    tn__buf_printf(out, "</h1>\n<p>Status %d, problem type <code>", type->status);
    tn__html(out, tn_str_of(type->slug));
    tn__buf_add_z(out, "</code>.</p>\n<p>");
    tn__html(out, tn_str_of(type->meaning));
    tn__buf_add_z(out, "</p>\n</html>\n");
}

void tn__problem_page(tn__buf *out, const tn__problem_type *type, bool html)
{
    if (html) {
        html_page(out, type);
        return;
    }
    tn__buf_printf(out, "{\"type\":\"/problems/%s\"", type->slug);
    add_member(out, "title", tn_str_of(type->title));
    tn__buf_printf(out, ",\"status\":%d", type->status);
    add_member(out, "description", tn_str_of(type->meaning));
    tn__buf_add_char(out, '}');
}
