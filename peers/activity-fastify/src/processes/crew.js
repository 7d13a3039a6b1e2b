// Everybody who is at work for the service, and what they say together.
//
// With one worker the service is this process alone. With more, this one does nothing but watch:
// each worker is a process with a loop and a pool of its own, between which node:cluster spreads
// the connections; and one process works on the messages, so that the events of an item are
// recorded in the order in which they come.

import { Readiness } from '../health.js'
import { openMetrics, watchCounter } from '../telemetry/metrics.js'
import { Fork } from './fork.js'

export class Crew {
  #members = []
  #watching
  #readiness = new Readiness(() => this.#ask('faults'))

  /** `onLost(how)` is called when a process ends that was not asked to. */
  static async open (config, { logging, openedAt, onLost }) {
    const crew = new Crew()
    if (config.WORKERS === 1) {
      const { Body } = await import('./body.js') // Who only watches is without it.
      const options = { logging, openedAt, whole: crew }
      crew.#members.push(await Body.open(config, ['requests', 'messages'], options))
      return crew
    }
    crew.#watching = watcherMetrics(logging)
    const options = { openedAt, whole: crew, onLost }
    for (let i = 0; i < config.WORKERS; i++) crew.#members.push(new Fork('requests', options))
    crew.#members.push(new Fork('messages', options))
    return crew
  }

  /** '' when all listen, else why one can't. */
  async listen () {
    const faults = await this.#ask('listen')
    return faults.find((fault) => fault !== '') ?? ''
  }

  async serve () {
    await this.#ask('serve')
    this.#readiness.migrated()
  }

  notMigrated (why) {
    this.#readiness.notMigrated(why)
  }

  /** Readiness is off from here on. */
  beginDrain () {
    this.#readiness.beginDrain()
  }

  drainRequests (timeoutMs) {
    return this.#ask('drainRequests', timeoutMs)
  }

  drainMessages (consumerTimeoutMs, relayTimeoutMs) {
    return this.#ask('drainMessages', consumerTimeoutMs, relayTimeoutMs)
  }

  closeDatabases () {
    return this.#ask('closeDatabases')
  }

  end () {
    return this.#ask('end')
  }

  setLevel (level) {
    return this.#ask('setLevel', level)
  }

  // ---- The whole ----------------------------------------------------------------

  /** What /readyz answers with, whoever is asked. */
  readiness () {
    return this.#readiness.read()
  }

  /** The metrics of each process, as prom-client gives them. */
  async metrics () {
    const own = this.#watching === undefined ? [] : [await this.#watching.getMetricsAsJSON()]
    return [...own, ...await this.#ask('metrics')]
  }

  #ask (name, ...args) {
    return Promise.all(this.#members.map((member) => member[name](...args)))
  }
}

/** Of the process that watches: it takes CPU and memory like the others. */
function watcherMetrics ({ dropped }) {
  const { registry } = openMetrics()
  watchCounter(registry, 'trunnion_log_dropped_total',
    'Log lines that nobody read fast enough.', () => dropped.count)
  return registry
}
