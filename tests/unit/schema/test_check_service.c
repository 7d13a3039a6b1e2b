/* Tables of routes, events, problems and migrations that the compiler takes and that are wrong. */
#include "unit.h"

/* Rows here are as short as their faults allow. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static void told(tn_arena *arena, const tn_service *service, const char *text)
{
    tn__faults faults;
    tn__tables_check(arena, service, &faults);
    assert_str(faults_text(arena, &faults), text);
}

static tn_reply handle(tn_req *req)
{
    (void)req;
    return (tn_reply){ 0 };
}

static tn_outcome hear(tn_msg *msg)
{
    (void)msg;
    return (tn_outcome){ 0 };
}

static void right_tables_have_no_faults(void **state)
{
    told(*state, &orders_service, "");
    static const tn_service least = { .name = "least", .version = "0.0.1-rc.1+5" };
    told(*state, &least, "");
}

static void a_service_has_a_name_and_a_version(void **state)
{
    static const tn_service nameless = { 0 };
    told(*state, &nameless,
        "service: the name must be like ^[a-z][a-z0-9-]*$\n"
        "service: the version must be a semantic version such as 1.0.0");
    static const tn_service odd = { .name = "Items", .version = "1.0" };
    told(*state, &odd,
        "service: the name must be like ^[a-z][a-z0-9-]*$\n"
        "service: the version must be a semantic version such as 1.0.0");
}

/* ---- Routes --------------------------------------------------------------------- */

/* The faults of a table of routes. */
#define ROUTES(text, ...)                                                                          \
    do {                                                                                           \
        static const tn_route routes_[] = { __VA_ARGS__ };                                         \
        const tn_service service_ = { .name = "s",                                                 \
            .version = "1.0.0",                                                                    \
            .routes = TN_LIST(routes_) };                                                          \
        told(*state, &service_, text);                                                             \
    } while (0)

#define BAD_PATH                                                                                   \
    " must be like /orders/{id}: segments of letters, digits and -._~, or a field's name in braces"

static void bad_paths_are_found(void **state)
{
    ROUTES("GET ?: the path" BAD_PATH, { TN_GET, NULL, handle });
    ROUTES("GET orders: the path" BAD_PATH, { TN_GET, "orders", handle });
    ROUTES("GET /: the path" BAD_PATH, { TN_GET, "/", handle });
    ROUTES("GET /orders/: the path" BAD_PATH, { TN_GET, "/orders/", handle });
    ROUTES("GET /a//b: the path" BAD_PATH, { TN_GET, "/a//b", handle });
    ROUTES("GET /a/../b: the path" BAD_PATH, { TN_GET, "/a/../b", handle });
    ROUTES("GET /a?b=c: the path" BAD_PATH, { TN_GET, "/a?b=c", handle });
    ROUTES("GET /a/{b c}: the path" BAD_PATH, { TN_GET, "/a/{b c}", handle });
    ROUTES("GET /a/{id}.json: the path" BAD_PATH, { TN_GET, "/a/{id}.json", handle });
    ROUTES("GET /a/b/c/d/e/f/g/h/i/j/k/l/m: the path may have at most 12 segments and 8 names in "
           "braces",
        { TN_GET, "/a/b/c/d/e/f/g/h/i/j/k/l/m", handle });
}

struct two {
    tn_uuid id;
    const tn_str *name;
};
static const tn_schema two_schema = TN_SCHEMA(two, TN_UUID(two, id), TN_STR(two, name));

static void braces_and_params_must_agree(void **state)
{
    ROUTES("GET /orders/{id}: {id} is no field of .params", { TN_GET, "/orders/{id}", handle });
    ROUTES("GET /orders/{key}: {key} is no field of .params\n"
           "GET /orders/{key}: the field id of .params is not in the path",
        { TN_GET, "/orders/{key}", handle, .params = &order_path_schema });
    ROUTES("GET /a/{id}/b/{id}: {id} is in the path twice\n"
           "GET /a/{id}/b/{id}: {id} is in the path twice",
        { TN_GET, "/a/{id}/b/{id}", handle, .params = &order_path_schema });
    ROUTES("GET /a/{id}/{name}: the path's field name must be required, and neither JSON nor an "
           "object nor an array",
        { TN_GET, "/a/{id}/{name}", handle, .params = &two_schema });
}

