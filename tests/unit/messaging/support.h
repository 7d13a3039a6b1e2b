/* What the tests of the relay and the consumer share: a database with the chassis's tables, a look
 * into it, and taps on the broker. */
#pragma once

#include "unit/amqp/support.h"

#include "amqp/internal.h"
#include "messaging/messaging.h"

#include <inttypes.h>
#include <libpq-fe.h>

static inline PGconn *test_db(void)
{
    PGconn *conn = PQconnectdb(test_env("TEST_DATABASE_URL"));
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    return conn;
}

/* Runs a statement; the first column of the first row as a number, or how many rows it changed. */
__attribute__((format(printf, 2, 3))) static inline int64_t test_sql(PGconn *conn,
    const char *format, ...)
{
    char sql[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    const char *text = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : PQcmdTuples(result);
    int64_t number = strtoll(text, NULL, 10);
    PQclear(result);
    return number;
}

/* Fresh tables of the chassis. */
static inline void test_tables(PGconn *conn)
{
    test_sql(conn,
        "SET client_min_messages = warning; DROP SCHEMA public CASCADE;"
        "CREATE SCHEMA public");
    for (size_t i = 0; i < tn__chassis_migrations_n; i++)
        test_sql(conn, "%s", tn__chassis_migrations[i].sql);
}

/* Waits until the statement gives `wanted`. */
#define test_eventually(conn, wanted, seconds, ...)                                                \
    do {                                                                                           \
        int64_t by_us_ = tn__mono_us() + (int64_t)((seconds)*1000000);                             \
        while (test_sql((conn), __VA_ARGS__) != (wanted)) {                                        \
            if (tn__mono_us() > by_us_)                                                            \
                fail_msg("%" PRId64 " instead of %" PRId64 ": %s", test_sql((conn), __VA_ARGS__),  \
                    (int64_t)(wanted), #__VA_ARGS__);                                              \
            usleep(5000);                                                                          \
        }                                                                                          \
    } while (false)

/* Waits until it is so. */
#define test_until(condition, seconds)                                                             \
    do {                                                                                           \
        int64_t by_us_ = tn__mono_us() + (int64_t)((seconds)*1000000);                             \
        while (!(condition)) {                                                                     \
            if (tn__mono_us() > by_us_)                                                            \
                fail_msg("not within %d s: %s", (int)(seconds), #condition);                       \
            usleep(2000);                                                                          \
        }                                                                                          \
    } while (false)

/* Deletes the queues of a consumer. */
static inline void test_forget(const char *consumer)
{
    char queue[128];
    tn__amqp *amqp = test_amqp_open();
    snprintf(queue, sizeof queue, "%s.events", consumer);
    amqp_queue_delete(amqp->state, 1, amqp_cstring_bytes(queue), false, false);
    snprintf(queue, sizeof queue, "%s.events.dead", consumer);
    amqp_queue_delete(amqp->state, 1, amqp_cstring_bytes(queue), false, false);
    tn__amqp_close(amqp);
}

/* Messages that wait in a queue, unacknowledged ones left out. */
static inline int64_t test_depth(const char *queue)
{
    tn__amqp *amqp = test_amqp_open();
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(amqp->state, 1, amqp_cstring_bytes(queue),
        true, true, false, false, amqp_empty_table);
    assert_non_null(ok);
    int64_t n = ok->message_count;
    tn__amqp_close(amqp);
    return n;
}
