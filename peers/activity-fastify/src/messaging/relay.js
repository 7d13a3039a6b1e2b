// The outbox's relay: claims rows, publishes them, and deletes each one that the broker confirmed,
// in the same claiming transaction.
//
// Whatever dies in between, a row is either still there or was confirmed. Rows are claimed with FOR
// UPDATE SKIP LOCKED, never by a last id: sequence values become visible out of order. What comes
// back or is refused concerns all rows of its route, which are left alone for a while.

import { backoffMs, pause } from './backoff.js'
import { Link } from './link.js'
import { endSpan, startPublish } from './spans.js'
import { consumersOf } from './topology.js'
import { reasonOf } from '../database/errors.js'
import { exemplarOf } from '../telemetry/tracing.js'

const HOLD_MS = 1000
const HOLD_MAX_MS = 30000
const MEASURE_EVERY_MS = 5000
const PURGE_EVERY_MS = 60000
const PURGE_AGAIN_MS = 100
const PURGE_ROWS = 500
const RETRY_MS = 100

const claim = {
  name: 'trunnion_outbox_claim',
  text: `SELECT seq, message_id, exchange, routing_key, type, app_id,
      floor(extract(epoch FROM occurred_at))::bigint AS timestamp, correlation_id, headers, body
    FROM trunnion_outbox
    WHERE (exchange || '/' || routing_key) <> ALL ($2::text[]) AND '#' || seq <> ALL ($2::text[])
    ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED`
}
const remove = {
  name: 'trunnion_outbox_delete',
  text: 'DELETE FROM trunnion_outbox WHERE seq = ANY ($1::bigint[])'
}
const purgeKeys = {
  name: 'trunnion_purge_keys',
  text: `DELETE FROM trunnion_idempotency WHERE id = ANY (ARRAY(
    SELECT id FROM trunnion_idempotency WHERE expires_at < now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING id`
}
const purgeIds = {
  name: 'trunnion_purge_ids',
  text: `DELETE FROM trunnion_inbox WHERE message_id = ANY (ARRAY(
    SELECT message_id FROM trunnion_inbox WHERE received_at < now() - make_interval(secs => $2)
    ORDER BY received_at LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING message_id`
}
// Counting millions would cost more than the number is worth.
const measure = {
  name: 'trunnion_outbox_measure',
  text: `SELECT
    (SELECT count(*) FROM (SELECT FROM trunnion_outbox LIMIT 100000) AS counted) AS pending,
    coalesce((SELECT extract(epoch FROM now() - occurred_at)::float8 FROM trunnion_outbox
      ORDER BY seq LIMIT 1), 0) AS age`
}

export const NOTIFY = {
  name: 'trunnion_outbox_notify',
  text: "SELECT pg_notify('trunnion_outbox', '')"
}

export class Relay {
  #config
  #database
  #listener
  #tracer
  #metrics
  #log
  #link
  #held = new Map()
  #due = true
  #wake = () => {}
  #measureAt = 0
  #purgeAt = 0
  #stopping = new AbortController()
  #running

