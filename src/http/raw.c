/* Answers that the server writes itself, because the library can't: whole, with their status line. */
#include "http/request.h"

#include <assert.h>

static const struct {
    int status;
    const char *reason;
    tn__slug slug;
} kinds[] = {
    { 400, "Bad Request", TN__BAD_REQUEST },
    { 408, "Request Timeout", TN__REQUEST_TIMEOUT },
    { 413, "Content Too Large", TN__CONTENT_TOO_LARGE },
    { 414, "URI Too Long", TN__URI_TOO_LONG },
    { 431, "Request Header Fields Too Large", TN__HEADER_TOO_LARGE },
    { 503, "Service Unavailable", TN__UNAVAILABLE },
};

static size_t kind_of(int status)
{
    size_t i = 0;
    while (kinds[i].status != status) {
        i++;
        assert(i < sizeof kinds / sizeof kinds[0]);
    }
    return i;
}

void tn__raw_answer(const tn_req *req, const char *reason, tn__buf *out)
{
    const tn__answer *answer = &req->answer;
    tn__buf_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, reason);
    for (size_t i = 0; i < answer->n_fields; i++)
        tn__buf_printf(out, "%s: %s\r\n", answer->fields[i].name, answer->fields[i].value);
    if (answer->status != 204 && answer->status != 304)
        tn__buf_printf(out, "Content-Length: %zu\r\n", answer->body.len);
    tn__buf_add_z(out, "Connection: close\r\n\r\n");
    if (!req->head)
        tn__buf_add_str(out, answer->body);
}

static void answer(tn_req *req, int status, const char *detail, tn__buf *out)
{
    size_t kind = kind_of(status);
    tn__answer_reset(req);
    if (status == 503)
        tn__answer_busy(req, kinds[kind].slug, 1, "%s", detail);
    else
        tn__answer_problem(req, kinds[kind].slug, "%s", detail);
    tn__raw_answer(req, kinds[kind].reason, out);
}

void tn__raw_problem(tn__http *http, tn_req *req, int status, const char *detail, tn__buf *out)
{
    if (req != NULL) {
        if (req->request_id.data == NULL)
            req->log.request_id = req->request_id = tn__request_id_new(req->arena);
        answer(req, status, detail, out);
        return;
    }
    tn_arena *arena = tn__arena_open(2048);
    tn_req stand_in = { .http = http, .arena = arena, .request_id = tn__request_id_new(arena) };
    answer(&stand_in, status, detail, out);
    tn__access_raw(http, status, stand_in.request_id);
    tn__arena_close(arena);
}
