// Spans of messages, with the attributes of OpenTelemetry's conventions for RabbitMQ.

import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { contextOf, failSpan, now } from '../telemetry/tracing.js'

/** exchange:routing_key:queue, as far as they are there and differ. */
function destinationOf ({ exchange, routingKey }, queue) {
  const parts = [exchange, routingKey, queue === routingKey ? '' : queue].filter(Boolean)
  return parts.join(':') || 'amq.default'
}

function attributesOf (message, operation, type, destination) {
  return {
    'messaging.system': 'rabbitmq',
    'messaging.operation.name': operation,
    'messaging.operation.type': type,
    'messaging.destination.name': destination,
    'messaging.rabbitmq.destination.routing_key': message.routingKey || undefined,
    'messaging.message.id': message.id || undefined,
    'messaging.message.conversation_id': message.correlationId || undefined
  }
}

/** The span of a message's way through the service: a child of whoever published it, and linked. */
export function startProcess (tracer, message, queue) {
  const parent = contextOf(message.headers)
  const publisher = trace.getSpanContext(parent)
  const destination = destinationOf(message, queue)
  return tracer.startSpan(`process ${destination}`, {
    kind: SpanKind.CONSUMER,
    startTime: now(),
    links: publisher === undefined ? [] : [{ context: publisher }],
    attributes: {
      ...attributesOf(message, 'process', 'process', destination),
      'messaging.rabbitmq.message.delivery_tag': message.deliveryTag
    }
  }, parent)
}

export function endSpan (span, errorType, why) {
  if (errorType !== undefined) failSpan(span, errorType, why)
  span.end(now())
}

/** The span of a publishing, and the headers that name it to whoever reads the message. A message
 * whose trace is not kept goes out as it is. */
export function startPublish (tracer, message) {
  const parent = contextOf(message.headers)
  if (trace.getSpanContext(parent) === undefined) return { headers: message.headers }
  const destination = destinationOf(message, '')
  const span = tracer.startSpan(`publish ${destination}`, {
    kind: SpanKind.PRODUCER,
    startTime: now(),
    attributes: attributesOf(message, 'publish', 'send', destination)
  }, parent)
  if (!span.isRecording()) return { headers: message.headers }
  const headers = { ...message.headers }
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), headers)
  return { headers, span }
}

export const contextWith = (span) => trace.setSpan(ROOT_CONTEXT, span)
export const within = (span, work) => context.with(contextWith(span), work)
