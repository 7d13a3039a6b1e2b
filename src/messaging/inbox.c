/* The inbox, as a consumer's handler sees it: the message, its transaction, its outcome. */
#include "messaging/consumer.h"

#include <assert.h>

static const tn_kind inbox_kinds[] = { TN_KIND_UUID };
/* First, so that a second delivery is found out before it does anything, by the name of the key. */
static const tn__bulk inbox = {
    .name = "trunnion_inbox",
    .sql = "INSERT INTO trunnion_inbox (message_id) SELECT * FROM unnest($1::uuid[])",
    .kinds = inbox_kinds,
    .n_kinds = 1,
    .first = true,
};

struct inbox_row {
    tn_uuid message_id;
};
static const tn_schema inbox_row_schema = TN_SCHEMA(inbox_row, TN_UUID(inbox_row, message_id));
static const tn_query inbox_find = {
    "trunnion_inbox_find",
    "SELECT message_id FROM trunnion_inbox WHERE message_id = $1",
};

const tn_meta *tn_msg_meta(const tn_msg *msg)
{
    return &msg->meta;
}

tn_arena *tn_msg_arena(tn_msg *msg)
{
    return msg->arena;
}

const void *tn_msg_body_(const tn_msg *msg, const tn_schema *schema)
{
    assert(schema == msg->subscription->body);
    (void)schema;
    return msg->body;
}

tn_tx *tn_receive(tn_msg *msg)
{
    tn__consumer *consumer = msg->consumer;
    /* A handler may begin again after it gave one up. */
    if (msg->tx != NULL)
        tn__tx_abandon(msg->tx);
    int64_t deadline_us = tn__mono_us() + (int64_t)consumer->options.message_timeout_ms * 1000;
    msg->tx = tn__tx_open(consumer->pg, msg->arena, TN__WRITE, deadline_us);
    tn__tx_context_set(msg->tx, msg);
    tn__tx_bulk(msg->tx, &inbox, TN_ARGS(msg->meta.id));
    return msg->tx;
}

/* ---- Outcomes --------------------------------------------------------------- */

/* SQLSTATE classes of what has nothing to do with the message: lost connections, rolled back
 * transactions, lack of resources, objects in use, operators, system errors; and a standby that
 * hasn't been promoted yet. */
static bool may_pass(tn_str sqlstate)
{
    static const char *const classes[] = { "08", "40", "53", "55", "57", "58" };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (tn__str_has_prefix(sqlstate, tn_str_of(classes[i])))
            return true;
    return tn_str_eq(sqlstate, TN_S("25006"));
}

static tn_str reason_of(tn_arena *arena, const tn__failure *failure)
{
    tn_str detail = failure->detail, query = failure->query;
    switch (failure->kind) {
    case TN__FAIL_NOT_FOUND:
        return TN_S("a row that it needs is not there");
    case TN__FAIL_CONSTRAINT:
        return tn_printf(arena, "constraint %.*s is violated", TN_FMT(failure->constraint));
    case TN__FAIL_PROBLEM:
        return tn_printf(arena, "%s: %.*s", failure->problem->title, TN_FMT(detail));
    default:
        return tn_printf(arena, "the query %.*s failed with SQLSTATE %.*s", TN_FMT(query),
            TN_FMT(failure->sqlstate));
    }
}

static tn__outcome outcome_of(tn_msg *msg, const tn__failure *failure)
{
    switch (failure->kind) {
    case TN__FAIL_CONSTRAINT:
        if (tn_str_eq(failure->constraint, TN_S("trunnion_inbox_pkey")))
            return TN__KNOWN;
        break;
    case TN__FAIL_CANCELLED:
        return TN__LEFT;
    case TN__FAIL_BUSY:
    case TN__FAIL_UNAVAILABLE:
    case TN__FAIL_UNKNOWN:
    case TN__FAIL_TIMEOUT:
        return TN__AGAIN;
    case TN__FAIL_ERROR:
        if (may_pass(failure->sqlstate))
            return TN__AGAIN;
        break;
    default:
        break;
    }
    msg->reason = reason_of(msg->arena, failure);
    return TN__POISON;
}

tn_outcome tn_done(tn_tx *tx)
{
    tn_msg *msg = tn__tx_context(tx);
    assert(msg->tx == tx);
    bool ok = tn__tx_commit(tx);
    msg->tx = NULL;
    const tn__failure *failure = tn__tx_failure(tx);
    /* Whatever was wrong with the message, somebody said so. */
    if (ok || failure->kind == TN__FAIL_CONSTRAINT || failure->kind == TN__FAIL_ERROR)
        tn__consumer_saw_database(msg->consumer, true);
    return (tn_outcome){ ok ? (int)TN__TOOK_EFFECT : (int)outcome_of(msg, failure) };
}

tn_outcome tn_reject(tn_msg *msg, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    msg->reason = tn_vprintf(msg->arena, format, args);
    va_end(args);
    return (tn_outcome){ TN__POISON };
}

/* ---- Looked up before -------------------------------------------------------- */

tn__outcome tn__inbox_look_up(tn__consumer *consumer, tn_arena *arena, tn_uuid id)
{
    struct inbox_row row = { 0 };
    int64_t deadline_us = tn__mono_us() + (int64_t)consumer->options.message_timeout_ms * 1000;
    tn_tx *tx = tn__tx_open(consumer->pg, arena, TN__READ, deadline_us);
    bool known = tn_maybe(tx, TN_REF(inbox_row, &row), &inbox_find, TN_ARGS(id));
    bool ok = tn__tx_commit(tx);
    tn__consumer_saw_database(consumer, ok);
    if (!ok)
        return TN__AGAIN;
    return known ? TN__KNOWN : TN__TOOK_EFFECT;
}
