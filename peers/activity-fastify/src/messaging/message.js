// What a delivery says: its properties, its headers, its body; and whether it is fit to be handled.

import { parseStrictly } from './json.js'
import { FIRST_KEY_HEADER } from './topology.js'
import { faultsOf, itemEventIsValid } from '../contract/validation.js'

const HEADERS_MAX = 32
const BODY_BYTES_MAX = 16 << 20
// The last second of the year 9999, the last year that RFC 3339 can write.
const TIMESTAMP_S_MAX = 253402300799
const REASON_MAX = 2000

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** String headers; others are left out. */
function headersOf (table = {}) {
  const strings = Object.entries(table)
    .filter(([, value]) => typeof value === 'string' || Buffer.isBuffer(value))
    .slice(0, HEADERS_MAX)
  return Object.fromEntries(strings.map(([name, value]) => [name, value.toString()]))
}

/** A delivery of amqplib, read into what the contract speaks of. */
export function readMessage ({ fields, properties, content }) {
  const headers = headersOf(properties.headers)
  const { timestamp } = properties
  const message = {
    exchange: fields.exchange,
    routingKey: fields.routingKey,
    deliveryTag: fields.deliveryTag,
    deliveries: Number(properties.headers?.['x-delivery-count'] ?? 0) + 1,
    id: properties.messageId ?? '',
    type: properties.type ?? '',
    appId: properties.appId ?? '',
    correlationId: properties.correlationId || headers.correlation_id || '',
    contentType: properties.contentType ?? '',
    timestamp: timestamp > 0 && timestamp <= TIMESTAMP_S_MAX ? timestamp : undefined,
    deathRoutingKey: properties.headers?.['x-death']?.[0]?.['routing-keys']?.[0]?.toString() ?? '',
    headers,
    body: content
  }
  message.key = firstKeyOf(message)
  return message
}

/** A message that was sent back to its queue alone comes by the default exchange, under the queue's
 * name. */
function firstKeyOf (message) {
  if (message.exchange !== '') return message.routingKey
  return message.headers[FIRST_KEY_HEADER] || message.type
}

/** The properties to publish it with again. */
export function propertiesOf (message, headers) {
  return {
    messageId: message.id || undefined,
    type: message.type || undefined,
    appId: message.appId || undefined,
    correlationId: message.correlationId || undefined,
    contentType: message.contentType || undefined,
    timestamp: message.timestamp,
    deliveryMode: 2,
    headers
  }
}

/** A message that no second try will make fit to take effect. */
export class Poison extends Error {}

/** The event, or Poison with the reason. */
export function eventOf (message) {
  if (message.id === '') throw new Poison('it has no message_id')
  if (!UUID.test(message.id)) throw new Poison('its message_id is no UUID')
  if (message.body.length > BODY_BYTES_MAX) throw new Poison('its body is longer than 16 MiB')
  if (!/^item\.[^.]*$/.test(message.key)) {
    throw new Poison(`nothing subscribes to ${message.key}`)
  }
  const event = bodyOf(message)
  return { ...event, eventId: message.id.toLowerCase(), type: message.type || message.key }
}

function bodyOf (message) {
  const event = parsed(message.body)
  if (!itemEventIsValid(event)) {
    const faults = faultsOf(itemEventIsValid.errors).map(({ pointer, detail }) =>
      pointer === '' ? detail : `${pointer}: ${detail}`)
    throw unexpected(faults.join('; '))
  }
  return event
}

function parsed (body) {
  try {
    return parseStrictly(body)
  } catch (error) {
    throw unexpected(error.message)
  }
}

const unexpected = (why) =>
  new Poison(`the body is not what is expected: ${why}`.slice(0, REASON_MAX))
