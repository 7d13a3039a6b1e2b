// Several workers: one service to whoever asks it, watches it, signals it or loses a part of it.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import net from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { shareOf } from '../src/processes/share.js'
import { Service, until } from './service.js'

const EX_SOFTWARE = 70
const TWO = { WORKERS: '2' }
const TRACE = '0af7651916cd43dd8448eb211c80319c'

const allGone = (forks) =>
  until(() => forks.every(({ pid }) => !fs.existsSync(`/proc/${pid}`)), 'an end of all')

const livezRequestsOf = (page) => Number(
  /^http_server_request_duration_seconds_count\{[^}]*"\/livez"[^}]*\} (\d+)$/m.exec(page)?.[1])

/** How each of n connections is answered that are there at once. */
async function headsOfACrowd (port, n) {
  const sockets = Array.from({ length: n }, () => net.connect(port, '127.0.0.1'))
  const heads = await Promise.all(sockets.map((socket) => new Promise((resolve) => {
    socket.once('data', (bytes) => resolve(bytes.toString().slice(0, 12)))
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
  })))
  for (const socket of sockets) socket.destroy()
  return heads
}

test('limits are divided among workers, and no share is nothing', () => {
  const config = { WORKERS: 3, CONNECTIONS_MAX: 10, REQUESTS_MAX: 1, STREAMS_MAX: 0, PORT: 8080 }
  assert.deepEqual({ ...shareOf(config) },
    { WORKERS: 3, CONNECTIONS_MAX: 4, REQUESTS_MAX: 1, STREAMS_MAX: 0, PORT: 8080 })
})

describe('two workers', () => {
  let service
  before(async () => {
    service = new Service({ ...TWO, CONNECTIONS_MAX: '4', LOG_LEVEL: 'info' })
    await service.isReady()
  })
  after(() => service.kill())

  test('serve one port, and a third process works on the messages', async () => {
    assert.deepEqual(service.forks.map(({ role }) => role).sort(),
      ['messages', 'requests', 'requests'])
    await until(() => service.said('ready'), 'a line that says so')
    assert.equal(service.said('listening at').length, 2)
    assert.equal(service.said('connected').filter(({ to }) => to === 'inbox broker').length, 1)
  })

  test('have one page of metrics, whoever is asked', async () => {
    for (let i = 0; i < 7; i++) await service.get('/livez')
    for (let i = 0; i < 4; i++) {
      const page = await until(async () => {
        const { body } = await service.get('/metrics')
        return livezRequestsOf(body) === 7 && body
      }, 'seven requests')
      assert.match(page, /^process_cpu_seconds_total [^0]|^process_cpu_seconds_total 0\.[0-9]/m)
      assert.equal(page.match(/^process_start_time_seconds /mg).length, 1)
    }
  })

  test('keep their exemplars on that page', async () => {
    await service.get('/api/v1/activities', { traceparent: `00-${TRACE}-b7ad6b7169203331-01` })
    const page = await until(async () => {
      const { body } = await service.get('/metrics', { accept: 'application/openmetrics-text' })
      return body.includes(TRACE) && body
    }, 'an exemplar')
    assert.match(page, new RegExp('^http_server_request_duration_seconds_bucket\\{.*\\} 1 # \\{' +
      `trace_id="${TRACE}",span_id="[0-9a-f]{16}"\\} `, 'm'))
    assert.ok(page.endsWith('# EOF\n'))
  })

  test('hold a limit together', async () => {
    // What was closed a moment ago may have its place still.
    await until(async () => {
      const heads = await headsOfACrowd(service.port, 12)
      assert.ok(heads.every((head) => /^HTTP\/1.1 (200|503)$/.test(head)), heads)
      const served = heads.filter((head) => head === 'HTTP/1.1 200').length
      assert.ok(served <= 4, heads)
      return served === 4
    }, 'four places')
  })

  test('log more or less together', async () => {
    service.signal('SIGUSR2')
    await until(() => service.said('log level changed'), 'the change')
    const before = service.said('request').length
    // Connections take turns, so several meet both workers.
    for (let i = 0; i < 4; i++) await service.get('/livez')
    service.signal('SIGUSR1')
    await until(() => service.said('log level changed').length === 2, 'the change back')
    for (let i = 0; i < 4; i++) await service.get('/livez')
    await until(() => service.said('request').length === before + 4, 'a line for each of the last')
  })

  test('stop as one when a terminal signals the whole group', async () => {
    const { forks } = service
    for (const { pid } of forks) process.kill(pid, 'SIGINT')
    service.signal('SIGINT')
    assert.equal(await service.ended, 0)
    await allGone(forks)
    assert.equal(service.lines.at(-1).message, 'stopped')
  })
})

describe('the end', () => {
  test('comes at once with the second signal, for all of them', async (t) => {
    const service = await Service.start(t, { ...TWO, READINESS_DELAY_MS: '60000' })
    const { forks } = service
    service.signal('SIGTERM')
    await until(async () => (await service.get('/readyz')).body.includes('"draining"'), 'a drain')
    await sleep(150) // Sooner it would be the same request.
    service.signal('SIGTERM')
    assert.equal(await service.ended, 128 + 15)
    await allGone(forks)
  })

  test('of the first process is that of all', async (t) => {
    const service = await Service.start(t, TWO)
    const { forks } = service
    await service.kill()
    await allGone(forks)
  })

  for (const role of ['requests', 'messages']) {
    test(`of a process for ${role} ends the service, with an error`, async (t) => {
      const service = await Service.start(t, TWO)
      const { forks } = service
      const victim = forks.find((fork) => fork.role === role)
      process.kill(victim.pid, 'SIGKILL')
      assert.equal(await service.ended, EX_SOFTWARE)
      await allGone(forks)
      const [line] = service.said('a process of the service has ended')
      assert.deepEqual([line.level, line.role, line.pid, line.signal],
        ['error', role, victim.pid, 'SIGKILL'])
      assert.equal(service.lines.at(-1).message, 'stopped')
    })
  }

  test('comes with status 70 when the port is taken', async (t) => {
    const holder = net.createServer().listen(0, '127.0.0.1')
    t.after(() => holder.close())
    await until(() => holder.address(), 'a port')
    const service = new Service({ ...TWO, PORT: String(holder.address().port) })
    t.after(() => service.kill())
    assert.equal(await service.ended, EX_SOFTWARE)
    const [line] = service.said("can't listen")
    assert.match(line.reason, /EADDRINUSE/)
  })
})