struct search {
    const int64_t *limit;
    const tn_str *cursor;
    const tn_str *from;
    const tn_json *filter;
};
static const tn_schema search_schema = TN_SCHEMA(search, TN_INT(search, limit),
    TN_STR(search, cursor), TN_STR(search, from), TN_JSON(search, filter));

static const tn_query query = { "q", "SELECT 1" };
static const tn_stream stream = { .after = &query,
    .newest = &query,
    .data = &change_schema,
    .id = "seq",
    .event = "type",
    .channel = "changes" };

static void query_parameters_of_the_chassis_are_its_own(void **state)
{
    ROUTES("GET /a: the query's field limit is the chassis's own\n"
           "GET /a: the query's field cursor is the chassis's own\n"
           "GET /a: the query's field filter may not be JSON, an object or an array",
        { TN_GET, "/a", handle, .query = &search_schema, .page = &line_schema });
    ROUTES("GET /a: the query's field from is the chassis's own\n"
           "GET /a: the query's field filter may not be JSON, an object or an array",
        { TN_GET, "/a", .query = &search_schema, .stream = &stream });
}

static void answers_must_be_one_and_fit_their_status(void **state)
{
    ROUTES("GET /a: only one of .reply, .page and .stream can be the answer",
        { TN_GET, "/a", handle, .reply = &line_schema, .page = &line_schema });
    ROUTES("POST /a: pages and streams are for GET",
        { TN_POST, "/a", handle, .page = &line_schema });
    ROUTES("GET /a: a stream has no handler", { TN_GET, "/a", handle, .stream = &stream });
    ROUTES("GET /a: the handler is missing", { TN_GET, "/a", .reply = &line_schema });
    ROUTES("GET /a: the status of success must be from 200 to 299, found 404",
        { TN_GET, "/a", handle, .status = 404 });
    ROUTES("DELETE /a: a 204 has no body, so nothing can be replied",
        { TN_DELETE, "/a", handle, .reply = &line_schema, .status = 204 });
    ROUTES("GET /a: pages and streams are answered with 200",
        { TN_GET, "/a", handle, .page = &line_schema, .status = 206 });
}

static void bodies_patches_and_keys_must_fit_the_method(void **state)
{
    ROUTES("GET /a: a body has no meaning for this method",
        { TN_GET, "/a", handle, .body = &line_schema });
    ROUTES("DELETE /a: a body has no meaning for this method",
        { TN_DELETE, "/a", handle, .body = &line_schema });
    ROUTES("PUT /a: a merge patch is for PATCH and needs .body",
        { TN_PUT, "/a", handle, .body = &line_schema, .merge_patch = true });
    ROUTES("PATCH /a: a merge patch is for PATCH and needs .body",
        { TN_PATCH, "/a", handle, .merge_patch = true });
    ROUTES("GET /a: GET changes nothing: it needs no idempotency key",
        { TN_GET, "/a", handle, .idempotent = true });
}

