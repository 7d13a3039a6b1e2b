/* A service with a database: see store.h. */
#include "store.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- The service --------------------------------------------------------- */

struct part_new {
    tn_str name;
    int64_t size;
    const tn_str *note;
};
static const tn_schema part_new_schema = TN_SCHEMA(part_new, TN_STR(part_new, name, TN_LEN(1, 20)),
    TN_INT(part_new, size, TN_RANGE(0, 100)), TN_STR(part_new, note));

struct part {
    int64_t position;
    tn_uuid id;
    tn_str name;
    int64_t size;
    const tn_str *note;
    int64_t version;
};
static const tn_schema part_schema = TN_SCHEMA(part, TN_INT(part, position), TN_UUID(part, id),
    TN_STR(part, name), TN_INT(part, size), TN_STR(part, note), TN_INT(part, version));

struct part_path {
    tn_uuid id;
};
static const tn_schema part_path_schema = TN_SCHEMA(part_path, TN_UUID(part_path, id));

struct part_search {
    const tn_str *name;
};
static const tn_schema part_search_schema = TN_SCHEMA(part_search, TN_STR(part_search, name));

static const tn_problem problems[] = {
    { "parts_name_key", 409, "name-taken", "A part with this name exists." },
    { NULL, 410, "out-of-parts", "There are no more parts." },
};

#define COLUMNS "position, id, name, size, note, version"
static const tn_query insert_part = {
    "insert_part",
    "INSERT INTO parts (id, name, size, note, version) VALUES ($1, $2, $3, $4, 1)",
};
static const tn_query insert_part_returning = {
    "insert_part_returning",
    "INSERT INTO parts (id, name, size, note, version) VALUES ($1, $2, $3, $4, 1)"
    " RETURNING " COLUMNS,
};
static const tn_query select_part = {
    "select_part",
    "SELECT " COLUMNS " FROM parts WHERE id = $1",
};
static const tn_query lock_part = {
    "lock_part",
    "SELECT " COLUMNS " FROM parts WHERE id = $1 FOR UPDATE",
};
static const tn_query update_part = {
    "update_part",
    "UPDATE parts SET name = $2, size = $3, note = $4, version = version + 1 WHERE id = $1"
    " RETURNING " COLUMNS,
};
static const tn_query delete_part = { "delete_part", "DELETE FROM parts WHERE id = $1" };
static const tn_query list_parts = {
    "list_parts",
    "SELECT " COLUMNS " FROM parts WHERE ($1::text IS NULL OR name LIKE $1 || '%')"
    " AND position < coalesce($2, 9223372036854775807) ORDER BY position DESC LIMIT $3",
};
static const tn_query parts_after = {
    "parts_after",
    "SELECT " COLUMNS " FROM parts WHERE position > $1 ORDER BY position LIMIT $2",
};
static const tn_query newest_part = {
    "newest_part",
    "SELECT coalesce(max(position), 0) AS id FROM parts",
};
static const tn_query sleep_long = { "sleep_long", "SELECT pg_sleep(10)" };
static const tn_query no_such_table = { "no_such_table", "SELECT 1 AS position FROM nowhere" };

static struct part part_of(const struct part_new *in)
{
    return (struct part){
        .id = tn_uuid_v7(),
        .name = in->name,
        .size = in->size,
        .note = in->note,
        .version = 1,
    };
}

static tn_reply make_part(tn_req *req)
{
    struct part part = part_of(TN_BODY(req, part_new));
    tn_tx *tx = tn_begin(req);
    if (part.size == 99)
        tn_fail(tx, &problems[1], "Only %d were there.", 98);
    tn_run(tx, &insert_part, TN_ARGS(part.id, part.name, part.size, part.note));
    return tn_commit(tx, TN_REF(part, &part));
}

static tn_reply make_part_slowly(tn_req *req)
{
    struct part part = part_of(TN_BODY(req, part_new));
    tn_tx *tx = tn_begin(req);
    tn_one(tx, TN_REF(part, &part), &insert_part_returning,
        TN_ARGS(part.id, part.name, part.size, part.note));
    return tn_commit(tx, TN_REF(part, &part));
}

