/* The outbox and the inbox: where the database meets the broker.
 *
 * Outbox: tn_emit() adds a row to the transaction; the relay, a thread of its own, claims rows with
 * FOR UPDATE SKIP LOCKED, publishes them, and deletes each one that the broker confirmed, in the
 * same claiming transaction. Whatever dies in between, a row is either still there or was confirmed.
 * Inbox: the consumer, a thread with an event loop of its own, runs each message in a coroutine; the
 * message id is written in the transaction of its effect, and the delivery is acknowledged after
 * that is durable. A second delivery meets the id and changes nothing. */
#pragma once

#include "amqp/amqp.h"
#include "pg/pg.h"

/* ---- Outbox ------------------------------------------------------------- */

typedef struct tn__relay tn__relay;

/* What is pointed to must outlive the relay. Without an amqp_url it only purges and measures. */
typedef struct {
    const char *database_url, *amqp_url, *service;
    int batch_max; /* rows claimed at once */
    int poll_ms;   /* the net under wakes and notifications */
    int confirm_timeout_ms;
    int inbox_ttl_s;    /* how long message ids are remembered */
    int purge_every_ms; /* expired idempotency keys and message ids go, in small batches */
    const tn__queue_binding *queues; /* what to declare besides the exchanges */
    size_t n_queues;
} tn__relay_options;

tn__relay *tn__relay_open(const tn__relay_options *options); /* starts the thread */
/* There are new rows. Cheap, thread-safe; wakes the thread only when it sleeps. */
void tn__relay_wake(tn__relay *relay);
/* True when connected to the broker; else why not (copied into the arena). Thread-safe. */
bool tn__relay_up(tn__relay *relay, tn_arena *arena, tn_str *why);
/* Publishes what is there within the time, then ends the thread. */
void tn__relay_close(tn__relay *relay, int drain_ms);

/* What events of a transaction inherit. The layer that opens a transaction sets it as the
 * transaction's context; the strings live as long as the arena. */
typedef struct {
    const char *service;
    tn__relay *relay; /* NULL: the rows wait for another process's relay */
    tn_str correlation_id, idempotency_key, traceparent, tracestate;
} tn__origin;

/* The row that tn_emit() writes and the relay reads, for messages that are not events of a table
 * (such as a dead letter on its way back). */
typedef struct {
    tn_uuid message_id;
    tn_str exchange, routing_key, type, app_id;
    tn_time time;
    tn_str correlation_id;
    tn_json headers; /* an object of strings */
    tn_str body;
} tn__outbox_row;
void tn__outbox_add(tn_tx *tx, const tn__outbox_row *row);

/* ---- Inbox -------------------------------------------------------------- */

typedef struct tn__consumer tn__consumer;

typedef struct {
    const tn_service *service;
    tn__pg_options database;
    const char *amqp_url;
    int prefetch;
    int retries_max; /* of a transient failure, before the message waits in the queue again */
    int retry_ms, retry_max_ms; /* backoff */
    int message_timeout_ms;
    /* The part of the messages that is logged, 0 to 1; all that fail, unless it is 0. */
    double access_log;
    tn__relay *relay;
} tn__consumer_options;

tn__consumer *tn__consumer_open(const tn__consumer_options *options); /* starts the thread */
bool tn__consumer_up(tn__consumer *consumer, tn_arena *arena, tn_str *why);
/* Takes no more messages, finishes and acknowledges those in hand within the time, ends. */
void tn__consumer_close(tn__consumer *consumer, int drain_ms);

/* ---- Both --------------------------------------------------------------- */

/* The tables that the chassis needs in each service's database: embedded migrations of the set
 * "trunnion". */
extern const tn_migration *const tn__chassis_migrations;
extern const size_t tn__chassis_migrations_n;
