/* /livez and /readyz.
 *
 * Alive is who answers. Ready means that the database can be had by every worker and that its
 * tables are there; a broker that is away only degrades, since events wait in the outbox. */

#include "service/service.h"

static void copy_why(char to[TN__WHY_BYTES_MAX], tn_str why)
{
    size_t n = why.len < TN__WHY_BYTES_MAX - 1 ? why.len : TN__WHY_BYTES_MAX - 1;
    memcpy(to, n > 0 ? why.data : "", n);
    to[n] = '\0';
}

void tn__health_open(tn__health *health, const tn_service *service, size_t n_workers)
{
    *health = (tn__health){
        .service = service,
        .opened_us = tn__mono_us(),
        .n_workers = n_workers,
        .has_messages = service->events.n + service->subscriptions.n > 0,
    };
    pthread_mutex_init(&health->lock, NULL);
    copy_why(health->migrating_why, TN_S("not reached yet"));
    for (size_t i = 0; i < n_workers; i++)
        copy_why(health->workers[i].why, TN_S("not connected yet"));
}

void tn__health_close(tn__health *health)
{
    pthread_mutex_destroy(&health->lock);
}

void tn__health_migrating(tn__health *health, tn_str why)
{
    pthread_mutex_lock(&health->lock);
    copy_why(health->migrating_why, why);
    pthread_mutex_unlock(&health->lock);
}

void tn__health_migrated(tn__health *health)
{
    pthread_mutex_lock(&health->lock);
    health->migrated = true;
    pthread_mutex_unlock(&health->lock);
}

void tn__health_messaging(tn__health *health, tn__relay *relay, tn__consumer *consumer)
{
    pthread_mutex_lock(&health->lock);
    health->relay = relay;
    health->consumer = consumer;
    pthread_mutex_unlock(&health->lock);
}

void tn__health_draining(tn__health *health)
{
    pthread_mutex_lock(&health->lock);
    health->draining = true;
    pthread_mutex_unlock(&health->lock);
}

void tn__health_worker(tn__health *health, size_t worker, bool up, tn_str why)
{
    pthread_mutex_lock(&health->lock);
    health->workers[worker].up = up;
    copy_why(health->workers[worker].why, why);
    pthread_mutex_unlock(&health->lock);
}

/* NULL when all is well, else why not. */
static const char *database_fault(const tn__health *health)
{
    if (!health->migrated)
        return health->migrating_why;
    for (size_t i = 0; i < health->n_workers; i++)
        if (!health->workers[i].up)
            return health->workers[i].why;
    return NULL;
}

static const char *broker_fault(const tn__health *health, tn_arena *arena)
{
    tn_str why = { NULL, 0 };
    if (health->relay == NULL && health->consumer == NULL)
        return health->draining ? "closed" : "waits for the database";
    if (health->relay != NULL && !tn__relay_up(health->relay, arena, &why))
        return tn_copy(arena, why).data;
    if (health->consumer != NULL && !tn__consumer_up(health->consumer, arena, &why))
        return tn_copy(arena, why).data;
    return NULL;
}

static void add_check(tn__buf *body, const char *separator, const char *name, const char *fault)
{
    tn__buf_printf(body, "%s\"%s\":{\"status\":\"%s\"", separator, name,
        fault == NULL ? "up" : "down");
    if (fault != NULL && fault[0] != '\0') {
        tn__buf_add_z(body, ",\"detail\":");
        tn__json_str(body, tn_str_of(fault));
    }
    tn__buf_add_char(body, '}');
}

static tn__readiness judge(const tn__health *health, bool database_up, bool broker_up)
{
    if (health->draining)
        return TN__DRAINING;
    return !database_up ? TN__UNAVAILABLE : broker_up ? TN__READY : TN__DEGRADED;
}

tn__readiness tn__health_read(tn__health *health, tn_arena *arena, tn__buf *body)
{
    static const char *const names[] = { "ready", "degraded", "unavailable", "draining" };
    pthread_mutex_lock(&health->lock);
    const char *database = database_fault(health);
    const char *broker = health->has_messages ? broker_fault(health, arena) : NULL;
    tn__readiness readiness = judge(health, database == NULL, broker == NULL);
    if (body != NULL) {
        tn__buf_printf(body, "{\"status\":\"%s\",\"checks\":{", names[readiness]);
        add_check(body, "", "database", database);
        if (health->has_messages)
            add_check(body, ",", "broker", broker);
        tn__buf_add_z(body, "}}\n");
    }
    pthread_mutex_unlock(&health->lock);
    return readiness;
}

void tn__health_livez(void *of, tn_arena *arena, tn__page *page)
{
    const tn__health *health = of;
    tn__buf body = { .arena = arena };
    tn__buf_add_z(&body, "{\"status\":\"alive\",\"service\":");
    tn__json_str(&body, tn_str_of(health->service->name));
    tn__buf_add_z(&body, ",\"version\":");
    tn__json_str(&body, tn_str_of(health->service->version));
    tn__buf_add_z(&body, ",\"uptime_s\":");
    tn__json_real(&body, (double)(tn__mono_us() - health->opened_us) / 1e6);
    tn__buf_add_z(&body, "}\n");
    page->status = 200;
    page->content_type = "application/json";
    page->body = tn__buf_str(&body);
}