static void etags_and_locations_must_name_fields(void **state)
{
    ROUTES("GET /a: .etag needs a .reply", { TN_GET, "/a", handle, .etag = "version" });
    ROUTES("GET /a: .etag \"revision\" is no required int64_t field of the reply",
        { TN_GET, "/a", handle, .reply = &order_schema, .etag = "revision" });
    ROUTES("GET /a: .etag \"customer\" is no required int64_t field of the reply",
        { TN_GET, "/a", handle, .reply = &order_schema, .etag = "customer" });
    ROUTES("DELETE /a: .etag \"floor\" is no required int64_t field of the reply",
        { TN_DELETE, "/a", handle, .reply = &address_schema, .etag = "floor" });
    ROUTES("POST /a: .location: {ident} is no required field of the reply that has one text",
        { TN_POST, "/a", handle, .reply = &order_schema, .status = 201, .location = "/a/{ident}" });
    ROUTES("POST /a: .location: {note} is no required field of the reply that has one text",
        { TN_POST, "/a", handle, .reply = &order_schema, .status = 201, .location = "/a/{note}" });
    ROUTES("POST /a: .location: {id} is no required field of the reply that has one text",
        { TN_POST, "/a", handle, .status = 201, .location = "/a/{id}" });
    ROUTES("POST /a: .location goes with the status 201",
        { TN_POST, "/a", handle, .reply = &order_schema, .location = "/a/{id}" });
    ROUTES("POST /a: .location" BAD_PATH,
        { TN_POST, "/a", handle, .reply = &order_schema, .status = 201, .location = "a/{id}" });
}

static const tn_stream empty_stream;
static const tn_stream odd_stream = { .after = &query,
    .newest = &query,
    .data = &change_schema,
    .id = "type",
    .event = "kind",
    .channel = "Changes!" };

static void streams_must_be_whole(void **state)
{
    ROUTES("GET /a: .stream: .after is missing\n"
           "GET /a: .stream: .newest is missing\n"
           "GET /a: .stream: .id \"\" is no required int64_t field of .data\n"
           "GET /a: .stream: .event \"\" is no required tn_str field of .data\n"
           "GET /a: .stream: .channel must be like ^[a-z_][a-z0-9_]{0,62}$",
        { TN_GET, "/a", .stream = &empty_stream });
    ROUTES("GET /a: .stream: .id \"type\" is no required int64_t field of .data\n"
           "GET /a: .stream: .event \"kind\" is no required tn_str field of .data\n"
           "GET /a: .stream: .channel must be like ^[a-z_][a-z0-9_]{0,62}$",
        { TN_GET, "/a", .stream = &odd_stream });
}

struct other_path {
    tn_str key;
};
static const tn_schema other_path_schema = TN_SCHEMA(other_path, TN_STR(other_path, key));

static void routes_that_are_alike_are_found(void **state)
{
    ROUTES("GET /a: the route is in the table twice", { TN_GET, "/a", handle },
        { TN_POST, "/a", handle }, { TN_GET, "/a", handle });
    ROUTES("POST /a/{key}: /a/{id} is the same path under other names",
        { TN_GET, "/a/{id}", handle, .params = &order_path_schema },
        { TN_POST, "/a/{key}", handle, .params = &other_path_schema });
    ROUTES("GET /a-b: its operationId is also that of /a_b", { TN_GET, "/a_b", handle },
        { TN_GET, "/a-b", handle });
}

/* ---- Events and subscriptions ------------------------------------------------------ */

#define EVENT(text, ...)                                                                           \
    do {                                                                                           \
        static const tn_event event_ = { __VA_ARGS__ };                                            \
        static const tn_event *const events_[] = { &event_ };                                      \
        const tn_service service_ = { .name = "s",                                                 \
            .version = "1.0.0",                                                                    \
            .events = TN_LIST(events_) };                                                          \
        told(*state, &service_, text);                                                             \
    } while (0)

static void bad_events_are_found(void **state)
{
    static const char bad_name[] = ": the name must be words of [a-z0-9_-] with dots between, at "
                                   "most 255";
    tn_str text = tn_printf(*state, "event Order.Placed%s", bad_name);
    EVENT(text.data, "Order.Placed", .of = &order_schema, .subject = "id");
    text = tn_printf(*state, "event order.*%s", bad_name);
    EVENT(text.data, "order.*", .of = &order_schema, .subject = "id");
    text = tn_printf(*state, "event order.%s", bad_name);
    EVENT(text.data, "order.", .of = &order_schema, .subject = "id");
    text = tn_printf(*state, "event ?%s", bad_name);
    EVENT(text.data, NULL, .of = &order_schema, .subject = "id");
    EVENT("event a.b: .of is missing", "a.b", .subject = "id");
    EVENT("event a.b: .subject \"\" is no required tn_uuid or tn_str field of .of", "a.b",
        .of = &order_schema);
    EVENT("event a.b: .subject \"version\" is no required tn_uuid or tn_str field of .of", "a.b",
        .of = &order_schema, .subject = "version");
    EVENT("event a.b: .subject \"note\" is no required tn_uuid or tn_str field of .of", "a.b",
        .of = &order_schema, .subject = "note");
    EVENT("event a.b: .data must be the same schema as .of", "a.b", .of = &order_schema,
        .subject = "id", .data = &line_schema);
}

