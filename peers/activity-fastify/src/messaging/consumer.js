// The inbox: messages in, many at a time, each with its effect once.
//
// What is in hand goes to the database as soon as a slot is free, all of it in one statement; with
// no timer. A message is acknowledged only after its effect is durable, or after the dead letters
// have it. Nothing is consumed before the database has answered; when it has answered nobody for
// minutes, the messages in hand are given back.

import { setImmediate as endOfTurn } from 'node:timers/promises'
import { activityColumns, insertActivity } from '../activities/queries.js'
import { mayPass, reasonOf, sqlStateOf } from '../database/errors.js'
import { ratioKeeps } from '../telemetry/sampler.js'
import { exemplarOf } from '../telemetry/tracing.js'
import { backoffMs, pause } from './backoff.js'
import { bury, store } from './dead-letters.js'
import { Link } from './link.js'
import { eventOf, readMessage } from './message.js'
import { contextWith, endSpan, startProcess, within } from './spans.js'
import { deadQueueOf, queueOf } from './topology.js'

const BATCHES_IN_FLIGHT_MAX = 2
const DEAD_PREFETCH = 64
const REFUSALS_MAX = 5
const RETRY_MS = 100
const RETRY_MAX_MS = 10000
const PATIENCE_MS = 300000

const PROBE = { name: 'trunnion_inbox_find', text: 'SELECT FROM trunnion_inbox WHERE false' }

export class Consumer {
  #config
  #service
  #database
  #tracer
  #metrics
  #log
  #events
  #dead
  #pending = []
  #inHand = new Set()
  #inFlight = 0
  #failingSince = null
  #tags = new Map()
  #stopping = new AbortController()
  #whenEmpty = null

  constructor ({ config, service, database, tracer, metrics, log }) {
    this.#config = config
    this.#service = service.name
    this.#database = database
    this.#tracer = tracer
    this.#metrics = metrics
    this.#log = log
    const consumers = [{ service: service.name, patterns: ['item.*'] }]
    const link = (name, onUp) => new Link(config.AMQP_URL, { name, log, consumers, onUp })
    this.#events = link('inbox broker', (channel) => this.#consumeEvents(channel))
    this.#dead = link('dead letters broker', (channel) => this.#consumeDead(channel))
  }

  /** Why it does not consume; '' when it does. */
  get fault () {
    return this.#events.isUp ? '' : this.#events.why
  }

  start () {
    this.#events.start()
    this.#dead.start()
  }

