/* What the parts of the consumer share. All of it belongs to the loop's thread, but for the state
 * that others ask for. */
#pragma once

#include "messaging/acks.h"
#include "messaging/contact.h"
#include "messaging/messaging.h"
#include "messaging/trace.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* One publish of a coroutine that waits for the broker's word on it. */
typedef struct tn__awaited tn__awaited;
struct tn__awaited {
    uint64_t tag;
    tn__co *co;
    bool settled, lost;
    tn__amqp_fate fate;
    tn__awaited *next;
};

/* One of the consumer's two connections: `events` consumes the service's queue; `dead` publishes to
 * the dead letters and consumes their queue. Two, so that a broker that takes no publishes still
 * delivers. */
typedef struct tn__link tn__link;
struct tn__link {
    tn__consumer *consumer;
    const char *queue;
    int prefetch;
    void (*on_message)(tn__link *link, const tn__amqp_message *message);
    tn__contact contact;
    tn__amqp *amqp; /* NULL: not connected */
    uint64_t epoch; /* counts connections: the tags of an earlier one mean nothing */
    bool consuming;
    tn__acks acks;
    tn__awaited *awaited;
    uint64_t last_tag; /* published */
    tn__watch watch;
    tn__timer retry;
    tn__task flush; /* sends acknowledgements at the end of the turn */
};

typedef enum {
    TN__TOOK_EFFECT = 1,
    TN__KNOWN, /* it had taken effect before */
    TN__POISON,
    TN__AGAIN, /* a failure that may pass */
    TN__REQUEUE,
    TN__LEFT, /* not ours any more: it will be delivered again */
} tn__outcome;
enum { TN__OUTCOMES = TN__LEFT + 1 };
/* As the metrics and the log call them; NULL where there is none. */
extern const char *const tn__outcome_names[TN__OUTCOMES];

struct tn__consumer {
    tn__consumer_options options;
    pthread_t thread;
    sem_t may_post; /* there is a loop */
    tn__loop *loop;
    tn__pg *pg;
    tn__scope *scope; /* of the messages in hand */
    tn__link events, dead;
    tn__queue_binding binding;
    tn_msg *free_messages;
    bool probing; /* whether the database answers, before anything is consumed */
    bool draining;
    int64_t failing_since_us; /* the database answers nobody; 0: it does */
    tn__timer tick, deadline;
    tn__metric *seconds[TN__OUTCOMES];
    tn__metric *duplicates, *retries, *dead_letters;

    /* Others'. */
    _Atomic bool up;
    _Atomic int64_t drain_ms;
    pthread_mutex_t lock;
    char why[300];
};

/* A message in hand, in a coroutine of its own. */
struct tn_msg {
    tn__origin origin; /* First: it is the context of the message's transactions. */
    tn__consumer *consumer;
    tn_arena *arena;
    tn_meta meta;
    tn__amqp_message raw; /* in the arena */
    uint64_t epoch;
    int64_t received_us;
    const tn_subscription *subscription;
    void *body;       /* decoded */
    tn_tx *tx;        /* open */
    tn_str reason;    /* why it is poison */
    bool fails_alone; /* the last failure was this message's own: the database answered */
    bool second;      /* it may have taken effect already */
    tn__process_span span;
    tn__log_context log;
    char trace_id[32], span_id[16], traceparent[55];
    tn_msg *next;
};

/* ---- link.c: a connection --------------------------------------------------- */

void tn__link_open(tn__link *link);  /* tries from now on */
void tn__link_close(tn__link *link); /* acknowledges what is done */
void tn__link_consume(tn__link *link);
/* Reads and handles what has come, and keeps the heartbeats going. */
void tn__link_read(tn__link *link);
/* Gives the connection up, to be made again. */
void tn__link_down(tn__link *link, tn_str why);

/* True while the delivery's connection is there: what is said of it reaches the broker. */
bool tn__link_has(const tn__link *link, uint64_t epoch);
void tn__link_done(tn__link *link, uint64_t epoch, uint64_t tag);
void tn__link_reject(tn__link *link, uint64_t epoch, uint64_t tag, bool requeue);
/* Publishes and waits: false when the connection isn't there or is lost meanwhile, or the time is
 * over. In a coroutine. */
bool tn__link_publish(tn__link *link, const tn__amqp_message *message, tn__amqp_fate *fate);

/* ---- consumer.c: the thread -------------------------------------------------- */

/* Tells those who ask whether messages are consumed, or why not. */
void tn__consumer_tell(tn__consumer *consumer, const tn__link *link, tn_str why);
/* Waits about as long as the backoff says; false when it's no use to go on. In a coroutine. */
bool tn__consumer_pause(tn__consumer *consumer, int failures);
/* The database answered, or it didn't. */
void tn__consumer_saw_database(tn__consumer *consumer, bool answered);

/* ---- message.c: a message's way --------------------------------------------- */

void tn__message_start(tn__link *link, const tn__amqp_message *message);
void tn__messages_free(tn__consumer *consumer);
/* Copies all that a message points to. */
void tn__message_copy(tn_arena *arena, const tn__amqp_message *from, tn__amqp_message *to);
/* The value of a header, or empty. */
tn_str tn__message_header(const tn__amqp_message *message, const char *name);
/* The property, or the header where there is none. */
tn_str tn__message_correlation_id(const tn__amqp_message *message);

/* Asks whether the message took effect before: TN__KNOWN, TN__AGAIN when the database doesn't answer,
 * TN__TOOK_EFFECT when it is new. */
tn__outcome tn__inbox_look_up(tn__consumer *consumer, tn_arena *arena, tn_uuid id);

/* ---- dead.c: what can't take effect ----------------------------------------- */

#define TN__DEATH_REASON "x-death-reason"
#define TN__FIRST_KEY    "x-first-routing-key" /* where it differs from the type */
/* Sends the message to the dead letters: true when they have it. */
bool tn__message_bury(tn_msg *msg);
/* A delivery of the dead letters' queue, on its way into the table. */
void tn__dead_letter_start(tn__link *link, const tn__amqp_message *message);
