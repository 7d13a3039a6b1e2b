// Spans, by the official SDK: who makes them, and how they leave.
//
// A request never waits for the collector. Spans that wait are bounded; beyond that they are
// dropped and counted, which the SDK's own processor does without a word.

import cluster from 'node:cluster'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { context, propagation, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import { ExportResultCode, W3CTraceContextPropagator, hrTime } from '@opentelemetry/core'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { v7 as uuidv7 } from 'uuid'
import { samplerOf } from './sampler.js'

const CLOSE_MS = 1000

export async function openTracing (config, service, { metrics, log }) {
  const url = tracesUrl(config)
  const spanProcessors = url === ''
    ? []
    : [new CountingProcessor(config, await exporterOf(config, url), { metrics, log })]
  const provider = new NodeTracerProvider({
    resource: resourceOf(config, service),
    sampler: samplerOf(config.OTEL_TRACES_SAMPLER, config.OTEL_TRACES_SAMPLER_ARG),
    spanProcessors
  })
  // Also what makes contexts follow a request through its awaits.
  provider.register({ propagator: new W3CTraceContextPropagator() })
  return {
    tracer: provider.getTracer('trunnion'),
    close: () => Promise.race([provider.shutdown().catch(() => {}), pause(CLOSE_MS)])
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref())

// ---- Where they go ------------------------------------------------------------

function tracesUrl (config) {
  if (config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT !== '') {
    return config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
  }
  const base = config.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/+$/, '')
  return base === '' ? '' : `${base}/v1/traces`
}

function pairsOf (text) {
  const pairs = text.split(',').filter((pair) => pair.includes('=')).map((pair) => {
    const [key, value] = pair.trim().split(/=(.*)/s)
    return [key.trim(), decodeURIComponent(value.trim())]
  })
  return Object.fromEntries(pairs)
}

/** A third of what a start loads is for this, and only for who exports. */
async function exporterOf (config, url) {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  const certificate = config.OTEL_EXPORTER_OTLP_CERTIFICATE
  return new OTLPTraceExporter({
    url,
    headers: pairsOf(config.OTEL_EXPORTER_OTLP_HEADERS),
    compression: config.OTEL_EXPORTER_OTLP_COMPRESSION,
    timeoutMillis: config.OTEL_EXPORTER_OTLP_TIMEOUT,
    httpAgentOptions: certificate === '' ? {} : { ca: fs.readFileSync(certificate) }
  })
}

function resourceOf (config, service) {
  return defaultResource().merge(resourceFromAttributes({
    'service.name': service.name,
    'service.version': service.version,
    'service.instance.id': uuidv7(),
    'os.type': os.platform(),
    'host.name': os.hostname(),
    'host.arch': { x64: 'amd64' }[os.arch()] ?? os.arch(),
    'process.pid': cluster.isWorker ? process.ppid : process.pid, // The service's own.
    'process.executable.name': path.basename(process.execPath),
    ...pairsOf(config.OTEL_RESOURCE_ATTRIBUTES),
    ...(config.OTEL_SERVICE_NAME === '' ? {} : { 'service.name': config.OTEL_SERVICE_NAME })
  }))
}

// ---- What becomes of them -----------------------------------------------------

/** Lets no more spans wait than may, and counts what is dropped and what has left. */
class CountingProcessor {
  #inner
  #waiting = 0
  #waitingMax
  #metrics

  constructor (config, exporter, { metrics, log }) {
    this.#waitingMax = config.OTEL_BSP_MAX_QUEUE_SIZE
    this.#metrics = metrics
    const counting = new CountingExporter(exporter, { metrics, log }, (n) => {
      this.#waiting -= n
    })
    this.#inner = new BatchSpanProcessor(counting, {
      scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
      exportTimeoutMillis: config.OTEL_BSP_EXPORT_TIMEOUT,
      maxQueueSize: config.OTEL_BSP_MAX_QUEUE_SIZE,
      maxExportBatchSize:
        Math.min(config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, config.OTEL_BSP_MAX_QUEUE_SIZE)
    })
  }

  onStart (span, parent) {
    this.#inner.onStart(span, parent)
  }

  onEnd (span) {
    if (this.#waiting >= this.#waitingMax) {
      this.#metrics.spansDropped.inc({ reason: 'queue_full' })
      return
    }
    this.#waiting += 1
    this.#inner.onEnd(span)
  }

  forceFlush () {
    return this.#inner.forceFlush()
  }

  shutdown () {
    return this.#inner.shutdown()
  }
}

class CountingExporter {
  #inner
  #metrics
  #log
  #onLeft
  #isDown = false

  constructor (inner, { metrics, log }, onLeft) {
    this.#inner = inner
    this.#metrics = metrics
    this.#log = log
    this.#onLeft = onLeft
  }

  export (spans, done) {
    this.#inner.export(spans, (result) => {
      this.#onLeft(spans.length)
      const taken = result.code === ExportResultCode.SUCCESS
      if (taken) this.#metrics.spansExported.inc(spans.length)
      else this.#metrics.spansDropped.inc({ reason: 'export_failed' }, spans.length)
      this.#tell(taken, result.error)
      done(result)
    })
  }

  /** One line for an outage, and one for its end. */
  #tell (taken, error) {
    if (taken === !this.#isDown) return
    this.#isDown = !taken
    if (taken) this.#log.info('spans are exported again')
    else this.#log.warn({ reason: String(error?.message ?? error) }, "spans can't be exported")
  }

  forceFlush () {
    return this.#inner.forceFlush?.() ?? Promise.resolve()
  }

  shutdown () {
    return this.#inner.shutdown()
  }
}

// ---- What others need of spans --------------------------------------------------

/** The context of whoever sent these headers; headers without a trace are those of nobody. */
export function contextOf (headers) {
  return propagation.extract(ROOT_CONTEXT, headers)
}

export const withSpan = (span, work, parent = context.active()) =>
  context.with(trace.setSpan(parent, span), work)

/** Labels of an exemplar: only spans that are kept can be found again. */
export function exemplarOf (span) {
  const spanContext = span?.spanContext()
  return span?.isRecording()
    ? { trace_id: spanContext.traceId, span_id: spanContext.spanId }
    : undefined
}

export function failSpan (span, errorType, message) {
  span.setAttribute('error.type', errorType)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}

export { hrTime as now }
