/* From the queues of the threads to the receiver.
 *
 * Every thread that records has a queue of its own. The exporter empties them every `delay_ms`, or
 * as soon as one of them holds a batch, and posts batch after batch: one message at a time is on its
 * way, as the specification asks. A message that isn't taken for now is sent again, with a delay
 * that doubles, for `export_timeout_ms`; meanwhile the queues fill, and then spans are dropped and
 * counted. So what a receiver that is away costs is bounded: memory by the queues, requests nothing.
 *
 * Invariants: a queue is in the list from its thread's first span until its thread has let go of it
 * and it is empty; only the exporter's thread takes one out. Spans are counted once: as exported, or
 * as dropped with the reason. */

#include "telemetry/exporter.h"

#include "telemetry/otlp.h"
#include "telemetry/otlp_http.h"
#include "telemetry/span_queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define PARTIAL_LOGGED_US INT64_C(60000000) /* at most one line in so long tells of refusals */
#define BODY_KEPT_MAX     ((size_t)512 << 10)

struct tn__exporter {
    uint64_t serial; /* of the exporters that there have been in this process */
    int delay_ms, export_timeout_ms, retry_ms, retry_max_ms;
    size_t queue_max, batch_max;
    bool gzip;
    _Atomic int64_t wall_us; /* what makes a time of tn__mono_us() one of the wall clock */
    atomic_bool hurry;       /* a queue holds a batch */
    tn__metric *exported, *queue_full, *failed, *rejected;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    tn__span_queue *queues;
    bool closing;
    int64_t close_by_us;

    /* The thread's own. */
    tn__otlp_http *http;
    tn__otlp_head head;
    tn__buf taken, batch, message, packed;
    size_t n_batch;
    bool is_down;
    int64_t rest_until_us; /* as the receiver asked for */
    int64_t partial_logged_us;
    unsigned random;
};

/* ---- The queue of a thread ---------------------------------------------- */

static _Atomic uint64_t serials;
static pthread_key_t queue_key;
static pthread_once_t queue_key_once = PTHREAD_ONCE_INIT;
/* Thread-local because that is the point of it; the serial tells whose exporter's queue it is. */
static _Thread_local struct {
    tn__span_queue *queue;
    uint64_t serial;
} mine;

static void let_go(void *queue)
{
    mine.queue = NULL;
    tn__span_queue_let_go(queue);
}

static void queue_key_make(void)
{
    pthread_key_create(&queue_key, let_go);
}

static tn__span_queue *queue_make(tn__exporter *exporter)
{
    pthread_once(&queue_key_once, queue_key_make);
    if (mine.queue != NULL)
        let_go(mine.queue); /* an earlier exporter's */
    tn__span_queue *queue = tn__span_queue_open(exporter->queue_max);
    mine.queue = queue;
    mine.serial = exporter->serial;
    pthread_setspecific(queue_key, queue);
    pthread_mutex_lock(&exporter->lock);
    queue->next = exporter->queues;
    exporter->queues = queue;
    pthread_mutex_unlock(&exporter->lock);
    return queue;
}

static void hurry(tn__exporter *exporter)
{
    if (!atomic_exchange(&exporter->hurry, true)) {
        pthread_mutex_lock(&exporter->lock);
        pthread_cond_signal(&exporter->wake);
        pthread_mutex_unlock(&exporter->lock);
    }
}

void tn__exporter_add(tn__exporter *exporter, const tn__span *span)
{
    bool has_queue = mine.queue != NULL && mine.serial == exporter->serial;
    tn__span_queue *queue = has_queue ? mine.queue : queue_make(exporter);
    int64_t wall_us = atomic_load_explicit(&exporter->wall_us, memory_order_relaxed);
    size_t waiting = tn__span_queue_add(queue, span, wall_us);
    if (waiting == 0)
        tn__metric_add(exporter->queue_full, 1);
    else if (waiting == exporter->batch_max)
        hurry(exporter);
}

/* ---- Waiting ------------------------------------------------------------ */

static struct timespec at_us(int64_t us)
{
    return (struct timespec){
        .tv_sec = (time_t)(us / 1000000),
        .tv_nsec = (long)(us % 1000000) * 1000,
    };
}

/* Waits for the time, for the end, and with `for_batch` for a full batch. True at the end. */
static bool wait(tn__exporter *exporter, int ms, bool for_batch)
{
    struct timespec until = at_us(tn__mono_us() + (int64_t)ms * 1000);
    pthread_mutex_lock(&exporter->lock);
    while (!exporter->closing && !(for_batch && atomic_load(&exporter->hurry)))
        if (pthread_cond_timedwait(&exporter->wake, &exporter->lock, &until) == ETIMEDOUT)
            break;
    bool closing = exporter->closing;
    pthread_mutex_unlock(&exporter->lock);
    return closing;
}

/* True when there is an end, and it has come. */
static bool is_late(void *arg)
{
    tn__exporter *exporter = arg;
    pthread_mutex_lock(&exporter->lock);
    bool late = exporter->closing && tn__mono_us() >= exporter->close_by_us;
    pthread_mutex_unlock(&exporter->lock);
    return late;
}

