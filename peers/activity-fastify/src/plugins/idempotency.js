// Idempotency keys: a request that is sent again is answered with what the first one was answered.
//
// A key is a row: the request's fingerprint and the finished answer, written in the transaction of
// the effect. The rows are those of the service in C, so either implementation replays what the
// other has stored. Within this process a second request is turned away while the first is on its
// way; elsewhere the row's primary key sees to it. Whatever a request failed with, the key is
// looked up once more, for the failure may be the shadow of its own twin.

import crypto from 'node:crypto'
import fp from 'fastify-plugin'
import { kindOf } from '../database/errors.js'
import { queryOf } from '../http/paths.js'
import { Problem, busy } from '../problems.js'

const KEY_MAX = 255
const BARE = /^[!-~]+$/
const QUOTED = /^"((?:[!#-[\]-~]|\\["\\])*)"$/

const findKey = {
  name: 'trunnion_find_key',
  text: `SELECT fingerprint, status, headers, body, expires_at <= now() AS expired
    FROM trunnion_idempotency WHERE id = $1`
}
const dropExpiredKey = {
  name: 'trunnion_drop_expired_key',
  text: 'DELETE FROM trunnion_idempotency WHERE id = $1 AND expires_at <= now()'
}
const insertKey = {
  name: 'trunnion_insert_keys',
  text: `INSERT INTO trunnion_idempotency (id, fingerprint, status, headers, body, expires_at)
    VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))`
}

async function idempotency (app, { config, database, metrics }) {
  const atWork = new Set()
  const count = (result) => metrics.keys.inc({ result })

  /** The text to answer with: work(run)'s value, once for each key. run(query, values) is in the
   * transaction that stores the answer too. */
  app.decorateReply('once', async function (status, work) {
    const key = readKey(this.request)
    if (atWork.has(key.id)) {
      count('in_use')
      throw inUse()
    }
    atWork.add(key.id)
    try {
      return await replay(this, key) ?? await first(this, key, status, work)
    } finally {
      atWork.delete(key.id)
    }
  })

  async function first (reply, key, status, work) {
    reply.code(status)
    try {
      const body = await database.transaction(async (run) => {
        const text = reply.serialize(await work(run))
        await store(run, key, status, text)
        return text
      })
      count('stored')
      reply.type('application/json')
      return body
    } catch (error) {
      return await afterFailure(reply, key, error)
    }
  }

  async function store (run, key, status, text) {
    const headers = JSON.stringify({ content_type: 'application/json' })
    try {
      await run(insertKey,
        [key.id, key.fingerprint, status, headers, text, config.IDEMPOTENCY_TTL_S])
    } catch (error) {
      throw kindOf(error) === 'busy' ? inUse() : error // Its twin's transaction holds the key.
    }
  }

  async function afterFailure (reply, key, error) {
    const isHopeless = ['unavailable', 'timeout'].includes(kindOf(error))
    const replayed = isHopeless ? undefined : await replay(reply, key)
    if (replayed === undefined) throw error
    return replayed
  }

  /** Undefined when there is nothing to replay. */
  async function replay (reply, key) {
    const [row] = await database.read(findKey, [key.id])
    if (row === undefined) return undefined
    if (row.expired) {
      await database.write(dropExpiredKey, [key.id])
      return undefined
    }
    if (row.fingerprint !== key.fingerprint) {
      count('mismatched')
      throw new Problem('idempotency-key-reused',
        'This Idempotency-Key was used for a request with another body or query.')
    }
    count('replayed')
    return answerAgain(reply, row)
  }
}

const inUse = () => busy('idempotency-key-in-use', 1,
  'A request with this Idempotency-Key is being worked on.')

/** The stored status and headers; gives the stored text. */
function answerAgain (reply, row) {
  const { content_type: type, location, etag } = JSON.parse(row.headers)
  reply.code(row.status).header('Idempotent-Replayed', 'true')
  if (location !== undefined) reply.header('Location', location)
  if (etag !== undefined) reply.header('ETag', etag)
  if (type !== undefined) reply.type(type)
  return row.body
}

// ---- The key -----------------------------------------------------------------------

function keyText (field) {
  if (field === undefined) {
    throw new Problem('idempotency-key-missing',
      'Send an Idempotency-Key of your own, such as a UUID, and the same one on each retry.')
  }
  const text = field.startsWith('"')
    ? QUOTED.exec(field)?.[1].replace(/\\(.)/g, '$1')
    : BARE.exec(field)?.[0]
  if (text !== undefined && text.length >= 1 && text.length <= KEY_MAX) return text
  throw new Problem('idempotency-key-invalid',
    `An Idempotency-Key has 1 to ${KEY_MAX} visible ASCII characters.`)
}

function readKey (request) {
  const { headers, raw, path } = request
  const key = keyText(headers['idempotency-key'])
  const principal = headers['x-authentik-uid'] || headers['x-authentik-username'] || ''
  const id = digest(principal, raw.method, path, key).subarray(0, 16)
  const body = request.body ?? ''
  return {
    id: id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    fingerprint: digest(raw.method, path, queryOf(raw.url), body).toString('base64url')
  }
}

/** SHA-256 of the parts with NULs between, which none but the last can hold. */
function digest (...parts) {
  const hash = crypto.createHash('sha256')
  parts.forEach((part, i) => {
    hash.update(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    if (i < parts.length - 1) hash.update('\0')
  })
  return hash.digest()
}

export default fp(idempotency, { name: 'idempotency', dependencies: ['requests'] })
