// The log: one JSON object a line on standard output, with the trace of whoever wrote it.
//
// Lines are written in the background. When nobody reads them fast enough they are dropped and
// counted: a log must not hold up requests, nor the stop.

import pino from 'pino'
import { trace } from '@opentelemetry/api'

const QUEUE_BYTES_MAX = 1 << 20
const PIPE_BUF = 4096 // What a pipe takes as a whole (POSIX); Linux's is this large.

export const LEVELS = ['debug', 'info', 'warn', 'error']

/** `isShared`: other processes write to the same output, and lines must not be mixed. */
export function openLog (service, level, { isShared = false } = {}) {
  const destination = pino.destination({
    fd: 1, sync: false, maxLength: QUEUE_BYTES_MAX, ...(isShared ? { maxWrite: PIPE_BUF } : {})
  })
  const dropped = { count: 0 }
  destination.on('drop', () => { dropped.count += 1 })
  destination.on('error', () => { dropped.count += 1 }) // Its reader is gone.
  const log = pino({
    level,
    messageKey: 'message',
    base: { service: service.name, version: service.version },
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    mixin: traceOfCaller
  }, destination)
  return { log, dropped, close: () => flush(destination) }
}

/** The span at hand, whoever logs: a request's, or a message's. */
function traceOfCaller () {
  const span = trace.getActiveSpan()?.spanContext()
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }
}

function flush (destination) {
  try {
    destination.flushSync()
  } catch {
    // Standard output takes no more, and there is nowhere left to tell of it.
  }
}

/** By -1 it says more, by 1 less. The line can always be seen. */
export function changeLevel (log, by) {
  const level = LEVELS[LEVELS.indexOf(log.level) + by]
  if (level === undefined) return
  log.level = level
  log[level]({ log_level: level }, 'log level changed')
}
