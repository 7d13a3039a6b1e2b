/* The chassis's tables, embedded from migrations/. */
#include "messaging/chassis_migrations.h"
#include "messaging/messaging.h"

const tn_migration *const tn__chassis_migrations = chassis_migrations;
const size_t tn__chassis_migrations_n = sizeof chassis_migrations / sizeof *chassis_migrations;
