/* Migrations: the steps of a database's schema, each applied once.
 *
 * All of it happens under an advisory lock, so processes that start together take turns, and the
 * later ones find nothing left to do. Each migration runs in a transaction with the row that
 * records it: both are there, or neither. Blocking, for it runs before any loop does.
 *
 * The applied ones must be the first of the list, name by name and checksum by checksum, and the
 * list must ascend: then every database of the service got its schema in the same order. Those
 * that come after the whole list are a newer version's, and are let be: while versions are
 * exchanged an old one may have to start again, and so it must when the newer is taken back. */
#include "pg/pg.h"

#include <libpq-fe.h>
#include <openssl/evp.h>
#include <stdio.h>

/* "trunnion" in ASCII: the key of the advisory lock, in each database. */
#define LOCK_KEY "8390898172903911278"
#define TABLE                                                                                      \
    "CREATE TABLE IF NOT EXISTS trunnion_migrations ("                                             \
    "set_name text NOT NULL, name text NOT NULL, checksum text NOT NULL,"                          \
    " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (set_name, name))"

typedef struct {
    PGconn *pq;
    tn_arena *arena;
    const char *set;
    const tn_migration *migrations;
    size_t n;
    tn_str *why;
} run;

typedef struct {
    char hex[2 * EVP_MAX_MD_SIZE + 1];
} checksum;

static checksum checksum_of(const char *sql)
{
    checksum sum = { "" };
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(sql, strlen(sql), bytes, &n, EVP_sha256(), NULL) != 1)
        n = 0; /* equals no checksum that was ever stored */
    for (unsigned i = 0; i < n; i++)
        snprintf(sum.hex + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return sum;
}

static tn__migrated refuse(run *r, tn_str why)
{
    *r->why = why;
    return TN__MIGRATE_REFUSED;
}

/* ---- Talking to the server ---------------------------------------------- */

static tn_str first_line(tn_arena *arena, const char *message)
{
    return tn_copy(arena, (tn_str){ message, strcspn(message, "\n") });
}

/* The server is gone or was never there, unless it has an answer of its own to the statement. */
static tn__migrated failed(run *r, const PGresult *result, const char *doing)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool lost = state == NULL || PQstatus(r->pq) != CONNECTION_OK;
    bool locked = state != NULL && strcmp(state, "55P03") == 0;
    const char *message = state == NULL ? PQerrorMessage(r->pq)
                                        : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    *r->why = tn_printf(r->arena, "%s: %.*s", doing, TN_FMT(first_line(r->arena, message)));
    return lost || locked ? TN__MIGRATE_UNREACHABLE : TN__MIGRATE_REFUSED;
}

static tn__migrated execute(run *r, const char *sql, const char *doing)
{
    PGresult *result = PQexec(r->pq, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    tn__migrated done = ok ? TN__MIGRATE_DONE : failed(r, result, doing);
    PQclear(result);
    return done;
}

static void notice(void *owner, const PGresult *result)
{
    (void)owner;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    TN_LOG(TN_DEBUG, "database notice", TN_LOG_Z("detail", message));
}

static tn__migrated open_connection(run *r, const char *url, int timeout_ms)
{
    char seconds[16];
    tn__buf options = { .arena = r->arena };
    snprintf(seconds, sizeof seconds, "%d", timeout_ms / 1000 < 2 ? 2 : timeout_ms / 1000);
    tn__pg_url_options(&options, url);
    /* For the advisory lock; taken back once we have it. */
    tn__buf_printf(&options, "-c lock_timeout=%d", timeout_ms);
    tn__buf_add_char(&options, '\0');
    const char *const keywords[] = { "connect_timeout", "dbname", "application_name", "options",
        "client_encoding", NULL };
    const char *const values[] = { seconds, url, "trunnion-migrate", options.data, "UTF8", NULL };
    r->pq = PQconnectdbParams(keywords, values, 1);
    if (PQstatus(r->pq) != CONNECTION_OK) {
        *r->why = r->pq == NULL ? TN_S("out of memory")
                                : first_line(r->arena, PQerrorMessage(r->pq));
        return TN__MIGRATE_UNREACHABLE;
    }
    PQsetNoticeReceiver(r->pq, notice, NULL);
    return TN__MIGRATE_DONE;
}

static tn__migrated take_turn(run *r)
{
    tn__migrated done = execute(r, "SELECT pg_advisory_lock(" LOCK_KEY ")",
        "waiting for the migrations of another process");
    if (done == TN__MIGRATE_DONE)
        done = execute(r, "SET lock_timeout = 0; " TABLE, "making the table of migrations");
    return done;
}

/* ---- What was applied --------------------------------------------------- */

static tn__migrated check_order(run *r)
{
    for (size_t i = 1; i < r->n; i++) {
        if (strcmp(r->migrations[i - 1].name, r->migrations[i].name) >= 0) {
            return refuse(r,
                tn_printf(r->arena, "migration %s must not come after %s", r->migrations[i].name,
                    r->migrations[i - 1].name));
        }
    }
    return TN__MIGRATE_DONE;
}

/* A newer version has been here; its migrations leave the one before working. */
static tn__migrated let_newer_be(run *r, const char *name)
{
    TN_LOG(TN_WARN, "the database has a newer version's migration", TN_LOG_Z("set", r->set),
        TN_LOG_Z("migration", name));
    return TN__MIGRATE_DONE;
}

static bool is_listed(const run *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->migrations[i].name, name) == 0)
            return true;
    return false;
}

