/* What the relay does beside publishing: expired idempotency keys and message ids go, in batches too
 * small to be in anybody's way, and the outbox is measured. */
#include "messaging/relay.h"

#include <stdio.h>
#include <stdlib.h>

enum { PURGE_ROWS = 500, PURGE_AGAIN_MS = 100, MEASURE_EVERY_MS = 5000 };

static bool run(tn__relay *relay, const tn__db_call *calls, size_t n, PGresult **results)
{
    if (tn__db_run(&relay->db, calls, n, results, TN__DB_TIMEOUT_MS))
        return true;
    tn__relay_lost_database(relay);
    return false;
}

static int64_t affected(PGresult *result)
{
    return strtoll(PQcmdTuples(result), NULL, 10);
}

static void purge(tn__relay *relay)
{
    char limit[16], ttl[16];
    PGresult *results[2];
    snprintf(limit, sizeof limit, "%d", PURGE_ROWS);
    snprintf(ttl, sizeof ttl, "%d", relay->options.inbox_ttl_s);
    const char *params[] = { limit, ttl };
    tn__db_call calls[] = { { "purge_keys", 1, params }, { "purge_ids", 2, params } };
    if (!run(relay, calls, 2, results))
        return;
    bool more = affected(results[0]) == PURGE_ROWS || affected(results[1]) == PURGE_ROWS;
    int64_t wait_ms = more ? PURGE_AGAIN_MS : relay->options.purge_every_ms;
    relay->purge_at_us = tn__mono_us() + wait_ms * 1000;
    PQclear(results[0]);
    PQclear(results[1]);
}

static double real_of(PGresult *result, int column)
{
    return strtod(PQgetvalue(result, 0, column), NULL);
}

static void measure(tn__relay *relay)
{
    PGresult *result;
    if (!run(relay, &(tn__db_call){ .name = "measure" }, 1, &result))
        return;
    tn__metric_set(relay->metrics.pending, real_of(result, 0));
    tn__metric_set(relay->metrics.oldest_age, real_of(result, 1));
    PQclear(result);
    relay->measure_at_us = tn__mono_us() + MEASURE_EVERY_MS * 1000;
}

bool tn__relay_upkeep_due(const tn__relay *relay)
{
    int64_t now_us = tn__mono_us();
    return now_us >= relay->measure_at_us || now_us >= relay->purge_at_us;
}

void tn__relay_upkeep(tn__relay *relay)
{
    if (relay->claimed != NULL)
        return;
    if (relay->database.up && tn__mono_us() >= relay->measure_at_us)
        measure(relay);
    if (relay->database.up && tn__mono_us() >= relay->purge_at_us)
        purge(relay);
}
