/* The tables of the service "orders". Handlers are never called. */
#include "fixture.h"

/* ---- What things are ---------------------------------------------------- */

const tn_schema address_schema = TN_SCHEMA(address,
    TN_STR(address, street, TN_LEN(1, 80), .summary = "Street and number.",
        .example = "Main Street 1"),
    TN_STR(address, line2, TN_LEN(0, 80)),
    TN_STR(address, country, .pattern = "^[A-Z]{2}$", .fallback = "DE",
        .summary = "ISO 3166-1 alpha-2."),
    TN_INT(address, floor, TN_RANGE(-5, 200)));

const tn_schema line_schema = TN_SCHEMA(line,
    TN_STR(line, sku, .pattern = "^[A-Z0-9-]{3,32}$", .example = "BOLT-M8"),
    TN_INT(line, quantity, TN_RANGE(1, 1000), .example = "2"),
    TN_REAL(line, discount, TN_RANGE(0.0, 0.5), .summary = "A part of the price."));

const tn_schema order_new_schema = TN_SCHEMA(order_new,
    TN_STR(order_new, customer, TN_LEN(1, 20), .summary = "Who orders.", .example = "Ada"),
    TN_STR(order_new, note, TN_LEN(0, 100)),
    TN_INT(order_new, priority, TN_RANGE(0, 9), TN_FALLBACK(5)),
    TN_REAL(order_new, weight_kg, TN_RANGE(0.0, 31.5), TN_FALLBACK(1.5)),
    TN_BOOL(order_new, gift, TN_FALLBACK(false)),
    TN_ENUM(order_new, how, .names = TN_NAMES("standard", "express", "pickup"),
        .fallback = "express"),
    TN_ENUM(order_new, preferred, .names = TN_NAMES("standard", "express", "pickup")),
    TN_UUID(order_new, account_id, .example = "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a"),
    TN_TIME(order_new, deliver_at, .example = "2026-02-01T08:00:00Z"),
    TN_JSON(order_new, extra, .summary = "Anything.", .example = "{\"a\": [1, 2.5]}"),
    TN_JSON(order_new, labels), TN_OBJECT(order_new, home, address, .summary = "Where it goes."),
    TN_OBJECT(order_new, billing, address),
    TN_ARRAY(order_new, lines, TN_COUNT(1, 3),
        .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &line_schema)),
    TN_ARRAY(order_new, tags, .each = TN_EACH(TN_KIND_STR, str, TN_LEN(1, 10)),
        .may_be_absent = true),
    TN_STR(order_new, currency, .fallback = "EUR", TN_LEN(3, 3)));

const tn_schema order_schema = TN_SCHEMA(order, TN_UUID(order, id),
    TN_STR(order, customer, .example = "Ada"), TN_STR(order, note, .example = "Ring twice."),
    TN_ENUM(order, how, .names = TN_NAMES("standard", "express", "pickup")),
    TN_OBJECT(order, home, address),
    TN_ARRAY(order, lines, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &line_schema)),
    TN_INT(order, version, .summary = "Counts the changes.", .example = "1"),
    TN_TIME(order, created_at));

const tn_schema order_query_schema = TN_SCHEMA(order_query,
    TN_STR(order_query, customer, TN_LEN(1, 20), .summary = "Only orders of this customer."),
    TN_INT(order_query, priority, TN_RANGE(0, 9)), TN_REAL(order_query, weight_kg),
    TN_BOOL(order_query, gift),
    TN_ENUM(order_query, how, .names = TN_NAMES("standard", "express", "pickup")),
    TN_UUID(order_query, account_id), TN_TIME(order_query, since),
    TN_INT(order_query, page, TN_RANGE(1, 1000), TN_FALLBACK(1)));

const tn_schema order_path_schema = TN_SCHEMA(order_path,
    TN_UUID(order_path, id, .summary = "The order's id."));

const tn_schema change_schema = TN_SCHEMA(change, TN_INT(change, seq),
    TN_STR(change, type, .example = "order.placed"), TN_UUID(change, order_id));

const tn_schema stock_moved_schema = TN_OPEN_SCHEMA(stock_moved, TN_UUID(stock_moved, id),
    TN_TIME(stock_moved, timestamp), TN_STR(stock_moved, source_service));

/* ---- What may go wrong, what is announced, what is heard ------------------ */

static const tn_problem problems[] = {
    { "orders_number_key", 409, "number-taken", "An order with this number exists." },
    { NULL, 422, "cart-empty", "The cart holds nothing to order." },
    { NULL, 409, "order-shipped", "The order has already left." },
};

static const tn_event order_placed = { "order.placed", .of = &order_schema, .subject = "id",
    .data = &order_schema, .summary = "An order was placed." };
static const tn_event order_cancelled = { "order.cancelled", .of = &order_schema,
    .subject = "customer", .summary = "An order was cancelled." };
static const tn_event *const events[] = { &order_placed, &order_cancelled };

static tn_outcome hear(tn_msg *msg)
{
    (void)msg;
    return (tn_outcome){ 0 };
}

static const tn_subscription subscriptions[] = {
    { "stock.moved", hear, &stock_moved_schema, "Keeps the shelves in mind." },
    { "stock.*", hear, &stock_moved_schema, "Everything else about stock." },
};

/* ---- Routes ------------------------------------------------------------- */

static tn_reply handle(tn_req *req)
{
    (void)req;
    return (tn_reply){ 0 };
}

static const tn_query changes_after = { "changes_after", "SELECT 1" };
static const tn_query changes_newest = { "changes_newest", "SELECT 1" };
static const tn_stream changes = { .after = &changes_after,
    .newest = &changes_newest,
    .data = &change_schema,
    .id = "seq",
    .event = "type",
    .channel = "orders_changes" };

static const tn_route routes[] = {
    { TN_POST, "/orders", handle, .summary = "Place an order", .body = &order_new_schema,
        .reply = &order_schema, .status = 201, .location = "/orders/{id}", .etag = "version",
        .idempotent = true },
    { TN_GET, "/orders", handle, .summary = "List orders", .query = &order_query_schema,
        .page = &order_schema },
    { TN_GET, "/orders/stream", .summary = "Follow the changes of orders", .stream = &changes },
    { TN_GET, "/orders/{id}", handle, .summary = "Read an order",
        .description = "The order as it is now.", .params = &order_path_schema,
        .reply = &order_schema, .etag = "version" },
    { TN_PATCH, "/orders/{id}", handle, .summary = "Change an order", .params = &order_path_schema,
        .body = &order_new_schema, .merge_patch = true, .reply = &order_schema, .etag = "version",
        .idempotent = true },
    { TN_DELETE, "/orders/{id}", handle, .summary = "Cancel an order", .params = &order_path_schema,
        .etag = "version", .idempotent = true },
    { TN_PUT, "/orders/{id}/home", handle, .summary = "Send it elsewhere",
        .params = &order_path_schema, .body = &address_schema, .reply = &address_schema },
    { TN_GET, "/health-check", handle, .summary = "Says nothing, and well" },
};

static const tn_migration migrations[] = {
    { "0001_orders.sql", "CREATE TABLE orders ()" },
    { "0002_more.sql", "SELECT 1" },
};

const tn_service orders_service = {
    .name = "orders",
    .version = "1.2.0",
    .title = "Orders",
    .summary = "Takes orders and follows them home.",
    .routes = TN_LIST(routes),
    .events = TN_LIST(events),
    .subscriptions = TN_LIST(subscriptions),
    .problems = TN_LIST(problems),
    .migrations = TN_LIST(migrations),
};
