// A service of a test's own, as an operator starts it: a process with an environment, on the
// database and the broker that tests/support/with-stack names.

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { MAIN } from './program.js'

const PATIENCE_MS = 120000 // A machine may have much else to do.

export class Service {
  #process
  #text = ''

  /** Starts it, waits until it is ready, and sees that it is gone when the test is over. */
  static async start (t, env = {}) {
    const service = new Service(env)
    t.after(() => service.kill())
    await service.isReady()
    return service
  }

  constructor (env) {
    const { TEST_DATABASE_URL: DATABASE_URL, TEST_AMQP_URL: AMQP_URL } = process.env
    this.#process = spawn(process.execPath, [MAIN], {
      env: { HOST: '127.0.0.1', PORT: '0', DATABASE_URL, AMQP_URL, ...env },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    this.#process.stdout.setEncoding('utf8').on('data', (text) => { this.#text += text })
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (status, signal) => resolve(status ?? signal))
    })
  }

  get pid () {
    return this.#process.pid
  }

  /** [{ pid, role }] of the processes that it has forked. */
  get forks () {
    const children = `/proc/${this.pid}/task/${this.pid}/children`
    return fs.readFileSync(children, 'utf8').split(' ').filter(Boolean).map((pid) => {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return { pid: Number(pid), role: words[words.findIndex((word) => /forked/.test(word)) + 1] }
    })
  }

  /** The lines of its log; each one is JSON. */
  get lines () {
    return this.#text.split('\n').slice(0, -1).map((line) => JSON.parse(line))
  }

  said (message) {
    return this.lines.filter((line) => line.message.startsWith(message))
  }

  async isReady () {
    const [line] = await until(() => this.said('listening at'), `a port in ${this.#text}`)
    this.port = Number(line.message.match(/\d+$/)[0])
    await until(async () => (await this.get('/readyz')).body.includes('"ready"'), 'readiness')
  }

  signal (name) {
    this.#process.kill(name)
  }

  async kill () {
    this.#process.kill('SIGKILL')
    await this.ended
  }

  /** { status, headers, body }, by a connection of its own. */
  get (path, headers = {}) {
    return this.request('GET', path, headers)
  }

  request (method, path, headers = {}) {
    const options = { port: this.port, method, path, headers, agent: false }
    return new Promise((resolve, reject) => {
      const request = http.request(options, async (response) => {
        const parts = await response.setEncoding('utf8').toArray().catch(reject)
        resolve({ status: response.statusCode, headers: response.headers, body: parts?.join('') })
      })
      request.once('error', reject).end()
    })
  }
}

/** What `look` gives, as soon as it is more than nothing. */
export async function until (look, what) {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (Array.isArray(found) ? found.length > 0 : found) return found
    if (Date.now() > deadline) throw new Error(`there was never ${what}`)
    await sleep(20)
  }
}
