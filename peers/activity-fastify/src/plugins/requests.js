// What is known and told of each request: its id, its trace, its line in the log, its metrics.

import fp from 'fastify-plugin'
import { context, ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api'
import { RandomIdGenerator } from '@opentelemetry/sdk-trace-node'
import { patternOf } from '../contract/contract.js'
import { pathOf } from '../http/paths.js'
import { ratioKeeps } from '../telemetry/sampler.js'
import { contextOf, exemplarOf, failSpan, now } from '../telemetry/tracing.js'

const KNOWN_METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])
const CLIENT_GONE = 499
const ACTOR_MAX = 256

const ids = new RandomIdGenerator()

async function requests (app, { config, paths, atHand, tracer, metrics }) {
  app.decorateRequest('pattern', '')
  app.decorateRequest('path', '')
  app.decorateRequest('isPage', false)
  app.decorateRequest('isOperation', false) // Of the contract.
  app.decorateRequest('streams', false)
  app.decorateRequest('failedWith', undefined)

  // The hook's callback goes on within the request's context, and all that follows with it.
  app.addHook('onRequest', (request, reply, done) => {
    nameEndpoint(request, paths)
    const began = process.hrtime.bigint()
    const span = request.isPage ? unkeptSpan(request) : startSpan(tracer, request)
    metrics.requestsActive.inc()
    const { socket } = request.raw
    atHand.set(socket, request)
    reply.header('X-Request-Id', request.id)
    reply.raw.once('close', () => {
      metrics.requestsActive.dec()
      if (atHand.get(socket) === request) atHand.delete(socket)
      const seconds = Number(process.hrtime.bigint() - began) / 1e9
      context.with(trace.setSpan(ROOT_CONTEXT, span), () => ended(request, reply, span, seconds))
    })
    context.with(trace.setSpan(ROOT_CONTEXT, span), done)
  })

  function ended (request, reply, span, seconds) {
    const isSent = reply.raw.writableFinished
    const status = isSent ? reply.raw.statusCode : request.failedWith ?? CLIENT_GONE
    if (status !== CLIENT_GONE && !request.streams) observe(request, status, seconds, span)
    logLine(request, reply, status, seconds, span)
    if (!request.isPage) endSpan(span, request.streams ? reply.raw.statusCode : status)
  }

  function observe (request, status, seconds, span) {
    metrics.requestDuration.observe({
      labels: {
        http_request_method: methodLabel(request.raw.method),
        http_route: request.pattern,
        http_response_status_code: status
      },
      value: seconds,
      exemplarLabels: exemplarOf(span)
    })
  }

  /** Of those that went well, as many as were asked for: the choice is that of a sampler. */
  function logLine (request, reply, status, seconds, span) {
    const { ACCESS_LOG: wanted, ACCESS_LOG_RATIO: ratio } = config
    if (!wanted || ratio === 0) return
    if (status < 500 && !ratioKeeps(ratio, span.spanContext().traceId)) return
    request.log.info({
      method: request.raw.method,
      route: request.pattern,
      status,
      duration_ms: seconds * 1000,
      bytes: Number(reply.getHeader('content-length') ?? 0),
      actor: actorOf(request)
    }, 'request')
  }
}

function actorOf (request) {
  const actor = request.headers['x-authentik-username'] ?? ''
  return actor.length <= ACTOR_MAX ? actor : ''
}

const methodLabel = (method) => KNOWN_METHODS.has(method) ? method : '_OTHER'

/** The endpoint's pattern, also where only another method would have met its route. */
function nameEndpoint (request, paths) {
  request.path = pathOf(request.raw.url)
  const { url, config } = request.routeOptions
  const isMet = url !== undefined && url !== '*'
  const entry = isMet ? undefined : paths.find(request.path)
  request.pattern = patternOf((isMet ? url : entry?.url) ?? '')
  request.isPage = (isMet ? config.page : entry?.isPage) ?? false
  request.isOperation = isMet && !request.isPage
}

// ---- Its span --------------------------------------------------------------------

function serverOf (request) {
  const [, name, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(request.headers.host ?? '') ?? []
  return {
    'server.address': name?.replace(/^\[|\]$/g, '') || undefined,
    'server.port': port === undefined ? undefined : Number(port)
  }
}

function startSpan (tracer, request) {
  const method = methodLabel(request.raw.method)
  const named = method === '_OTHER' ? 'HTTP' : method
  return tracer.startSpan(request.pattern === '' ? named : `${named} ${request.pattern}`, {
    kind: SpanKind.SERVER,
    startTime: now(),
    attributes: {
      'http.request.method': method,
      'http.request.method_original': method === '_OTHER' ? request.raw.method : undefined,
      'http.route': request.pattern || undefined,
      'url.path': request.path,
      'url.scheme': 'http',
      ...serverOf(request),
      'network.protocol.version': request.raw.httpVersion,
      'user_agent.original': request.headers['user-agent'] || undefined
    }
  }, contextOf(request.headers))
}

/** Probes and scrapes would outnumber the rest; their log lines have a trace all the same. */
function unkeptSpan (request) {
  const traceId = trace.getSpanContext(contextOf(request.headers))?.traceId
  return trace.wrapSpanContext({
    traceId: traceId ?? ids.generateTraceId(),
    spanId: ids.generateSpanId(),
    traceFlags: TraceFlags.NONE
  })
}

function endSpan (span, status) {
  if (status === CLIENT_GONE) {
    failSpan(span, 'client_gone')
  } else {
    span.setAttribute('http.response.status_code', status)
    if (status >= 500) failSpan(span, String(status))
  }
  span.end(now())
}

export default fp(requests, { name: 'requests' })
