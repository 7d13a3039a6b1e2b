/* Lanes: transactions that share round trips and commits.
 *
 * All that is queued when a slot is free is one batch: the bulks marked first, each member's
 * statements, the other bulks, one Sync. The server runs what lies between two Syncs as one
 * transaction, so on the write lane a batch commits as a whole or not at all.
 *
 * When a batch has failed, a member at fault goes alone, and the others again together: to do a
 * statement twice costs less than another commit. Who has been undone by others' faults several times
 * goes on among half as many, and half again, so that nobody is held up for long where there are many
 * faults. If no member can be named (an error in a bulk, or at the Sync) all go by halves, until the
 * fault is alone; but if the error took a timeout to come, all go alone at once, so that it isn't
 * waited for again and again. Those who go alone, and small batches of that kind, are in flight beside
 * the ordinary ones. Only an error that a member met alone is its answer.
 *
 * Invariants: a transaction in `members` is TN__AT_BATCH and its `seat` points at its place there;
 * one in a queue is TN__AT_LANE. `shared` is in the order of submission: who was held up is not
 * overtaken by those who came later. A coroutine that gives up takes its transaction out of either
 * before its memory goes. A batch's slot is freed by its Sync's result or the connection's end. */
#include "pg/state.h"

#include <assert.h>
#include <stdlib.h>

/* The tag of entries that belong to no member; a member's is its place in the batch. */
enum { TAG_SHARED = -1 };

/* ---- The queue ---------------------------------------------------------- */

/* Puts it before `next`, or at the end. */
static void insert(tn__tx_queue *queue, tn_tx *tx, tn_tx *next)
{
    tn_tx *prev = next != NULL ? next->prev : queue->last;
    tx->place = TN__AT_LANE;
    tx->queue = queue;
    tx->prev = prev;
    tx->next = next;
    *(prev != NULL ? &prev->next : &queue->first) = tx;
    *(next != NULL ? &next->prev : &queue->last) = tx;
    queue->n++;
}

static void take_out(tn_tx *tx)
{
    assert(tx->place == TN__AT_LANE && tx->queue->n > 0);
    *(tx->prev != NULL ? &tx->prev->next : &tx->queue->first) = tx->next;
    *(tx->next != NULL ? &tx->next->prev : &tx->queue->last) = tx->prev;
    tx->queue->n--;
}

/* Among those that share batches back to its place, which is near the head: all that came before it
 * has been sent. */
static void put_back(tn__lane *lane, tn_tx *tx)
{
    if (tx->share_max == 1) {
        insert(&lane->alone, tx, NULL);
        return;
    }
    tn_tx *next = lane->shared.first;
    while (next != NULL && next->turn < tx->turn)
        next = next->next;
    insert(&lane->shared, tx, next);
}

/* Gives it back to its coroutine as failed. */
static void give_back(tn_tx *tx, tn__fail_kind kind)
{
    tx->met = (tn__met){ .failure = { .kind = kind } };
    tn__tx_return(tx);
}

/* No connection for too long. What may have committed can't be called undone. */
static void turn_away(tn_tx *tx)
{
    give_back(tx, tx->uncertain ? TN__FAIL_UNKNOWN : TN__FAIL_UNAVAILABLE);
}

void tn__lane_submit(tn__lane *lane, tn_tx *tx)
{
    tx->lane = lane;
    tx->share_max = (size_t)lane->pg->options.batch_max;
    tx->times_undone = 0;
    if (lane->hopeless) {
        turn_away(tx);
    } else if (lane->shared.n + lane->alone.n >= (size_t)lane->pg->options.queue_max) {
        give_back(tx, TN__FAIL_BUSY);
    } else {
        tx->turn = lane->next_turn++;
        insert(&lane->shared, tx, NULL);
        tn__loop_later(lane->pg->loop, &lane->send);
    }
}

void tn__lane_leave(tn_tx *tx)
{
    if (tx->place == TN__AT_LANE)
        take_out(tx);
    else if (tx->place == TN__AT_BATCH)
        *tx->seat = NULL;
    tx->place = TN__AT_HOME;
}

/* ---- Sending ------------------------------------------------------------ */

static tn__batch *batch_at(tn__lane *lane, size_t i)
{
    return &lane->batches[(lane->oldest + i) % lane->n_batches];
}

static void fill(tn__lane *lane, tn__batch *batch, const tn__tx_queue *queue)
{
    size_t bytes = 0, room = (size_t)lane->pg->options.batch_max;
    while (queue->first != NULL && batch->n < room && bytes < TN__BATCH_BYTES_MAX) {
        tn_tx *tx = queue->first;
        room = tx->share_max < room ? tx->share_max : room;
        if (batch->n >= room)
            break;
        take_out(tx);
        tx->place = TN__AT_BATCH;
        tx->seat = &batch->members[batch->n++];
        *tx->seat = tx;
        bytes += tx->bytes;
    }
}

