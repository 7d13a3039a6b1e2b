// Signals: the first asks for a clean stop, the second ends the process at once. What comes within
// a moment of the first is the same request: a terminal signals the whole group. Two more are for
// the log.

import { changeLevel } from './telemetry/log.js'

const NUMBERS = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 }
const SECOND_SIGNAL_AFTER_MS = 100

export function watchSignals (logging) {
  const stop = new Stop()
  let firstAt = null
  for (const [name, number] of Object.entries(NUMBERS)) {
    process.on(name, () => {
      firstAt ??= Date.now()
      if (Date.now() - firstAt < SECOND_SIGNAL_AFTER_MS) stop.ask({ signal: name })
      else endAtOnce(logging, number)
    })
  }
  return stop
}

/** SIGUSR1 makes the log say more, SIGUSR2 less; `onLevel(level)` is called when it does. */
export function watchLevel (log, onLevel) {
  for (const [name, by] of [['SIGUSR1', -1], ['SIGUSR2', 1]]) {
    process.on(name, () => {
      changeLevel(log, by)
      onLevel(log.level)
    })
  }
}

/** Processes that we forked go with us. */
function endAtOnce ({ log, close }, number) {
  log.warn('stopping at once: asked again')
  close()
  process.exit(128 + number)
}

/** The wish that the service ends, whoever has it; the first one's reason is kept. */
class Stop {
  #ending = new AbortController()
  #asked = Promise.withResolvers()
  why = {}

  ask (why) {
    if (this.#ending.signal.aborted) return
    this.why = why
    this.#ending.abort()
    this.#asked.resolve()
  }

  get signal () {
    return this.#ending.signal
  }

  get promise () {
    return this.#asked.promise
  }
}
