/* Dead letters, for people: the messages that could not take effect, and the way back.
 *
 * Written as a service would write them: tables, queries, handlers. Only the replay reaches below
 * the public API, since a message that goes back to one queue is no event of a table. It keeps its
 * message id: should the first delivery have taken effect after all, the inbox knows it. */

#include "service/service.h"

/* ---- What a dead letter is ----------------------------------------------- */

struct dead_letter {
    int64_t position;
    tn_uuid id;
    tn_str type;
    tn_str source_service;
    tn_str routing_key;
    tn_str correlation_id;
    tn_str reason;
    tn_json headers;
    tn_str body;
    const tn_time *occurred_at;
    tn_time died_at;
    int64_t deaths;
    const tn_time *replayed_at;
};

static const tn_schema dead_letter_schema = TN_SCHEMA(dead_letter,
    TN_INT(dead_letter, position, .summary = "Ascends in the order in which messages died."),
    TN_UUID(dead_letter, id, .summary = "The message id."),
    TN_STR(dead_letter, type, .example = "item.created"),
    TN_STR(dead_letter, source_service, .example = "items"),
    TN_STR(dead_letter, routing_key, .example = "item.created"),
    TN_STR(dead_letter, correlation_id,
        .summary = "The X-Request-Id of the request that caused it."),
    TN_STR(dead_letter, reason, .summary = "Why it could not take effect."),
    TN_JSON(dead_letter, headers, .summary = "The headers that it came with."),
    TN_STR(dead_letter, body, .summary = "What it said, as text."),
    TN_TIME(dead_letter, occurred_at), TN_TIME(dead_letter, died_at),
    TN_INT(dead_letter, deaths, .summary = "How often it came back here."),
    TN_TIME(dead_letter, replayed_at, .summary = "When it was last sent back to the queue."));

struct dead_letter_path {
    tn_uuid id;
};
static const tn_schema dead_letter_path_schema = TN_SCHEMA(dead_letter_path,
    TN_UUID(dead_letter_path, id, .summary = "The message id."));

struct dead_letter_filter {
    const tn_str *type;
};
static const tn_schema dead_letter_filter_schema = TN_SCHEMA(dead_letter_filter,
    TN_STR(dead_letter_filter, type, TN_LEN(1, 120), .example = "item.created"));

/* ---- Queries ------------------------------------------------------------- */

#define DEAD_LETTER_COLUMNS                                                                        \
    "position, id, type, source_service, routing_key, correlation_id, reason,"                     \
    " headers::json AS headers, body, occurred_at, died_at, deaths, replayed_at"

static const tn_query select_dead_letter = {
    "select_dead_letter",
    "SELECT " DEAD_LETTER_COLUMNS " FROM trunnion_dead_letters WHERE id = $1",
};
static const tn_query list_dead_letters = {
    "list_dead_letters",
    "SELECT " DEAD_LETTER_COLUMNS " FROM trunnion_dead_letters"
    " WHERE ($1::text IS NULL OR type = $1)"
    " AND position < coalesce($2, 9223372036854775807) ORDER BY position DESC LIMIT $3",
};
static const tn_query mark_replayed = {
    "mark_replayed",
    "UPDATE trunnion_dead_letters SET replayed_at = $2 WHERE id = $1 RETURNING " DEAD_LETTER_COLUMNS,
};

/* ---- Handlers ------------------------------------------------------------ */

static tn_reply list(tn_req *req)
{
    const struct dead_letter_filter *in = TN_QUERY(req, dead_letter_filter);
    tn_tx *tx = tn_begin(req);
    return tn_commit(tx,
        tn_page(tx, &dead_letter_schema, "position", &list_dead_letters, TN_ARGS(in->type)));
}

static tn_reply show(tn_req *req)
{
    struct dead_letter letter = { 0 };
    tn_ref found = TN_REF(dead_letter, &letter);

    tn_tx *tx = tn_begin(req);
    tn_one(tx, found, &select_dead_letter, TN_ARGS(TN_PARAMS(req, dead_letter_path)->id));
    return tn_commit(tx, found);
}

/* Through the default exchange to this service's queue alone: others that listened to the same event
 * have had it. */
static void send_back(tn_tx *tx, const struct dead_letter *letter)
{
    const tn__origin *origin = tn__tx_context(tx);
    tn__outbox_add(tx,
        &(tn__outbox_row){
            .message_id = letter->id,
            .exchange = TN_S(""),
            .routing_key = tn_printf(tn__tx_arena(tx), "%s" TN__QUEUE_SUFFIX, origin->service),
            .type = letter->type,
            .app_id = letter->source_service,
            .time = letter->occurred_at != NULL ? *letter->occurred_at : letter->died_at,
            .correlation_id = letter->correlation_id,
            .headers = letter->headers,
            .body = letter->body,
        });
}

static tn_reply replay(tn_req *req)
{
    struct dead_letter letter = { 0 };
    tn_ref marked = TN_REF(dead_letter, &letter);

    tn_tx *tx = tn_begin(req);
    tn_one(tx, marked, &mark_replayed, TN_ARGS(TN_PARAMS(req, dead_letter_path)->id, tn_now()));
    if (tn_wait(tx))
        send_back(tx, &letter);
    return tn_commit(tx, marked);
}

/* ---- The routes ---------------------------------------------------------- */

/* clang-format off */
const tn_route tn__dead_letter_routes[] = {
    { TN_GET, "/dead-letters", list, .summary = "List messages that could not take effect, newest first",
      .query = &dead_letter_filter_schema, .page = &dead_letter_schema },
    { TN_GET, "/dead-letters/{id}", show, .summary = "Show a message that could not take effect",
      .params = &dead_letter_path_schema, .reply = &dead_letter_schema },
    { TN_POST, "/dead-letters/{id}/replay", replay, .summary = "Send a message back to the queue",
      .description = "It is delivered again under the same id, so it takes effect at most once.",
      .params = &dead_letter_path_schema, .reply = &dead_letter_schema,
      .status = 202, .idempotent = true },
};
/* clang-format on */
const size_t tn__dead_letter_routes_n = sizeof tn__dead_letter_routes /
    sizeof *tn__dead_letter_routes;
