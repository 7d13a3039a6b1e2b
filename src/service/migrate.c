/* The migrations of the chassis and of the service. */

#include "service/service.h"

#include "messaging/contact.h"

#define MIGRATE_TIMEOUT_MS (60 * 1000)
#define WAIT_MS            50
#define WAIT_MS_MAX        2000
#define TELL_AGAIN_US      10000000

tn__migrated tn__migrate_once(tn_arena *arena, const tn__config *config, const tn_service *service,
    bool apply, tn_str *why)
{
    const tn__migration_set sets[] = {
        { "trunnion", tn__chassis_migrations, tn__chassis_migrations_n },
        { service->name, service->migrations.at, service->migrations.n },
    };
    return (apply ? tn__migrate_sets : tn__migrations_check)(arena, config->database_url, sets,
        sizeof sets / sizeof *sets, MIGRATE_TIMEOUT_MS, why);
}

/* One line for each new reason, and one now and then for as long as it lasts. */
static void tell(tn__patience *patience, tn_str why, int wait_ms)
{
    int64_t now_us = tn__mono_us();
    bool is_news = !tn_str_eq(tn_str_of(patience->why), why);
    if (patience->attempts > 1 && !is_news && now_us - patience->told_us < TELL_AGAIN_US)
        return;
    patience->told_us = now_us;
    size_t n = why.len < sizeof patience->why - 1 ? why.len : sizeof patience->why - 1;
    memcpy(patience->why, why.data, n);
    patience->why[n] = '\0';
    TN_LOG(TN_WARN, "waiting for the database", TN_LOG_S("reason", why),
        TN_LOG_I("attempts", patience->attempts), TN_LOG_I("wait_ms", wait_ms));
}

int tn__patience_ms(tn__patience *patience, tn_str why)
{
    patience->attempts++;
    int wait_ms = tn__backoff_ms(WAIT_MS, WAIT_MS_MAX, patience->attempts);
    tell(patience, why, wait_ms);
    return wait_ms;
}
