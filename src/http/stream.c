/* Server-sent events read from the database.
 *
 * A stream reads rows after its last id, one batch at a time, in a coroutine that lives as long as
 * one reading. The next reading begins when the batch before has gone out to the client, and there
 * may be more: the batch was full, or the channel has told of something new. So a slow client holds
 * at most one batch, and an idle stream has neither a stack nor a buffer. Each keepalive is followed
 * by a reading, as a net under notifications that were missed.
 *
 * States: `reading` while its coroutine is at work; `waiting` while the server has the connection
 * aside because there is nothing to send. A stream that is reading is waiting too, or becomes so as
 * soon as the server has sent what there was. It is closed when it is neither. */
#include "http/request.h"
#include "http/sse.h"

#include <assert.h>
#include <stdlib.h>

enum {
    BATCH_ROWS = 100,
    RETRY_MS = 2000,
    READ_AGAIN_US = 1000 * 1000, /* after a failure */
    KEPT_BUFFER_BYTES_MAX = 16 * 1024,
};

struct tn__stream_run {
    tn_req *req;
    const tn_stream *of;
    tn__stream_run *prev, *next;
    int64_t last_id;
    tn__buf out;
    size_t sent;
    bool reading, waiting, more, ended;
    tn__timer keepalive;
};

/* ---- Reading ------------------------------------------------------------ */

static void append_event(tn__stream_run *run, const char *row, tn__buf *json)
{
    const tn_schema *schema = run->of->data;
    const tn_field *id = tn__field_find(schema, tn_str_of(run->of->id));
    const tn_field *event = tn__field_find(schema, tn_str_of(run->of->event));
    const tn_str *name = tn__field_value(event, row);
    json->len = 0;
    tn__encode_json(json, schema, row);
    run->last_id = *(const int64_t *)tn__field_value(id, row);
    tn__sse_event(&run->out, run->last_id, name != NULL ? *name : (tn_str){ NULL, 0 },
        tn__buf_str(json));
}

/* False when the database couldn't be asked. */
static bool read_batch(tn__stream_run *run, tn_arena *arena)
{
    tn__http *http = run->req->http;
    tn__buf json = { .arena = arena };
    int64_t deadline_us = tn__mono_us() + (int64_t)http->options.limits.request_timeout_ms * 1000;
    tn_tx *tx = tn__tx_open(http->options.pg, arena, TN__READ, deadline_us);
    tn_rows rows = tn_all(tx, run->of->data, run->of->after, TN_ARGS(run->last_id, BATCH_ROWS));
    if (!tn__tx_commit(tx))
        return false;
    const char *row = rows.at;
    for (size_t i = 0; i < rows.n; i++, row += rows.schema->size)
        append_event(run, row, &json);
    run->more |= rows.n == BATCH_ROWS;
    return true;
}

static int64_t in_us(const tn__http *http, int64_t us)
{
    return tn__loop_now_us(http->loop) + us;
}

static int64_t keepalive_us(const tn__http *http)
{
    return (int64_t)http->options.limits.stream_keepalive_ms * 1000;
}

static bool has_something(const tn__stream_run *run)
{
    return run->sent < run->out.len || run->ended;
}

static void wake(tn__stream_run *run)
{
    assert(run->waiting && !run->reading);
    run->waiting = false;
    tn__server_stream_resume(run->req);
}

static void read_rows(void *arg)
{
    tn__stream_run *run = arg;
    tn__http *http = run->req->http;
    tn_arena *arena = tn__arena_open(4096);
    tn__log_context_set(&run->req->log);
    run->more = false;
    bool fine = read_batch(run, arena);
    tn__log_context_set(NULL);
    tn__arena_close(arena);
    run->reading = false;
    run->more |= !fine;
    tn__timer_start(http->loop, &run->keepalive,
        in_us(http, fine ? keepalive_us(http) : READ_AGAIN_US));
    if (run->waiting && (has_something(run) || (fine && run->more)))
        wake(run);
}

static void start_reading(tn__stream_run *run)
{
    assert(!run->reading);
    run->reading = true;
    tn__scope_start(run->req->http->streams, read_rows, run);
}

/* ---- What wakes it ------------------------------------------------------ */

static void on_keepalive(tn__timer *timer)
{
    tn__stream_run *run = timer->owner;
    tn__http *http = run->req->http;
    tn__timer_start(http->loop, timer, in_us(http, keepalive_us(http)));
    if (!run->waiting || run->reading)
        return; /* it is busy, which keeps it alive too */
    run->more = true;
    tn__sse_keepalive(&run->out);
    wake(run);
}

typedef struct {
    tn__http *http;
    const tn_stream *of;
} channel;

static void on_notify(void *arg)
{
    const channel *heard = arg;
    for (tn__stream_run *run = heard->http->first_stream; run != NULL; run = run->next) {
        if (run->of != heard->of)
            continue;
        run->more = true;
        if (run->waiting && !run->reading)
            start_reading(run);
    }
}

/* With the first stream, since it takes a connection. What came before its first answer isn't missed:
 * listening begins with a call of on_notify(). */