/* Compares the i-th applied migration with the i-th of the list; both ascend. */
static tn__migrated compare(run *r, size_t i, const char *name, const char *sum)
{
    if (i >= r->n)
        return let_newer_be(r, name);
    if (!is_listed(r, name)) {
        return refuse(r,
            tn_printf(r->arena, "migration %s was applied to this database, but is gone", name));
    }
    const tn_migration *ours = &r->migrations[i];
    if (strcmp(ours->name, name) != 0) {
        return refuse(r,
            tn_printf(r->arena, "migration %s is new, but %s, which comes after it, was applied",
                ours->name, name));
    }
    if (strcmp(checksum_of(ours->sql).hex, sum) != 0) {
        return refuse(r,
            tn_printf(r->arena, "migration %s has changed since it was applied", name));
    }
    return TN__MIGRATE_DONE;
}

/* How many of the list were applied: those are its first. */
static tn__migrated find_applied(run *r, size_t *n_applied)
{
    PGresult *result = PQexecParams(r->pq,
        "SELECT name, checksum FROM trunnion_migrations WHERE set_name = $1"
        " ORDER BY name COLLATE \"C\"",
        1, NULL, &r->set, NULL, NULL, 0);
    tn__migrated done = PQresultStatus(result) == PGRES_TUPLES_OK
        ? TN__MIGRATE_DONE
        : failed(r, result, "reading the applied migrations");
    int n = done == TN__MIGRATE_DONE ? PQntuples(result) : 0;
    for (int i = 0; i < n && done == TN__MIGRATE_DONE; i++)
        done = compare(r, (size_t)i, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
    *n_applied = (size_t)n < r->n ? (size_t)n : r->n;
    PQclear(result);
    return done;
}

/* ---- Applying ----------------------------------------------------------- */

static int line_of(const char *sql, const char *position)
{
    int line = 1;
    for (long left = strtol(position, NULL, 10); left > 1 && *sql != '\0'; sql++) {
        left -= ((unsigned char)*sql & 0xc0) != 0x80; /* the server counts characters */
        line += *sql == '\n';
    }
    return line;
}

static tn__migrated apply_failed(run *r, const tn_migration *migration, const PGresult *result)
{
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    tn_str doing = position == NULL ? tn_printf(r->arena, "migration %s", migration->name)
                                    : tn_printf(r->arena, "migration %s, line %d", migration->name,
                                          line_of(migration->sql, position));
    return failed(r, result, doing.data);
}

static tn__migrated run_sql(run *r, const tn_migration *migration)
{
    PGresult *result = PQexec(r->pq, migration->sql);
    ExecStatusType status = PQresultStatus(result);
    tn__migrated done = TN__MIGRATE_DONE;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        done = apply_failed(r, migration, result);
    } else if (PQtransactionStatus(r->pq) != PQTRANS_INTRANS) {
        done = refuse(r,
            tn_printf(r->arena, "migration %s ends its transaction itself", migration->name));
    }
    PQclear(result);
    return done;
}

