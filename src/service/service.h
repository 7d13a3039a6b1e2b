/* What the parts of this layer share: the running service and who does what in it.
 *
 * The main thread starts and stops things; workers serve; the relay, the consumer, the log and the
 * signals have a thread each. They meet in `tn__running`, behind its lock, and nowhere else. */
#pragma once

#include "http/http.h"
#include "service/config.h"

#include <pthread.h>

/* ---- health.c ------------------------------------------------------------ */

#define TN__WORKERS_MAX   64
#define TN__WHY_BYTES_MAX 256

typedef struct {
    bool up;
    char why[TN__WHY_BYTES_MAX]; /* why not; NUL-terminated */
} tn__database_state;

/* What /livez and /readyz tell. All functions are thread-safe. */
typedef struct {
    pthread_mutex_t lock;
    const tn_service *service;
    int64_t opened_us;
    bool migrated, draining, has_messages;
    char migrating_why[TN__WHY_BYTES_MAX]; /* why the tables are not there yet */
    tn__database_state workers[TN__WORKERS_MAX];
    size_t n_workers;
    tn__relay *relay; /* NULL before they are opened and after they are closed */
    tn__consumer *consumer;
} tn__health;

typedef enum { TN__READY, TN__DEGRADED, TN__UNAVAILABLE, TN__DRAINING } tn__readiness;

void tn__health_open(tn__health *health, const tn_service *service, size_t n_workers);
void tn__health_close(tn__health *health);
void tn__health_migrating(tn__health *health, tn_str why);
void tn__health_migrated(tn__health *health);
void tn__health_messaging(tn__health *health, tn__relay *relay, tn__consumer *consumer);
void tn__health_draining(tn__health *health);
void tn__health_worker(tn__health *health, size_t worker, bool up, tn_str why);
/* The state of the whole; `body` (may be NULL) becomes the JSON of /readyz. */
tn__readiness tn__health_read(tn__health *health, tn_arena *arena, tn__buf *body);
void tn__health_livez(void *of, tn_arena *arena, tn__page *page);

/* ---- pages.c ------------------------------------------------------------- */

/* A document that was made once at the start. */
typedef struct {
    tn_str text;
    const char *etag;
} tn__document;

typedef struct {
    tn__document openapi, asyncapi;
} tn__documents;

void tn__documents_make(tn_arena *arena, const tn_service *service, tn__documents *documents);

/* ---- assembly.c ---------------------------------------------------------- */

/* The service with what the chassis adds to it: the routes of dead letters when it listens. */
const tn_service *tn__assemble(tn_arena *arena, const tn_service *service);
/* What EVENT_CONSUMERS says, which has been checked. */
const tn__queue_binding *tn__bindings_of(tn_arena *arena, tn_str text, size_t *n);

/* ---- dead_letters.c ------------------------------------------------------- */

extern const tn_route tn__dead_letter_routes[];
extern const size_t tn__dead_letter_routes_n;

/* ---- signals.c ------------------------------------------------------------ */

/* Blocks what is waited for, in this thread and all that it starts. Called before any thread. */
void tn__signals_block(void);
typedef struct tn__signals tn__signals;
/* Starts the thread that waits: calls on_stop(arg, signal) for the first SIGTERM, SIGINT or SIGHUP,
 * ends the process with 128 + its number for a later one, and changes the level of the log, `level`
 * at first, on SIGUSR1 (more) and SIGUSR2 (less). */
tn__signals *tn__signals_open(tn_level level, void (*on_stop)(void *arg, int signal), void *arg);
void tn__signals_close(tn__signals *signals);

/* ---- tracing.c ------------------------------------------------------------ */

/* Opens it; tn__tracing_close() ends it. */
void tn__trace_as_configured(tn_arena *arena, const tn__config *config, const tn_service *service);

/* ---- migrate.c ------------------------------------------------------------ */

/* Tries once to apply the chassis's migrations and the service's, or to find them applied. */
tn__migrated tn__migrate_once(tn_arena *arena, const tn__config *config, const tn_service *service,
    bool apply, tn_str *why);
/* What is remembered between tries; zero-initialized. */
typedef struct {
    int attempts;
    int64_t told_us;
    char why[TN__WHY_BYTES_MAX];
} tn__patience;
/* After a try that failed: how long to wait for the next, which it tells the log. */
int tn__patience_ms(tn__patience *patience, tn_str why);

/* ---- probe.c -------------------------------------------------------------- */

/* Whether the service that runs with this configuration is ready, as its /readyz tells; `said` gets
 * its answer, or why there is none. */
bool tn__probe(tn_arena *arena, const tn__config *config, tn__buf *said);

/* ---- worker.c ------------------------------------------------------------- */

typedef struct tn__worker tn__worker;

typedef struct {
    const tn_service *service;
    const tn__config *config;
    const tn__documents *documents;
    tn__health *health;
    size_t index;
    int listen_fd; /* it takes it over */
    /* On its thread: it has drained, and it has ended. */
    void (*on_drained)(void *arg);
    void (*on_ended)(void *arg);
    void *arg;
} tn__worker_options;

/* Starts the thread: it answers health at once, and routes after tn__worker_start(). */
tn__worker *tn__worker_open(const tn__worker_options *options);
/* Waits until it serves; once, before any of the following. */
void tn__worker_ready(tn__worker *worker);
void tn__worker_start(tn__worker *worker, tn__relay *relay);
void tn__worker_drain(tn__worker *worker);
/* Cancels what is at work, having logged how much it is. */
void tn__worker_cancel(tn__worker *worker);
/* Ends the loop; on_ended follows. */
void tn__worker_stop(tn__worker *worker);
/* After on_ended. */
void tn__worker_close(tn__worker *worker);

/* ---- lifecycle.c ---------------------------------------------------------- */

/* Runs the assembled service until it is told to stop; the exit status. */
int tn__run(tn_arena *arena, const tn_service *service, const tn__config *config);
