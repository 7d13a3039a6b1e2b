/* AMQP 0-9-1 on rabbitmq-c: one connection with one channel, used by one thread.
 *
 * rabbitmq-c does nothing in the background: each call here takes a time limit, and the owner calls
 * tn__amqp_pump() or tn__amqp_next() more often than the heartbeat. After any TN__AMQP_LOST the
 * connection is dead: close it and connect again with backoff. */
#pragma once

#include "telemetry/telemetry.h"

typedef struct tn__amqp tn__amqp;

typedef enum {
    TN__AMQP_OK,
    TN__AMQP_NOTHING, /* nothing came in time */
    TN__AMQP_LOST,    /* the connection or the channel is gone; tn__amqp_why() */
} tn__amqp_result;

typedef struct {
    const char *url; /* amqp://user:password@host:port/vhost, or amqps:// */
    const char *connection_name;
    int connect_timeout_ms, rpc_timeout_ms, heartbeat_s;
} tn__amqp_options;

/* NULL with `why` (in the arena) when it fails. */
tn__amqp *tn__amqp_open(const tn__amqp_options *options, tn_arena *arena, tn_str *why);
void tn__amqp_close(tn__amqp *amqp); /* politely when it can, within a second */
tn_str tn__amqp_why(const tn__amqp *amqp);
int tn__amqp_fd(const tn__amqp *amqp);

/* Exchange `events` (topic), exchange `events.dead` (topic), and for a consumer the quorum queue
 * <service>.events with its dead-letter settings, bound to each pattern, and <service>.events.dead
 * bound to events.dead. All durable. Producers declare the consumers' queues that they know of too
 * (`queues`), so that nothing published before a consumer's first start is lost. */
typedef struct {
    const char *consumer; /* service name of the consumer */
    const char *const *patterns;
    size_t n_patterns;
} tn__queue_binding;
tn__amqp_result tn__amqp_declare(tn__amqp *amqp, const tn__queue_binding *queues, size_t n);

typedef struct {
    tn_str name, value;
} tn__amqp_header;
#define TN__AMQP_HEADERS_MAX 32

/* A message, out or in. Strings of a received one are valid until the next tn__amqp_next(). */
typedef struct {
    tn_str exchange, routing_key;
    tn_str message_id, type, app_id, correlation_id, content_type;
    int64_t timestamp_s; /* 0: none */
    tn__amqp_header headers[TN__AMQP_HEADERS_MAX]; /* string headers; others are left out */
    size_t n_headers;
    tn_str body;
    uint64_t delivery_tag; /* received ones */
    bool redelivered;
    int64_t delivery_count; /* x-delivery-count; 0 on the first delivery */
} tn__amqp_message;

/* Publisher confirms are on for every connection. Publishes mandatory and persistent; `*tag` counts
 * from 1. */
tn__amqp_result tn__amqp_publish(tn__amqp *amqp, const tn__amqp_message *message, uint64_t *tag);
/* Waits until every tag up to `last` is settled or `deadline_us` passes (TN__AMQP_NOTHING). For each
 * settled one calls on_settled(arg, tag, ok, why): not ok for a nack and for a message that came
 * back unroutable (basic.return comes before its ack). */
typedef void tn__amqp_settled(void *arg, uint64_t tag, bool ok, tn_str why);
tn__amqp_result tn__amqp_confirms(tn__amqp *amqp, uint64_t last, int64_t deadline_us,
                                  tn__amqp_settled *on_settled, void *arg);

tn__amqp_result tn__amqp_consume(tn__amqp *amqp, const char *queue, int prefetch);
/* The next delivery, waiting at most timeout_ms (0: only what is there, reading the socket without
 * blocking). A consumer that the broker cancelled is TN__AMQP_LOST. */
tn__amqp_result tn__amqp_next(tn__amqp *amqp, int timeout_ms, tn__amqp_message *message);
tn__amqp_result tn__amqp_ack(tn__amqp *amqp, uint64_t delivery_tag);
tn__amqp_result tn__amqp_reject(tn__amqp *amqp, uint64_t delivery_tag, bool requeue);
/* Keeps heartbeats going while there is nothing else to do. */
tn__amqp_result tn__amqp_pump(tn__amqp *amqp);
