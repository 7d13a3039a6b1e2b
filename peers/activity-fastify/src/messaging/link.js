// One connection to the broker with one channel, kept: made, lost, made again with backoff.
//
// Each time that it comes up it declares the topology and calls `onUp`. Publishing is confirmed:
// the promise of publish() says what became of the message.

import { EventEmitter } from 'node:events'
import amqp from 'amqplib'
import { backoffMs, pause } from './backoff.js'
import { declare } from './topology.js'

const CONNECT_TIMEOUT_MS = 3000
const CONFIRM_TIMEOUT_MS = 10000
const CLOSE_TIMEOUT_MS = 1000
const HEARTBEAT_S = 10
const RETRY_MS = 100
const RETRY_MAX_MS = 5000
const TELL_AGAIN_MS = 60000

export class Link extends EventEmitter {
  #url
  #name
  #log
  #consumers
  #onUp
  #connection
  #stopping = new AbortController()
  #running
  #returned = new Set()

  /** `onUp(channel)` is awaited before the link counts as up. */
  constructor (url, { name, log, consumers, onUp = async () => {} }) {
    super()
    this.setMaxListeners(0) // Each message that waits for its confirm listens for the end.
    this.#url = new URL(url)
    this.#url.searchParams.set('heartbeat', HEARTBEAT_S)
    this.#name = name
    this.#log = log
    this.#consumers = consumers
    this.#onUp = onUp
    this.channel = null
    this.why = 'not connected yet'
  }

  get isUp () {
    return this.channel !== null && this.why === ''
  }

  start () {
    this.#running = this.#keep()
  }

  async #keep () {
    let failures = 0
    let toldAt = -Infinity
    while (!this.#stopping.signal.aborted) {
      try {
        const { ended } = await this.#connect()
        this.#log.info({ to: this.#name, failures }, 'connected')
        failures = 0
        this.#down(await ended)
        toldAt = Date.now()
        if (!this.#stopping.signal.aborted) {
          this.#log.warn({ to: this.#name, reason: this.why }, 'connection lost')
        }
      } catch (error) {
        this.#down(error.message || error.code)
        if (failures === 0 || Date.now() - toldAt >= TELL_AGAIN_MS) {
          toldAt = Date.now()
          this.#log.warn({ to: this.#name, reason: this.why, failures: failures + 1 },
            "can't connect")
        }
      }
      failures += 1
      await pause(backoffMs(RETRY_MS, RETRY_MAX_MS, failures), this.#stopping.signal)
    }
  }

  /** `ended` of what it gives is a promise of the connection's end. */
  async #connect () {
    const connection = await amqp.connect(this.#url.href, {
      timeout: CONNECT_TIMEOUT_MS, clientProperties: { connection_name: this.#name }
    })
    this.#connection = connection
    const ended = endOf(connection)
    try {
      this.#stopping.signal.throwIfAborted() // It was stopped meanwhile.
      const channel = await Promise.race([connection.createConfirmChannel(), failWith(ended)])
      watchChannel(channel, connection)
      this.#watch(connection, channel)
      await Promise.race([declare(channel, this.#consumers), failWith(ended)])
      this.channel = channel
      await Promise.race([this.#onUp(channel), failWith(ended)])
      this.why = ''
      this.emit('up')
      return { ended }
    } catch (error) {
      connection.close().catch(() => {})
      throw error
    }
  }

  #watch (connection, channel) {
    channel.on('return', ({ fields, properties }) => this.#returned.add(keyOf(fields, properties)))
    connection.on('blocked', (reason) => {
      this.why = `the broker takes no messages: ${reason}`
      this.#log.warn({ to: this.#name, reason: this.why }, 'broker takes no messages')
    })
    connection.on('unblocked', () => {
      this.why = ''
      this.#log.info({ to: this.#name }, 'broker is back')
      this.emit('up')
    })
  }

  #down (why) {
    this.channel = null
    this.why = why
    this.#returned.clear()
    this.emit('down')
  }

  /** Resolves to confirmed, returned, nacked or lost: the broker's word, or none in time. */
  publish (exchange, routingKey, body, properties) {
    const { channel } = this
    if (channel === null) return Promise.resolve('lost')
    return new Promise((resolve) => {
      const settle = (fate) => {
        clearTimeout(timer)
        this.off('down', onDown)
        resolve(fate)
      }
      const onDown = () => settle('lost')
      const timer = setTimeout(onDown, CONFIRM_TIMEOUT_MS)
      this.once('down', onDown)
      const key = keyOf({ exchange, routingKey }, properties)
      // What comes back comes back before it is confirmed.
      const onConfirm = (error) =>
        settle(error ? 'nacked' : this.#returned.delete(key) ? 'returned' : 'confirmed')
      try {
        channel.publish(exchange, routingKey, body, { ...properties, mandatory: true }, onConfirm)
      } catch {
        settle('lost')
      }
    })
  }

  /** Ends the connection at hand; a new one is made. */
  drop (why) {
    this.why = why
    this.#connection?.close().catch(() => {})
  }

  /** A broker that is silent does not hold up the end. */
  async stop () {
    this.#stopping.abort()
    const closed = this.#connection?.close().catch(() => {})
    await Promise.race([closed, pause(CLOSE_TIMEOUT_MS)])
    this.#connection?.connection.stream.destroy()
    await Promise.race([this.#running, pause(CLOSE_TIMEOUT_MS)])
  }
}

const keyOf = ({ exchange, routingKey }, { messageId }) => `${exchange}/${routingKey}/${messageId}`

/** Resolves to the reason when the connection has ended, however that was. */
function endOf (connection) {
  return new Promise((resolve) => {
    let why = 'the connection has ended'
    connection.on('error', (error) => { why = error.message })
    connection.on('close', (error) => resolve(error?.message ?? why))
  })
}

const failWith = (ended) => ended.then((why) => { throw new Error(why) })

/** A channel that the broker closes is of no more use, so its connection goes too. */
function watchChannel (channel, connection) {
  channel.on('error', (error) => connection.emit('error', error))
  channel.on('close', () => connection.close().catch(() => {}))
}
