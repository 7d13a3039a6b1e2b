// From the first listening socket to the last log line.
//
// Start: the socket (health answers from here on), migrations, then routes, relay and consumer.
// Stop: readiness off, requests, messages, what is left in the outbox, each within its part of
// DRAIN_TIMEOUT_MS. What is cut off at its end was not acknowledged to anybody, so nothing that was
// promised is lost, and the exit status is 0 all the same.

import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp } from './app.js'
import { maskedUrl } from './config/show.js'
import { Database } from './database/database.js'
import { reasonOf } from './database/errors.js'
import { Listener } from './database/listener.js'
import { MigrationsRefused, migrate } from './database/migrations.js'
import { Readiness } from './health.js'
import { SERVICE } from './identity.js'
import { backoffMs, pause } from './messaging/backoff.js'
import { Consumer } from './messaging/consumer.js'
import { Relay } from './messaging/relay.js'
import { changeLevel, openLog } from './telemetry/log.js'
import { openMetrics, watchCounter } from './telemetry/metrics.js'
import { openTracing } from './telemetry/tracing.js'

const EX_OK = 0
const EX_SOFTWARE = 70
const CONSUMER_CONNECTIONS = 3
const RELAY_CONNECTIONS = 1
const SHARED_CONNECTIONS = 2 // What the service in C has beside its pool.
const LAST_STEPS_MS_MAX = 1000
const READY_POLL_MS = 20
const WAIT_MS = 50
const WAIT_MS_MAX = 2000
const TELL_AGAIN_MS = 10000
const SECOND_SIGNAL_AFTER_MS = 100

/** Runs until it is told to stop; the exit status. */
export async function run (config) {
  const opened = openLog(SERVICE, config.LOG_LEVEL)
  const { log } = opened
  log.info({
    node: process.version,
    database: maskedUrl(config.DATABASE_URL),
    broker: maskedUrl(config.AMQP_URL)
  }, 'starting')
  const parts = makeParts(config, opened)
  const stop = watchSignals(log, opened)
  try {
    return await serve(parts, stop)
  } finally {
    await parts.tracing.close()
    opened.close()
  }
}

function makeParts (config, { log, dropped }) {
  const metrics = openMetrics()
  watchCounter(metrics.registry, 'trunnion_log_dropped_total',
    'Log lines that nobody read fast enough.', () => dropped.count)
  const tracing = openTracing(config, SERVICE, { metrics, log })
  const shared = { config, service: SERVICE, log, metrics, tracer: tracing.tracer }
  const database = (name, connections) =>
    new Database(config, { ...shared, name: `${SERVICE.name} ${name}`, connections })
  const databases = {
    app: database('worker', config.DATABASE_POOL_MAX + SHARED_CONNECTIONS),
    relay: database('relay', RELAY_CONNECTIONS),
    consumer: database('consumer', CONSUMER_CONNECTIONS)
  }
  databases.app.watch(metrics.registry, 'db_client_connections',
    'Connections to the database, by state.')
  const listener = new Listener(config, { name: `${SERVICE.name} listener`, log })
  const relay = new Relay({ ...shared, database: databases.relay, listener })
  const consumer = new Consumer({ ...shared, database: databases.consumer })
  const state = { openedAt: Date.now(), isServing: false, isDraining: false }
  const readiness = new Readiness({ database: databases.app, state, relay, consumer })
  return { ...shared, tracing, databases, listener, relay, consumer, state, readiness }
}

async function serve (parts, stop) {
  const { log, state } = parts
  const app = await listen(parts)
  if (app === null) return EX_SOFTWARE
  const migrated = await migratePatiently(parts, stop.signal)
  if (migrated === 'refused') {
    await app.close()
    return EX_SOFTWARE
  }
  if (migrated === 'done') {
    startServing(parts)
    await awaitReady(parts, stop.signal)
    await stop.promise
  }
  state.isDraining = true
  const { config } = parts
  log.info({ signal: stop.signalName(), drain_timeout_ms: config.DRAIN_TIMEOUT_MS }, 'stopping')
  await sleep(config.READINESS_DELAY_MS)
  // Whatever does not end by itself ends with the process.
  await Promise.race([drain(parts, app), sleep(config.DRAIN_TIMEOUT_MS + LAST_STEPS_MS_MAX)])
  return EX_OK
}

