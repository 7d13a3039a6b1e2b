// Readiness: the database is needed, by every process; a broker that is away only degrades, since
// what is to be sent waits in the outbox.

import { reasonOf } from './database/errors.js'

const PROBE = { name: 'trunnion_probe', text: 'SELECT 1' }
const PROBE_TIMEOUT_MS = 1000
const FRESH_MS = 100

/** How one process is. */
export class Health {
  #database = null
  #messages = []
  #probe = null
  #probedAt = 0

  watchDatabase (database) {
    this.#database = database
  }

  /** Each has a `fault`. */
  watchBroker (...messages) {
    this.#messages = messages
  }

  /** { database, broker }: '' when all is well, else why not. */
  async faults () {
    return {
      database: this.#database === null ? '' : await this.#databaseFault(),
      broker: firstOf(this.#messages.map(({ fault }) => fault))
    }
  }

  /** Those who ask at once share an answer. */
  #databaseFault () {
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
}

/** What the service says of itself: all of its processes together. */
export class Readiness {
  #askAll
  #migrationFault = 'not reached yet'
  #isDraining = false

  /** `askAll()` gives the faults of each process. */
  constructor (askAll) {
    this.#askAll = askAll
  }

  notMigrated (why) {
    this.#migrationFault = why
  }

  migrated () {
    this.#migrationFault = ''
  }

  beginDrain () {
    this.#isDraining = true
  }

  /** What /readyz answers with. */
  async read () {
    const { database, broker } = await this.#faults()
    return {
      status: this.#judge(database, broker),
      checks: { database: check(database), broker: check(broker) }
    }
  }

  async #faults () {
    if (this.#migrationFault !== '') {
      return { database: this.#migrationFault, broker: 'waits for the database' }
    }
    const all = await this.#askAll()
    return {
      database: firstOf(all.map(({ database }) => database)),
      broker: firstOf(all.map(({ broker }) => broker))
    }
  }

  #judge (database, broker) {
    if (this.#isDraining) return 'draining'
    if (database !== '') return 'unavailable'
    return broker === '' ? 'ready' : 'degraded'
  }
}

const firstOf = (faults) => faults.find((fault) => fault !== '') ?? ''
const check = (fault) => fault === '' ? { status: 'up' } : { status: 'down', detail: fault }
