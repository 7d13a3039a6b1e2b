/* From the first listening socket to the last log line.
 *
 * Start: sockets, workers (health answers from here on), migrations on a thread of their own so
 * that a signal is heard meanwhile, then routes, relay and consumer. Stop: readiness off, requests,
 * messages, what is left in the outbox, each within its part of DRAIN_TIMEOUT_MS. What is cut off at
 * its end was not acknowledged to anybody, so nothing that was promised is lost and the exit status
 * is 0 all the same. */

#include "service/service.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define READY_POLL_MS      2
#define READY_POLL_MS_MAX  500
#define CONFIRM_TIMEOUT_MS 10000
#define PURGE_EVERY_MS     60000
#define RETRY_MS           100
#define RETRY_MS_MAX       10000
#define CONSUMER_QUEUE_MAX 4096
#define CONNECT_TIMEOUT_MS 5000
#define LAST_STEPS_MS_MAX  1000 /* what each step after the first keeps of the drain */
#define FILES_BESIDES      256  /* descriptors that are no clients */

typedef struct {
    tn_arena *arena;
    const tn_service *service;
    const tn__config *config;
    tn__documents documents;
    tn__health health;
    tn__signals *signals;
    tn__worker *workers[TN__WORKERS_MAX];
    size_t n_workers;
    pthread_t migrating;
    tn__relay *relay;
    tn__consumer *consumer;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    int stop_signal; /* 0: none */
    enum { MIGRATING, MIGRATED, REFUSED, GIVEN_UP } migration;
    size_t n_drained, n_ended;
} running;

/* ---- Waiting ------------------------------------------------------------- */

static void change_lock_init(running *r)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
}

/* Waits until holds(r) or the deadline (TN__NEVER: none); tells whether it holds. The lock is held
 * while holds() is asked. */
static bool wait_until(running *r, bool (*holds)(const running *r), int64_t deadline_us)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_us / 1000000),
        .tv_nsec = (long)(deadline_us % 1000000) * 1000,
    };
    pthread_mutex_lock(&r->lock);
    while (!holds(r)) {
        int error = deadline_us == TN__NEVER
            ? pthread_cond_wait(&r->changed, &r->lock)
            : pthread_cond_timedwait(&r->changed, &r->lock, &until);
        if (error == ETIMEDOUT)
            break;
    }
    bool held = holds(r);
    pthread_mutex_unlock(&r->lock);
    return held;
}

static bool is_stopping(const running *r)
{
    return r->stop_signal != 0;
}

static bool is_past_migrating(const running *r)
{
    return r->stop_signal != 0 || r->migration != MIGRATING;
}

static bool has_drained(const running *r)
{
    return r->n_drained == r->n_workers;
}

static bool has_ended(const running *r)
{
    return r->n_ended == r->n_workers;
}

static bool migration_ended(const running *r)
{
    return r->migration != MIGRATING;
}

static bool never(const running *r)
{
    (void)r;
    return false;
}

static bool was_refused(const running *r)
{
    return r->migration == REFUSED;
}

static bool holds_now(running *r, bool (*holds)(const running *r))
{
    pthread_mutex_lock(&r->lock);
    bool held = holds(r);
    pthread_mutex_unlock(&r->lock);
    return held;
}

