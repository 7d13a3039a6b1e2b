// From the first listening socket to the last log line.
//
// Start: the socket (health answers from here on), migrations, then routes, relay and consumer.
// Stop: readiness off, requests, messages, what is left in the outbox, each within its part of
// DRAIN_TIMEOUT_MS. What is cut off at its end was not acknowledged to anybody, so nothing that was
// promised is lost, and the exit status is 0 all the same.
//
// A process of the service that ends by itself has failed: the others finish what is in their
// hands, and the service ends with an error. Whether it is started again is for whoever started it.

import { setTimeout as sleep } from 'node:timers/promises'
import { maskedUrl } from './config/show.js'
import { reasonOf } from './database/errors.js'
import { MigrationsRefused, migrate } from './database/migrations.js'
import { SERVICE } from './identity.js'
import { backoffMs, pause } from './messaging/backoff.js'
import { Crew } from './processes/crew.js'
import { watchLevel, watchSignals } from './signals.js'
import { openLog } from './telemetry/log.js'

const EX_OK = 0
const EX_SOFTWARE = 70
const LAST_STEPS_MS_MAX = 1000
const READY_POLL_MS = 20
const WAIT_MS = 50
const WAIT_MS_MAX = 2000
const TELL_AGAIN_MS = 10000

/** Runs until it is told to stop; the exit status. */
export async function run (config) {
  const logging = openLog(SERVICE, config.LOG_LEVEL, { isShared: config.WORKERS > 1 })
  const { log } = logging
  const openedAt = Date.now()
  log.info({
    node: process.version,
    workers: config.WORKERS,
    database: maskedUrl(config.DATABASE_URL),
    broker: maskedUrl(config.AMQP_URL)
  }, 'starting')
  const stop = watchSignals(logging)
  let isWhole = true
  const crew = await Crew.open(config, {
    logging,
    openedAt,
    onLost (how) {
      log.error(how, 'a process of the service has ended')
      isWhole = false
      stop.ask({ reason: 'a process of the service has ended' })
    }
  })
  watchLevel(log, (level) => crew.setLevel(level))
  const status = await live({ config, log, openedAt, crew, stop })
  logging.close()
  return isWhole ? status : EX_SOFTWARE
}

async function live (service) {
  const isStarted = await start(service)
  if (isStarted) {
    await service.stop.promise
    await tellStopping(service)
  }
  const began = Date.now()
  // Whatever does not end by itself ends with the process.
  const { DRAIN_TIMEOUT_MS: drainMs } = service.config
  await Promise.race([drain(service), sleep(drainMs + LAST_STEPS_MS_MAX)])
  await service.crew.end()
  service.log.info({ after_ms: Date.now() - began }, 'stopped')
  return isStarted ? EX_OK : EX_SOFTWARE
}

// ---- Start -------------------------------------------------------------------------

/** False when it can't; also true when it was told to stop meanwhile. */
async function start (service) {
  const { config, log, crew, stop } = service
  const fault = await crew.listen()
  if (fault !== '' && !stop.signal.aborted) {
    log.error({ host: config.HOST, port: config.PORT, reason: fault }, "can't listen")
    return false
  }
  const migrated = await migratePatiently(service)
  if (migrated === 'done') {
    await crew.serve()
    await awaitReady(service)
  }
  return migrated !== 'refused'
}

/** Tries until the tables are there; gives up only when it is told to stop. */
async function migratePatiently ({ config, log, crew, stop }) {
  let told = { why: '', at: 0 }
  for (let attempts = 1; !stop.signal.aborted; attempts++) {
    try {
      await migrate(config.DATABASE_URL, { apply: config.MIGRATE, log })
      return 'done'
    } catch (error) {
      const why = reasonOf(error)
      if (error instanceof MigrationsRefused) {
        log.error({ reason: why }, 'migrations refused')
        return 'refused'
      }
      crew.notMigrated(why)
      if (why !== told.why || Date.now() - told.at >= TELL_AGAIN_MS) {
        told = { why, at: Date.now() }
        log.warn({ reason: why, attempts }, 'waiting for the database')
      }
      await pause(backoffMs(WAIT_MS, WAIT_MS_MAX, attempts), stop.signal)
    }
  }
  return 'given up'
}

/** One line when it is ready for the first time. */
async function awaitReady ({ log, openedAt, crew, stop }) {
  while (!stop.signal.aborted) {
    if ((await crew.readiness()).status === 'ready') {
      log.info({ after_ms: Date.now() - openedAt }, 'ready')
      return
    }
    await pause(READY_POLL_MS, stop.signal)
  }
}

// ---- Stop --------------------------------------------------------------------------

async function tellStopping ({ config, log, crew, stop }) {
  crew.beginDrain()
  log.info({ ...stop.why, drain_timeout_ms: config.DRAIN_TIMEOUT_MS }, 'stopping')
  await sleep(config.READINESS_DELAY_MS)
}

/** The relay outlives the requests, which wake it. */
async function drain ({ config, crew }) {
  const step = Math.min(config.DRAIN_TIMEOUT_MS / 20, LAST_STEPS_MS_MAX)
  const end = Date.now() + config.DRAIN_TIMEOUT_MS
  const left = (steps) => Math.max(end - steps * step - Date.now(), step)
  await crew.drainRequests(left(3))
  await crew.drainMessages(left(1), left(0))
  await Promise.race([crew.closeDatabases(), sleep(left(0))])
}