// ---- Start -------------------------------------------------------------------------

async function listen (parts) {
  const { config, log, readiness, databases, ...rest } = parts
  const app = await buildApp({
    config, log, ...rest, database: databases.app, readiness: () => readiness.read()
  })
  try {
    await app.listen({ host: config.HOST, port: config.PORT, listenTextResolver: saysWhere })
  } catch (error) {
    log.error({ host: config.HOST, port: config.PORT, reason: error.message }, "can't listen")
    return null
  }
  return app
}

const saysWhere = (address) => `listening at ${address}`

/** Tries until the tables are there; gives up only when it is told to stop. */
async function migratePatiently ({ config, log, readiness }, stopping) {
  let told = { why: '', at: 0 }
  for (let attempts = 1; !stopping.aborted; attempts++) {
    try {
      await migrate(config.DATABASE_URL, { apply: config.MIGRATE, log })
      return 'done'
    } catch (error) {
      const why = reasonOf(error)
      if (error instanceof MigrationsRefused) {
        log.error({ reason: why }, 'migrations refused')
        return 'refused'
      }
      readiness.notMigrated(why)
      if (why !== told.why || Date.now() - told.at >= TELL_AGAIN_MS) {
        told = { why, at: Date.now() }
        log.warn({ reason: why, attempts }, 'waiting for the database')
      }
      await pause(backoffMs(WAIT_MS, WAIT_MS_MAX, attempts), stopping)
    }
  }
  return 'given up'
}

/** The tables are there: everything that touches them begins. */
function startServing ({ listener, relay, consumer, readiness, state }) {
  listener.start()
  relay.start()
  consumer.start()
  readiness.migrated()
  state.isServing = true
}

/** One line when it is ready for the first time. */
async function awaitReady ({ log, readiness, state }, stopping) {
  while (!stopping.aborted) {
    if ((await readiness.read()).status === 'ready') {
      log.info({ after_ms: Date.now() - state.openedAt }, 'ready')
      return
    }
    await pause(READY_POLL_MS, stopping)
  }
}

// ---- Stop --------------------------------------------------------------------------

/** The relay outlives the requests, which wake it. */
async function drain (parts, app) {
  const { config, log, databases, listener, relay, consumer } = parts
  const began = Date.now()
  const step = Math.min(config.DRAIN_TIMEOUT_MS / 20, LAST_STEPS_MS_MAX)
  const end = began + config.DRAIN_TIMEOUT_MS
  await drainRequests(app, log, end - 3 * step - Date.now())
  if (parts.state.isServing) {
    await consumer.stop(Math.max(end - step - Date.now(), step))
    await relay.stop(Math.max(end - Date.now(), step))
    await listener.stop()
  }
  const closed = Promise.all(Object.values(databases).map((database) => database.close()))
  await Promise.race([closed, sleep(Math.max(end - Date.now(), step))])
  log.info({ after_ms: Date.now() - began }, 'stopped')
}

async function drainRequests (app, log, timeoutMs) {
  const cutOff = setTimeout(() => {
    log.warn('requests cut off: they took longer than DRAIN_TIMEOUT_MS')
    app.server.closeAllConnections()
  }, timeoutMs)
  await app.close()
  clearTimeout(cutOff)
}

/** The first signal asks for a clean stop, the second ends the process at once. What comes within a
 * moment of the first is the same request: a terminal signals the whole group. */
function watchSignals (log, opened) {
  const ending = new AbortController()
  const numbers = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 }
  let first = null
  let resolve
  const promise = new Promise((done) => { resolve = done })
  for (const [name, number] of Object.entries(numbers)) {
    process.on(name, () => {
      if (first === null) {
        first = { name, at: Date.now() }
        ending.abort()
        resolve()
      } else if (Date.now() - first.at >= SECOND_SIGNAL_AFTER_MS) {
        log.warn('stopping at once: asked again')
        opened.close()
        process.exit(128 + number)
      }
    })
  }
  process.on('SIGUSR1', () => changeLevel(log, -1))
  process.on('SIGUSR2', () => changeLevel(log, 1))
  return { promise, signal: ending.signal, signalName: () => first.name }
}
