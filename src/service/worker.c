/* A worker: a thread with its loop, its listening socket, its database connections, its server.
 *
 * Only this thread touches them. Others ask by posting to the loop, and learn how the database is
 * from what the worker tells tn__health, every so often. */

#include "http/negotiate.h"
#include "service/service.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define DATABASE_QUEUE_MAX    4096
#define BATCHES_IN_FLIGHT_MAX 2
#define CONNECT_TIMEOUT_MS    5000
#define STREAM_KEEPALIVE_MS   15000
#define TELL_EVERY_US         250000
#define TELL_SOON_US          2000
#define PAGES                 5

struct tn__worker {
    tn__worker_options options;
    pthread_t thread;
    sem_t may_post, may_close; /* there is a loop; nobody posts to it any more */
    tn__loop *loop;
    tn__pg *pg;
    tn__http *http;
    tn__relay *relay; /* written before the post that uses it */
    tn__timer tell;
    int64_t opened_us;
    bool told_up, started;
    tn__page_route pages[PAGES];
};

/* ---- How the database is ------------------------------------------------- */

static void tell_health(tn__worker *worker)
{
    tn_str why = { NULL, 0 };
    bool up = tn__pg_up(worker->pg, &why);
    if (up && !worker->started) {
        up = false;
        why = TN_S("the routes are not open yet");
    }
    if (up && worker->told_up)
        return;
    tn__health_worker(worker->options.health, worker->options.index, up, why);
    worker->told_up = up;
}

/* Often at first, so that a start is noticed within milliseconds; seldom when there is nothing to
 * hurry for. */
static void on_tell(tn__timer *timer)
{
    tn__worker *worker = timer->owner;
    tell_health(worker);
    int64_t now_us = tn__loop_now_us(worker->loop);
    int64_t wait_us = (now_us - worker->opened_us) / 50;
    wait_us = wait_us < TELL_SOON_US ? TELL_SOON_US : wait_us;
    wait_us = worker->told_up || wait_us > TELL_EVERY_US ? TELL_EVERY_US : wait_us;
    tn__timer_start(worker->loop, timer, now_us + wait_us);
}

/* ---- Pages --------------------------------------------------------------- */

static void readyz(void *arg, tn_arena *arena, tn__page *page)
{
    tn__worker *worker = arg;
    tell_health(worker);
    tn__buf body = { .arena = arena };
    tn__readiness readiness = tn__health_read(worker->options.health, arena, &body);
    bool ready = readiness == TN__READY || readiness == TN__DEGRADED;
    page->status = ready ? 200 : 503;
    page->retry_after_s = ready ? 0 : 1;
    page->content_type = "application/json";
    page->body = tn__buf_str(&body);
}

static void metrics(void *arg, tn_arena *arena, tn__page *page)
{
    (void)arg;
    tn__buf body = { .arena = arena };
    bool open = tn__accept_quality(page->accept, TN_S("application"), TN_S("openmetrics-text")) >
        tn__accept_quality(page->accept, TN_S("text"), TN_S("plain"));
    if (open)
        tn__openmetrics_write(&body);
    else
        tn__metrics_write(&body);
    page->status = 200;
    page->content_type = open ? TN__OPENMETRICS_TYPE : TN__METRICS_TYPE;
    page->body = tn__buf_str(&body);
}

static void show_document(void *arg, tn_arena *arena, tn__page *page)
{
    (void)arena;
    const tn__document *document = arg;
    page->status = 200;
    page->content_type = "application/json";
    page->cache_control = "no-cache";
    page->etag = document->etag;
    page->body = document->text;
}

static void set_pages(tn__worker *worker)
{
    const tn__worker_options *options = &worker->options;
    /* The interface has one kind of `arg`; a document is only read. */
    void *openapi = (void *)(uintptr_t)&options->documents->openapi;
    void *asyncapi = (void *)(uintptr_t)&options->documents->asyncapi;
    const tn__page_route pages[PAGES] = {
        { "/livez", tn__health_livez, options->health },
        { "/readyz", readyz, worker },
        { "/metrics", metrics, NULL },
        { "/openapi.json", show_document, openapi },
        { "/asyncapi.json", show_document, asyncapi },
    };
    memcpy(worker->pages, pages, sizeof pages);
}

/* ---- The thread ---------------------------------------------------------- */

static int share(int64_t of_process, int64_t workers)
{
    return (int)((of_process + workers - 1) / workers);
}

static tn__pg *open_pg(const tn__worker *worker, const char *application_name)
{
    const tn__config *config = worker->options.config;
    return tn__pg_open(worker->loop,
        &(tn__pg_options){
            .url = config->database_url,
            .application_name = application_name,
            .pool_max = (int)config->database_pool_max,
            .batch_max = (int)config->database_batch_max,
            .batches_in_flight_max = BATCHES_IN_FLIGHT_MAX,
            .queue_max = DATABASE_QUEUE_MAX,
            .lock_timeout_ms = (int)config->database_lock_timeout_ms,
            .statement_timeout_ms = (int)config->request_timeout_ms,
            .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        });
}

