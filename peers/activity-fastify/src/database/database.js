// The pool of connections, and named queries on it.
//
// A query's name is its prepared statement, its span and its label in the metrics. Times come as
// text with all their microseconds, which a Date can't hold.

import pg from 'pg'
import { context, SpanKind, trace } from '@opentelemetry/api'
import { exemplarOf, failSpan, now } from '../telemetry/tracing.js'
import { watchGauge } from '../telemetry/metrics.js'
import { timeText } from '../time.js'
import { kindOf, sqlStateOf } from './errors.js'
import { tlsFrom } from './tls.js'

const CONNECT_TIMEOUT_MS = 5000
const RETRIES_MAX = 3

const INT8 = pg.types.builtins.INT8
const TIMESTAMPTZ = pg.types.builtins.TIMESTAMPTZ

const types = {
  getTypeParser (oid, format) {
    if (oid === INT8) return Number
    if (oid === TIMESTAMPTZ) return timeText
    return pg.types.getTypeParser(oid, format)
  }
}

/** What a connection of ours is opened with, in the pool or beside it. */
export function connectionOptions (config, name) {
  const settings = [
    '-c timezone=UTC', '-c datestyle=ISO',
    `-c lock_timeout=${config.DATABASE_LOCK_TIMEOUT_MS}`,
    `-c statement_timeout=${config.REQUEST_TIMEOUT_MS}`
  ]
  return {
    connectionString: config.DATABASE_URL,
    application_name: name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    options: settings.join(' '),
    ssl: tlsFrom(process.env),
    keepAlive: true,
    types
  }
}

export class Database {
  #pool
  #tracer
  #metrics
  #attributes

  constructor (config, { name, tracer, metrics, log, connections }) {
    this.#pool = new pg.Pool({
      ...connectionOptions(config, name), max: connections, idleTimeoutMillis: 0
    })
    this.#pool.on('error', (error) => log.debug({ reason: error.message }, 'connection lost'))
    this.#tracer = tracer
    this.#metrics = metrics
    this.#attributes = attributesOf(config.DATABASE_URL)
  }

  /** A query of its own; the rows. It is asked once more when its connection proves to be lost. */
  async read (query, values) {
    try {
      return await this.#run(this.#pool, query, values)
    } catch (error) {
      if (kindOf(error) !== 'unavailable') throw error
      return this.#run(this.#pool, query, values)
    }
  }

  /** A query of its own that writes: only the caller can know whether it may be run again. */
  write (query, values, spans) {
    return this.#run(this.#pool, query, values, spans)
  }

  /** Runs work(run), where run(query, values) gives rows, in a transaction, and commits unless it
   * throws. What failed by bad luck, in a deadlock say, is tried again. */
  async transaction (work) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#transactionOnce(work)
      } catch (error) {
        const isBadLuck = ['40001', '40P01'].includes(sqlStateOf(error))
        if (!isBadLuck || attempt === RETRIES_MAX) throw error
      }
    }
  }

  async #transactionOnce (work) {
    const client = await this.#pool.connect()
    client.on('error', ignore) // The next statement fails with it.
    let lost
    try {
      await client.query('BEGIN')
      const result = await work((query, values) => this.#run(client, query, values))
      await client.query('COMMIT')
      return result
    } catch (error) {
      lost = await rollBack(client)
      throw error
    } finally {
      client.off('error', ignore)
      client.release(lost)
    }
  }

  /** `spans`: for whom the query is run, when that is not who is running it. */
  async #run (on, query, values, spans = [this.#span(query)]) {
    const began = process.hrtime.bigint()
    try {
      const result = await on.query({ name: query.name, text: query.text, values })
      return result.rows
    } catch (error) {
      for (const span of spans) failQuery(span, error)
      throw error
    } finally {
      const seconds = Number(process.hrtime.bigint() - began) / 1e9
      this.#metrics.queryDuration.observe({
        labels: { db_operation_name: query.name },
        value: seconds,
        exemplarLabels: exemplarOf(spans[0])
      })
      const ended = now()
      for (const span of spans) span.end(ended)
    }
  }

  /** The span of a query, a child of whatever is at work. Outside of a request or message: none. */
  #span (query) {
    return trace.getActiveSpan() === undefined
      ? trace.wrapSpanContext({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 })
      : this.startSpan(query)
  }

  startSpan (query, { parent = context.active(), links = [] } = {}) {
    return this.#startSpan(query.name, { parent, links, summary: query.name })
  }

  /** The span of a statement that serves several: it is nobody's child, and names them all. */
  startShared (spans) {
    const links = spans.map((span) => ({ context: span.spanContext() }))
    const shared = this.#startSpan('BATCH', { links, root: true })
    shared.setAttribute('db.operation.batch.size', spans.length)
    return shared
  }

  #startSpan (name, { parent, links, root = false, summary }) {
    return this.#tracer.startSpan(name, {
      kind: SpanKind.CLIENT,
      startTime: now(),
      root,
      links,
      attributes: {
        ...this.#attributes,
        'db.operation.name': name,
        'db.query.summary': summary
      }
    }, parent)
  }

  watch (registry, name, help) {
    watchGauge(registry, name, help, (gauge) => {
      const { idleCount, totalCount } = this.#pool
      gauge.set({ db_client_connection_state: 'idle' }, idleCount)
      gauge.set({ db_client_connection_state: 'used' }, totalCount - idleCount)
    }, ['db_client_connection_state'])
  }

  close () {
    return this.#pool.end()
  }
}

const ignore = () => {}

/** What the connection is lost to, if it is. */
async function rollBack (client) {
  try {
    await client.query('ROLLBACK')
    return undefined
  } catch (error) {
    return error
  }
}

function failQuery (span, error) {
  const state = sqlStateOf(error)
  if (state !== undefined) span.setAttribute('db.response.status_code', state)
  failSpan(span, state ?? (kindOf(error) === 'unavailable' ? 'connection_lost' : 'error'))
}

function attributesOf (databaseUrl) {
  const url = new URL(databaseUrl)
  return {
    'db.system.name': 'postgresql',
    'db.namespace': decodeURIComponent(url.pathname.slice(1)),
    ...(url.hostname === '' ? {} : { 'server.address': url.hostname }),
    ...(url.port === '' || url.port === '5432' ? {} : { 'server.port': Number(url.port) })
  }
}
