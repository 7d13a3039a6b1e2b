// Dead letters: published with their reason, and drained from their queue into the table.
//
// Whoever dies in between leaves a second copy, which the table's key makes one row.

import { hash64, wrap64 } from '../http/hash.js'
import { UUID, propertiesOf, readMessage } from './message.js'
import { DEAD, FIRST_KEY_HEADER, REASON_HEADER, queueOf } from './topology.js'

const REASON_MAX = 4000
const HEADERS_MAX = 32
const OF_THE_DEATH = /^x-(death|first-|last-)/

const keep = {
  name: 'trunnion_dead_letter_keep',
  text: `INSERT INTO trunnion_dead_letters (id, type, source_service, routing_key, correlation_id,
      reason, headers, body, occurred_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9))
    ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, headers = excluded.headers,
      body = excluded.body, died_at = now(), deaths = trunnion_dead_letters.deaths + 1,
      replayed_at = NULL`
}

/** Publishes a message that can't take effect; the fate of that. */
export function bury (link, service, message, reason) {
  const headers = { ...message.headers, [REASON_HEADER]: reason.slice(0, REASON_MAX) }
  const key = `${service}.${message.key}`
  return link.publish(DEAD, key, message.body, propertiesOf(message, headers))
}

/** Writes a delivery of the dead letters' queue into the table. */
export async function store (database, service, delivery) {
  const message = readMessage(delivery)
  const key = firstKeyOf(service, message)
  await database.write(keep, [
    idOf(message, key),
    ...[message.type || key, message.appId, key, message.correlationId, reasonOf(message),
      JSON.stringify(headersOf(message, key)), message.body.toString('utf8')].map(storable),
    message.timestamp
  ])
}

/** PostgreSQL's text holds no NUL; U+FFFD stands for what it can't hold. */
const storable = (text) => text.replaceAll('\0', '\ufffd')

/** Ours came under <service>.<key>; the broker's own under <service>, with the key that the message
 * had when it died. */
function firstKeyOf (service, message) {
  const ours = message.routingKey.slice(service.length + 1)
  if (ours !== '') return ours
  const { deathRoutingKey } = message
  if (deathRoutingKey !== '' && deathRoutingKey !== queueOf(service)) return deathRoutingKey
  return message.headers[FIRST_KEY_HEADER] || message.type
}

function reasonOf ({ headers }) {
  if (headers[REASON_HEADER]) return headers[REASON_HEADER]
  const brokers = headers['x-first-death-reason']
  if (brokers === 'delivery_limit') return 'it was delivered too often without taking effect'
  return brokers ? `the broker: ${brokers}` : 'unknown'
}

/** The headers for the way back: without those of the death, and with the first routing key where
 * the type doesn't tell it. */
function headersOf (message, key) {
  const kept = Object.entries(message.headers).filter(([name]) => !OF_THE_DEATH.test(name))
  const headers = Object.fromEntries(kept.slice(0, HEADERS_MAX - 1))
  if (message.type !== '' && message.type !== key) headers[FIRST_KEY_HEADER] = key
  return headers
}

/** One that came without a UUID gets the same one each time that it comes: from its contents, as
 * version 8 (RFC 9562 5.8). */
function idOf (message, key) {
  if (UUID.test(message.id)) return message.id.toLowerCase()
  const hash = (text) => hash64(Buffer.from(text))
  const first = wrap64(hash64(message.body) * 31n + hash(key))
  const second = wrap64(hash(message.id) * 31n + hash(message.correlationId) +
    first * 0x9e3779b97f4a7c15n + BigInt(message.timestamp ?? 0))
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(first, 0)
  bytes.writeBigUInt64LE(second, 8)
  bytes[6] = (bytes[6] & 0x0f) | 0x80
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
