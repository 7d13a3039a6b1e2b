/* Notifications, on a connection of their own: one that also runs transactions would hear of them
 * only in between. */
#include "pg/state.h"

#include <stdio.h>
#include <stdlib.h>

/* Somebody who wants to hear of a channel. */
typedef struct ear ear;
struct ear {
    ear *next;
    char *channel;
    void (*fn)(void *arg);
    void *arg;
    enum { SILENT, ASKED, HEARD } state;
};

struct tn__listener {
    tn__conn conn;
    ear *first, *last;
};

static void ask(tn__listener *listener, ear *at)
{
    char *name = PQescapeIdentifier(listener->conn.pq, at->channel, strlen(at->channel));
    if (name == NULL) {
        tn__conn_break(&listener->conn, PQerrorMessage(listener->conn.pq));
        return;
    }
    tn__buf sql = { .arena = NULL };
    tn__buf_printf(&sql, "LISTEN %s", name);
    tn__buf_add_char(&sql, '\0');
    tn__conn_command(&listener->conn, sql.data, 0);
    tn__buf_deinit(&sql);
    PQfreemem(name);
    at->state = ASKED;
}

static void on_up(tn__conn *conn)
{
    tn__listener *listener = conn->owner;
    for (ear *at = listener->first; at != NULL; at = at->next)
        ask(listener, at);
    tn__conn_sync(conn);
}

static void on_result(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    (void)entry;
    if (!tn__result_ok(result))
        tn__conn_break(conn, PQresultErrorMessage(result));
}

/* From here on nothing is missed; what came before may have been. */
static void on_sync(tn__conn *conn)
{
    tn__listener *listener = conn->owner;
    for (ear *at = listener->first; !conn->broken && at != NULL; at = at->next) {
        if (at->state == ASKED) {
            at->state = HEARD;
            at->fn(at->arg);
        }
    }
}

static void on_notify(tn__conn *conn, const char *name)
{
    tn__listener *listener = conn->owner;
    for (ear *at = listener->first; at != NULL; at = at->next)
        if (at->state == HEARD && strcmp(at->channel, name) == 0)
            at->fn(at->arg);
}

static void on_down(tn__conn *conn)
{
    tn__listener *listener = conn->owner;
    for (ear *at = listener->first; at != NULL; at = at->next)
        at->state = SILENT;
}

static const tn__conn_events listener_events = {
    .on_up = on_up,
    .on_result = on_result,
    .on_sync = on_sync,
    .on_notify = on_notify,
    .on_down = on_down,
};

static tn__listener *listener_of(tn__pg *pg)
{
    if (pg->listener == NULL) {
        pg->listener = tn__xcalloc(1, sizeof *pg->listener);
        tn__conn_init(&pg->listener->conn, pg->loop, &pg->common, &listener_events, pg->listener);
        tn__conn_start(&pg->listener->conn);
    }
    return pg->listener;
}

void tn__pg_listen(tn__pg *pg, const char *channel, void (*fn)(void *arg), void *arg)
{
    tn__listener *listener = listener_of(pg);
    ear *made = tn__xcalloc(1, sizeof *made);
    size_t size = strlen(channel) + 1;
    made->channel = memcpy(tn__xmalloc(size), channel, size);
    made->fn = fn;
    made->arg = arg;
    *(listener->last != NULL ? &listener->last->next : &listener->first) = made;
    listener->last = made;
    if (tn__conn_is_up(&listener->conn)) {
        ask(listener, made);
        tn__conn_sync(&listener->conn);
    }
}

void tn__listener_hurry(tn__pg *pg)
{
    if (pg->listener != NULL)
        tn__conn_hurry(&pg->listener->conn);
}

void tn__listener_close(tn__pg *pg)
{
    if (pg->listener == NULL)
        return;
    tn__conn_deinit(&pg->listener->conn);
    while (pg->listener->first != NULL) {
        ear *gone = pg->listener->first;
        pg->listener->first = gone->next;
        free(gone->channel);
        free(gone);
    }
    free(pg->listener);
    pg->listener = NULL;
}