static tn__http_limits limits_of(const tn__config *config)
{
    return (tn__http_limits){
        .body_bytes_max = (size_t)config->body_bytes_max,
        .header_bytes_max = (size_t)config->header_bytes_max,
        .connections_max = share(config->connections_max, config->workers),
        .in_flight_max = share(config->requests_max, config->workers),
        .streams_max = share(config->streams_max, config->workers),
        .request_timeout_ms = (int)config->request_timeout_ms,
        .read_timeout_ms = (int)config->read_timeout_ms,
        .idle_timeout_ms = (int)config->idle_timeout_ms,
        .stream_keepalive_ms = STREAM_KEEPALIVE_MS,
    };
}

static tn__http *open_http(tn__worker *worker)
{
    const tn__config *config = worker->options.config;
    return tn__http_open(worker->loop, worker->options.listen_fd,
        &(tn__http_options){
            .service = worker->options.service,
            .pg = worker->pg,
            .limits = limits_of(config),
            .cors_allowed_origins = config->cors_allowed_origins,
            .idempotency_ttl_s = (int)config->idempotency_ttl_s,
            .access_log = config->access_log ? config->access_log_ratio : 0,
            .pages = worker->pages,
            .n_pages = PAGES,
            .closed = true,
        });
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        assert(errno == EINTR);
}

static void *work(void *arg)
{
    tn__worker *worker = arg;
    char application_name[64];
    snprintf(application_name, sizeof application_name, "%s worker %zu",
        worker->options.service->name, worker->options.index);
    worker->loop = tn__loop_open();
    worker->pg = open_pg(worker, application_name);
    worker->http = open_http(worker);
    worker->tell = (tn__timer){ .on_time = on_tell, .owner = worker };
    worker->opened_us = tn__loop_now_us(worker->loop);
    on_tell(&worker->tell);
    sem_post(&worker->may_post);
    tn__loop_run(worker->loop);
    tn__timer_stop(worker->loop, &worker->tell);
    tn__http_close(worker->http);
    tn__pg_close(worker->pg);
    worker->options.on_ended(worker->options.arg);
    wait_for(&worker->may_close);
    tn__loop_close(worker->loop);
    return NULL;
}

tn__worker *tn__worker_open(const tn__worker_options *options)
{
    assert(options->index < TN__WORKERS_MAX);
    tn__worker *worker = tn__xcalloc(1, sizeof *worker);
    worker->options = *options;
    sem_init(&worker->may_post, 0, 0);
    sem_init(&worker->may_close, 0, 0);
    set_pages(worker);
    if (pthread_create(&worker->thread, NULL, work, worker) != 0)
        abort(); /* At start, before anything was promised: there is nothing to go on with. */
    pthread_setname_np(worker->thread, "worker");
    return worker;
}

static void start_now(void *arg)
{
    tn__worker *worker = arg;
    tn__http_start(worker->http, worker->relay);
    worker->started = true;
    tell_health(worker);
}

void tn__worker_ready(tn__worker *worker)
{
    wait_for(&worker->may_post);
}

void tn__worker_start(tn__worker *worker, tn__relay *relay)
{
    worker->relay = relay;
    tn__loop_post(worker->loop, start_now, worker);
}

static void drained(void *arg)
{
    tn__worker *worker = arg;
    worker->options.on_drained(worker->options.arg);
}

static void drain_now(void *arg)
{
    tn__worker *worker = arg;
    tn__http_drain(worker->http, drained, worker);
}

void tn__worker_drain(tn__worker *worker)
{
    tn__loop_post(worker->loop, drain_now, worker);
}

static void cancel_now(void *arg)
{
    tn__worker *worker = arg;
    size_t n = tn__http_in_flight(worker->http);
    if (n > 0) {
        TN_LOG(TN_WARN, "requests cut off: they took longer than DRAIN_TIMEOUT_MS",
            TN_LOG_I("requests", (int64_t)n));
    }
    tn__http_cancel(worker->http);
}

void tn__worker_cancel(tn__worker *worker)
{
    tn__loop_post(worker->loop, cancel_now, worker);
}

static void stop_now(void *arg)
{
    tn__worker *worker = arg;
    tn__loop_stop(worker->loop);
}

void tn__worker_stop(tn__worker *worker)
{
    tn__loop_post(worker->loop, stop_now, worker);
}

void tn__worker_close(tn__worker *worker)
{
    sem_post(&worker->may_close);
    pthread_join(worker->thread, NULL);
    sem_destroy(&worker->may_post);
    sem_destroy(&worker->may_close);
    free(worker);
}
