/* Events: what a service announces, and what it does with what others announce.
 *
 * An event's body is the envelope {"id", "timestamp", "source_service"}, with "data" beside it when
 * the event says so. It is written to the outbox in the transaction that caused it and reaches the
 * broker at least once; a consumer's inbox makes its effect happen exactly once. */
#pragma once

#include <trunnion/query.h>

/* An event that the service publishes. The routing key is the name. */
typedef struct {
    const char *name;      /* "item.created" */
    const tn_schema *of;   /* What tn_emit() is given. */
    const char *subject;   /* The field of it that becomes the envelope's id: a UUID or a string. */
    const tn_schema *data; /* When set, the body also carries it as "data"; the same as `of`. */
    const char *summary;
} tn_event;

/* Announces `event` when the transaction commits, about the struct `about` (of the event's schema),
 * which is looked at no earlier than the rows it came from have arrived. */
void tn_emit(tn_tx *tx, const tn_event *event, tn_ref about);

/* One message that was received, on its way to its effect. */
typedef struct tn_msg tn_msg;

/* What a consumer says of a message: made by tn_done() or tn_reject(), never by hand. */
typedef struct {
    int outcome;
} tn_outcome;

typedef tn_outcome tn_consumer(tn_msg *msg);

/* What the service listens to. `event` is a topic pattern (AMQP 0-9-1: `*` is one word, `#` any
 * number); the queue is named <service>.events and bound to every pattern. The first subscription
 * that matches the routing key handles the message. `body` describes the JSON body; a body that
 * doesn't fit goes to the dead letters with its faults. */
typedef struct {
    const char *event;
    tn_consumer *handler;
    const tn_schema *body;
    const char *summary;
} tn_subscription;

/* The message's properties and headers; what was missing, or too long to be sent on, is empty. */
typedef struct {
    tn_uuid id;    /* message_id */
    tn_str type;   /* type, or the routing key */
    tn_str source; /* app_id */
    tn_time time;  /* timestamp; the time of receipt if missing */
    tn_str correlation_id, idempotency_key, traceparent, tracestate;
    tn_str routing_key;
    tn_str body;
    bool redelivered;
} tn_meta;

const tn_meta *tn_msg_meta(const tn_msg *msg);
tn_arena *tn_msg_arena(tn_msg *msg);

/* The decoded body as `const struct tag *`: the tag of the subscription's schema. */
#define TN_EVENT(msg, tag) ((const struct tag *)tn_msg_body_((msg), &tag##_schema))
const void *tn_msg_body_(const tn_msg *msg, const tn_schema *schema);

/* The transaction in which the message takes effect: it also writes the message id to the inbox, so
 * that a second delivery changes nothing. */
tn_tx *tn_receive(tn_msg *msg);

/* Commits: the message is acknowledged once that is durable. A failure that may pass is retried
 * with backoff; one that won't goes to the dead letters with its reason. */
tn_outcome tn_done(tn_tx *tx);

/* Sends the message to the dead letters at once, with a reason for the operator. */
tn_outcome tn_reject(tn_msg *msg, const char *format, ...) __attribute__((format(printf, 2, 3)));