static tn_reply make_no_part(tn_req *req)
{
    struct part part = part_of(TN_BODY(req, part_new));
    return tn_answer(req, TN_REF(part, &part));
}

static tn_reply show_part(tn_req *req)
{
    struct part part = { 0 };
    tn_tx *tx = tn_begin(req);
    tn_one(tx, TN_REF(part, &part), &select_part, TN_ARGS(TN_PARAMS(req, part_path)->id));
    return tn_commit(tx, TN_REF(part, &part));
}

static tn_reply search_parts(tn_req *req)
{
    tn_tx *tx = tn_begin(req);
    return tn_commit(tx,
        tn_page(tx, &part_schema, "position", &list_parts,
            TN_ARGS(TN_QUERY(req, part_search)->name)));
}

static tn_reply change_part(tn_req *req)
{
    struct part part = { 0 };
    tn_ref current = TN_REF(part, &part);
    tn_tx *tx = tn_begin(req);
    tn_one(tx, current, &lock_part, TN_ARGS(TN_PARAMS(req, part_path)->id));
    tn_wait(tx);
    tn_match(tx, current);
    struct part_new next = { part.name, part.size, part.note };
    tn_merge(tx, TN_REF(part_new, &next));
    tn_one(tx, current, &update_part, TN_ARGS(part.id, next.name, next.size, next.note));
    return tn_commit(tx, current);
}

static tn_reply drop_part(tn_req *req)
{
    struct part part = { 0 };
    tn_ref current = TN_REF(part, &part);
    tn_tx *tx = tn_begin(req);
    tn_one(tx, current, &lock_part, TN_ARGS(TN_PARAMS(req, part_path)->id));
    tn_wait(tx);
    tn_match(tx, current);
    tn_run(tx, &delete_part, TN_ARGS(part.id));
    return tn_commit(tx, TN_NOTHING);
}

static tn_reply ask_for_sleep(tn_req *req)
{
    tn_tx *tx = tn_begin(req);
    tn_run(tx, &sleep_long, TN_NO_ARGS);
    return tn_commit(tx, TN_NOTHING);
}

static tn_reply ask_for_nothing_there(tn_req *req)
{
    struct part part = { 0 };
    tn_tx *tx = tn_begin(req);
    tn_one(tx, TN_REF(part, &part), &no_such_table, TN_NO_ARGS);
    return tn_commit(tx, TN_REF(part, &part));
}

static const tn_stream part_stream = {
    .after = &parts_after,
    .newest = &newest_part,
    .data = &part_schema,
    .id = "position",
    .event = "name",
    .channel = "parts",
};

static const tn_route routes[] = {
    { TN_POST, "/parts", make_part, .body = &part_new_schema, .reply = &part_schema, .status = 201,
        .location = "/parts/{id}", .etag = "version", .idempotent = true },
    { TN_POST, "/slow-parts", make_part_slowly, .body = &part_new_schema, .reply = &part_schema,
        .status = 201, .location = "/parts/{id}", .idempotent = true },
    { TN_POST, "/no-parts", make_no_part, .body = &part_new_schema, .reply = &part_schema,
        .idempotent = true },
    { TN_GET, "/parts", search_parts, .query = &part_search_schema, .page = &part_schema },
    { TN_GET, "/parts/{id}", show_part, .params = &part_path_schema, .reply = &part_schema,
        .etag = "version" },
    { TN_PATCH, "/parts/{id}", change_part, .params = &part_path_schema, .body = &part_new_schema,
        .merge_patch = true, .reply = &part_schema, .etag = "version", .idempotent = true },
    { TN_DELETE, "/parts/{id}", drop_part, .params = &part_path_schema, .etag = "version",
        .idempotent = true },
    { TN_GET, "/parts/stream", .stream = &part_stream },
    { TN_GET, "/sleep", ask_for_sleep, .summary = "Sleeps" },
    { TN_GET, "/broken", ask_for_nothing_there, .reply = &part_schema },
};

/* ---- Beside the server --------------------------------------------------- */

static PGconn *beside, *other;