static void listen_to_channels(tn__http *http)
{
    if (http->listens)
        return;
    http->listens = true;
    const tn_service *service = http->options.service;
    for (size_t i = 0; i < service->routes.n; i++) {
        const tn_stream *of = service->routes.at[i].stream;
        if (of == NULL)
            continue;
        channel *heard = tn_alloc(http->arena, sizeof *heard);
        *heard = (channel){ http, of };
        tn__pg_listen(http->options.pg, of->channel, on_notify, heard);
    }
}

static void end(tn__stream_run *run)
{
    run->ended = true;
    if (run->waiting && !run->reading)
        wake(run);
}

void tn__stream_hung_up(tn_req *req)
{
    end(req->stream);
}

void tn__streams_end(tn__http *http)
{
    for (tn__stream_run *run = http->first_stream; run != NULL; run = run->next)
        end(run);
}

/* ---- Sending ------------------------------------------------------------ */

static void forget_sent(tn__stream_run *run)
{
    run->sent = run->out.len = 0;
    if (run->out.cap > KEPT_BUFFER_BYTES_MAX)
        tn__buf_deinit(&run->out);
}

ssize_t tn__stream_read(tn_req *req, char *out, size_t n)
{
    tn__stream_run *run = req->stream;
    if (run->sent == run->out.len && run->more && !run->ended && !run->reading)
        start_reading(run);
    size_t left = run->out.len - run->sent;
    if (left == 0 || run->reading) {
        if (run->ended && !run->reading)
            return -1;
        run->waiting = true;
        return 0;
    }
    n = n < left ? n : left;
    memcpy(out, run->out.data + run->sent, n);
    run->sent += n;
    if (run->sent == run->out.len)
        forget_sent(run);
    return (ssize_t)n;
}

/* ---- Beginning and end -------------------------------------------------- */

static bool refuse_last_id(tn_req *req)
{
    tn__problem problem = tn__problem_of(TN__VALIDATION, TN_S("1 value is not valid."));
    tn__faults *faults = tn_alloc(req->arena, sizeof *faults);
    faults->at[faults->n++] = (tn__fault){ TN_S("Last-Event-ID"),
        TN_S("is not the id of an event of this stream") };
    problem.faults[TN__IN_HEADER] = faults;
    tn__answer_faults(req, &problem);
    return false;
}

struct newest {
    int64_t id;
};
static const tn_schema newest_schema = TN_SCHEMA(newest, TN_INT(newest, id));

/* Where it begins: after the id that the client has seen, at the start, or now. */
static bool find_start(tn_req *req, int64_t *id)
{
    tn_str seen = tn__req_header(req, TN__H_LAST_EVENT_ID);
    struct newest newest = { 0 };
    *id = 0;
    if (seen.len > 0)
        return tn__sse_last_id(seen, id) || refuse_last_id(req);
    if (req->stream_from_start)
        return true;
    tn_tx *tx = tn_begin(req);
    tn_one(tx, TN_REF(newest, &newest), req->route->stream->newest, TN_NO_ARGS);
    if (tn__commit(req)) {
        *id = newest.id;
        return true;
    }
    tn__answer_failure(req, req->key.failure);
    return false;
}

static bool refuse_beyond_limit(tn_req *req)
{
    tn__http *http = req->http;
    if (http->draining)
        tn__answer_busy(req, TN__UNAVAILABLE, 2, "The service is stopping.");
    else if (http->n_streams >= (size_t)http->options.limits.streams_max)
        tn__answer_busy(req, TN__UNAVAILABLE, 2, "%d streams are open, which is as many as may be.",
            http->options.limits.streams_max);
    return tn__req_answered(req);
}

static void start(tn_req *req, int64_t last_id)
{
    tn__http *http = req->http;
    listen_to_channels(http);
    tn__stream_run *run = tn__xmalloc(sizeof *run);
    *run = (tn__stream_run){
        .req = req,
        .of = req->route->stream,
        .next = http->first_stream,
        .last_id = last_id,
        .more = true,
    };
    run->keepalive = (tn__timer){ .on_time = on_keepalive, .owner = run };
    tn__timer_start(http->loop, &run->keepalive, in_us(http, keepalive_us(http)));
    tn__sse_open(&run->out, RETRY_MS);
    if (http->first_stream != NULL)
        http->first_stream->prev = run;
    http->first_stream = run;
    http->n_streams++;
    req->stream = run;
}

void tn__stream_open(tn_req *req)
{
    int64_t last_id;
    if (refuse_beyond_limit(req) || !find_start(req, &last_id) || refuse_beyond_limit(req))
        return;
    if (!req->head)
        start(req, last_id);
    tn__answer_field(req, "Cache-Control", "no-cache");
    tn__answer_with(req, 200, "text/event-stream", (tn_str){ NULL, 0 });
}

void tn__stream_close(tn_req *req)
{
    tn__stream_run *run = req->stream;
    tn__http *http = req->http;
    if (run == NULL)
        return;
    assert(!run->reading);
    tn__timer_stop(http->loop, &run->keepalive);
    if (run->prev != NULL)
        run->prev->next = run->next;
    else
        http->first_stream = run->next;
    if (run->next != NULL)
        run->next->prev = run->prev;
    http->n_streams--;
    tn__buf_deinit(&run->out);
    free(run);
}
