/* The items service: a catalogue whose every change is announced.
 *
 * Read top to bottom: what an item is, what may go wrong, what is announced,
 * the code, the routes. Validation, OpenAPI, AsyncAPI, metrics, spans and
 * idempotent replay follow from the tables; no handler mentions them. */

#include <trunnion/trunnion.h>

#include "migrations.h"

/* ---- What an item is --------------------------------------------------- */

struct item_new {
    tn_str sku;
    tn_str name;
    int64_t price_cents;
    const tn_str *description; /* A pointer is an optional field; NULL means absent. */
};

static const tn_schema item_new_schema = TN_SCHEMA(item_new,
    TN_STR(item_new, sku, .pattern = "^[A-Z0-9-]{3,32}$", .summary = "Unique in the catalogue.",
        .example = "BOLT-M8"),
    TN_STR(item_new, name, TN_LEN(1, 120), .example = "Bolt M8 x 40"),
    TN_INT(item_new, price_cents, TN_RANGE(0, 100000000), .example = "125"),
    TN_STR(item_new, description, TN_LEN(0, 2000), .example = "Zinc-plated, with nut."));

struct item {
    tn_uuid id;
    tn_str sku;
    tn_str name;
    int64_t price_cents;
    const tn_str *description;
    int64_t version;
    tn_time created_at;
    tn_time updated_at;
};

static const tn_schema item_schema = TN_SCHEMA(item, TN_UUID(item, id), TN_STR(item, sku),
    TN_STR(item, name), TN_INT(item, price_cents), TN_STR(item, description),
    TN_INT(item, version, .summary = "Counts the changes; the ETag."), TN_TIME(item, created_at),
    TN_TIME(item, updated_at));

struct item_path {
    tn_uuid id;
};
static const tn_schema item_path_schema = TN_SCHEMA(item_path, TN_UUID(item_path, id));

struct item_search {
    const tn_str *q;
};
static const tn_schema item_search_schema = TN_SCHEMA(item_search,
    TN_STR(item_search, q, TN_LEN(1, 120), .summary = "Part of a name or a SKU."));

/* ---- What may go wrong, and what is announced --------------------------- */

/* Rules that only the database can check: its constraint is our problem type. */
static const tn_problem problems[] = {
    { "items_sku_key", 409, "sku-taken", "An item with this SKU exists." },
};

/* The envelope {id, timestamp, source_service} and the headers come with every event. */
static const tn_event item_created = {
    "item.created",
    .of = &item_schema,
    .subject = "id",
    .summary = "An item was added to the catalogue.",
};
static const tn_event item_updated = {
    "item.updated",
    .of = &item_schema,
    .subject = "id",
    .summary = "An item was changed.",
};
static const tn_event item_deleted = {
    "item.deleted",
    .of = &item_schema,
    .subject = "id",
    .summary = "An item was removed from the catalogue.",
};
static const tn_event *const events[] = { &item_created, &item_updated, &item_deleted };

/* ---- Queries ------------------------------------------------------------ */

/* A query has a name: it labels the span, the metric and the slow-query log. */

#define ITEM_COLUMNS "id, sku, name, price_cents, description, version, created_at, updated_at"

static const tn_query insert_item = {
    "insert_item",
    "INSERT INTO items (" ITEM_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
};
static const tn_query select_item = {
    "select_item",
    "SELECT " ITEM_COLUMNS " FROM items WHERE id = $1",
};
/* The greatest UUID stands for "from the start": one plan, an index range, serves every page. */
static const tn_query search_items = {
    "search_items",
    "SELECT " ITEM_COLUMNS " FROM items"
    " WHERE ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0"
    " OR strpos(lower(sku), lower($1)) > 0)"
    " AND id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
    " ORDER BY id DESC LIMIT $3",
};
static const tn_query lock_item = {
    "lock_item",
    "SELECT " ITEM_COLUMNS " FROM items WHERE id = $1 FOR UPDATE",
};
static const tn_query update_item = {
    "update_item",
    "UPDATE items SET sku = $2, name = $3, price_cents = $4, description = $5,"
    " version = version + 1, updated_at = $6 WHERE id = $1 RETURNING " ITEM_COLUMNS,
};
static const tn_query delete_item = { "delete_item", "DELETE FROM items WHERE id = $1" };

/* ---- Handlers ----------------------------------------------------------- */