static PGconn *connect_beside(void)
{
    PGconn *conn = PQconnectdb(getenv("TEST_DATABASE_URL"));
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s (use tests/support/with-stack)", PQerrorMessage(conn));
    PQclear(PQexec(conn, "SET client_min_messages = warning"));
    return conn;
}

static PGresult *run(PGconn *conn, const char *format, va_list args)
{
    char *text;
    assert_true(vasprintf(&text, format, args) >= 0);
    PGresult *result = PQexec(conn, text);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQresultErrorMessage(result));
    free(text);
    return result;
}

void sql(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PQclear(run(beside, format, args));
    va_end(args);
}

int64_t number(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PGresult *result = run(beside, format, args);
    va_end(args);
    int64_t n = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return n;
}

static void on_other(const char *statement)
{
    PGresult *result = PQexec(other, statement);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", statement, PQresultErrorMessage(result));
    PQclear(result);
}

void begin_other(const char *statement)
{
    other = connect_beside();
    on_other("BEGIN");
    on_other(statement);
}

void commit_other(void)
{
    on_other("COMMIT");
    PQfinish(other);
}

void roll_back_other(void)
{
    on_other("ROLLBACK");
    PQfinish(other);
}

void await_waiting(void)
{
    for (int i = 0; i < 500; i++) {
        if (number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                   " AND datname = current_database()") > 0)
            return;
        usleep(5 * 1000);
    }
    fail_msg("nobody waits for a lock");
}

void postgres(const char *verb)
{
    char command[4096];
    snprintf(command, sizeof command, "%s %s postgres >/dev/null", getenv("TEST_STACK"), verb);
    if (strcmp(verb, "start") != 0) {
        PQfinish(beside);
        beside = NULL;
    }
    assert_int_equal(system(command), 0);
    if (strcmp(verb, "start") == 0)
        beside = connect_beside();
}

/* The chassis's own tables, as its first migration makes them. */
static const char tables[] =
    "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
    "CREATE TABLE trunnion_idempotency (id uuid PRIMARY KEY, fingerprint text NOT NULL,"
    " status bigint NOT NULL, headers text NOT NULL, body text NOT NULL,"
    " expires_at timestamptz NOT NULL);"
    "CREATE TABLE parts (position bigint GENERATED ALWAYS AS IDENTITY, id uuid PRIMARY KEY,"
    " name text NOT NULL UNIQUE, size bigint NOT NULL CHECK (size <> 98) UNIQUE DEFERRABLE,"
    " note text, version bigint NOT NULL);"
    "ALTER TABLE parts DROP CONSTRAINT parts_size_key;"
    "CREATE UNIQUE INDEX one_of_97 ON parts (size) WHERE size = 97;"
    "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_notify('parts', ''); RETURN NULL; END $$;"
    "CREATE TRIGGER tell AFTER INSERT ON parts EXECUTE FUNCTION tell();";

int set_up_store(void **state)
{
    set_up(state);
    if (beside == NULL)
        beside = connect_beside();
    sql("%s", tables);
    service = (tn_service){
        .name = "parts",
        .version = "1.0.0",
        .routes = TN_LIST(routes),
        .problems = TN_LIST(problems),
    };
    return 0;
}

static void look_at_database(void *up)
{
    *(bool *)up = tn__pg_up(options.pg, NULL);
}

void start_store(void)
{
    bool up = false;
    start_server();
    for (int i = 0; i < 500; i++) {
        on_server(look_at_database, &up);
        if (up && ask("GET", "/api/v1/parts", NULL, NULL)->status == 200)
            return;
        usleep(10 * 1000);
    }
    fail_msg("the database did not come up");
}

answer *post(const char *path, const char *key, const char *body)
{
    char lines[1024] = "Content-Type: application/json\r\n";
    size_t n = strlen(lines);
    if (key != NULL)
        snprintf(lines + n, sizeof lines - n, "Idempotency-Key: %s\r\n", key);
    return ask("POST", path, lines, body);
}

const char *id_of(const answer *a)
{
    static char id[37];
    const char *at = strstr(a->body, "\"id\":\"");
    assert_non_null(at);
    memcpy(id, at + 6, 36);
    return id;
}
