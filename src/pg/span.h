/* Spans of the database: one for each named statement, and one for each round trip that several
 * transactions share.
 *
 * A statement is part of what its transaction is part of. Those of a shared round trip link to its
 * span, which is the first of a trace of its own and links to what the transactions are part of;
 * what was sent for all of them is its child. */
#pragma once

#include "pg/conn.h"

/* A statement's result has come; NULL: its connection was lost before. Observes the duration. */
void tn__statement_ended(tn__conn *conn, const tn__entry *entry, const PGresult *result);

/* A round trip, from its begin to its Sync's result. Zeroed: nothing is sampled. */
typedef struct {
    tn__trace trace;
    tn__trace *links; /* room for one a transaction; the owner's */
    size_t n_links;
    size_t n_statements; /* sent by the connection before it; then, in it */
    int64_t began_us;
} tn__round_trip;

/* Begins it with no transaction. */
void tn__round_trip_begin(tn__round_trip *trip, const tn__conn *conn);
/* What one of its transactions is part of; NULL: nothing. */
void tn__round_trip_add(tn__round_trip *trip, const tn__trace *part_of);
/* All are there: with `shared`, and one of them sampled, it gets a span. */
void tn__round_trip_start(tn__round_trip *trip, bool shared);
/* All of it has been sent. */
void tn__round_trip_sent(tn__round_trip *trip, const tn__conn *conn);
void tn__round_trip_end(tn__round_trip *trip, const tn__conn *conn, bool failed);
