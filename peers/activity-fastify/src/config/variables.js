// The table of all variables: docs/guides/configuration.md as a program reads it.
//
// The same names, defaults and bounds as the service in C has, so that one environment serves
// either.

import os from 'node:os'
import * as check from './checks.js'

const WORKERS_MAX = 64

const whole = (min, max, fallback) => ({ kind: 'integer', min, max, fallback: String(fallback) })
const ratio = (fallback) => ({ kind: 'real', min: 0, max: 1, fallback: String(fallback) })
const flag = (fallback) => ({ kind: 'boolean', fallback: String(fallback) })
const choice = (fallback, ...choices) => ({ kind: 'choice', choices, fallback })
const text = (options = {}) => ({ kind: 'text', fallback: '', ...options })
const url = (allowed, fits, options = {}) => ({
  kind: 'text', secret: 'url', allowed, fits, fallback: '', ...options
})

export const GROUPS = {
  'Where it listens, and what it talks to': {
    HOST: {
      ...text({ fallback: '0.0.0.0', fits: check.isHost, allowed: 'an address or a host name' }),
      help: 'The address to listen on.'
    },
    PORT: {
      ...whole(0, 65535, 8080),
      help: 'The TCP port to listen on; 0 takes a free one and logs it.'
    },
    DATABASE_URL: {
      ...url('postgresql://user:password@host:port/database', check.isDatabaseUrl),
      needed: true,
      help: "The service's own PostgreSQL database."
    },
    AMQP_URL: {
      ...url('amqp://user:password@host:port/vhost, or amqps://', check.isAmqpUrl),
      needed: 'to run',
      help: 'RabbitMQ. Needed when the service publishes or listens.'
    },
    EVENT_CONSUMERS: {
      ...text({ fits: check.isConsumers, allowed: 'service=pattern, separated by commas' }),
      help: 'Queues to declare for known consumers, so that no event is lost before their first' +
        ' start.'
    },
    MIGRATE: {
      ...flag(true),
      help: 'Apply the migrations at the start. When false, it waits until --migrate has.'
    },
    DATABASE_POOL_MAX: {
      ...whole(1, 64, 4),
      help: 'Connections of a worker for transactions that wait for rows, besides its two shared' +
        ' ones.'
    },
    DATABASE_BATCH_MAX: {
      ...whole(1, 1024, 128),
      help: 'Transactions that may share a batch.'
    },
    DATABASE_LOCK_TIMEOUT_MS: {
      ...whole(1, 60000, 500),
      help: 'How long a statement waits for a lock before its request is turned away.'
    }
  },
  'How much it takes on': {
    WORKERS: {
      ...whole(1, WORKERS_MAX, Math.min(os.availableParallelism(), WORKERS_MAX)),
      shown: 'the number of cores',
      help: 'Event loops, each a process when there are several.'
    },
    CONNECTIONS_MAX: { ...whole(1, 100000, 4096), help: 'Connections of the whole process.' },
    REQUESTS_MAX: { ...whole(1, 100000, 1024), help: 'Requests at work at once; 503 beyond.' },
    STREAMS_MAX: { ...whole(0, 100000, 256), help: 'Open event streams; 503 beyond.' },
    BODY_BYTES_MAX: { ...whole(0, 64 << 20, 1 << 20), help: 'The largest body; 413 beyond.' },
    HEADER_BYTES_MAX: {
      ...whole(1024, 1 << 20, 8192),
      help: 'The largest block of headers; 431 beyond.'
    },
    REQUEST_TIMEOUT_MS: {
      ...whole(1, 600000, 5000),
      help: 'How long a request may be worked on; 504 beyond.'
    },
    READ_TIMEOUT_MS: {
      ...whole(1, 600000, 10000),
      help: 'How long a client may take to send its request; 408 beyond.'
    },
    IDLE_TIMEOUT_MS: {
      ...whole(1, 3600000, 75000),
      help: 'How long a connection is kept without a request.'
    },
    READINESS_DELAY_MS: {
      ...whole(0, 600000, 0),
      help: 'How long, when it is told to stop, it goes on serving with readiness off, so that a' +
        ' load balancer can notice.'
    },
    DRAIN_TIMEOUT_MS: {
      ...whole(100, 600000, 15000),
      help: 'What requests and messages in hand get to finish in after that.'
    }
  },
  Promises: {
    IDEMPOTENCY_TTL_S: {
      ...whole(1, 31536000, 86400),
      help: 'How long the answer to an Idempotency-Key is kept.'
    },
    INBOX_TTL_S: {
      ...whole(60, 31536000, 604800),
      help: 'How long the id of a message is remembered, so that it takes effect once.'
    },
    OUTBOX_BATCH_MAX: { ...whole(1, 4096, 256), help: 'Events published in one go.' },
    OUTBOX_POLL_MS: {
      ...whole(10, 60000, 1000),
      help: 'How often the outbox is looked at without being woken.'
    },
    CONSUMER_PREFETCH: { ...whole(1, 4096, 256), help: 'Messages in hand at once.' },
    CONSUMER_RETRIES_MAX: {
      ...whole(0, 100, 5),
      help: 'Tries after a failure that may pass, before the message waits in the queue again.'
    }
  },
  'Who may call, and what is told': {
    CORS_ALLOWED_ORIGINS: {
      ...text({
        fits: check.isOrigins,
        allowed: 'origins such as https://app.example, separated by commas, or *'
      }),
      help: 'Web pages that may call.'
    },
    LOG_LEVEL: {
      ...choice('info', 'debug', 'info', 'warn', 'error'),
      help: 'The least level that is logged. SIGUSR1 lowers it while running, SIGUSR2 raises it.'
    },
    ACCESS_LOG: { ...flag(true), help: 'Log each request and each message.' },
    ACCESS_LOG_RATIO: {
      ...ratio(1),
      help: 'The part of them that is logged, by trace id; all that fail (5xx) are.'
    }
  },
  'Telemetry, by the names of OpenTelemetry': {
    OTEL_SERVICE_NAME: { ...text(), shown: "the service's name", help: 'service.name.' },
    OTEL_RESOURCE_ATTRIBUTES: {
      ...text({
        fits: check.isAttributes,
        allowed: 'key=value, separated by commas, percent-encoded'
      }),
      help: 'Attributes of the resource.'
    },
    OTEL_EXPORTER_OTLP_ENDPOINT: {
      ...url('http://host:port or https://', check.isHttpUrl),
      help: 'The collector; spans are posted to /v1/traces below it. Without one, and without the' +
        ' next, none are exported.'
    },
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
      ...url('http://host:port/path or https://', check.isHttpUrl),
      help: 'Where spans are posted to, as it is.'
    },
    OTEL_EXPORTER_OTLP_PROTOCOL: {
      ...choice('http/protobuf', 'http/protobuf'),
      help: 'How spans are sent.'
    },
    OTEL_EXPORTER_OTLP_HEADERS: {
      ...text({
        secret: 'text',
        fits: check.isAttributes,
        allowed: 'key=value, separated by commas, percent-encoded'
      }),
      help: 'Header fields to send with them, such as authorization.'
    },
    OTEL_EXPORTER_OTLP_CERTIFICATE: {
      ...text(),
      help: "A PEM file of authorities to trust instead of the system's."
    },
    OTEL_EXPORTER_OTLP_COMPRESSION: {
      ...choice('none', 'none', 'gzip'),
      help: 'gzip costs CPU; over a network that costs more, it pays.'
    },
    OTEL_EXPORTER_OTLP_TIMEOUT: {
      ...whole(1, 600000, 10000),
      help: 'How long the collector may take to answer, in milliseconds.'
    },
    OTEL_TRACES_SAMPLER: {
      ...choice('parentbased_always_on', 'always_on', 'always_off', 'traceidratio',
        'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'),
      help: 'Which traces are kept.'
    },
    OTEL_TRACES_SAMPLER_ARG: { ...ratio(1), help: 'The ratio of the samplers that have one.' },
    OTEL_BSP_SCHEDULE_DELAY: {
      ...whole(1, 3600000, 1000),
      help: 'How long a span waits for others to be sent with, in milliseconds.'
    },
    OTEL_BSP_EXPORT_TIMEOUT: {
      ...whole(1, 3600000, 30000),
      help: 'How long spans that are not taken are sent again, in milliseconds.'
    },
    OTEL_BSP_MAX_QUEUE_SIZE: {
      ...whole(1, 1000000, 8192),
      help: 'Spans of each thread that may wait; beyond that they are dropped and counted.'
    },
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: { ...whole(1, 100000, 512), help: 'Spans sent in one message.' }
  }
}

export const VARIABLES = Object.assign({}, ...Object.values(GROUPS))

/** What a variable may be set to, in words. */
export function allowedOf (variable) {
  switch (variable.kind) {
    case 'integer': return `a whole number from ${variable.min} to ${variable.max}`
    case 'real': return `a number from ${variable.min} to ${variable.max}`
    case 'boolean': return 'true or false'
    case 'choice': return inWords(variable.choices)
    default: return variable.allowed ?? 'any text'
  }
}

function inWords (choices) {
  return choices.length === 1
    ? choices[0]
    : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
}
