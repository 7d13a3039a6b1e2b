/* The HTTP server of one worker, put together: see http.h. */
#include "http/request.h"

#include <assert.h>
#include <stdlib.h>

static void add_routes(tn__http *http)
{
    const tn_service *service = http->options.service;
    for (size_t i = 0; i < service->routes.n; i++) {
        const tn_route *route = &service->routes.at[i];
        tn__endpoint *endpoint = tn__router_add(http->router, TN__API_PREFIX, route->path);
        assert(
            endpoint->routes[route->method] == NULL); /* the check of the tables has seen to it */
        assert(route->stream == NULL || route->method == TN_GET);
        endpoint->routes[route->method] = route;
    }
}

static void tell_drained(tn__task *task)
{
    tn__http *http = task->owner;
    if (http->drained != NULL)
        http->drained(http->drained_arg);
}

tn__http *tn__http_open(tn__loop *loop, int listen_fd, const tn__http_options *options)
{
    tn__http *http = tn__xcalloc(1, sizeof *http);
    http->loop = loop;
    http->options = *options;
    http->arena = tn__arena_open(4096);
    http->router = tn__router_open();
    http->digest = tn__digest_open();
    http->handlers = tn__scope_open(loop);
    http->streams = tn__scope_open(loop);
    http->tell_drained = (tn__task){ .run = tell_drained, .owner = http };
    tn__cors_init(&http->cors, http->arena, options->cors_allowed_origins);
    add_routes(http);
    tn__pages_add(http);
    tn__router_finish(http->router);
    tn__access_open(http);
    http->server = tn__server_open(loop, listen_fd, &options->limits, http);
    return http;
}

void tn__http_start(tn__http *http, tn__relay *relay)
{
    http->options.closed = false;
    http->options.relay = relay;
}

void tn__http_drain(tn__http *http, void (*done)(void *arg), void *arg)
{
    assert(!http->draining);
    http->draining = true;
    http->drained = done;
    http->drained_arg = arg;
    tn__streams_end(http);
    tn__server_drain(http->server);
}

/* Called from within the server, which may be closed only after it has returned. */
void tn__http_quiet(tn__http *http)
{
    tn__loop_later(http->loop, &http->tell_drained);
}

void tn__http_cancel(tn__http *http)
{
    tn__scope_cancel(http->handlers);
    tn__scope_cancel(http->streams);
    tn__server_cut(http->server);
}

void tn__http_close(tn__http *http)
{
    assert(tn__scope_count(http->handlers) == 0 && tn__scope_count(http->streams) == 0);
    http->draining = true;
    tn__streams_end(http);
    tn__server_close(http->server);
    tn__loop_not_later(http->loop, &http->tell_drained);
    tn__scope_close(http->handlers);
    tn__scope_close(http->streams);
    tn__access_close(http);
    tn__requests_free(http);
    tn__digest_close(http->digest);
    tn__router_close(http->router);
    tn__arena_close(http->arena);
    free(http);
}

size_t tn__http_in_flight(const tn__http *http)
{
    return tn__scope_count(http->handlers);
}

size_t tn__http_streams(const tn__http *http)
{
    return http->n_streams;
}