/* The first failure sticks to the transaction and makes every later step a
 * no-op, so nothing is checked until tn_commit(), which answers with the item
 * or with the problem. It takes the reply because the idempotency key and the
 * bytes to replay for it are written in this same transaction. The id and the
 * times are made here, so nothing has to come back from the database before
 * the commit: the whole of it is one round trip. */
static tn_reply create_item(tn_req *req)
{
    const struct item_new *in = TN_BODY(req, item_new);
    const tn_time now = tn_now();
    struct item item = {
        .id = tn_uuid_v7(),
        .sku = in->sku,
        .name = in->name,
        .price_cents = in->price_cents,
        .description = in->description,
        .version = 1,
        .created_at = now,
        .updated_at = now,
    };
    tn_ref made = TN_REF(item, &item);

    tn_tx *tx = tn_begin(req);
    tn_run(tx, &insert_item,
        TN_ARGS(item.id, item.sku, item.name, item.price_cents, item.description, item.version,
            item.created_at, item.updated_at));
    tn_emit(tx, &item_created, made);
    return tn_commit(tx, made);
}

static tn_reply show_item(tn_req *req)
{
    struct item item = { 0 };
    tn_ref found = TN_REF(item, &item);

    tn_tx *tx = tn_begin(req);
    tn_one(tx, found, &select_item, TN_ARGS(TN_PARAMS(req, item_path)->id));
    return tn_commit(tx, found);
}

static tn_reply list_items(tn_req *req)
{
    const struct item_search *in = TN_QUERY(req, item_search);

    tn_tx *tx = tn_begin(req);
    return tn_commit(tx, tn_page(tx, &item_schema, "id", &search_items, TN_ARGS(in->q)));
}

static tn_reply change_item(tn_req *req)
{
    struct item item = { 0 };
    tn_ref current = TN_REF(item, &item);

    tn_tx *tx = tn_begin(req);
    tn_one(tx, current, &lock_item, TN_ARGS(TN_PARAMS(req, item_path)->id));
    tn_wait(tx); /* From here on the item is looked at. */
    tn_match(tx, current);

    struct item_new next = { item.sku, item.name, item.price_cents, item.description };
    tn_merge(tx, TN_REF(item_new, &next));
    tn_one(tx, current, &update_item,
        TN_ARGS(item.id, next.sku, next.name, next.price_cents, next.description, tn_now()));
    tn_emit(tx, &item_updated, current);
    return tn_commit(tx, current);
}

static tn_reply remove_item(tn_req *req)
{
    struct item item = { 0 };
    tn_ref current = TN_REF(item, &item);

    tn_tx *tx = tn_begin(req);
    tn_one(tx, current, &lock_item, TN_ARGS(TN_PARAMS(req, item_path)->id));
    tn_wait(tx);
    tn_match(tx, current);
    tn_run(tx, &delete_item, TN_ARGS(item.id));
    tn_emit(tx, &item_deleted, current);
    return tn_commit(tx, TN_NOTHING);
}

/* ---- The service -------------------------------------------------------- */

/* clang-format off */
static const tn_route routes[] = {
    { TN_POST, "/items", create_item, .summary = "Add an item to the catalogue",
      .body = &item_new_schema, .reply = &item_schema,
      .status = 201, .location = "/items/{id}", .etag = "version",
      .idempotent = true },
    { TN_GET, "/items", list_items, .summary = "List items, newest first",
      .query = &item_search_schema, .page = &item_schema },
    { TN_GET, "/items/{id}", show_item, .summary = "Show an item",
      .params = &item_path_schema, .reply = &item_schema, .etag = "version" },
    { TN_PATCH, "/items/{id}", change_item, .summary = "Change an item",
      .params = &item_path_schema, .body = &item_new_schema, .merge_patch = true,
      .reply = &item_schema, .etag = "version", .idempotent = true },
    { TN_DELETE, "/items/{id}", remove_item, .summary = "Remove an item",
      .params = &item_path_schema, .etag = "version", .idempotent = true },
};
/* clang-format on */

int main(int argc, char **argv)
{
    return tn_main(argc, argv,
        &(tn_service){
            .name = "items",
            .version = "1.0.0",
            .title = "Items",
            .summary = "A catalogue of items that announces its changes.",
            .routes = TN_LIST(routes),
            .events = TN_LIST(events),
            .problems = TN_LIST(problems),
            .migrations = TN_LIST(migrations),
        });
}