static const tn__trace *trip_of(const tn__batch *batch)
{
    return batch->trip.n_links > 0 && batch->n > 1 ? &batch->trip.trace : NULL;
}

static void send_member(tn__lane *lane, const tn__batch *batch, tn_tx *tx, int tag)
{
    tn__tx_rewind(tx);
    tn__conn_trace(&lane->conn, tx->part_of, trip_of(batch));
    for (tn__step *step = tx->steps.first; step != NULL; step = step->next)
        tn__conn_execute(&lane->conn, step->statement, &step->params, tag);
}

static void begin_trip(tn__lane *lane, tn__batch *batch)
{
    tn__round_trip_begin(&batch->trip, &lane->conn);
    for (size_t i = 0; i < batch->n; i++)
        tn__round_trip_add(&batch->trip, batch->members[i]->part_of);
    tn__round_trip_start(&batch->trip, batch->n > 1);
}

/* What is sent for all of them is part of the round trip; for one alone, of what that is part of. */
static void send_bulks(tn__lane *lane, tn__batch *batch, bool first)
{
    const tn__trace *part_of = batch->n > 1 ? trip_of(batch) : batch->members[0]->part_of;
    tn__conn_trace(&lane->conn, part_of, NULL);
    tn__bulks_send(&lane->pg->bulks, &lane->conn, batch->members, batch->n, first, TAG_SHARED);
}

static void send_batch(tn__lane *lane, const tn__tx_queue *queue)
{
    tn__batch *batch = batch_at(lane, lane->n_in_flight++);
    *batch = (tn__batch){ .members = batch->members, .trip = batch->trip };
    fill(lane, batch, queue);
    begin_trip(lane, batch);
    send_bulks(lane, batch, true);
    for (size_t i = 0; i < batch->n; i++)
        send_member(lane, batch, batch->members[i], (int)i);
    send_bulks(lane, batch, false);
    batch->synced = tn__conn_sync(&lane->conn);
    tn__round_trip_sent(&batch->trip, &lane->conn);
}

/* An ordinary batch waits for its slot; one of those that were held up goes beside them. */
static bool has_slot(const tn__lane *lane)
{
    size_t ordinary = (size_t)lane->pg->options.batches_in_flight_max;
    bool narrowed = lane->shared.first->share_max < (size_t)lane->pg->options.batch_max;
    return lane->n_in_flight < (narrowed ? lane->n_batches : ordinary);
}

static void send(tn__task *task)
{
    tn__lane *lane = task->owner;
    while (tn__conn_is_up(&lane->conn) && lane->shared.first != NULL && has_slot(lane))
        send_batch(lane, &lane->shared);
    while (tn__conn_is_up(&lane->conn) && lane->alone.first != NULL &&
        lane->n_in_flight < lane->n_batches)
        send_batch(lane, &lane->alone);
    tn__conn_set_used(&lane->conn, lane->n_in_flight > 0);
}

/* ---- Results ------------------------------------------------------------ */

static const char *name_of(const tn__entry *entry)
{
    return entry->statement == NULL ? "commit" : entry->statement->name;
}

static void fail_batch(tn__batch *batch, const tn__entry *entry, const PGresult *result)
{
    batch->failed = true;
    batch->may_pass = tn__error_may_pass(result);
    batch->took_long = tn__error_took_long(result);
    bool named = entry->kind != TN__ENTRY_SYNC && entry->tag != TAG_SHARED;
    batch->culprit = named ? (size_t)entry->tag : batch->n;
    if (batch->n == 1 && batch->members[0] != NULL) {
        tn_tx *tx = batch->members[0];
        tn__met_error(tx->arena, result, name_of(entry), &tx->met);
    }
}

static void on_result(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    tn__lane *lane = conn->owner;
    assert(lane->n_in_flight > 0);
    tn__batch *batch = batch_at(lane, 0);
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        return;
    if (!tn__result_ok(result)) {
        fail_batch(batch, entry, result);
    } else if (entry->kind == TN__ENTRY_STATEMENT && entry->tag != TAG_SHARED) {
        tn_tx *tx = batch->members[entry->tag];
        if (tx != NULL)
            tn__tx_take(tx, conn, result);
    }
}

/* One that failed alone: that is its answer, unless the error may pass. */
static void judge(tn__lane *lane, tn__batch *batch)
{
    tn_tx *tx = batch->members[0];
    if (tx == NULL)
        return;
    if (!batch->may_pass) {
        tn__tx_return(tx);
    } else if (++tx->alone_tries < TN__ALONE_TRIES_MAX) {
        put_back(lane, tx);
    } else {
        tx->met.failure.kind = TN__FAIL_BUSY;
        tn__tx_return(tx);
    }
}

/* How many may share a batch with the member from now on. */
static size_t narrowed(const tn__batch *batch, size_t i)
{
    tn_tx *member = batch->members[i];
    bool named = batch->culprit < batch->n;
    if (i == batch->culprit || (!named && batch->took_long))
        return 1;
    if (named && ++member->times_undone <= TN__UNDONE_MAX)
        return member->share_max;
    return (batch->n + 1) / 2;
}

