/* The relay's thread: it keeps the database and the broker, and sleeps when there is nothing to do.
 *
 * Who writes rows sets `pending` and, only if the thread sleeps, writes the eventfd: a wake costs
 * more than all the rest. The thread says that it sleeps before it looks at `pending` for the last
 * time, so no row is overlooked; notifications of other processes and a slow poll come on top. */
#include "messaging/relay.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS = 3000, /* a close waits for an attempt to end */
    RPC_TIMEOUT_MS = 10000,
    HEARTBEAT_S = 10,
    RETRY_MS = 100,
    RETRY_MAX_MS = 5000,
    STATEMENT_TIMEOUT_MS = TN__DB_TIMEOUT_MS,
    NAP_MS_MAX = 1000,
    ARENA_BYTES = 16 * 1024,
};

/* ---- State that others ask for --------------------------------------------- */

void tn__relay_say(tn__relay *relay, bool connected, tn_str why)
{
    pthread_mutex_lock(&relay->lock);
    snprintf(relay->why, sizeof relay->why, "%.*s", TN_FMT(why));
    pthread_mutex_unlock(&relay->lock);
    atomic_store(&relay->connected, connected);
}

bool tn__relay_up(tn__relay *relay, tn_arena *arena, tn_str *why)
{
    bool connected = atomic_load(&relay->connected);
    pthread_mutex_lock(&relay->lock);
    *why = connected ? TN_S("") : tn_copy(arena, tn_str_of(relay->why));
    pthread_mutex_unlock(&relay->lock);
    return connected;
}

void tn__relay_wake(tn__relay *relay)
{
    atomic_store(&relay->pending, true);
    if (atomic_load(&relay->sleeping) && atomic_exchange(&relay->sleeping, false))
        eventfd_write(relay->wake_fd, 1);
}

/* ---- The database ------------------------------------------------------------ */

static void try_database(tn__relay *relay)
{
    char name[80];
    snprintf(name, sizeof name, "%s relay", relay->options.service);
    tn__db_options options = {
        .url = relay->options.database_url,
        .application_name = name,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
        .idle_in_transaction_timeout_ms = relay->options.confirm_timeout_ms + STATEMENT_TIMEOUT_MS,
        .listen = "trunnion_outbox",
        .statements = tn__relay_statements,
        .n_statements = tn__relay_statements_n,
    };
    if (!tn__db_open(&relay->db, &options)) {
        tn__contact_down(&relay->database, tn_str_of(relay->db.why));
        return;
    }
    tn__contact_up(&relay->database);
    /* There was nobody to be notified. */
    relay->claim_due = true;
}

void tn__relay_lost_database(tn__relay *relay)
{
    assert(relay->db.conn == NULL);
    tn__contact_down(&relay->database, tn_str_of(relay->db.why));
}

/* ---- The broker -------------------------------------------------------------- */

static void try_broker(tn__relay *relay)
{
    tn_str why = { 0 };
    char name[80];
    snprintf(name, sizeof name, "%s relay", relay->options.service);
    relay->amqp = tn__amqp_open(
        &(tn__amqp_options){
            .url = relay->options.amqp_url,
            .connection_name = name,
            .connect_timeout_ms = CONNECT_TIMEOUT_MS,
            .rpc_timeout_ms = RPC_TIMEOUT_MS,
            .heartbeat_s = HEARTBEAT_S,
        },
        relay->arena, &why);
    if (relay->amqp == NULL) {
        tn__relay_lost_broker(relay, why);
    } else if (tn__amqp_declare(relay->amqp, relay->options.queues, relay->options.n_queues) !=
        TN__AMQP_OK) {
        tn__relay_lost_broker(relay, tn__amqp_why(relay->amqp));
    } else {
        tn__contact_up(&relay->broker);
        tn__relay_say(relay, true, TN_S(""));
        relay->claim_due = true;
    }
    tn__arena_reset(relay->arena);
}

void tn__relay_lost_broker(tn__relay *relay, tn_str why)
{
    tn__relay_say(relay, false, why);
    tn__contact_down(&relay->broker, why);
    tn__amqp_close(relay->amqp);
    relay->amqp = NULL;
}

