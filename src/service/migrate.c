/* The migrations of the chassis and of the service. */

#include "service/service.h"

#include <stdlib.h>

#define MIGRATE_TIMEOUT_MS (60 * 1000)
#define FIRST_WAIT_MS      50
#define WAIT_MS_MAX        2000

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

int tn__backoff_ms(int attempt)
{
    int ms = FIRST_WAIT_MS;
    for (int i = 1; i < attempt && ms < WAIT_MS_MAX; i++) {
        ms *= 2;
    }
    ms = ms < WAIT_MS_MAX ? ms : WAIT_MS_MAX;
    /* Of a UUIDv7 the last bytes are random. */
    tn_uuid dice = tn_uuid_v7();
    return ms / 2 + (ms / 2) * dice.b[15] / 255;
}
