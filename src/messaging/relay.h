/* What the parts of the relay share. Everything but the wake-up and the state that others ask for
 * belongs to its thread. */
#pragma once

#include "messaging/contact.h"
#include "messaging/db.h"
#include "messaging/messaging.h"
#include "messaging/stuck.h"
#include "messaging/trace.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    tn__metric *published, *returned, *nacked;
    tn__metric *pending, *oldest_age;
    tn__metric *publish_seconds;
} tn__relay_metrics;

/* A row on its way to the broker. */
typedef struct {
    uint64_t tag;
    int64_t sent_us;
    int row; /* in the claim's result */
    bool settled;
    tn__amqp_fate fate;
    tn__publish_span span;
} tn__sent;

struct tn__relay {
    tn__relay_options options;
    pthread_t thread;

    /* Written by others. */
    int wake_fd;
    _Atomic bool pending;  /* there may be new rows */
    _Atomic bool sleeping; /* wake_fd has to be written */
    _Atomic bool closing;
    _Atomic int64_t close_by_us;

    /* Read by others. */
    _Atomic bool connected; /* to the broker, which takes publishes */
    pthread_mutex_t lock;
    char why[300]; /* under the lock: why not connected */

    tn_arena *arena; /* of the batch */
    tn__db db;
    tn__amqp *amqp;
    tn__contact database, broker;
    tn__stuck stuck;
    int cautious; /* rows to publish one by one, to find the one that the broker refuses */
    bool claim_due;
    int64_t poll_at_us, purge_at_us, measure_at_us;
    PGresult *claimed; /* rows that are locked by the open transaction; NULL: none is open */
    tn__sent *sent;    /* of them, batch_max places */
    size_t n_sent;
    tn__relay_metrics metrics;
};

enum { TN__DB_TIMEOUT_MS = 10000 };

/* The statements of the relay, prepared on each connection. */
extern const tn__db_statement tn__relay_statements[];
extern const size_t tn__relay_statements_n;

/* Claims, publishes, waits and deletes, as long as there is something to publish. True when it
 * should be called again at once. */
bool tn__relay_batch(tn__relay *relay);
/* Purges and measures, when due and no claim is open. */
void tn__relay_upkeep(tn__relay *relay);
bool tn__relay_upkeep_due(const tn__relay *relay);

/* The database or the broker is gone, or the broker has to be met anew. */
void tn__relay_lost_database(tn__relay *relay);
void tn__relay_lost_broker(tn__relay *relay, tn_str why);
/* Tells those who ask: connected, or why not. */
void tn__relay_say(tn__relay *relay, bool connected, tn_str why);
