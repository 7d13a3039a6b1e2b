// One connection that listens to the database's notifications, kept: made, lost, made again.
//
// After each reconnect every channel is told: what was missed meanwhile is found by looking.

import { EventEmitter } from 'node:events'
import pg from 'pg'
import { backoffMs, pause } from '../messaging/backoff.js'
import { connectionOptions } from './database.js'
import { reasonOf } from './errors.js'

const RETRY_MS = 100
const RETRY_MAX_MS = 5000
const TELL_AGAIN_MS = 60000

export class Listener extends EventEmitter {
  #options
  #log
  #client = null
  #channels = new Set()
  #stopping = new AbortController()
  #running

  constructor (config, { name, log }) {
    super()
    this.setMaxListeners(0) // Each stream listens.
    this.#options = connectionOptions(config, name)
    this.#log = log
  }

  start () {
    this.#running = this.#keep()
  }

  /** From now on notifications of this channel are emitted under its name. */
  async listen (channel) {
    if (this.#channels.has(channel)) return
    this.#channels.add(channel)
    await this.#client?.query(`LISTEN ${channel}`).catch(() => {}) // Lost: it listens again.
    this.emit(channel)
  }

  async #keep () {
    let toldAt = -Infinity
    for (let failures = 1; !this.#stopping.signal.aborted; failures++) {
      try {
        const ended = await this.#connect()
        failures = 0
        await ended.promise
      } catch (error) {
        if (Date.now() - toldAt >= TELL_AGAIN_MS) {
          toldAt = Date.now()
          this.#log.warn({ to: 'outbox database', reason: reasonOf(error) }, "can't connect")
        }
      }
      this.#client = null
      await pause(backoffMs(RETRY_MS, RETRY_MAX_MS, Math.max(failures, 1)), this.#stopping.signal)
    }
  }

  async #connect () {
    const client = new pg.Client(this.#options)
    const promise = new Promise((resolve) => client.once('end', resolve))
    client.on('error', () => client.end().catch(() => {}))
    client.on('notification', ({ channel }) => this.emit(channel))
    await client.connect()
    this.#client = client
    if (this.#stopping.signal.aborted) client.end().catch(() => {}) // It was stopped meanwhile.
    for (const channel of this.#channels) await client.query(`LISTEN ${channel}`)
    for (const channel of this.#channels) this.emit(channel)
    return { promise }
  }

  async stop () {
    this.#stopping.abort()
    await this.#client?.end().catch(() => {})
    await this.#running
  }
}
