"""The metrics of one process, by the names that all implementations share."""

from prometheus_client import (CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector,
                               disable_created_metrics)

disable_created_metrics()
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_DATABASE = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_PUBLISH = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUEST_SECONDS = Histogram(
    "http_server_request_duration",
    "How long requests took, from their first line to the last byte of the answer.",
    ("http_request_method", "http_route", "http_response_status_code"), unit="seconds",
    buckets=_HTTP, registry=REGISTRY)
ACTIVE_REQUESTS = Gauge("http_server_active_requests",
                        "Requests that have not been answered yet.", registry=REGISTRY)
KEYS = Counter("trunnion_idempotency",
               "Requests with an Idempotency-Key, by what came of the key.", ("result",),
               registry=REGISTRY)
QUERY_SECONDS = Histogram(
    "db_client_operation_duration", "From sending a statement to its result.",
    ("db_operation_name",), unit="seconds", buckets=_DATABASE, registry=REGISTRY)
CONNECTIONS = Gauge("db_client_connections", "Connections to the database, by state.",
                    ("db_client_connection_state",), registry=REGISTRY)
PUBLISH_SECONDS = Histogram(
    "messaging_client_operation_duration", "From publishing to the broker's word on it.",
    ("messaging_destination_name", "messaging_operation_name", "messaging_system"),
    unit="seconds", buckets=_PUBLISH, registry=REGISTRY).labels("events", "publish", "rabbitmq")
PUBLISHED = Counter("trunnion_outbox_published", "Events that the broker confirmed.",
                    registry=REGISTRY)
RETURNED = Counter("trunnion_outbox_returned", "Events that came back: no queue is bound.",
                   registry=REGISTRY)
NACKED = Counter("trunnion_outbox_nacked", "Events that the broker or a queue refused.",
                 registry=REGISTRY)
PENDING = Gauge("trunnion_outbox_pending",
                "Events that wait to be published, counted up to 100000.", registry=REGISTRY)
OLDEST_AGE = Gauge("trunnion_outbox_oldest_age", "How long the oldest event has waited.",
                   unit="seconds", registry=REGISTRY)
LOG_DROPPED = Counter("trunnion_log_dropped",
                      "Log lines dropped because nobody read standard output fast enough.",
                      registry=REGISTRY)
SPANS_EXPORTED = Counter("trunnion_spans_exported", "Spans that the collector has taken.",
                         registry=REGISTRY)
SPANS_DROPPED = Counter("trunnion_spans_dropped", "Spans that were lost, by the reason.",
                        ("reason",), registry=REGISTRY)

for _result in ("stored", "replayed", "mismatched", "in_use"):
    KEYS.labels(_result)
for _reason in ("queue_full", "export_failed"):
    SPANS_DROPPED.labels(_reason)