  /** Takes no more messages, and finishes those in hand within the time. */
  async stop (timeoutMs) {
    this.#stopping.abort()
    for (const [channel, tag] of this.#tags) channel.cancel(tag).catch(() => {})
    if (this.#inHand.size > 0) {
      const empty = new Promise((resolve) => { this.#whenEmpty = resolve })
      await Promise.race([empty, pause(timeoutMs)])
    }
    if (this.#inHand.size > 0) {
      this.#log.warn({ messages: this.#inHand.size }, 'messages in hand are given up')
    }
    await Promise.all([this.#events.stop(), this.#dead.stop()])
  }

  // ---- Deliveries ------------------------------------------------------------

  async #consumeEvents (channel) {
    this.#events.why = 'waiting for the database'
    await this.#awaitDatabase()
    await channel.prefetch(this.#config.CONSUMER_PREFETCH)
    await this.#consume(channel, queueOf(this.#service),
      (delivery) => this.#take(channel, delivery))
  }

  async #consumeDead (channel) {
    await this.#awaitDatabase()
    await channel.prefetch(DEAD_PREFETCH)
    await this.#consume(channel, deadQueueOf(this.#service),
      (delivery) => this.#keepDead(channel, delivery))
  }

  async #consume (channel, queue, onDelivery) {
    const { consumerTag } = await channel.consume(queue, (delivery) => {
      // Without one, the broker has cancelled the consumer: its queue is gone, or has moved.
      if (delivery === null) channel.close().catch(() => {})
      else if (!this.#stopping.signal.aborted) onDelivery(delivery)
    })
    this.#tags.set(channel, consumerTag)
    channel.once('close', () => this.#tags.delete(channel))
  }

  async #awaitDatabase () {
    for (let failures = 1; !this.#stopping.signal.aborted; failures++) {
      try {
        await this.#database.read(PROBE, [])
        return
      } catch {
        await pause(backoffMs(RETRY_MS, RETRY_MAX_MS, failures), this.#stopping.signal)
      }
    }
  }

  #take (channel, delivery) {
    const message = readMessage(delivery)
    const job = {
      channel,
      message,
      correlationId: message.correlationId,
      span: startProcess(this.#tracer, message, queueOf(this.#service)),
      received: process.hrtime.bigint(),
      failures: 0,
      failuresAlone: 0,
      alone: false
    }
    this.#inHand.add(job)
    try {
      job.event = eventOf(message)
    } catch (error) {
      this.#bury(job, error.message)
      return
    }
    this.#queue(job)
  }

  #queue (job) {
    this.#pending.push(job)
    if (this.#pending.length === 1) endOfTurn().then(() => this.#pump())
  }

  // ---- The effect --------------------------------------------------------------

  #pump () {
    while (this.#pending.length > 0 && this.#inFlight < BATCHES_IN_FLIGHT_MAX) {
      const jobs = this.#nextBatch()
      this.#inFlight += 1
      this.#record(jobs).finally(() => {
        this.#inFlight -= 1
        this.#pump()
      })
    }
  }

  /** One that has failed in company goes alone, so that it takes nobody with it. */
  #nextBatch () {
    if (this.#pending[0].alone) return this.#pending.splice(0, 1)
    const firstAlone = this.#pending.findIndex(({ alone }) => alone)
    const n = firstAlone < 0 ? this.#pending.length : firstAlone
    return this.#pending.splice(0, Math.min(n, this.#config.DATABASE_BATCH_MAX))
  }

  async #record (jobs) {
    const firsts = new Map()
    for (const job of jobs) if (!firsts.has(job.event.eventId)) firsts.set(job.event.eventId, job)
    try {
      const fresh = await this.#write([...firsts.values()])
      this.#failingSince = null
      for (const job of jobs) {
        const tookEffect = fresh.has(job.event.eventId) && firsts.get(job.event.eventId) === job
        this.#done(job, tookEffect ? 'done' : 'duplicate')
      }
    } catch (error) {
      this.#failed(jobs, error)
    }
  }

  async #write (jobs) {
    const kept = jobs.map(({ span }) => span).filter((span) => span.isRecording())
    const shared = jobs.length > 1 && kept.length > 0 ? [this.#database.startShared(kept)] : []
    const links = shared.map((span) => ({ context: span.spanContext() }))
    const own = jobs.map(({ span }) =>
      this.#database.startSpan(insertActivity, { parent: contextWith(span), links }))
    const rows = await this.#database.write(insertActivity, activityColumns(jobs),
      [...own, ...shared])
    return new Set(rows.map((row) => row.message_id))
  }

  #done (job, outcome) {
    if (outcome === 'duplicate') this.#metrics.duplicates.inc()
    this.#settle(job, outcome, (channel, delivery) => channel.ack(delivery))
  }

  // ---- Failures ------------------------------------------------------------------