static tn__migrated record(run *r, const tn_migration *migration)
{
    checksum sum = checksum_of(migration->sql);
    const char *const values[] = { r->set, migration->name, sum.hex };
    PGresult *result = PQexecParams(r->pq,
        "INSERT INTO trunnion_migrations (set_name, name, checksum) VALUES ($1, $2, $3)", 3, NULL,
        values, NULL, NULL, 0);
    tn__migrated done = PQresultStatus(result) == PGRES_COMMAND_OK
        ? TN__MIGRATE_DONE
        : failed(r, result, migration->name);
    PQclear(result);
    return done;
}

static tn__migrated apply(run *r, const tn_migration *migration)
{
    tn__migrated done = execute(r, "BEGIN", migration->name);
    if (done == TN__MIGRATE_DONE)
        done = run_sql(r, migration);
    if (done == TN__MIGRATE_DONE)
        done = record(r, migration);
    if (done == TN__MIGRATE_DONE)
        done = execute(r, "COMMIT", migration->name);
    if (done == TN__MIGRATE_DONE) {
        TN_LOG(TN_INFO, "migration applied", TN_LOG_Z("set", r->set),
            TN_LOG_Z("migration", migration->name));
    }
    return done;
}

static tn__migrated apply_missing(run *r)
{
    size_t n_applied = 0;
    tn__migrated done = find_applied(r, &n_applied);
    for (size_t i = n_applied; i < r->n && done == TN__MIGRATE_DONE; i++)
        done = apply(r, &r->migrations[i]);
    return done;
}

static bool has_table(run *r)
{
    PGresult *result = PQexec(r->pq,
        "SELECT 1 FROM pg_class WHERE relname = 'trunnion_migrations'"
        " AND pg_table_is_visible(oid)");
    bool has = PQntuples(result) > 0;
    PQclear(result);
    return has;
}

static tn__migrated refuse_missing(run *r)
{
    size_t n_applied = 0;
    tn__migrated done = has_table(r) ? find_applied(r, &n_applied) : TN__MIGRATE_DONE;
    if (done == TN__MIGRATE_DONE && n_applied < r->n) {
        *r->why = tn_printf(r->arena, "migration %s was not applied yet",
            r->migrations[n_applied].name);
        done = TN__MIGRATE_UNREACHABLE;
    }
    return done;
}

/* ---- Sets --------------------------------------------------------------- */

static void take_set(run *r, const tn__migration_set *set)
{
    r->set = set->name;
    r->migrations = set->at;
    r->n = set->n;
}

static tn__migrated each_set(run *r, const tn__migration_set *sets, size_t n,
    tn__migrated (*act)(run *r))
{
    tn__migrated done = TN__MIGRATE_DONE;
    for (size_t i = 0; i < n && done == TN__MIGRATE_DONE; i++) {
        take_set(r, &sets[i]);
        done = act(r);
    }
    return done;
}

tn__migrated tn__migrate_sets(tn_arena *arena, const char *url, const tn__migration_set *sets,
    size_t n, int timeout_ms, tn_str *why)
{
    run r = { .arena = arena, .why = why };
    tn__migrated done = each_set(&r, sets, n, check_order);
    if (done == TN__MIGRATE_DONE)
        done = open_connection(&r, url, timeout_ms);
    if (done == TN__MIGRATE_DONE)
        done = take_turn(&r);
    if (done == TN__MIGRATE_DONE)
        done = each_set(&r, sets, n, apply_missing);
    PQfinish(r.pq); /* which also rolls back and unlocks */
    return done;
}

tn__migrated tn__migrations_check(tn_arena *arena, const char *url, const tn__migration_set *sets,
    size_t n, int timeout_ms, tn_str *why)
{
    run r = { .arena = arena, .why = why };
    tn__migrated done = each_set(&r, sets, n, check_order);
    if (done == TN__MIGRATE_DONE)
        done = open_connection(&r, url, timeout_ms);
    if (done == TN__MIGRATE_DONE)
        done = each_set(&r, sets, n, refuse_missing);
    PQfinish(r.pq);
    return done;
}

tn__migrated tn__migrate(tn_arena *arena, const char *url, const char *set,
    const tn_migration *migrations, size_t n, int timeout_ms, tn_str *why)
{
    const tn__migration_set only = { .name = set, .at = migrations, .n = n };
    return tn__migrate_sets(arena, url, &only, 1, timeout_ms, why);
}
