/* The consumer's thread: its loop, when it consumes and when not, and its end.
 *
 * Nothing is consumed before the database has answered, and when it has answered nobody for minutes
 * the messages in hand are given back: each message is then delivered once more for the whole outage,
 * however long. */
#include "messaging/consumer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_US = 1000000,
    TICK_SOON_US = 50000,
    NAP_US = 200000,
    RETRY_MS = 100,
    RETRY_MAX_MS = 5000,
    DEAD_PREFETCH = 64,
};
/* Longer outages of the database are waited out without messages in hand. */
static const int64_t PATIENCE_US = 300 * (int64_t)1000000;

/* ---- State that others ask for ------------------------------------------------- */

void tn__consumer_tell(tn__consumer *consumer, const tn__link *link, tn_str why)
{
    if (link != &consumer->events)
        return;
    pthread_mutex_lock(&consumer->lock);
    snprintf(consumer->why, sizeof consumer->why, "%.*s", TN_FMT(why));
    pthread_mutex_unlock(&consumer->lock);
    atomic_store(&consumer->up, link->consuming);
}

bool tn__consumer_up(tn__consumer *consumer, tn_arena *arena, tn_str *why)
{
    bool up = atomic_load(&consumer->up);
    pthread_mutex_lock(&consumer->lock);
    *why = up ? TN_S("") : tn_copy(arena, tn_str_of(consumer->why));
    pthread_mutex_unlock(&consumer->lock);
    return up;
}

/* ---- The database -------------------------------------------------------------- */

void tn__consumer_saw_database(tn__consumer *consumer, bool answered)
{
    if (answered)
        consumer->failing_since_us = 0;
    else if (consumer->failing_since_us == 0)
        consumer->failing_since_us = tn__mono_us();
}

/* Short naps, so that a drain isn't held up by those who wait for better times. */
bool tn__consumer_pause(tn__consumer *consumer, int failures)
{
    const tn__consumer_options *options = &consumer->options;
    int ms = tn__backoff_ms(options->retry_ms, options->retry_max_ms, failures);
    int64_t until_us = tn__mono_us() + (int64_t)ms * 1000;
    for (int64_t now_us = tn__mono_us(); now_us < until_us; now_us = tn__mono_us()) {
        int64_t nap_us = now_us + NAP_US < until_us ? now_us + NAP_US : until_us;
        if (consumer->draining || tn__co_wait(nap_us) == TN__CANCELLED)
            return false;
    }
    return !consumer->draining;
}

/* Asks for a message that never was: an answer is all that matters. */
static void probe(void *arg)
{
    tn__consumer *consumer = arg;
    tn_arena *arena = tn__arena_open(1024);
    bool answered = tn__inbox_look_up(consumer, arena, (tn_uuid){ { 0 } }) != TN__AGAIN;
    tn__arena_close(arena);
    consumer->probing = false;
    if (answered && !consumer->draining)
        tn__link_consume(&consumer->events);
}

static bool has_no_patience(const tn__consumer *consumer)
{
    return consumer->failing_since_us != 0 &&
        tn__mono_us() - consumer->failing_since_us > PATIENCE_US;
}

static void on_tick(tn__timer *timer)
{
    tn__consumer *consumer = timer->owner;
    tn__link *events = &consumer->events, *dead = &consumer->dead;
    if (events->amqp != NULL)
        tn__link_read(events);
    if (dead->amqp != NULL)
        tn__link_read(dead);
    if (!consumer->draining) {
        if (events->consuming && has_no_patience(consumer))
            tn__link_down(events, TN_S("the database doesn't answer"));
        bool waits = events->amqp != NULL && !events->consuming && !consumer->probing;
        if (waits && tn__pg_up(consumer->pg, NULL)) {
            consumer->probing = true;
            tn__scope_start(consumer->scope, probe, consumer);
        }
        tn__link_consume(dead);
    }
    int64_t wait_us = events->consuming ? TICK_US : TICK_SOON_US;
    tn__timer_start(consumer->loop, timer, tn__mono_us() + wait_us);
}

/* ---- The end ------------------------------------------------------------------- */

static void finish(void *arg)
{
    tn__consumer *consumer = arg;
    tn__timer_stop(consumer->loop, &consumer->tick);
    tn__timer_stop(consumer->loop, &consumer->deadline);
    tn__link_close(&consumer->events);
    tn__link_close(&consumer->dead);
    tn__loop_stop(consumer->loop);
}

static void on_deadline(tn__timer *timer)
{
    tn__consumer *consumer = timer->owner;
    TN_LOG(TN_WARN, "messages in hand are given up",
        TN_LOG_I("messages", (int64_t)tn__scope_count(consumer->scope)));
    tn__scope_cancel(consumer->scope);
}

static void begin_drain(void *arg)
{
    tn__consumer *consumer = arg;
    consumer->draining = true;
    tn__consumer_tell(consumer, &consumer->events, TN_S("stopping"));
    if (consumer->events.consuming && tn__amqp_cancel(consumer->events.amqp) != TN__AMQP_OK)
        tn__link_down(&consumer->events, tn__amqp_why(consumer->events.amqp));
    if (consumer->dead.consuming && tn__amqp_cancel(consumer->dead.amqp) != TN__AMQP_OK)
        tn__link_down(&consumer->dead, tn__amqp_why(consumer->dead.amqp));
    int64_t drain_us = atomic_load(&consumer->drain_ms) * 1000;
    tn__timer_start(consumer->loop, &consumer->deadline, tn__mono_us() + drain_us);
    tn__scope_when_done(consumer->scope, finish, consumer);
}

