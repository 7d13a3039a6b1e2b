// What one process does: serve requests, work on messages, or both when the service is one process.
//
// Its methods are the steps of a life, which service.js puts in order; those of a forked process
// are called over its channel, so they take and give plain values.

import dns from 'node:dns/promises'
import { Database } from '../database/database.js'
import { Listener } from '../database/listener.js'
import { Health } from '../health.js'
import { SERVICE } from '../identity.js'
import { openMetrics, watchCounter } from '../telemetry/metrics.js'
import { openTracing } from '../telemetry/tracing.js'
import { shareOf } from './share.js'

const CONSUMER_CONNECTIONS = 3
const RELAY_CONNECTIONS = 1
const SHARED_CONNECTIONS = 2 // What the service in C has beside its pool.
const BACKLOG = 1024

// Of requests alone: who writes an event wakes the relay of another process through the database.
const RELAY_ELSEWHERE = { fault: 'it is in another process', wake () {} }

export class Body {
  #config
  #log
  #shared
  #tracing
  #databases = []
  #listener
  #state
  #app
  #relay
  #consumer
  #health

  /** `roles`: requests, messages or both. `whole` answers for the service: readiness(), metrics().
   */
  static async open (config, roles, { logging: { log, dropped }, openedAt, whole }) {
    const metrics = openMetrics()
    watchCounter(metrics.registry, 'trunnion_log_dropped_total',
      'Log lines that nobody read fast enough.', () => dropped.count)
    const tracing = await openTracing(config, SERVICE, { metrics, log })
    const body = new Body(shareOf(config), { log, metrics, tracing, openedAt })
    if (roles.includes('messages')) await body.#openMessages()
    if (roles.includes('requests')) await body.#openRequests(whole)
    return body
  }

  constructor (config, { log, metrics, tracing, openedAt }) {
    this.#config = config
    this.#log = log
    this.#tracing = tracing
    this.#shared = { config, service: SERVICE, log, metrics, tracer: tracing.tracer }
    this.#listener = new Listener(config, { name: `${SERVICE.name} listener`, log })
    this.#state = { openedAt, isServing: false }
    this.#health = new Health()
  }

  #openDatabase (name, connections) {
    const database = new Database(this.#config,
      { ...this.#shared, name: `${SERVICE.name} ${name}`, connections })
    this.#databases.push(database)
    return database
  }

  /** Only who works on messages loads what that takes. */
  async #openMessages () {
    const { Consumer } = await import('../messaging/consumer.js')
    const { Relay } = await import('../messaging/relay.js')
    this.#relay = new Relay({
      ...this.#shared,
      database: this.#openDatabase('relay', RELAY_CONNECTIONS),
      listener: this.#listener
    })
    this.#consumer = new Consumer({
      ...this.#shared, database: this.#openDatabase('consumer', CONSUMER_CONNECTIONS)
    })
    this.#health.watchBroker(this.#relay, this.#consumer)
  }

  async #openRequests (whole) {
    const { buildApp } = await import('../app.js')
    const database =
      this.#openDatabase('worker', this.#config.DATABASE_POOL_MAX + SHARED_CONNECTIONS)
    database.watch(this.#shared.metrics.registry, 'db_client_connections',
      'Connections to the database, by state.')
    this.#health.watchDatabase(database)
    this.#app = await buildApp({
      ...this.#shared,
      database,
      listener: this.#listener,
      relay: this.#relay ?? RELAY_ELSEWHERE,
      state: this.#state,
      whole
    })
  }

  // ---- Its life -----------------------------------------------------------------

  /** '' when it listens, else why it can't. Health answers from here on. */
  async listen () {
    const { HOST, PORT } = this.#config
    try {
      // One address: of a name with several, Fastify would listen on some and limit only one.
      const { address } = await dns.lookup(HOST)
      await this.#app?.listen(
        { host: address, port: PORT, backlog: BACKLOG, listenTextResolver: saysWhere })
      return ''
    } catch (error) {
      return error.message
    }
  }

  /** The tables are there: everything that touches them begins. */
  serve () {
    this.#listener.start()
    this.#relay?.start()
    this.#consumer?.start()
    this.#state.isServing = true
  }

  async drainRequests (timeoutMs) {
    if (this.#app === undefined) return
    const cutOff = setTimeout(() => {
      this.#log.warn('requests cut off: they took longer than DRAIN_TIMEOUT_MS')
      this.#app.server.closeAllConnections()
    }, timeoutMs)
    await this.#app.close()
    clearTimeout(cutOff)
  }

  /** The relay outlives the requests, which wake it. */
  async drainMessages (consumerTimeoutMs, relayTimeoutMs) {
    if (!this.#state.isServing) return
    await this.#consumer?.stop(consumerTimeoutMs)
    await this.#relay?.stop(relayTimeoutMs)
    await this.#listener.stop()
  }

  async closeDatabases () {
    await Promise.all(this.#databases.map((database) => database.close()))
  }

  /** The last spans leave, for which there is little time. */
  async end () {
    await this.#tracing.close()
  }

  // ---- Asked and told while it lives ------------------------------------------------

  /** { database, broker }: '' or why not. */
  faults () {
    return this.#health.faults()
  }

  metrics () {
    return this.#shared.metrics.registry.getMetricsAsJSON()
  }

  setLevel (level) {
    this.#log.level = level
  }
}

const saysWhere = (address) => `listening at ${address}`
