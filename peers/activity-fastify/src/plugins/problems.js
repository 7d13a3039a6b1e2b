// Errors, whoever throws them, answered as problems; and paths and methods that lead nowhere.

import fp from 'fastify-plugin'
import { kindOf } from '../database/errors.js'
import { allowOf, leadsNowhere } from '../http/paths.js'
import { PROBLEM_TYPE, Problem, busy, malformedPath } from '../problems.js'

const CORS_HEADERS = 'Accept, Authorization, Content-Type, Idempotency-Key, If-Match,' +
  ' If-None-Match, Last-Event-ID, Traceparent, Tracestate, X-Request-Id'
const CORS_MAX_AGE_S = '600'

async function problems (app, { config, paths }) {
  app.setErrorHandler((error, request, reply) => {
    // Fastify refuses a QUERY without a Content-Type before it looks for a route. None takes one.
    const problem = error.code === 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE'
      ? leadsNowhere(paths.find(request.path))
      : problemOf(error, config)
    if (problem.statusCode === 500) request.log.error({ reason: error.stack }, 'request failed')
    return send(problem, request, reply)
  })

  app.setNotFoundHandler((request, reply) => {
    const isOptions = request.raw.method === 'OPTIONS'
    // OPTIONS of a star is about the whole service (RFC 9110 9.3.7).
    const entry = isOptions && request.path === '*' ? paths : paths.find(request.path)
    if (isOptions && entry !== undefined) return answerOptions(request, reply, allowOf(entry))
    throw leadsNowhere(entry)
  })

  // Media types without a parameter that says nothing: JSON is UTF-8 (RFC 8259).
  app.addHook('onSend', async (_request, reply) => {
    const type = reply.getHeader('content-type')
    if (type?.includes('json')) reply.header('Content-Type', type.replace('; charset=utf-8', ''))
  })
}

export function send (problem, request, reply) {
  return reply.code(problem.statusCode)
    .headers(problem.headers)
    .header('Cache-Control', 'no-store')
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problem.body(request.path, request.id)))
}

/** A browser asks first (WHATWG Fetch 3.2.2); anybody may ask what can be done here. */
function answerOptions (request, reply, allow) {
  reply.header('Allow', allow)
  const asksFirst = request.headers['access-control-request-method'] !== undefined
  if (asksFirst && reply.hasHeader('Access-Control-Allow-Origin')) {
    reply.headers({
      'Access-Control-Allow-Methods': allow,
      'Access-Control-Allow-Headers': CORS_HEADERS,
      'Access-Control-Max-Age': CORS_MAX_AGE_S
    })
  }
  return reply.code(204).send()
}

export function problemOf (error, config) {
  if (error instanceof Problem) return error
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('content-too-large', `At most ${config.BODY_BYTES_MAX} bytes are read.`,
        { headers: { Connection: 'close' } })
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Problem('bad-request', 'The body is not as long as Content-Length says.')
    case 'FST_ERR_BAD_URL':
      return malformedPath()
    case 'FST_ERR_HANDLER_TIMEOUT':
      return timedOut(config)
    default:
      return ofDatabase(error, config)
  }
}

const timedOut = (config) =>
  new Problem('gateway-timeout', `There was no answer within ${config.REQUEST_TIMEOUT_MS} ms.`)

function ofDatabase (error, config) {
  switch (kindOf(error)) {
    case 'busy':
      return busy('service-unavailable', 1, 'The database is busy. Nothing was changed.')
    case 'unavailable':
      return busy('service-unavailable', 2, "The database can't be reached.")
    case 'timeout':
      return timedOut(config)
    case 'constraint':
      return new Problem('conflict', 'The change conflicts with something stored.')
    default:
      return new Problem('internal-error', 'The service failed on this request.')
  }
}

export default fp(problems, { name: 'problems' })
