/* The page under /docs: a well-kept one, embedded when the build found its files, which
 * tools/docs-page/make fetches; else a short one that says so. It asks nobody but this service: it
 * works without internet, and its Content-Security-Policy holds it to that. */
#include "http/docs_assets.h"
#include "http/request.h"

#define HTML       "text/html; charset=utf-8"
#define REVALIDATE "no-cache" /* ask each time: the ETag makes that cheap */

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; "                                    \
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "           \
    "form-action 'none'; frame-ancestors 'none'"

static const char without_assets[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>API</title>\n"
    "<h1>The docs page was not built in</h1>\n"
    "<p>Its files come from the npm registry. With npm at hand, <code>tools/docs-page/make</code> "
    "fetches them, and the next build has the page.</p>\n"
    "<p>The contract itself is here: <a href=\"openapi.json\">openapi.json</a>, "
    "<a href=\"asyncapi.json\">asyncapi.json</a>.</p>\n</html>\n";

typedef struct {
    const struct docs_assets *asset;
    const char *etag;
} shown;

static void render(void *arg, tn_arena *arena, tn__page *page)
{
    const shown *one = arg;
    (void)arena;
    *page = (tn__page){
        .status = 200,
        .content_type = one->asset->media_type,
        .content_encoding = one->asset->gzipped ? "gzip" : NULL,
        .cache_control = REVALIDATE,
        .content_security_policy = POLICY,
        .etag = one->etag,
        .body = { (const char *)one->asset->data, one->asset->len },
    };
}

static void render_without(void *arg, tn_arena *arena, tn__page *page)
{
    (void)arg, (void)arena;
    *page = (tn__page){
        .status = 200,
        .content_type = HTML,
        .cache_control = REVALIDATE,
        .content_security_policy = POLICY,
        .body = tn_str_of(without_assets),
    };
}

static tn__page_route route_of(tn_arena *arena, const struct docs_assets *asset)
{
    shown *one = tn_alloc(arena, sizeof *one);
    uint64_t hash = tn__hash((tn_str){ (const char *)asset->data, asset->len });
    *one = (shown){ asset, tn_printf(arena, "\"%016llx\"", (unsigned long long)hash).data };
    bool index = strcmp(asset->name, "index.html") == 0;
    return (tn__page_route){
        .path = index ? "/docs" : tn_printf(arena, "/docs/%s", asset->name).data,
        .render = render,
        .arg = one,
    };
}

const tn__page_route *tn__docs_pages(tn_arena *arena, size_t *n)
{
    tn__page_route *routes = tn_alloc(arena, (docs_assets_count + 1) * sizeof routes[0]);
    bool has_index = false;
    for (*n = 0; *n < docs_assets_count; (*n)++) {
        routes[*n] = route_of(arena, &docs_assets[*n]);
        has_index |= strcmp(docs_assets[*n].name, "index.html") == 0;
    }
    if (!has_index)
        routes[(*n)++] = (tn__page_route){ "/docs", render_without, NULL };
    return routes;
}
