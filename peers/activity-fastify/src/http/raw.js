// Answers to what Node.js can't hand on as a request: not HTTP, too slow, too large. They are
// written to the socket as any other problem looks, and the connection ends.

import http from 'node:http'
import { v7 as uuidv7 } from 'uuid'
import { Problem, PROBLEM_TYPE, malformedPath } from '../problems.js'
import { leadsNowhere, pathOf } from './paths.js'
import { requestIdOf } from './request-id.js'

const REQUEST_ID = /^x-request-id:[ \t]*([A-Za-z0-9._-]{1,128})[ \t]*\r?$/im
const ENDLESS_LINE = /^[A-Z]+ \S+$/
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]\r?\n/

/** A handler of the server's clientError. `tell(problem, requestId)` logs and counts it. */
export function clientErrorHandler ({ paths, atHand, tell }) {
  return function onClientError (error, socket) {
    if (!socket.writable || socket.destroyed) return
    if (error.code === 'ECONNRESET' || hasSaidNothing(error, socket)) {
      socket.destroy()
      return
    }
    const request = atHand.get(socket)
    const line = REQUEST_LINE.exec(error.rawPacket?.toString('latin1') ?? '')
    const path = request?.path ?? (line === null ? undefined : pathOf(line[2]))
    const problem = problemOf(error, line, path, paths)
    const requestId = request?.id ?? idIn(error) ?? uuidv7()
    tell(problem, requestId, request)
    socket.end(textOf(problem, path, requestId))
  }
}

/** A handler of the server's connect: this is no proxy, and CONNECT a method like any other. */
export function connectHandler ({ paths, tell }) {
  return function onConnect (raw, socket) {
    const path = pathOf(raw.url)
    const problem = path.startsWith('/') ? leadsNowhere(paths.find(path)) : malformedPath()
    const id = requestIdOf(raw)
    tell(problem, id)
    socket.on('error', () => {}) // The client was faster.
    socket.end(textOf(problem, path, id))
  }
}

/** The client's name for a request whose head was read as far as that. */
const idIn = (error) => REQUEST_ID.exec(error.rawPacket?.toString('latin1') ?? '')?.[1]

/** An idle connection is ended without a word. */
function hasSaidNothing (error, socket) {
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0
}

function problemOf (error, line, path, paths) {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 'The request did not arrive in time.')
    case 'HPE_HEADER_OVERFLOW':
      return ENDLESS_LINE.test(error.rawPacket?.toString('latin1') ?? '')
        ? new Problem('uri-too-long', 'The target is longer than is read.')
        : new Problem('header-fields-too-large', 'The header is longer than is read.')
    case 'HPE_INVALID_METHOD':
      return ofMethod(line, path, paths) ?? malformed()
    default:
      return malformed()
  }
}

const malformed = () => new Problem('bad-request', 'The request is not valid HTTP/1.1.')

/** A method that Node.js doesn't know is well-formed HTTP all the same. */
function ofMethod (line, path, paths) {
  if (line === null) return undefined
  return leadsNowhere(paths.find(path))
}

/** The whole answer, after which the connection ends. */
export function textOf (problem, path, requestId) {
  const body = JSON.stringify(problem.body(path, requestId))
  const headers = {
    ...problem.headers,
    'Cache-Control': 'no-store',
    'Content-Type': PROBLEM_TYPE,
    'X-Request-Id': requestId,
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close'
  }
  const status = problem.statusCode
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${fields.join('')}\r\n${body}`
}
