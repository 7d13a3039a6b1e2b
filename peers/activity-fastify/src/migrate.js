// --migrate: a job that runs before the service. It waits for the database, but not for ever.

import { reasonOf } from './database/errors.js'
import { MigrationsRefused, migrate } from './database/migrations.js'
import { SERVICE } from './identity.js'
import { backoffMs, pause } from './messaging/backoff.js'
import { openLog } from './telemetry/log.js'

const EX_OK = 0
const EX_SOFTWARE = 70
const WAIT_MS = 50
const WAIT_MS_MAX = 2000
const GIVE_UP_AFTER_MS = 60000

export async function migrateOnly (config) {
  const { log, close } = openLog(SERVICE, config.LOG_LEVEL)
  const deadline = Date.now() + GIVE_UP_AFTER_MS
  let status = null
  for (let attempts = 1; status === null; attempts++) {
    status = await attempt(config, log, deadline)
    if (status === null) await pause(backoffMs(WAIT_MS, WAIT_MS_MAX, attempts))
  }
  close()
  return status
}

/** Null: again. */
async function attempt (config, log, deadline) {
  try {
    await migrate(config.DATABASE_URL, { apply: true, log })
    log.info('migrated')
    return EX_OK
  } catch (error) {
    const isRefused = error instanceof MigrationsRefused
    if (!isRefused && Date.now() < deadline) return null
    log.error({ reason: reasonOf(error) },
      isRefused ? 'migrations refused' : "the database can't be reached, giving up")
    return EX_SOFTWARE
  }
}