  #failed (jobs, error) {
    if (sqlStateOf(error) !== undefined) this.#failingSince = null
    else this.#failingSince ??= Date.now()
    if (mayPass(error)) {
      for (const job of jobs) this.#retry(job, error, jobs.length === 1)
    } else if (jobs.length === 1) {
      this.#bury(jobs[0], reasonOfRefusal(error))
    } else {
      for (const job of jobs) this.#queue(Object.assign(job, { alone: true }))
    }
    if (this.#failingSince !== null && Date.now() - this.#failingSince > PATIENCE_MS) {
      this.#events.drop("the database doesn't answer")
    }
  }

  /** A failure counts only if the database answered, so an outage uses up neither retries nor
   * deliveries. */
  async #retry (job, error, wasAlone) {
    const answered = sqlStateOf(error) !== undefined
    job.failures += 1
    job.alone = answered
    if (answered && wasAlone) job.failuresAlone += 1
    if (job.failuresAlone > this.#config.CONSUMER_RETRIES_MAX) {
      this.#requeue(job)
      return
    }
    this.#metrics.retries.inc()
    await pause(backoffMs(RETRY_MS, RETRY_MAX_MS, job.failures), this.#stopping.signal)
    if (this.#stopping.signal.aborted || job.channel !== this.#events.channel) this.#leave(job)
    else this.#queue(job)
  }

  #requeue (job) {
    const { id, type, deliveries } = job.message
    within(job.span, () => this.#log.warn({ message_id: id, type, deliveries },
      'message goes back to its queue'))
    this.#settle(job, 'requeued', (channel, delivery) => channel.reject(delivery, true))
  }

  /** It will be delivered again, to us or to another. */
  #leave (job) {
    this.#settle(job, 'left', () => {})
  }

  // ---- The dead -------------------------------------------------------------------

  async #bury (job, reason) {
    const { message } = job
    job.reason = reason
    within(job.span, () => this.#log.warn(
      { message_id: message.id, type: message.type || message.key, reason },
      'message goes to the dead letters'))
    if (await this.#publishDead(job, reason)) {
      this.#metrics.deadLetters.inc()
      this.#settle(job, 'dead', (channel, delivery) => channel.ack(delivery))
    } else {
      // The broker's own way there knows no reason, but loses nothing either.
      const isLeft = this.#stopping.signal.aborted
      this.#settle(job, 'dead', (channel, delivery) => isLeft || channel.reject(delivery, false))
    }
  }

  async #publishDead (job, reason) {
    let refusals = 0
    for (let failures = 1; job.channel === this.#events.channel; failures++) {
      const fate = await bury(this.#dead, this.#service, job.message, reason)
      if (fate === 'confirmed') return true
      if (fate !== 'lost' && ++refusals === REFUSALS_MAX) return false
      await pause(backoffMs(RETRY_MS, RETRY_MAX_MS, failures), this.#stopping.signal)
      if (this.#stopping.signal.aborted) return false
    }
    return false
  }

  /** Until the table has it: nobody else knows of it. */
  async #keepDead (channel, delivery) {
    const job = {}
    this.#inHand.add(job)
    for (let failures = 1; channel === this.#dead.channel; failures++) {
      try {
        await store(this.#database, this.#service, delivery)
        tellBroker(() => channel.ack(delivery))
        break
      } catch (error) {
        this.#log.debug({ reason: reasonOf(error) }, 'a dead letter waits for the database')
        await pause(backoffMs(RETRY_MS, RETRY_MAX_MS, failures), this.#stopping.signal)
        if (this.#stopping.signal.aborted) break
      }
    }
    this.#letGo(job)
  }

  // ---- Afterwards ------------------------------------------------------------------

  /** A delivery can only be settled on the channel that it came by. */
  #settle (job, outcome, tell) {
    const { message, channel, span } = job
    if (channel === this.#events.channel) tellBroker(() => tell(channel, { fields: message }))
    const seconds = Number(process.hrtime.bigint() - job.received) / 1e9
    this.#metrics.processDuration.observe({
      labels: {
        messaging_destination_name: queueOf(this.#service),
        messaging_operation_name: 'process',
        messaging_system: 'rabbitmq',
        outcome
      },
      value: seconds,
      exemplarLabels: exemplarOf(span)
    })
    const failed = outcome !== 'done' && outcome !== 'duplicate'
    this.#logLine(job, outcome, failed, seconds)
    endSpan(span, failed ? outcome : undefined, job.reason)
    this.#letGo(job)
  }

  #logLine ({ message, span }, outcome, failed, seconds) {
    const { ACCESS_LOG: wanted, ACCESS_LOG_RATIO: ratio } = this.#config
    if (!wanted || ratio === 0) return
    if (!failed && !ratioKeeps(ratio, span.spanContext().traceId)) return
    within(span, () => this.#log.info({
      request_id: message.correlationId || undefined,
      message_id: message.id,
      type: message.type || message.key,
      outcome,
      duration_ms: seconds * 1000
    }, 'message'))
  }

  #letGo (job) {
    this.#inHand.delete(job)
    if (this.#inHand.size === 0) this.#whenEmpty?.()
  }
}

/** A channel that has just been lost takes no more; what it delivered is delivered again. */
function tellBroker (tell) {
  try {
    tell()
  } catch (error) {
    if (error.name !== 'IllegalOperationError') throw error
  }
}

function reasonOfRefusal (error) {
  const state = sqlStateOf(error)
  if (state?.startsWith('23') && error.constraint) {
    return `constraint ${error.constraint} is violated`
  }
  return state === undefined
    ? `the service failed on it: ${reasonOf(error)}`
    : `the query ${insertActivity.name} failed with SQLSTATE ${state}`
}