/* Heartbeats, and the news of whether it takes publishes. */
static void heed_broker(tn__relay *relay)
{
    tn_str why;
    if (tn__amqp_pump(relay->amqp) != TN__AMQP_OK) {
        tn__relay_lost_broker(relay, tn__amqp_why(relay->amqp));
        return;
    }
    bool blocked = tn__amqp_blocked(relay->amqp, &why);
    if (blocked == !atomic_load(&relay->connected))
        return;
    TN_LOG(blocked ? TN_WARN : TN_INFO, blocked ? "broker takes no messages" : "broker is back",
        TN_LOG_S("reason", why));
    tn__relay_say(relay, !blocked, why);
    relay->claim_due = true;
}

/* ---- The thread -------------------------------------------------------------- */

static int64_t min_us(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is to be done though nobody calls. */
static int64_t next_us(const tn__relay *relay, int64_t now_us)
{
    int64_t at_us = now_us + NAP_MS_MAX * 1000;
    if (!relay->database.up)
        at_us = min_us(at_us, relay->database.retry_at_us);
    if (!relay->broker.up && relay->options.amqp_url != NULL)
        at_us = min_us(at_us, relay->broker.retry_at_us);
    /* Not while the broker takes nothing: what is due then has to wait all the same. */
    if (relay->database.up && atomic_load(&relay->connected)) {
        at_us = min_us(at_us, relay->poll_at_us);
        at_us = min_us(at_us, tn__stuck_due_us(&relay->stuck, now_us));
    }
    if (relay->database.up)
        at_us = min_us(at_us, min_us(relay->purge_at_us, relay->measure_at_us));
    return at_us;
}

static void rest(tn__relay *relay)
{
    int64_t now_us = tn__mono_us();
    int64_t left_ms = (next_us(relay, now_us) - now_us + 999) / 1000;
    struct pollfd at[] = {
        { .fd = relay->wake_fd, .events = POLLIN },
        { .fd = relay->db.conn != NULL ? PQsocket(relay->db.conn) : -1, .events = POLLIN },
        { .fd = relay->amqp != NULL ? tn__amqp_fd(relay->amqp) : -1, .events = POLLIN },
    };
    int64_t stuck_us = tn__stuck_due_us(&relay->stuck, now_us);
    atomic_store(&relay->sleeping, true);
    bool able = relay->database.up && atomic_load(&relay->connected);
    bool called = able && atomic_load(&relay->pending);
    if (!called && !atomic_load(&relay->closing) && left_ms > 0)
        poll(at, 3, (int)left_ms);
    atomic_store(&relay->sleeping, false);
    if ((at[0].revents & POLLIN) != 0)
        eventfd_read(relay->wake_fd, &(eventfd_t){ 0 });
    if (tn__mono_us() >= stuck_us)
        relay->claim_due = true;
    if ((at[1].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
        return;
    if (tn__db_notified(&relay->db))
        relay->claim_due = true;
    if (relay->db.conn == NULL)
        tn__relay_lost_database(relay);
}

/* True when there is a reason to look for rows, and somebody to give them to. */
static bool should_claim(tn__relay *relay)
{
    int64_t now_us = tn__mono_us();
    if (!relay->database.up || !atomic_load(&relay->connected))
        return false;
    bool due = relay->claim_due || atomic_load(&relay->pending) || now_us >= relay->poll_at_us;
    if (!due)
        return false;
    relay->claim_due = false;
    int64_t poll_us = (int64_t)relay->options.poll_ms * 1000;
    relay->poll_at_us = now_us + poll_us;
    return true;
}

static bool is_over(tn__relay *relay)
{
    if (!atomic_load(&relay->closing))
        return false;
    bool possible = relay->database.up && atomic_load(&relay->connected);
    return !possible || tn__mono_us() >= atomic_load(&relay->close_by_us);
}

static void keep_contacts(tn__relay *relay)
{
    int64_t now_us = tn__mono_us();
    if (atomic_load(&relay->closing))
        return;
    if (tn__contact_due(&relay->database, now_us))
        try_database(relay);
    if (relay->options.amqp_url != NULL && tn__contact_due(&relay->broker, now_us) &&
        !atomic_load(&relay->closing))
        try_broker(relay);
}

static void *run(void *arg)
{
    tn__relay *relay = arg;
    bool drained = false;
    while (!drained && !is_over(relay)) {
        keep_contacts(relay);
        if (relay->amqp != NULL)
            heed_broker(relay);
        if (relay->database.up)
            tn__relay_upkeep(relay);
        /* Once more than seems needed: what was written before the close is there by then. */
        drained = atomic_load(&relay->closing);
        relay->claim_due = relay->claim_due || drained;
        if (should_claim(relay))
            while (tn__relay_batch(relay))
                tn__relay_upkeep(relay);
        else if (!drained)
            rest(relay);
    }
    return NULL;
}

/* ---- Open and close ----------------------------------------------------------- */

static void open_metrics(tn__relay_metrics *metrics)
{
    static const double bounds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
        2.5, 5, 10 };
    const tn__label labels[] = {
        { "messaging_destination_name", TN__EXCHANGE },
        { "messaging_operation_name", "publish" },
        { "messaging_system", "rabbitmq" },
    };
    metrics->published = tn__counter("trunnion_outbox_published_total",
        "Events that the broker confirmed.", NULL, 0);
    metrics->returned = tn__counter("trunnion_outbox_returned_total",
        "Events that came back: no queue is bound.", NULL, 0);
    metrics->nacked = tn__counter("trunnion_outbox_nacked_total",
        "Events that the broker or a queue refused.", NULL, 0);
    metrics->pending = tn__gauge("trunnion_outbox_pending",
        "Events that wait to be published, counted up to 100000.", NULL, 0);
    metrics->oldest_age = tn__gauge("trunnion_outbox_oldest_age_seconds",
        "How long the oldest event has waited.", NULL, 0);
    metrics->publish_seconds = tn__histogram("messaging_client_operation_duration_seconds",
        "From publishing to the broker's word on it.", bounds, sizeof bounds / sizeof *bounds,
        labels, sizeof labels / sizeof *labels);
}

tn__relay *tn__relay_open(const tn__relay_options *options)
{
    assert(options->batch_max > 0 && options->batch_max <= TN__AMQP_UNSETTLED_MAX / 2);
    assert(options->poll_ms > 0 && options->confirm_timeout_ms > 0);
    tn__relay *relay = tn__xcalloc(1, sizeof *relay);
    relay->options = *options;
    relay->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&relay->lock, NULL);
    relay->arena = tn__arena_open(ARENA_BYTES);
    relay->sent = tn__xcalloc((size_t)options->batch_max, sizeof *relay->sent);
    tn__contact_init(&relay->database, "outbox database", RETRY_MS, RETRY_MAX_MS);
    tn__contact_init(&relay->broker, "outbox broker", RETRY_MS, RETRY_MAX_MS);
    open_metrics(&relay->metrics);
    tn__relay_say(relay, false, TN_S("not connected yet"));
    if (relay->wake_fd < 0 || pthread_create(&relay->thread, NULL, run, relay) != 0) {
        TN_LOG(TN_ERROR, "the relay can't be started", TN_LOG_I("errno", errno));
        abort();
    }
    pthread_setname_np(relay->thread, "relay");
    return relay;
}

void tn__relay_close(tn__relay *relay, int drain_ms)
{
    if (relay == NULL)
        return;
    atomic_store(&relay->close_by_us, tn__mono_us() + (int64_t)drain_ms * 1000);
    atomic_store(&relay->closing, true);
    eventfd_write(relay->wake_fd, 1);
    pthread_join(relay->thread, NULL);
    tn__amqp_close(relay->amqp);
    tn__db_close(&relay->db);
    PQclear(relay->claimed);
    free(relay->sent);
    tn__arena_close(relay->arena);
    pthread_mutex_destroy(&relay->lock);
    close(relay->wake_fd);
    free(relay);
}
