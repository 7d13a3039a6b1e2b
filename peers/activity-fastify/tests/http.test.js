// What Node.js and Fastify would do otherwise: methods that no route has, connections too many.

import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Service, until } from './service.js'

const CONNECTIONS = 4
const THREE_TURNED_AWAY =
  /duration_seconds_count\{http_request_method="_OTHER",http_route="",[^}]*"503"\} ([3-9]|\d\d+)\n/
const ALLOWED = {
  '/api/v1/activities': 'GET, HEAD, OPTIONS',
  '/api/v1/activities/01890a5d-ac96-774b-bcce-b302099a8057': 'GET, HEAD, OPTIONS',
  '/api/v1/dead-letters/01890a5d-ac96-774b-bcce-b302099a8057/replay': 'POST, OPTIONS',
  '/readyz': 'GET, HEAD, OPTIONS',
  '/docs/': 'GET, HEAD, OPTIONS'
}

/** All that comes until the other side ends it. */
async function conversation (port, text) {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(text)
  return (await socket.setEncoding('latin1').toArray()).join('')
}

/** The answer's head. */
function assertProblem (answer, status, slug, { hasBody = true } = {}) {
  const [head, body] = answer.split('\r\n\r\n')
  assert.match(head, new RegExp(`^HTTP/1.1 ${status} `))
  assert.match(head, /^content-type: application\/problem\+json\r?$/im)
  if (hasBody) assert.equal(JSON.parse(body).type, `/problems/${slug}`)
  return head
}

describe('one worker', () => {
  let service
  before(async () => {
    service = new Service({ WORKERS: '1', CONNECTIONS_MAX: String(CONNECTIONS) })
    await service.isReady()
  })
  after(() => service.kill())

  test('is one process', () => {
    assert.deepEqual(service.forks, [])
  })

  test('each method that Node.js reads is served, or told what is allowed', async () => {
    for (const [path, allow] of Object.entries(ALLOWED)) {
      const allowed = allow.split(', ')
      const others = [...http.METHODS, 'BREW'].filter((method) => !allowed.includes(method))
      for (const method of others) {
        const head = assertProblem(await conversation(service.port,
          `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
        405, 'method-not-allowed', { hasBody: method !== 'HEAD' })
        assert.match(head, new RegExp(`^allow: ${allow}\r?$`, 'im'), `${method} ${path}`)
      }
    }
  })

  test('this is no proxy', async () => {
    assertProblem(await conversation(service.port,
      'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n'), 400, 'bad-request')
  })

  test('a connection too many is told so, and its end frees no other place', async () => {
    const crowd = Array.from({ length: CONNECTIONS }, () => net.connect(service.port, '127.0.0.1'))
    await Promise.all(crowd.map((socket) => once(socket, 'connect')))
    for (let i = 0; i < 3; i++) {
      const head = assertProblem(await conversation(service.port,
        'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'), 503, 'service-unavailable')
      assert.match(head, /^Retry-After: \d+\r?$/m)
      assert.match(head, /^Connection: close\r?$/m)
    }
    for (const socket of crowd) socket.destroy()
    await until(async () => (await service.get('/livez')).status === 200, 'a free place')
    assert.match((await service.get('/metrics')).body, THREE_TURNED_AWAY)
  })
})