static void events_that_are_alike_are_found(void **state)
{
    static const tn_event a = { "a.b", .of = &order_schema, .subject = "id" };
    static const tn_event *const events[] = { &a, NULL, &a };
    const tn_service service = { .name = "s", .version = "1.0.0", .events = TN_LIST(events) };
    told(*state, &service, "events: row 1 is NULL\nevent a.b: the event is in the table twice");
}

#define SUBSCRIPTIONS(text, ...)                                                                   \
    do {                                                                                           \
        static const tn_subscription subscriptions_[] = { __VA_ARGS__ };                           \
        const tn_service service_ = { .name = "s",                                                 \
            .version = "1.0.0",                                                                    \
            .subscriptions = TN_LIST(subscriptions_) };                                            \
        told(*state, &service_, text);                                                             \
    } while (0)

static void bad_subscriptions_are_found(void **state)
{
    SUBSCRIPTIONS("subscription a b: the pattern must be words of [a-z0-9_-] with dots between, or "
                  "* or #, at most 255",
        { "a b", hear, &stock_moved_schema });
    SUBSCRIPTIONS(
        "subscription a.x*: the pattern must be words of [a-z0-9_-] with dots between, or "
        "* or #, at most 255",
        { "a.x*", hear, &stock_moved_schema });
    SUBSCRIPTIONS("subscription a: the handler is missing", { "a", NULL, &stock_moved_schema });
    SUBSCRIPTIONS("subscription a: .body is missing", { "a", hear, NULL });
    SUBSCRIPTIONS("subscription a: .body must be a TN_OPEN_SCHEMA: what others add to their events "
                  "is no fault",
        { "a", hear, &line_schema });
}

#define S(pattern)                                                                                 \
    {                                                                                              \
        pattern, hear, &stock_moved_schema                                                         \
    }

static void subscriptions_that_never_get_a_message_are_found(void **state)
{
    SUBSCRIPTIONS("subscription a.b: it never gets a message: a.* stands before it", S("a.*"),
        S("a.b"));
    SUBSCRIPTIONS("subscription a: it never gets a message: a stands before it", S("a"), S("a"));
    SUBSCRIPTIONS("subscription *.b: it never gets a message: # stands before it", S("#"),
        S("*.b"));
    SUBSCRIPTIONS("subscription a.b.c: it never gets a message: a.# stands before it", S("a.#"),
        S("a.b.c"));
    SUBSCRIPTIONS("subscription a.#.b: it never gets a message: a.# stands before it", S("a.#"),
        S("a.#.b"));
    SUBSCRIPTIONS("subscription a.x.y.b: it never gets a message: a.#.b stands before it",
        S("a.#.b"), S("a.x.y.b"));
    SUBSCRIPTIONS("", S("a.b"), S("a.*"), S("a.*.c"), S("a.#"), S("*.b"), S("#"));
}

/* ---- Problems and migrations --------------------------------------------------------- */

#define PROBLEMS(text, ...)                                                                        \
    do {                                                                                           \
        static const tn_problem problems_[] = { __VA_ARGS__ };                                     \
        const tn_service service_ = { .name = "s",                                                 \
            .version = "1.0.0",                                                                    \
            .problems = TN_LIST(problems_) };                                                      \
        told(*state, &service_, text);                                                             \
    } while (0)

