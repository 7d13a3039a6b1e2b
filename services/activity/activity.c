/* The activity service: what happened in the catalogue, in the order it became known.
 *
 * It listens to every item event and keeps one row for each; the chassis sees to
 * it that a message delivered twice makes one row. */

#include <trunnion/trunnion.h>

#include "migrations.h"

/* ---- What is heard ------------------------------------------------------ */

/* Open: what a newer items service adds is ignored. */
struct item_event {
    tn_uuid id;
    tn_time timestamp;
    tn_str source_service;
};
static const tn_schema item_event_schema = TN_OPEN_SCHEMA(item_event,
    TN_UUID(item_event, id, .summary = "The item that it is about."),
    TN_TIME(item_event, timestamp), TN_STR(item_event, source_service, TN_LEN(1, 64)));

/* ---- What is shown ------------------------------------------------------ */

struct activity {
    int64_t position;
    tn_uuid event_id;
    tn_str type;
    tn_uuid item_id;
    tn_str source_service;
    tn_str correlation_id;
    tn_time occurred_at;
    tn_time recorded_at;
};
static const tn_schema activity_schema = TN_SCHEMA(activity,
    TN_INT(activity, position,
        .summary = "Ascends in the order in which activities were recorded."),
    TN_UUID(activity, event_id), TN_STR(activity, type, .example = "item.created"),
    TN_UUID(activity, item_id), TN_STR(activity, source_service, .example = "items"),
    TN_STR(activity, correlation_id, .summary = "The X-Request-Id of the request that caused it."),
    TN_TIME(activity, occurred_at), TN_TIME(activity, recorded_at));

struct activity_path {
    tn_uuid event_id;
};
static const tn_schema activity_path_schema = TN_SCHEMA(activity_path,
    TN_UUID(activity_path, event_id));

struct activity_filter {
    const tn_uuid *item_id;
    const tn_str *type;
    const tn_str *correlation_id;
};
static const tn_schema activity_filter_schema = TN_SCHEMA(activity_filter,
    TN_UUID(activity_filter, item_id),
    TN_STR(activity_filter, type, TN_LEN(1, 120), .example = "item.created"),
    TN_STR(activity_filter, correlation_id, TN_LEN(1, 128)));

/* ---- Queries ------------------------------------------------------------ */

#define ACTIVITY_COLUMNS                                                                           \
    "position, event_id, type, item_id, source_service, correlation_id, occurred_at, recorded_at"
/* One index for each way to narrow the list; the rest is checked row by row. */
#define ACTIVITY_PAGE(condition)                                                                   \
    "SELECT " ACTIVITY_COLUMNS " FROM activities WHERE " condition                                 \
    " AND ($1::uuid IS NULL OR item_id = $1) AND ($2::text IS NULL OR type = $2)"                  \
    " AND ($3::text IS NULL OR correlation_id = $3)"                                               \
    " AND position < coalesce($4, 9223372036854775807) ORDER BY position DESC LIMIT $5"

static const tn_query insert_activity = {
    "insert_activity",
    "INSERT INTO activities"
    " (event_id, type, item_id, source_service, correlation_id, occurred_at)"
    " VALUES ($1, $2, $3, $4, $5, $6)",
};
static const tn_query select_activity = {
    "select_activity",
    "SELECT " ACTIVITY_COLUMNS " FROM activities WHERE event_id = $1",
};
static const tn_query activities_all = { "activities_all", ACTIVITY_PAGE("true") };
static const tn_query activities_of_item = { "activities_of_item", ACTIVITY_PAGE("item_id = $1") };
static const tn_query activities_of_request = {
    "activities_of_request",
    ACTIVITY_PAGE("correlation_id = $3"),
};
static const tn_query activities_after = {
    "activities_after",
    "SELECT " ACTIVITY_COLUMNS " FROM activities WHERE position > $1 ORDER BY position LIMIT $2",
};
static const tn_query activities_newest = {
    "activities_newest",
    "SELECT coalesce(max(position), 0) AS id FROM activities",
};

/* ---- Handlers ----------------------------------------------------------- */

static tn_outcome record_activity(tn_msg *msg)
{
    const struct item_event *event = TN_EVENT(msg, item_event);
    const tn_meta *meta = tn_msg_meta(msg);

    tn_tx *tx = tn_receive(msg);
    tn_run(tx, &insert_activity,
        TN_ARGS(meta->id, meta->type, event->id, event->source_service, meta->correlation_id,
            event->timestamp));
    return tn_done(tx);
}

static tn_reply show_activity(tn_req *req)
{
    struct activity activity = { 0 };
    tn_ref found = TN_REF(activity, &activity);

    tn_tx *tx = tn_begin(req);
    tn_one(tx, found, &select_activity, TN_ARGS(TN_PARAMS(req, activity_path)->event_id));
    return tn_commit(tx, found);
}

static tn_reply list_activities(tn_req *req)
{
    const struct activity_filter *in = TN_QUERY(req, activity_filter);
    const tn_query *query = in->correlation_id != NULL ? &activities_of_request
        : in->item_id != NULL                          ? &activities_of_item
                                                       : &activities_all;
    tn_tx *tx = tn_begin(req);
    return tn_commit(tx,
        tn_page(tx, &activity_schema, "position", query,
            TN_ARGS(in->item_id, in->type, in->correlation_id)));
}

/* ---- The service -------------------------------------------------------- */

static const tn_subscription subscriptions[] = {
    { "item.*", record_activity, &item_event_schema, "Every change of the catalogue." },
};

static const tn_stream activity_stream = {
    .after = &activities_after,
    .newest = &activities_newest,
    .data = &activity_schema,
    .id = "position",
    .event = "type",
    .channel = "activities",
};

/* clang-format off */
static const tn_route routes[] = {
    { TN_GET, "/activities", list_activities, .summary = "List activities, newest first",
      .query = &activity_filter_schema, .page = &activity_schema },
    { TN_GET, "/activities/stream", .summary = "Follow activities as they are recorded",
      .stream = &activity_stream },
    { TN_GET, "/activities/{event_id}", show_activity, .summary = "Show the activity of an event",
      .params = &activity_path_schema, .reply = &activity_schema },
};
/* clang-format on */

int main(int argc, char **argv)
{
    return tn_main(argc, argv,
        &(tn_service){
            .name = "activity",
            .version = "1.0.0",
            .title = "Activity",
            .summary = "What happened in the catalogue.",
            .routes = TN_LIST(routes),
            .subscriptions = TN_LIST(subscriptions),
            .migrations = TN_LIST(migrations),
        });
}
