// Metrics: OpenTelemetry's semantic names as Prometheus writes them, and the chassis's own.
//
// Labels are bounded: routes and names, never paths or ids. Two forms: Prometheus' text, and
// OpenMetrics with exemplars for whoever asks for that.

import client from 'prom-client'

const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const DB_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const MESSAGE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const KEY_RESULTS = ['stored', 'replayed', 'mismatched', 'in_use']
const DROP_REASONS = ['queue_full', 'export_failed', 'rejected']
// How the numbers of several processes become one; they are added up where nothing else is said.
const AGGREGATORS = {
  process_start_time_seconds: 'min',
  trunnion_outbox_oldest_age_seconds: 'max'
}
const OF_THE_PROCESS = /^process_(open_fds|max_fds|.*_bytes|start_time_seconds)$/

export function openMetrics () {
  // The library keeps exemplars for a registry of this type alone.
  const registry = new client.Registry(client.Registry.OPENMETRICS_CONTENT_TYPE)
  const registers = [registry]
  const counter = (name, help, labelNames = []) =>
    new client.Counter({ name, help, labelNames, registers })
  const gauge = (name, help, labelNames = []) =>
    new client.Gauge({ name, help, labelNames, registers })
  const histogram = (name, help, buckets, labelNames) =>
    new client.Histogram({ name, help, buckets, labelNames, enableExemplars: true, registers })
  addProcess(registry)
  const metrics = {
    registry,
    requestDuration: histogram('http_server_request_duration_seconds',
      'How long requests took, from their first line to the last byte of the answer.',
      HTTP_SECONDS, ['http_request_method', 'http_route', 'http_response_status_code']),
    requestsActive: gauge('http_server_active_requests',
      'Requests that have not been answered yet.'),
    keys: counter('trunnion_idempotency_total',
      'Requests with an Idempotency-Key, by what came of the key.', ['result']),
    queryDuration: histogram('db_client_operation_duration_seconds',
      'From sending a statement to its result.', DB_SECONDS, ['db_operation_name']),
    processDuration: histogram('messaging_process_duration_seconds',
      "From a message's receipt to its outcome.", MESSAGE_SECONDS,
      ['messaging_destination_name', 'messaging_operation_name', 'messaging_system', 'outcome']),
    publishDuration: histogram('messaging_client_operation_duration_seconds',
      "From publishing to the broker's word on it.", MESSAGE_SECONDS,
      ['messaging_destination_name', 'messaging_operation_name', 'messaging_system']),
    duplicates: counter('trunnion_inbox_duplicates_total',
      'Messages that had taken effect before.'),
    retries: counter('trunnion_inbox_retries_total', 'Attempts after a failure that may pass.'),
    deadLetters: counter('trunnion_inbox_dead_letters_total',
      'Messages that were sent to the dead letters.'),
    published: counter('trunnion_outbox_published_total', 'Events that the broker confirmed.'),
    returned: counter('trunnion_outbox_returned_total',
      'Events that came back: no queue is bound.'),
    nacked: counter('trunnion_outbox_nacked_total',
      'Events that the broker or a queue refused.'),
    pending: gauge('trunnion_outbox_pending',
      'Events that wait to be published, counted up to 100000.'),
    oldestAge: gauge('trunnion_outbox_oldest_age_seconds', 'How long the oldest event has waited.'),
    spansExported: counter('trunnion_spans_exported_total', 'Spans that the receiver has taken.'),
    spansDropped: counter('trunnion_spans_dropped_total', 'Spans that were lost, by the reason.',
      ['reason'])
  }
  // Series that are there from the start can be rated from the start.
  for (const result of KEY_RESULTS) metrics.keys.inc({ result }, 0)
  for (const reason of DROP_REASONS) metrics.spansDropped.inc({ reason }, 0)
  for (const [name, aggregator] of Object.entries(AGGREGATORS)) {
    registry.getSingleMetric(name).aggregator = aggregator
  }
  return metrics
}

/** A number that is asked for when somebody looks. */
export function watchGauge (registry, name, help, read, labelNames = []) {
  const collect = function () { read(this) }
  return new client.Gauge({ name, help, labelNames, registers: [registry], collect })
}

export function watchCounter (registry, name, help, read) {
  const collect = function () {
    this.reset()
    this.inc(read())
  }
  return new client.Counter({ name, help, registers: [registry], collect })
}

/** Those that client libraries agree on; Prometheus' lint bars some names of Node's own. */
function addProcess (registry) {
  // The library's own counts only when its two parts, which we leave out, are looked at.
  watchCounter(registry, 'process_cpu_seconds_total',
    'Total user and system CPU time spent in seconds.', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    })
  const all = new client.Registry()
  client.collectDefaultMetrics({ register: all })
  for (const metric of all.getMetricsAsArray()) {
    if (OF_THE_PROCESS.test(metric.name)) registry.registerMetric(metric)
  }
}

// ---- Pages ---------------------------------------------------------------------

/** `processes`: of each one, what its registry's getMetricsAsJSON() gives. */
export async function metricsPage (processes, asOpenMetrics) {
  const type = asOpenMetrics
    ? client.Registry.OPENMETRICS_CONTENT_TYPE
    : client.Registry.PROMETHEUS_CONTENT_TYPE
  const exemplars = newestExemplars(processes)
  const page = new client.Registry(type)
  for (const metric of client.AggregatorRegistry.aggregate(processes).getMetricsAsArray()) {
    page.registerMetric(viewOf(metric, exemplars, asOpenMetrics))
  }
  const text = await page.metrics()
  return { type, text: asOpenMetrics ? withUnits(text) : text }
}

/** The library leaves out what it could tell by the names. */
const withUnits = (text) => text.replace(/^# TYPE (\S+_(seconds|bytes)) .*$/gm, '$&\n# UNIT $1 $2')

/** The library renames counters in place as it writes OpenMetrics, so it is given views of them. */
function viewOf (metric, exemplars, asOpenMetrics) {
  const name = asOpenMetrics && metric.type === 'counter'
    ? metric.name.replace(/_total$/, '')
    : metric.name
  const values = metric.values.map((value) =>
    ({ ...value, exemplar: exemplars.get(seriesOf(value)) }))
  return { name, type: metric.type, get: () => ({ ...metric, name, values }) }
}

/** The library adds up numbers and drops their exemplars. */
function newestExemplars (processes) {
  const newest = new Map()
  for (const value of processes.flat().flatMap(({ values }) => values)) {
    if (!value.exemplar) continue
    const series = seriesOf(value)
    const known = newest.get(series)
    if (known === undefined || known.timestamp < value.exemplar.timestamp) {
      newest.set(series, value.exemplar)
    }
  }
  return newest
}

const seriesOf = ({ metricName, labels }) =>
  `${metricName} ${Object.entries(labels).sort().join(' ')}`