static void count_up(running *r, size_t *count)
{
    pthread_mutex_lock(&r->lock);
    (*count)++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void on_drained(void *arg)
{
    running *r = arg;
    count_up(r, &r->n_drained);
}

static void on_ended(void *arg)
{
    running *r = arg;
    count_up(r, &r->n_ended);
}

static void on_stop(void *arg, int signal)
{
    running *r = arg;
    pthread_mutex_lock(&r->lock);
    r->stop_signal = signal;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* ---- Migrations ---------------------------------------------------------- */

static int64_t from_now_us(int64_t ms)
{
    return tn__mono_us() + ms * 1000;
}

/* Tries until the tables are there; gives up only when it is told to stop. */
static tn__migrated migrate_patiently(running *r, tn_arena *arena)
{
    for (tn__patience patience = { 0 };;) {
        tn_str why = { NULL, 0 };
        tn__migrated done = tn__migrate_once(arena, r->config, r->service, r->config->migrate,
            &why);
        if (done == TN__MIGRATE_REFUSED)
            TN_LOG(TN_ERROR, "migrations refused", TN_LOG_S("reason", why));
        if (done != TN__MIGRATE_UNREACHABLE)
            return done;
        tn__health_migrating(&r->health, why);
        if (wait_until(r, is_stopping, from_now_us(tn__patience_ms(&patience, why))))
            return TN__MIGRATE_UNREACHABLE;
        tn__arena_reset(arena);
    }
}

static void *migrate(void *arg)
{
    running *r = arg;
    tn_arena *arena = tn__arena_open(4096);
    tn__migrated done = migrate_patiently(r, arena);
    tn__arena_close(arena);
    pthread_mutex_lock(&r->lock);
    r->migration = done == TN__MIGRATE_DONE ? MIGRATED
        : done == TN__MIGRATE_REFUSED       ? REFUSED
                                            : GIVEN_UP;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void start_migrating(running *r)
{
    if (pthread_create(&r->migrating, NULL, migrate, r) != 0)
        abort(); /* At start, before anything was promised: there is nothing to go on with. */
}

/* ---- Start --------------------------------------------------------------- */

/* Connections are descriptors, so the limit on these is raised as far as it goes. */
static void raise_files_limit(const tn__config *config)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->connections_max + FILES_BESIDES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        TN_LOG(TN_WARN, "fewer file descriptors are allowed than CONNECTIONS_MAX asks for",
            TN_LOG_I("allowed", (int64_t)limit.rlim_cur), TN_LOG_I("wanted", (int64_t)wanted));
    }
}

/* A socket for each worker, all on one port; the kernel spreads the clients over them. */
static bool listen_all(running *r, int fds[TN__WORKERS_MAX])
{
    int port = (int)r->config->port;
    for (size_t i = 0; i < r->n_workers; i++) {
        tn_str why = { NULL, 0 };
        fds[i] = tn__http_listen(r->arena, r->config->host, port, &why);
        if (fds[i] < 0) {
            TN_LOG(TN_ERROR, "can't listen", TN_LOG_Z("host", r->config->host),
                TN_LOG_I("port", port), TN_LOG_S("reason", why));
            while (i > 0)
                close(fds[--i]);
            return false;
        }
        port = tn__http_port(fds[i]);
    }
    TN_LOG(TN_INFO, "listening", TN_LOG_Z("host", r->config->host), TN_LOG_I("port", port),
        TN_LOG_I("workers", (int64_t)r->n_workers));
    return true;
}

static void open_workers(running *r, const int fds[TN__WORKERS_MAX])
{
    for (size_t i = 0; i < r->n_workers; i++) {
        r->workers[i] = tn__worker_open(&(tn__worker_options){
            .service = r->service,
            .config = r->config,
            .documents = &r->documents,
            .health = &r->health,
            .index = i,
            .listen_fd = fds[i],
            .on_drained = on_drained,
            .on_ended = on_ended,
            .arg = r,
        });
    }
    for (size_t i = 0; i < r->n_workers; i++)
        tn__worker_ready(r->workers[i]);
}

static tn__relay *open_relay(running *r)
{
    const tn__config *config = r->config;
    size_t n_queues = 0;
    const tn__queue_binding *queues = tn__bindings_of(r->arena, tn_str_of(config->event_consumers),
        &n_queues);
    return tn__relay_open(&(tn__relay_options){
        .database_url = config->database_url,
        .amqp_url = r->health.has_messages ? config->amqp_url : NULL,
        .service = r->service->name,
        .batch_max = (int)config->outbox_batch_max,
        .poll_ms = (int)config->outbox_poll_ms,
        .confirm_timeout_ms = CONFIRM_TIMEOUT_MS,
        .inbox_ttl_s = (int)config->inbox_ttl_s,
        .purge_every_ms = PURGE_EVERY_MS,
        .queues = queues,
        .n_queues = n_queues,
    });
}

static tn__consumer *open_consumer(running *r)
{
    const tn__config *config = r->config;
    tn_str application_name = tn_printf(r->arena, "%s consumer", r->service->name);
    return tn__consumer_open(&(tn__consumer_options){
        .service = r->service,
        .database = {
            .url = config->database_url,
            .application_name = application_name.data,
            .pool_max = (int)config->database_pool_max,
            .batch_max = (int)config->database_batch_max,
            .batches_in_flight_max = 2,
            .queue_max = CONSUMER_QUEUE_MAX,
            .lock_timeout_ms = (int)config->database_lock_timeout_ms,
            .statement_timeout_ms = (int)config->request_timeout_ms,
            .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        },
        .amqp_url = config->amqp_url,
        .prefetch = (int)config->consumer_prefetch,
        .retries_max = (int)config->consumer_retries_max,
        .retry_ms = RETRY_MS,
        .retry_max_ms = RETRY_MS_MAX,
        .message_timeout_ms = (int)config->request_timeout_ms,
        .access_log = config->access_log ? config->access_log_ratio : 0,
        .relay = r->relay,
    });
}

/* The tables are there: everything that touches them begins. A service without messages has a relay
 * too, which purges what has expired. */
static void start_serving(running *r)
{
    r->relay = open_relay(r);
    if (r->service->subscriptions.n > 0)
        r->consumer = open_consumer(r);
    tn__health_messaging(&r->health, r->relay, r->consumer);
    tn__health_migrated(&r->health);
    for (size_t i = 0; i < r->n_workers; i++)
        tn__worker_start(r->workers[i], r->relay);
}

/* Often at first, since a start is a matter of milliseconds, and seldom when it takes long. */
static int64_t ready_poll_ms(const running *r)
{
    int64_t ms = (tn__mono_us() - r->health.opened_us) / 1000 / 50;
    return ms < READY_POLL_MS ? READY_POLL_MS : ms < READY_POLL_MS_MAX ? ms : READY_POLL_MS_MAX;
}

/* One line when it is ready for the first time. */
static void wait_ready_or_stop(running *r)
{
    for (;;) {
        tn_arena *arena = tn__arena_open(1024);
        tn__readiness readiness = tn__health_read(&r->health, arena, NULL);
        tn__arena_close(arena);
        if (readiness == TN__READY) {
            TN_LOG(TN_INFO, "ready",
                TN_LOG_I("after_ms", (tn__mono_us() - r->health.opened_us) / 1000));
            wait_until(r, is_stopping, TN__NEVER);
            return;
        }
        if (wait_until(r, is_stopping, from_now_us(ready_poll_ms(r))))
            return;
    }
}

/* ---- Stop ---------------------------------------------------------------- */

static void each_worker(running *r, void (*tell)(tn__worker *worker))
{
    for (size_t i = 0; i < r->n_workers; i++)
        tell(r->workers[i]);
}

static int left_ms(int64_t deadline_us)
{
    int64_t left_us = deadline_us - tn__mono_us();
    return left_us > 0 ? (int)(left_us / 1000) : 0;
}

/* Requests get all of the time but what the two steps after them keep. */
static void drain_requests(running *r, int64_t deadline_us, int64_t cancelled_by_us)
{
    each_worker(r, tn__worker_drain);
    if (!wait_until(r, has_drained, deadline_us)) {
        each_worker(r, tn__worker_cancel);
        if (!wait_until(r, has_drained, cancelled_by_us))
            TN_LOG(TN_ERROR, "a worker didn't drain");
    }
}

static void drain_messages(running *r, int64_t consumer_by_us, int64_t relay_by_us)
{
    tn__health_messaging(&r->health, NULL, NULL);
    if (r->consumer != NULL)
        tn__consumer_close(r->consumer, left_ms(consumer_by_us));
    if (r->relay != NULL)
        tn__relay_close(r->relay, left_ms(relay_by_us));
}

/* True when every thread has ended; else the memory that they use has to stay. */
static bool end_workers(running *r, int64_t deadline_us)
{
    each_worker(r, tn__worker_stop);
    if (!wait_until(r, has_ended, deadline_us)) {
        TN_LOG(TN_ERROR, "a worker didn't end");
        return false;
    }
    each_worker(r, tn__worker_close);
    return true;
}

static void say_stopping(running *r)
{
    static const char signal_names[][8] = { [1] = "SIGHUP", [2] = "SIGINT", [15] = "SIGTERM" };
    tn__health_draining(&r->health);
    pthread_mutex_lock(&r->lock);
    int signal = r->stop_signal;
    pthread_mutex_unlock(&r->lock);
    TN_LOG(TN_INFO, "stopping", TN_LOG_Z("signal", signal_names[signal]),
        TN_LOG_I("drain_timeout_ms", r->config->drain_timeout_ms));
}

/* Serving goes on while the load balancer takes notice. */
static void wait_noticed(running *r)
{
    if (r->config->readiness_delay_ms > 0)
        wait_until(r, never, from_now_us(r->config->readiness_delay_ms));
}

/* Waiting for a lock or in a long statement, a migration may take longer than we have. The server
 * rolls back what is not committed. */
static bool end_migrating(running *r, int64_t deadline_us)
{
    if (!wait_until(r, migration_ended, deadline_us))
        return false;
    pthread_join(r->migrating, NULL);
    return true;
}

/* The relay outlives the workers, which wake it, and the consumer, which may emit. */
static bool stop(running *r)
{
    int64_t kept_ms = r->config->drain_timeout_ms / 20;
    kept_ms = kept_ms < LAST_STEPS_MS_MAX ? kept_ms : LAST_STEPS_MS_MAX;
    int64_t started_us = tn__mono_us();
    int64_t end_us = started_us + r->config->drain_timeout_ms * 1000;
    int64_t step_us = kept_ms * 1000;
    drain_requests(r, end_us - 3 * step_us, end_us - 2 * step_us);
    bool ended = end_workers(r, end_us - 2 * step_us);
    drain_messages(r, end_us - step_us, end_us);
    ended = end_migrating(r, end_us) && ended;
    TN_LOG(TN_INFO, "stopped", TN_LOG_I("after_ms", (tn__mono_us() - started_us) / 1000));
    return ended;
}

/* ---- The whole ----------------------------------------------------------- */

static int serve(running *r, const int fds[TN__WORKERS_MAX])
{
    open_workers(r, fds);
    start_migrating(r);
    r->signals = tn__signals_open((tn_level)r->config->log_level, on_stop, r);
    wait_until(r, is_past_migrating, TN__NEVER);
    bool refused = holds_now(r, was_refused);
    if (!refused && !holds_now(r, is_stopping)) {
        start_serving(r);
        wait_ready_or_stop(r);
    }
    if (!refused) {
        say_stopping(r);
        wait_noticed(r);
    }
    int status = refused ? EX_SOFTWARE : EX_OK;
    bool ended = stop(r);
    tn__signals_close(r->signals);
    if (!ended) {
        tn__log_flush();
        _exit(status); /* Threads are still running: they must not meet what exit() tears down. */
    }
    return status;
}

int tn__run(tn_arena *arena, const tn_service *service, const tn__config *config)
{
    running *r = tn_alloc(arena, sizeof *r);
    int fds[TN__WORKERS_MAX];
    int status = EX_SOFTWARE;
    r->arena = arena;
    r->service = service;
    r->config = config;
    r->n_workers = (size_t)config->workers;
    change_lock_init(r);
    tn__health_open(&r->health, service, r->n_workers);
    tn__documents_make(arena, service, &r->documents);
    raise_files_limit(config);
    if (listen_all(r, fds))
        status = serve(r, fds);
    tn__health_close(&r->health);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    return status;
}
