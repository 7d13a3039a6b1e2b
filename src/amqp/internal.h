/* What the parts of the connection share. */
#pragma once

#include "amqp/amqp.h"
#include "amqp/rabbitmq.h"
#include "amqp/window.h"

#define TN__CHANNEL 1

/* A message on its way in: a method frame, a header frame, and body frames until it is whole. The
 * pointers are into rabbitmq-c's memory, which is kept until the message was used. */
typedef enum { TN__CONTENT_NONE, TN__CONTENT_DELIVERY, TN__CONTENT_RETURN } tn__content_kind;
typedef struct {
    tn__content_kind kind;
    const void *method;                        /* amqp_basic_deliver_t or amqp_basic_return_t */
    const amqp_basic_properties_t *properties; /* NULL until the header came */
    uint64_t body_bytes, body_seen;
} tn__content;

struct tn__amqp {
    amqp_connection_state_t state;
    int fd; /* of our own: rabbitmq-c closes its one at once when the connection is lost */
    int rpc_timeout_ms;
    int heartbeat_s; /* as agreed with the broker; 0: none */
    bool lost, refused, blocked;
    bool consuming; /* tn__amqp_next() does the reading */
    bool corked;
    int64_t heard_us; /* when bytes were last seen to come */
    tn__content content;
    tn__buf body; /* of `content` */
    tn__window window;
    tn__buf queue; /* that it consumes, with a NUL */
    char why[512], blocked_why[256];
};

/* Marks the connection as lost, with the reason of the first loss: TN__AMQP_LOST. */
tn__amqp_result tn__amqp_lose(tn__amqp *amqp, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A library status that isn't AMQP_STATUS_OK. */
tn__amqp_result tn__amqp_lose_status(tn__amqp *amqp, const char *doing, int status);
/* Turns the answer to an RPC into a result; `doing` says what was asked. */
tn__amqp_result tn__amqp_answer(tn__amqp *amqp, const char *doing, amqp_rpc_reply_t reply);
/* The broker closed the channel or the connection. */
tn__amqp_result tn__amqp_closed(tn__amqp *amqp, const char *doing, const amqp_method_t *method);

/* Reads and handles one frame: OK when one came, NOTHING when `deadline_us` passed. `*delivered` is
 * set when it completed a delivery, which stands in `content` and `body` then. */
tn__amqp_result tn__amqp_step(tn__amqp *amqp, int64_t deadline_us, bool *delivered);
/* Reads what is there, on a connection that doesn't consume. */
tn__amqp_result tn__amqp_absorb(tn__amqp *amqp);
/* Before something is written: LOST when the broker has been silent for too long. */
tn__amqp_result tn__amqp_heed(tn__amqp *amqp);
/* Gives memory of messages that were used back; not while one is half read. */
void tn__amqp_release(tn__amqp *amqp);
/* Sends what was held back to fill packets. */
void tn__amqp_flush(tn__amqp *amqp);

/* Hashes what a returned message is recognised by. */
uint64_t tn__amqp_key(tn_str exchange, tn_str routing_key, tn_str message_id);