static void bad_problems_are_found(void **state)
{
    PROBLEMS("problem Taken: the type must be like ^[a-z][a-z0-9-]*$", { NULL, 409, "Taken", "T" });
    PROBLEMS("problem ?: the type must be like ^[a-z][a-z0-9-]*$", { NULL, 409, NULL, "T" });
    PROBLEMS("problem not-found: the chassis has a problem of this type",
        { NULL, 404, "not-found", "T" });
    PROBLEMS("problem a: the status must be from 400 to 599, found 200", { NULL, 200, "a", "T" });
    PROBLEMS("problem a: the title is missing", { NULL, 409, "a", "" });
    PROBLEMS("problem a: the constraint is empty; NULL means none", { "", 409, "a", "T" });
}

static void problems_that_are_alike_are_found(void **state)
{
    PROBLEMS("problem a: the type is in the table twice", { NULL, 409, "a", "T" },
        { "k", 409, "a", "T" });
    PROBLEMS("problem a: the type is in the table twice", { "j", 409, "a", "T" },
        { "k", 422, "a", "T" });
    PROBLEMS("problem b: the constraint k has two problems", { "k", 409, "a", "T" },
        { "k", 409, "b", "T" });
    PROBLEMS("", { "j", 409, "a", "T" }, { "k", 409, "a", "T" });
}

#define MIGRATIONS(text, ...)                                                                      \
    do {                                                                                           \
        static const tn_migration migrations_[] = { __VA_ARGS__ };                                 \
        const tn_service service_ = { .name = "s",                                                 \
            .version = "1.0.0",                                                                    \
            .migrations = TN_LIST(migrations_) };                                                  \
        told(*state, &service_, text);                                                             \
    } while (0)

static void bad_migrations_are_found(void **state)
{
    MIGRATIONS("migration items.sql: the name must be like 0001_items.sql", { "items.sql", "x" });
    MIGRATIONS("migration ?: the name must be like 0001_items.sql", { NULL, "x" });
    MIGRATIONS("migration 0001_a.sql: it must come before 0002_b.sql", { "0002_b.sql", "x" },
        { "0001_a.sql", "x" });
    MIGRATIONS("migration 0001_a.sql: it must come before 0001_a.sql", { "0001_a.sql", "x" },
        { "0001_a.sql", "x" });
    MIGRATIONS("migration 0001_a.sql: it has no SQL", { "0001_a.sql", "" });
}

static void all_faults_are_found_at_once(void **state)
{
    static const tn_route routes[] = { { TN_GET, "a", handle }, { TN_GET, "/b", NULL } };
    static const tn_problem problems[] = { { NULL, 1, "x", "X" } };
    static const tn_migration migrations[] = { { "1.sql", "x" } };
    const tn_service service = { .name = "s",
        .version = "1",
        .routes = TN_LIST(routes),
        .problems = TN_LIST(problems),
        .migrations = TN_LIST(migrations) };
    tn__faults faults;
    tn__tables_check(*state, &service, &faults);
    assert_int_equal(faults.n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(right_tables_have_no_faults),
        CASE(a_service_has_a_name_and_a_version),
        CASE(bad_paths_are_found),
        CASE(braces_and_params_must_agree),
        CASE(query_parameters_of_the_chassis_are_its_own),
        CASE(answers_must_be_one_and_fit_their_status),
        CASE(bodies_patches_and_keys_must_fit_the_method),
        CASE(etags_and_locations_must_name_fields),
        CASE(streams_must_be_whole),
        CASE(routes_that_are_alike_are_found),
        CASE(bad_events_are_found),
        CASE(events_that_are_alike_are_found),
        CASE(bad_subscriptions_are_found),
        CASE(subscriptions_that_never_get_a_message_are_found),
        CASE(bad_problems_are_found),
        CASE(problems_that_are_alike_are_found),
        CASE(bad_migrations_are_found),
        CASE(all_faults_are_found_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