/* ---- The thread ---------------------------------------------------------------- */

static void *run(void *arg)
{
    tn__consumer *consumer = arg;
    consumer->loop = tn__loop_open();
    consumer->pg = tn__pg_open(consumer->loop, &consumer->options.database);
    consumer->scope = tn__scope_open(consumer->loop);
    consumer->tick = (tn__timer){ .on_time = on_tick, .owner = consumer };
    consumer->deadline = (tn__timer){ .on_time = on_deadline, .owner = consumer };
    tn__link_open(&consumer->events);
    tn__link_open(&consumer->dead);
    tn__timer_start(consumer->loop, &consumer->tick, tn__mono_us() + TICK_SOON_US);
    sem_post(&consumer->may_post);
    tn__loop_run(consumer->loop);
    tn__scope_close(consumer->scope);
    tn__messages_free(consumer);
    tn__pg_close(consumer->pg);
    tn__loop_close(consumer->loop);
    return NULL;
}

/* ---- Open and close ------------------------------------------------------------- */

static void open_metrics(tn__consumer *consumer)
{
    static const double bounds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
        2.5, 5, 10 };
    for (size_t i = 0; i < TN__OUTCOMES; i++) {
        if (tn__outcome_names[i] == NULL)
            continue;
        const tn__label labels[] = {
            { "messaging_destination_name", consumer->events.queue },
            { "messaging_operation_name", "process" },
            { "messaging_system", "rabbitmq" },
            { "outcome", tn__outcome_names[i] },
        };
        consumer->seconds[i] = tn__histogram("messaging_process_duration_seconds",
            "From a message's receipt to its outcome.", bounds, sizeof bounds / sizeof *bounds,
            labels, sizeof labels / sizeof *labels);
    }
    consumer->duplicates = tn__counter("trunnion_inbox_duplicates_total",
        "Messages that had taken effect before.", NULL, 0);
    consumer->retries = tn__counter("trunnion_inbox_retries_total",
        "Attempts after a failure that may pass.", NULL, 0);
    consumer->dead_letters = tn__counter("trunnion_inbox_dead_letters_total",
        "Messages that were sent to the dead letters.", NULL, 0);
}

static const char *name_of(const char *service, const char *suffix)
{
    size_t bytes = strlen(service) + strlen(suffix) + 1;
    char *name = tn__xmalloc(bytes);
    snprintf(name, bytes, "%s%s", service, suffix);
    return name;
}

static void init_link(tn__consumer *consumer, tn__link *link, const char *name, const char *suffix)
{
    link->consumer = consumer;
    link->queue = name_of(consumer->options.service->name, suffix);
    tn__contact_init(&link->contact, name, RETRY_MS, RETRY_MAX_MS);
}

/* What the service's queue is bound to. */
static void init_binding(tn__consumer *consumer)
{
    const tn_service *service = consumer->options.service;
    const char **patterns = tn__xcalloc(service->subscriptions.n, sizeof *patterns);
    for (size_t i = 0; i < service->subscriptions.n; i++)
        patterns[i] = service->subscriptions.at[i].event;
    consumer->binding = (tn__queue_binding){ service->name, patterns, service->subscriptions.n };
}

static void check(const tn__consumer_options *options)
{
    assert(options->prefetch > 0 && options->prefetch <= UINT16_MAX);
    assert(options->retries_max >= 0 && options->message_timeout_ms > 0);
    assert(options->retry_ms > 0 && options->retry_max_ms >= options->retry_ms);
    (void)options;
}

tn__consumer *tn__consumer_open(const tn__consumer_options *options)
{
    check(options);
    tn__consumer *consumer = tn__xcalloc(1, sizeof *consumer);
    consumer->options = *options;
    pthread_mutex_init(&consumer->lock, NULL);
    sem_init(&consumer->may_post, 0, 0);
    init_link(consumer, &consumer->events, "inbox broker", TN__QUEUE_SUFFIX);
    init_link(consumer, &consumer->dead, "dead letters broker", TN__QUEUE_SUFFIX_DEAD);
    consumer->events.prefetch = options->prefetch;
    consumer->events.on_message = tn__message_start;
    consumer->dead.prefetch = DEAD_PREFETCH;
    consumer->dead.on_message = tn__dead_letter_start;
    init_binding(consumer);
    open_metrics(consumer);
    tn__consumer_tell(consumer, &consumer->events, TN_S("not connected yet"));
    if (pthread_create(&consumer->thread, NULL, run, consumer) != 0) {
        TN_LOG(TN_ERROR, "the consumer can't be started", TN_LOG_I("errno", errno));
        abort();
    }
    pthread_setname_np(consumer->thread, "consumer");
    return consumer;
}

void tn__consumer_close(tn__consumer *consumer, int drain_ms)
{
    if (consumer == NULL)
        return;
    atomic_store(&consumer->drain_ms, drain_ms);
    sem_wait(&consumer->may_post);
    tn__loop_post(consumer->loop, begin_drain, consumer);
    pthread_join(consumer->thread, NULL);
    free((void *)(uintptr_t)consumer->events.queue);
    free((void *)(uintptr_t)consumer->dead.queue);
    free((void *)(uintptr_t)consumer->binding.patterns);
    pthread_mutex_destroy(&consumer->lock);
    sem_destroy(&consumer->may_post);
    free(consumer);
}
