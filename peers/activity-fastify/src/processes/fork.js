// A process of our own, as its parent sees it: a Body at the other end of a channel.

import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { pause } from '../messaging/backoff.js'
import { Calls } from './calls.js'

const PROGRAM = fileURLToPath(new URL('./forked.js', import.meta.url))
const ANSWER_MS = 1500
const END_MS = 3000
const NO_ANSWER = { database: 'a process of the service does not answer', broker: '' }
// Asked for by the group's signal: our parent's stop is on its way.
const STOPS = ['SIGTERM', 'SIGINT', 'SIGHUP']

export class Fork {
  #worker
  #calls
  #ended
  #isEnding = false

  /** `whole` answers for the service; `onLost(how)` is called when it ends without being asked. */
  constructor (role, { openedAt, whole, onLost }) {
    cluster.setupPrimary({
      exec: PROGRAM,
      args: [role, String(openedAt)],
      execArgv: [...process.execArgv, '--disable-sigusr1'], // Its level comes over the channel.
      serialization: 'advanced'
    })
    this.#worker = cluster.fork()
    this.#calls = new Calls(this.#worker, {
      readiness: () => whole.readiness(),
      metrics: () => whole.metrics()
    })
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', (status, signal) => {
        if (!this.#isEnding && !STOPS.includes(signal)) {
          onLost({ role, pid: this.pid, status: status ?? undefined, signal: signal ?? undefined })
        }
        resolve()
      })
    })
  }

  get pid () {
    return this.#worker.process.pid
  }

  // ---- Its life -----------------------------------------------------------------

  listen () {
    return this.#calls.call('listen').catch((error) => error.message)
  }

  serve () {
    return this.#tell('serve')
  }

  drainRequests (timeoutMs) {
    return this.#tell('drainRequests', timeoutMs)
  }

  drainMessages (consumerTimeoutMs, relayTimeoutMs) {
    return this.#tell('drainMessages', consumerTimeoutMs, relayTimeoutMs)
  }

  closeDatabases () {
    return this.#tell('closeDatabases')
  }

  /** Whoever does not end by itself is ended. */
  async end () {
    this.#isEnding = true
    this.#tell('end')
    await Promise.race([this.#ended, pause(END_MS)])
    this.#worker.process.kill('SIGKILL')
    await this.#ended
  }

  // ---- Asked and told while it lives ------------------------------------------------

  faults () {
    return this.#ask('faults', NO_ANSWER)
  }

  metrics () {
    return this.#ask('metrics', [])
  }

  setLevel (level) {
    return this.#tell('setLevel', level)
  }

  /** One that has ended is told of by its end. */
  #tell (name, ...args) {
    return this.#calls.call(name, ...args).catch(() => {})
  }

  /** Who asks for all of them does not wait for one that hangs. */
  async #ask (name, otherwise) {
    const silence = new AbortController()
    const answer = this.#calls.call(name).catch(() => otherwise)
    const result =
      await Promise.race([answer, pause(ANSWER_MS, silence.signal).then(() => otherwise)])
    silence.abort()
    return result
  }
}
