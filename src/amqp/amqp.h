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
    /* amqp://user:password@host:port/vhost, or amqps:// (port 5671), where the broker's certificate
     * must be valid for the host. After it may come ?cacertfile=, certfile=, keyfile= (PEM) and
     * verify=verify_none, as RabbitMQ's URI query parameters say; without a cacertfile the system's
     * authorities are trusted. */
    const char *url;
    const char *connection_name;
    int connect_timeout_ms, rpc_timeout_ms, heartbeat_s;
} tn__amqp_options;

/* NULL with `why` (in the arena) when it fails. Looking up the host's name takes as long as the
 * system's resolver allows; everything after it at most connect_timeout_ms for the connection and
 * as much again for the handshake. */
tn__amqp *tn__amqp_open(const tn__amqp_options *options, tn_arena *arena, tn_str *why);
void tn__amqp_close(tn__amqp *amqp); /* politely when it can, within a second */
tn_str tn__amqp_why(const tn__amqp *amqp);
/* True when it was lost since the broker refused something that was sent, and closed the channel. */
bool tn__amqp_refused(const tn__amqp *amqp);
/* To be watched for input. It stays open until tn__amqp_close(), even when the connection is lost. */
int tn__amqp_fd(const tn__amqp *amqp);
/* True while the broker takes no publishes (connection.blocked: it is short of memory or disk). Its
 * `why` lives as long as the state. */
bool tn__amqp_blocked(const tn__amqp *amqp, tn_str *why);

/* Exchange `events` (topic), exchange `events.dead` (topic), and for a consumer the quorum queue
 * <service>.events with its dead-letter settings, bound to each pattern, and <service>.events.dead
 * bound to events.dead by <service>.#. All durable. Producers declare the consumers' queues that
 * they know of too (`queues`), so that nothing published before a consumer's first start is lost.
 * One that exists with other arguments is TN__AMQP_LOST, and why() names it and the argument. */
#define TN__EXCHANGE          "events"
#define TN__EXCHANGE_DEAD     "events.dead"
#define TN__QUEUE_SUFFIX      ".events"
#define TN__QUEUE_SUFFIX_DEAD ".events.dead"
/* A message that was delivered more often than this goes to the dead letters. */
#define TN__DELIVERY_LIMIT 20
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

/* Bodies beyond this are not kept: the message comes with an empty one and `body_bytes`. */
#define TN__AMQP_BODY_BYTES_MAX ((size_t)16 << 20)

/* A message, out or in. Strings of a received one are valid until the next tn__amqp_next(). */
typedef struct {
    tn_str exchange, routing_key;
    tn_str message_id, type, app_id, correlation_id, content_type;
    int64_t timestamp_s;                           /* 0: none, or beyond the year 9999 */
    tn__amqp_header headers[TN__AMQP_HEADERS_MAX]; /* string headers; others are left out */
    size_t n_headers;
    tn_str body;
    /* Received ones only. */
    uint64_t body_bytes; /* as the broker announced it */
    uint64_t delivery_tag;
    bool redelivered;
    int64_t delivery_count;   /* x-delivery-count; 0 on the first delivery */
    tn_str death_routing_key; /* the first of the newest x-death: what it was published with */
} tn__amqp_message;

/* Publisher confirms are on for every connection. */

/* At most this many publishes may be waiting for tn__amqp_confirms() to report them. */
#define TN__AMQP_UNSETTLED_MAX 8192
/* What fits into the frames of AMQP: short strings of 255 bytes, headers of one frame. Publishing
 * anything else is a programmer error. False with a `why` that is static. */
bool tn__amqp_fits(const tn__amqp *amqp, const tn__amqp_message *message, tn_str *why);
/* Publishes mandatory and persistent; `*tag` counts from 1. Bytes may wait to be sent until the next
 * call of tn__amqp_confirms(), tn__amqp_next() or tn__amqp_pump(). TN__AMQP_NOTHING: it was not
 * sent, since the broker takes none for now (tn__amqp_blocked), or too many are unsettled. */
tn__amqp_result tn__amqp_publish(tn__amqp *amqp, const tn__amqp_message *message, uint64_t *tag);

typedef enum {
    TN__AMQP_CONFIRMED, /* every queue it was routed to has it */
    TN__AMQP_RETURNED,  /* no queue is bound for it */
    TN__AMQP_NACKED,    /* a queue refused it, or the broker failed */
} tn__amqp_fate;
typedef void tn__amqp_settled(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why);
/* Waits until every tag up to `last` is settled or `deadline_us` (tn__mono_us) passes
 * (TN__AMQP_NOTHING). Calls on_settled once for each settled one, whatever is returned. On a
 * connection that consumes it waits for nothing: there tn__amqp_next() reads the confirms. */
tn__amqp_result tn__amqp_confirms(tn__amqp *amqp, uint64_t last, int64_t deadline_us,
    tn__amqp_settled *on_settled, void *arg);

/* At most one queue a connection. */
tn__amqp_result tn__amqp_consume(tn__amqp *amqp, const char *queue, int prefetch);
/* Asks for no more deliveries. Some may still come. */
tn__amqp_result tn__amqp_cancel(tn__amqp *amqp);
/* The next delivery, waiting at most timeout_ms (0: only what is there, reading the socket without
 * blocking). A consumer that the broker cancelled is TN__AMQP_LOST. Call it until TN__AMQP_NOTHING:
 * bytes that were read ahead don't make the socket readable again. */
tn__amqp_result tn__amqp_next(tn__amqp *amqp, int timeout_ms, tn__amqp_message *message);
/* `multiple`: this delivery and all before it. */
tn__amqp_result tn__amqp_ack(tn__amqp *amqp, uint64_t delivery_tag, bool multiple);
tn__amqp_result tn__amqp_reject(tn__amqp *amqp, uint64_t delivery_tag, bool requeue);
/* Keeps heartbeats going while there is nothing else to do. Not on a connection that consumes: there
 * tn__amqp_next() does that. */
tn__amqp_result tn__amqp_pump(tn__amqp *amqp);