/* Between half of the delay and all of it, so that replicas spread out. */
static int with_jitter(tn__exporter *exporter, int ms)
{
    return ms / 2 + rand_r(&exporter->random) % (ms / 2 + 1);
}

/* How long to wait before the next try. */
static int delay_of(tn__exporter *exporter, int try, int64_t retry_after_ms)
{
    int ms = exporter->retry_ms;
    for (int i = 1; i < try && ms < exporter->retry_max_ms; i++)
        ms *= 2;
    ms = with_jitter(exporter, ms < exporter->retry_max_ms ? ms : exporter->retry_max_ms);
    return retry_after_ms > ms ? (int)retry_after_ms : ms;
}

/* Waits until then; once the end is near, only as long as there is time. */
static void wait_until(tn__exporter *exporter, int64_t until_us)
{
    int64_t now_us = tn__mono_us();
    int ms = until_us > now_us ? (int)((until_us - now_us + 999) / 1000) : 0;
    if (!wait(exporter, ms, false))
        return;
    bool late = exporter->close_by_us < until_us;
    struct timespec end = at_us(late ? exporter->close_by_us : until_us);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) {
    }
}

/* ---- Sending ------------------------------------------------------------ */

static void note_up(tn__exporter *exporter)
{
    if (exporter->is_down) {
        exporter->is_down = false;
        TN_LOG(TN_INFO, "spans are exported again");
    }
}

static void note_down(tn__exporter *exporter, const char *why)
{
    if (!exporter->is_down) {
        exporter->is_down = true;
        TN_LOG(TN_WARN, "spans can't be exported", TN_LOG_Z("reason", why));
    }
}

static void note_partial(tn__exporter *exporter, const tn__otlp_partial *partial)
{
    int64_t now_us = tn__mono_us();
    bool told = exporter->partial_logged_us != 0 &&
        now_us - exporter->partial_logged_us < PARTIAL_LOGGED_US;
    if ((partial->rejected > 0 || partial->message.len > 0) && !told) {
        exporter->partial_logged_us = now_us;
        TN_LOG(TN_WARN, "the receiver of spans has something to say",
            TN_LOG_I("rejected", partial->rejected), TN_LOG_S("detail", partial->message));
    }
}

static void count_taken(tn__exporter *exporter, tn_str body)
{
    size_t n = exporter->n_batch;
    tn__otlp_partial partial = tn__otlp_response(body);
    size_t rejected = partial.rejected < 0 ? 0
        : partial.rejected > (int64_t)n    ? n
                                           : (size_t)partial.rejected;
    note_up(exporter);
    note_partial(exporter, &partial);
    tn__metric_add(exporter->exported, (double)(n - rejected));
    tn__metric_add(exporter->rejected, (double)rejected);
}

/* True when it will be sent again, at `*then_us`. */
static bool may_send_again(tn__exporter *exporter, const tn__otlp_answer *answer, int try,
    int64_t give_up_us, int64_t *then_us)
{
    int ms = delay_of(exporter, try, answer->retry_after_ms);
    *then_us = tn__mono_us() + (int64_t)ms * 1000;
    exporter->rest_until_us = answer->retry_after_ms > 0 ? *then_us : 0;
    return answer->fate == TN__OTLP_AGAIN && *then_us < give_up_us;
}

/* True when that was the last word on it. */
static bool post(tn__exporter *exporter, int try, tn_str message, int64_t give_up_us)
{
    tn__otlp_answer answer = tn__otlp_http_post(exporter->http, message, is_late, exporter);
    int64_t then_us;
    if (answer.fate == TN__OTLP_TAKEN) {
        count_taken(exporter, answer.body);
        return true;
    }
    note_down(exporter, answer.why);
    if (may_send_again(exporter, &answer, try, give_up_us, &then_us)) {
        wait_until(exporter, then_us);
        if (!is_late(exporter))
            return false;
    }
    tn__metric_add(exporter->failed, (double)exporter->n_batch);
    return true;
}

static void forget_batch(tn__exporter *exporter)
{
    exporter->batch.len = 0;
    exporter->n_batch = 0;
    if (exporter->message.cap > BODY_KEPT_MAX) {
        tn__buf_deinit(&exporter->message);
        tn__buf_deinit(&exporter->packed);
        tn__buf_deinit(&exporter->batch);
    }
}

static void send_batch(tn__exporter *exporter)
{
    tn__otlp_request(&exporter->message, &exporter->head, tn__buf_str(&exporter->batch));
    tn_str message = tn__buf_str(&exporter->message);
    if (exporter->gzip) {
        tn__gzip(&exporter->packed, message);
        message = tn__buf_str(&exporter->packed);
    }
    if (exporter->rest_until_us > tn__mono_us())
        wait_until(exporter, exporter->rest_until_us);
    int64_t give_up_us = tn__mono_us() + (int64_t)exporter->export_timeout_ms * 1000;
    for (int try = 1; !post(exporter, try, message, give_up_us); try++) {
    }
    forget_batch(exporter);
}

/* ---- Collecting --------------------------------------------------------- */

