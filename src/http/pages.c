/* Pages that are no routes of the contract: those of the service layer, the docs, and one for each
 * type of problem. */
#include "http/conditional.h"
#include "http/negotiate.h"
#include "http/request.h"

#include <assert.h>

#define PROBLEM_PATTERN "/problems/{slug}"

/* What an endpoint's `page` points at: the page, or nothing for the problems. */
typedef struct {
    const tn__page_route *route;
} view;

static void add_page(tn__http *http, const tn__page_route *route)
{
    tn__endpoint *endpoint = tn__router_add(http->router, "", route->path);
    view *page = tn_alloc(http->arena, sizeof *page);
    page->route = route;
    endpoint->page = page;
}

void tn__pages_add(tn__http *http)
{
    size_t n;
    const tn__page_route *docs = tn__docs_pages(http->arena, &n);
    for (size_t i = 0; i < n; i++)
        add_page(http, &docs[i]);
    for (size_t i = 0; i < http->options.n_pages; i++)
        add_page(http, &http->options.pages[i]);
    tn__router_add(http->router, "", PROBLEM_PATTERN)->page = tn_alloc(http->arena, sizeof(view));
}

/* ---- Problem types ------------------------------------------------------ */

static bool find_type(tn_req *req, tn_str slug, tn__problem_type *type)
{
    const tn_service *service = req->http->options.service;
    for (int i = 0; i < TN__SLUGS; i++)
        if (tn_str_eq(slug, tn_str_of(tn__problem_types[i].slug))) {
            *type = tn__problem_types[i];
            return true;
        }
    for (size_t i = 0; i < service->problems.n; i++) {
        const tn_problem *own = &service->problems.at[i];
        if (tn_str_eq(slug, tn_str_of(own->type))) {
            *type = (tn__problem_type){ own->status, own->type, own->title, own->title };
            return true;
        }
    }
    return false;
}

static void show_problem(tn_req *req)
{
    tn__problem_type type;
    tn__buf body = { .arena = req->arena };
    tn_str accept = tn__req_header(req, TN__H_ACCEPT);
    if (!find_type(req, req->match.params[0].value, &type)) {
        tn__answer_problem(req, TN__NOT_FOUND, "There is no such type of problem.");
        return;
    }
    bool html = tn__accept_quality(accept, TN_S("text"), TN_S("html")) >
        tn__accept_quality(accept, TN_S("application"), TN_S("json"));
    tn__problem_page(&body, &type, html);
    tn__answer_field(req, "Vary", "Accept");
    tn__answer_with(req, 200, html ? "text/html; charset=utf-8" : "application/json",
        tn__buf_str(&body));
}

/* ---- Pages -------------------------------------------------------------- */

static bool is_fresh(tn_req *req, const tn__page *page)
{
    tn_str field = tn__req_header(req, TN__H_IF_NONE_MATCH);
    return page->etag != NULL && page->status == 200 && field.data != NULL &&
        tn__etag_listed(field, tn_str_of(page->etag), TN__WEAK);
}

static void add_page_fields(tn_req *req, const tn__page *page)
{
    tn__answer_field(req, "Cache-Control",
        page->cache_control != NULL ? page->cache_control : "no-store");
    if (page->etag != NULL)
        tn__answer_field(req, "ETag", page->etag);
    if (page->content_encoding != NULL)
        tn__answer_field(req, "Content-Encoding", page->content_encoding);
    if (page->content_security_policy != NULL) {
        tn__answer_field(req, "Content-Security-Policy", page->content_security_policy);
        tn__answer_field(req, "X-Content-Type-Options", "nosniff");
    }
    if (page->retry_after_s > 0)
        tn__answer_field(req, "Retry-After", tn_printf(req->arena, "%d", page->retry_after_s).data);
}

void tn__page_show(tn_req *req)
{
    const view *shown = req->match.endpoint->page;
    tn__page page = { .status = 200, .accept = tn__req_header(req, TN__H_ACCEPT) };
    if (shown->route == NULL) {
        show_problem(req);
        return;
    }
    shown->route->render(shown->route->arg, req->arena, &page);
    bool fresh = is_fresh(req, &page);
    add_page_fields(req, &page);
    if (fresh)
        tn__answer_with(req, 304, NULL, (tn_str){ NULL, 0 });
    else
        tn__answer_with(req, page.status, page.content_type, page.body);
}