static void take_apart(tn__lane *lane, tn__batch *batch)
{
    if (batch->n == 1) {
        judge(lane, batch);
        return;
    }
    for (size_t i = 0; i < batch->n; i++) {
        if (batch->members[i] != NULL) {
            batch->members[i]->share_max = narrowed(batch, i);
            put_back(lane, batch->members[i]);
        }
    }
}

static void give_answers(tn__batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        if (batch->members[i] != NULL)
            tn__tx_return(batch->members[i]);
}

static void on_sync(tn__conn *conn)
{
    tn__lane *lane = conn->owner;
    assert(lane->n_in_flight > 0);
    tn__batch *batch = batch_at(lane, 0);
    tn__round_trip_end(&batch->trip, conn, batch->failed);
    if (batch->failed)
        take_apart(lane, batch);
    else
        give_answers(batch);
    lane->oldest = (lane->oldest + 1) % lane->n_batches;
    lane->n_in_flight--;
    tn__loop_later(lane->pg->loop, &lane->send);
}

/* ---- Losing the connection ---------------------------------------------- */

static void on_patience_over(tn__timer *timer)
{
    tn__lane *lane = timer->owner;
    lane->hopeless = true;
    tn_tx *tx;
    while ((tx = lane->shared.first) != NULL || (tx = lane->alone.first) != NULL) {
        take_out(tx);
        turn_away(tx);
    }
}

static void be_patient(tn__lane *lane)
{
    if (lane->hopeless || lane->patience.slot != 0)
        return;
    lane->patience = (tn__timer){ .on_time = on_patience_over, .owner = lane };
    tn__timer_start(lane->pg->loop, &lane->patience, tn__mono_us() + lane->pg->reconnect_wait_us);
}

/* The connection went with the transaction in flight: it is run again if that can't do it twice. A
 * batch without a Sync, or with an error, did nothing; a read never does; and a key that was
 * committed refuses the second time. */
static void save(tn__lane *lane, const tn__batch *batch, tn_tx *tx)
{
    bool undone = lane->mode == TN__READ || !batch->synced || batch->failed;
    tx->uncertain |= !undone;
    if ((undone || tx->has_first) && ++tx->lost_tries <= TN__LOST_TRIES_MAX)
        put_back(lane, tx);
    else
        turn_away(tx);
}

static void on_down(tn__conn *conn)
{
    tn__lane *lane = conn->owner;
    for (size_t i = 0; i < lane->n_in_flight; i++) {
        tn__batch *batch = batch_at(lane, i);
        for (size_t j = 0; j < batch->n; j++)
            if (batch->members[j] != NULL)
                save(lane, batch, batch->members[j]);
    }
    lane->n_in_flight = 0;
    tn__conn_set_used(conn, false);
    be_patient(lane);
    tn__pg_note_down(lane->pg, conn);
}

static void on_up(tn__conn *conn)
{
    tn__lane *lane = conn->owner;
    tn__timer_stop(lane->pg->loop, &lane->patience);
    lane->hopeless = false;
    tn__loop_later(lane->pg->loop, &lane->send);
    tn__pg_note_up(lane->pg);
}

/* ---- Opening and closing ------------------------------------------------ */

static const tn__conn_events lane_events = {
    .on_up = on_up,
    .on_result = on_result,
    .on_sync = on_sync,
    .on_down = on_down,
};

void tn__lane_open(tn__lane *lane, tn__pg *pg, tn__tx_mode mode)
{
    size_t batch_max = (size_t)pg->options.batch_max;
    *lane = (tn__lane){ .pg = pg, .mode = mode, .send = { .run = send, .owner = lane } };
    lane->n_batches = (size_t)pg->options.batches_in_flight_max + TN__NARROWED_IN_FLIGHT_MAX;
    lane->batches = tn__xcalloc(lane->n_batches, sizeof *lane->batches);
    for (size_t i = 0; i < lane->n_batches; i++) {
        lane->batches[i].members = tn__xcalloc(batch_max, sizeof(tn_tx *));
        lane->batches[i].trip.links = tn__xcalloc(batch_max, sizeof(tn__trace));
    }
    tn__conn_init(&lane->conn, pg->loop, &pg->common, &lane_events, lane);
    lane->conn.read_only = mode == TN__READ;
    tn__conn_start(&lane->conn);
    be_patient(lane);
}

void tn__lane_close(tn__lane *lane)
{
    assert(lane->shared.first == NULL && lane->alone.first == NULL);
    tn__conn_deinit(&lane->conn);
    tn__timer_stop(lane->pg->loop, &lane->patience);
    tn__loop_not_later(lane->pg->loop, &lane->send);
    for (size_t i = 0; i < lane->n_batches; i++) {
        free(lane->batches[i].members);
        free(lane->batches[i].trip.links);
    }
    free(lane->batches);
}
