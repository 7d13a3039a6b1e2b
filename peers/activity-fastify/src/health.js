// Readiness: the database is needed; a broker that is away only degrades, since what is to be sent
// waits in the outbox.

import { reasonOf } from './database/errors.js'

const PROBE = { name: 'trunnion_probe', text: 'SELECT 1' }
const PROBE_TIMEOUT_MS = 1000
const FRESH_MS = 100

export class Readiness {
  #database
  #state
  #relay
  #consumer
  #fault = 'not reached yet'
  #isMigrated = false
  #probe = null
  #probedAt = 0

  constructor ({ database, state, relay, consumer }) {
    this.#database = database
    this.#state = state
    this.#relay = relay
    this.#consumer = consumer
  }

  notMigrated (why) {
    this.#fault = why
  }

  migrated () {
    this.#isMigrated = true
  }

  /** What /readyz answers with. */
  async read () {
    const database = await this.#databaseFault()
    const broker = this.#brokerFault()
    return {
      status: this.#judge(database, broker),
      checks: { database: check(database), broker: check(broker) }
    }
  }

  #judge (database, broker) {
    if (this.#state.isDraining) return 'draining'
    if (database !== '') return 'unavailable'
    return broker === '' ? 'ready' : 'degraded'
  }

  /** '' when all is well, else why not. Those who ask at once share an answer. */
  async #databaseFault () {
    if (!this.#isMigrated) return this.#fault
    if (this.#probe === null || Date.now() - this.#probedAt > FRESH_MS) {
      this.#probedAt = Date.now()
      this.#probe = this.#ask()
    }
    return this.#probe
  }

  async #ask () {
    let timer
    const timeout = new Promise((resolve) => {
      timer = setTimeout(() => resolve('no answer in time'), PROBE_TIMEOUT_MS)
    })
    const answer = this.#database.read(PROBE, []).then(() => '', reasonOf)
    const fault = await Promise.race([answer, timeout])
    clearTimeout(timer)
    return fault
  }

  #brokerFault () {
    if (!this.#isMigrated) return 'waits for the database'
    return this.#relay.fault || this.#consumer.fault
  }
}

const check = (fault) => fault === '' ? { status: 'up' } : { status: 'down', detail: fault }