static void collect(tn__exporter *exporter, tn__span_queue *queue)
{
    size_t n = tn__span_queue_take(queue, &exporter->taken);
    tn_str rest = tn__buf_str(&exporter->taken);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = tn__otlp_span_bytes(rest);
        tn__buf_add(&exporter->batch, rest.data, bytes);
        rest = (tn_str){ rest.data + bytes, rest.len - bytes };
        if (++exporter->n_batch == exporter->batch_max)
            send_batch(exporter);
    }
}

static tn__span_queue *first_queue(tn__exporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    tn__span_queue *first = exporter->queues;
    pthread_mutex_unlock(&exporter->lock);
    return first;
}

static void remove_queue(tn__exporter *exporter, tn__span_queue *queue)
{
    pthread_mutex_lock(&exporter->lock);
    tn__span_queue **at = &exporter->queues;
    while (*at != queue)
        at = &(*at)->next;
    *at = queue->next;
    pthread_mutex_unlock(&exporter->lock);
    tn__span_queue_let_go(queue);
}

static void export_all(tn__exporter *exporter)
{
    atomic_store(&exporter->hurry, false); /* before the look, so that none is overlooked */
    tn__span_queue *next;
    for (tn__span_queue *queue = first_queue(exporter); queue != NULL; queue = next) {
        next = queue->next;
        collect(exporter, queue);
        if (tn__span_queue_is_over(queue))
            remove_queue(exporter, queue);
    }
    if (exporter->n_batch > 0)
        send_batch(exporter);
}

/* The clocks drift apart by what the wall clock is corrected. */
static void look_at_clocks(tn__exporter *exporter)
{
    atomic_store_explicit(&exporter->wall_us, tn_now().us - tn__mono_us(), memory_order_relaxed);
}

static void *run(void *arg)
{
    tn__exporter *exporter = arg;
    bool closing;
    do {
        closing = wait(exporter, exporter->delay_ms, true);
        look_at_clocks(exporter);
        export_all(exporter);
    } while (!closing);
    return NULL;
}

/* ---- Opening and closing ------------------------------------------------ */

static tn__metric *dropped_counter(const char *reason)
{
    const tn__label label = { "reason", reason };
    return tn__counter("trunnion_spans_dropped_total", "Spans that were lost, by the reason.",
        &label, 1);
}

static void make_metrics(tn__exporter *exporter)
{
    exporter->exported = tn__counter("trunnion_spans_exported_total",
        "Spans that the receiver has taken.", NULL, 0);
    exporter->queue_full = dropped_counter("queue_full");
    exporter->failed = dropped_counter("export_failed");
    exporter->rejected = dropped_counter("rejected");
}

static void make_lock(tn__exporter *exporter)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&exporter->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&exporter->lock, NULL);
}

/* Signals are the business of the thread that waits for them. */
static void start_thread(tn__exporter *exporter)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&exporter->thread, NULL, run, exporter);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        tn__die("the exporter of spans can't start");
    pthread_setname_np(exporter->thread, "spans");
}

tn__exporter *tn__exporter_open(const tn__tracing_options *options)
{
    assert(options->delay_ms > 0 && options->queue_max > 0 && options->batch_max > 0);
    assert(options->retry_ms > 0 && options->retry_max_ms > 0);
    tn__exporter *exporter = tn__xcalloc(1, sizeof *exporter);
    exporter->serial = atomic_fetch_add(&serials, 1) + 1;
    exporter->delay_ms = options->delay_ms;
    exporter->export_timeout_ms = options->export_timeout_ms;
    exporter->retry_ms = options->retry_ms;
    exporter->retry_max_ms = options->retry_max_ms;
    exporter->queue_max = (size_t)options->queue_max;
    exporter->batch_max = (size_t)(options->batch_max < options->queue_max ? options->batch_max
                                                                           : options->queue_max);
    exporter->gzip = options->gzip;
    exporter->random = (unsigned)tn__mono_us();
    make_metrics(exporter);
    make_lock(exporter);
    look_at_clocks(exporter);
    tn__otlp_head_init(&exporter->head, options);
    exporter->http = tn__otlp_http_open(options);
    start_thread(exporter);
    return exporter;
}

void tn__exporter_close(tn__exporter *exporter, int timeout_ms)
{
    pthread_mutex_lock(&exporter->lock);
    exporter->closing = true;
    exporter->close_by_us = tn__mono_us() + (int64_t)timeout_ms * 1000;
    pthread_cond_signal(&exporter->wake);
    pthread_mutex_unlock(&exporter->lock);
    pthread_join(exporter->thread, NULL);
    while (exporter->queues != NULL) {
        tn__span_queue *queue = exporter->queues;
        exporter->queues = queue->next;
        tn__span_queue_let_go(queue);
    }
    tn__otlp_http_close(exporter->http);
    tn__otlp_head_deinit(&exporter->head);
    tn__buf_deinit(&exporter->taken);
    tn__buf_deinit(&exporter->batch);
    tn__buf_deinit(&exporter->message);
    tn__buf_deinit(&exporter->packed);
    pthread_cond_destroy(&exporter->wake);
    pthread_mutex_destroy(&exporter->lock);
    free(exporter);
}