  constructor ({ config, database, listener, tracer, metrics, log }) {
    this.#config = config
    this.#database = database
    this.#listener = listener
    this.#tracer = tracer
    this.#metrics = metrics
    this.#log = log
    this.#link = new Link(config.AMQP_URL, {
      name: 'outbox broker', log, consumers: consumersOf(config.EVENT_CONSUMERS)
    })
  }

  get fault () {
    return this.#link.isUp ? '' : this.#link.why
  }

  start () {
    this.#link.on('up', () => this.wake())
    this.#listener.on('trunnion_outbox', () => this.wake())
    this.#listener.listen('trunnion_outbox')
    this.#link.start()
    this.#running = this.#run()
  }

  /** There are new rows. */
  wake () {
    this.#due = true
    this.#wake()
  }

  /** Publishes what is there within the time, then ends. */
  async stop (timeoutMs) {
    this.#stopping.abort()
    this.wake()
    await Promise.race([this.#running, pause(timeoutMs)])
    await this.#link.stop()
  }

  async #run () {
    let isLast = false
    while (!isLast) {
      // Once more than seems needed: what was written before the stop is there by then.
      isLast = this.#stopping.signal.aborted
      try {
        await this.#upkeep()
        if (this.#due || isLast) await this.#publishAll()
      } catch (error) {
        this.#log.debug({ reason: reasonOf(error) }, 'the relay waits for the database')
        await pause(RETRY_MS, this.#stopping.signal)
      }
      if (!isLast) await this.#rest()
    }
  }

  /** Until it is woken; a slow poll is the net under that. */
  async #rest () {
    if (this.#due && this.#link.isUp) return
    const woken = new Promise((resolve) => { this.#wake = resolve })
    if (this.#stopping.signal.aborted) return
    const isPoll = await Promise.race([woken.then(() => false),
      pause(this.#config.OUTBOX_POLL_MS, this.#stopping.signal).then(() => true)])
    if (isPoll) this.#due = true
  }

  async #publishAll () {
    if (!this.#link.isUp) return
    let n
    do {
      this.#due = false
      try {
        n = await this.#database.transaction((run) => this.#batch(run))
      } catch (error) {
        this.#due = true
        throw error
      }
    } while (n === this.#config.OUTBOX_BATCH_MAX && this.#link.isUp)
  }

  /** One batch; how many rows it had. */
  async #batch (run) {
    const rows = await run(claim, [this.#config.OUTBOX_BATCH_MAX, this.#heldNow()])
    const fates = await Promise.all(rows.map((row) => this.#publish(row)))
    const confirmed = rows.filter((_, i) => fates[i] === 'confirmed').map(({ seq }) => seq)
    if (confirmed.length > 0) await run(remove, [confirmed])
    return rows.length
  }

  async #publish (row) {
    const message = messageOf(row)
    if (message === null) {
      this.#hold(`#${row.seq}`, 'its headers are no JSON object of strings', row)
      return 'unfit'
    }
    const { headers, span } = startPublish(this.#tracer, message)
    const began = process.hrtime.bigint()
    const fate = await this.#link.publish(row.exchange, row.routing_key, Buffer.from(row.body),
      { ...message.properties, headers })
    this.#count(fate, Number(process.hrtime.bigint() - began) / 1e9, span)
    this.#learn(fate, row)
    if (span !== undefined) endSpan(span, ERRORS[fate])
    return fate
  }

  #count (fate, seconds, span) {
    const counter = {
      confirmed: this.#metrics.published,
      returned: this.#metrics.returned,
      nacked: this.#metrics.nacked
    }[fate]
    counter?.inc()
    this.#metrics.publishDuration.observe({
      labels: {
        messaging_destination_name: 'events',
        messaging_operation_name: 'publish',
        messaging_system: 'rabbitmq'
      },
      value: seconds,
      exemplarLabels: exemplarOf(span)
    })
  }

  // ---- What is held back ---------------------------------------------------------

  #learn (fate, row) {
    const route = `${row.exchange}/${row.routing_key}`
    if (fate === 'confirmed' && this.#held.delete(route)) {
      this.#log.info({ of: route }, 'events go through again')
    }
    if (fate === 'returned' || fate === 'nacked') this.#hold(route, ERRORS[fate], row)
  }

  #hold (key, why, row) {
    const before = this.#held.get(key)
    if (before !== undefined && before.until > Date.now()) return // By another row of this batch.
    const failures = (before?.failures ?? 0) + 1
    const until = Date.now() + backoffMs(HOLD_MS, HOLD_MAX_MS, failures)
    this.#held.set(key, { failures, until })
    setTimeout(() => this.wake(), until - Date.now() + 1).unref()
    if (before === undefined) {
      this.#log.warn({ of: key, reason: why, message_id: row.message_id }, 'events are held back')
    }
  }

  #heldNow () {
    const now = Date.now()
    return [...this.#held].filter(([, { until }]) => until > now).map(([key]) => key)
  }

  // ---- Upkeep ----------------------------------------------------------------------

  /** What has expired goes, in batches too small to be in anybody's way; the outbox is measured. */
  async #upkeep () {
    const now = Date.now()
    if (now >= this.#measureAt) {
      this.#measureAt = now + MEASURE_EVERY_MS
      const [{ pending, age }] = await this.#database.read(measure, [])
      this.#metrics.pending.set(pending)
      this.#metrics.oldestAge.set(age)
    }
    if (now >= this.#purgeAt) {
      this.#purgeAt = now + PURGE_EVERY_MS
      const keys = await this.#database.write(purgeKeys, [PURGE_ROWS])
      const ids = await this.#database.write(purgeIds, [PURGE_ROWS, this.#config.INBOX_TTL_S])
      const more = keys.length === PURGE_ROWS || ids.length === PURGE_ROWS
      if (more) this.#purgeAt = now + PURGE_AGAIN_MS
    }
  }
}

const ERRORS = { returned: 'unroutable', nacked: 'nacked', lost: 'unconfirmed' }

/** What a row says; null when nobody could publish it. */
function messageOf (row) {
  const headers = objectOf(row.headers)
  if (headers === null) return null
  return {
    exchange: row.exchange,
    routingKey: row.routing_key,
    id: row.message_id,
    correlationId: row.correlation_id,
    headers,
    properties: {
      messageId: row.message_id,
      type: row.type || undefined,
      appId: row.app_id || undefined,
      correlationId: row.correlation_id || undefined,
      contentType: 'application/json',
      timestamp: row.timestamp > 0 ? row.timestamp : undefined,
      deliveryMode: 2
    }
  }
}

function objectOf (text) {
  try {
    const object = JSON.parse(text)
    const fits = object !== null && typeof object === 'object' && !Array.isArray(object) &&
      Object.values(object).every((value) => typeof value === 'string')
    return fits ? object : null
  } catch {
    return null
  }
}
