// The HTTP side: Fastify, and the plugins that make the contract of it. Each has one idea.

import Fastify, { LogController } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { limitConnections } from './http/connections.js'
import { clientErrorHandler, connectHandler, textOf } from './http/raw.js'
import { Paths, pathOf, withoutHost } from './http/paths.js'
import { requestIdOf } from './http/request-id.js'
import cors from './plugins/cors.js'
import idempotency from './plugins/idempotency.js'
import limits from './plugins/limits.js'
import negotiation from './plugins/negotiation.js'
import pages from './plugins/pages.js'
import problems, { problemOf } from './plugins/problems.js'
import requests from './plugins/requests.js'
import validation from './plugins/validation.js'
import activities from './routes/activities.js'
import deadLetters from './routes/dead-letters.js'
import stream from './routes/stream.js'
import { PROBLEM_TYPE, busy } from './problems.js'

const HEADER_ROOM_BYTES = 64 << 10
const SWEEP_MS_MAX = 1000

export async function buildApp (options) {
  const { config, log, metrics } = options
  const paths = new Paths()
  const atHand = new WeakMap() // The request that a connection is at.
  const tell = teller(log, metrics)
  const app = Fastify({
    loggerInstance: log,
    // The one line of a request is written in plugins/requests.js.
    logController: new LogController({
      disableRequestLogging: true, requestIdLogLabel: 'request_id'
    }),
    genReqId: requestIdOf,
    bodyLimit: Math.max(config.BODY_BYTES_MAX, 1),
    keepAliveTimeout: config.IDLE_TIMEOUT_MS,
    requestTimeout: config.READ_TIMEOUT_MS,
    return503OnClosing: false, // Who is connected gets an answer, and is told to go away with it.
    routerOptions: { maxParamLength: config.HEADER_BYTES_MAX, querystringParser: () => ({}) },
    rewriteUrl: (raw) => withoutHost(raw.url),
    frameworkErrors: answerUnrouted(config),
    clientErrorHandler: clientErrorHandler({ paths, atHand, tell }),
    http: {
      // Larger than what is allowed, so that it is we who say so.
      maxHeaderSize: 4 * config.HEADER_BYTES_MAX + HEADER_ROOM_BYTES,
      headersTimeout: config.READ_TIMEOUT_MS,
      keepAliveTimeoutBuffer: 0,
      connectionsCheckingInterval: Math.min(Math.ceil(config.READ_TIMEOUT_MS / 8), SWEEP_MS_MAX)
    }
  })
  limitConnections(app.server, config.CONNECTIONS_MAX, () => refusal(tell))
  app.server.on('connect', connectHandler({ paths, tell }))
  app.addHook('onRoute', (route) => paths.add(route))
  readBodiesAsTheyAre(app)

  await app.register(requests, { ...options, paths, atHand })
  await app.register(problems, { ...options, paths })
  await app.register(cors, options)
  await app.register(limits, options)
  await app.register(negotiation)
  await app.register(validation)
  await app.register(idempotency, options)
  await app.register(pages, options)
  await app.register(contractRoutes, options)
  return app
}

async function contractRoutes (app, options) {
  app.addHook('onRoute', (route) => {
    if (!route.config?.streams) route.handlerTimeout = options.config.REQUEST_TIMEOUT_MS
  })
  await app.register(activities, options)
  await app.register(stream, options)
  await app.register(deadLetters, options)
}

/** No operation takes a body; one that comes all the same counts for the idempotency key. */
function readBodiesAsTheyAre (app) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

/** What the router refuses never becomes a request of a route, nor meets a hook. */
function answerUnrouted (config) {
  return (error, request, reply) => {
    const problem = problemOf(error, config)
    reply.code(problem.statusCode)
      .headers({ ...problem.headers, 'Cache-Control': 'no-store', 'X-Request-Id': request.id })
      .type(PROBLEM_TYPE)
      .serializer(String) // Which leaves the media type alone.
      .send(JSON.stringify(problem.body(pathOf(request.raw.url), request.id)))
  }
}

/** What a connection too many is told. */
function refusal (tell) {
  const problem = busy('service-unavailable', 1, 'As many connections are open as may be.')
  const id = uuidv7()
  tell(problem, id)
  return textOf(problem, undefined, id)
}

/** Tells of an answer that was given in Fastify's place; a request that had begun tells itself. */
function teller (log, metrics) {
  return (problem, id, request) => {
    const status = problem.statusCode
    if (request !== undefined) {
      request.failedWith = status
      return
    }
    metrics.requestDuration.observe({
      labels: { http_request_method: '_OTHER', http_route: '', http_response_status_code: status },
      value: 0
    })
    log.info({ request_id: id, method: '', route: '', status }, 'request')
  }
}
