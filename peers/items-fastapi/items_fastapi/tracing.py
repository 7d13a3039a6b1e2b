"""Traces through the official SDK: who samples, who exports, and what goes into a message.

A span that a client's request caused is a child of the client's; the context of the request travels
in the outbox row and in the message, so that one trace runs through all services.
"""

import os
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from . import SERVICE, VERSION
from .logs import log
from .metrics import SPANS_DROPPED, SPANS_EXPORTED
from .settings import Settings
from .shared import Shared

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACESTATE_MAX = 512
_FLUSH_MS = 3000  # A collector that hangs must not hold up the end.
_SAMPLERS = {
    "always_on": lambda ratio: sampling.ALWAYS_ON,
    "always_off": lambda ratio: sampling.ALWAYS_OFF,
    "traceidratio": sampling.TraceIdRatioBased,
    "parentbased_always_on": lambda ratio: sampling.ParentBased(sampling.ALWAYS_ON),
    "parentbased_always_off": lambda ratio: sampling.ParentBased(sampling.ALWAYS_OFF),
    "parentbased_traceidratio": lambda ratio: sampling.ParentBased(
        sampling.TraceIdRatioBased(ratio)),
}


class CountingExporter(SpanExporter):
    """Counts what arrives and what is lost, and says so when that changes, not each time."""

    def __init__(self, inner: SpanExporter, shared: Shared):
        self._inner, self._shared = inner, shared
        self._well, self._has_the_word = True, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        well = result is SpanExportResult.SUCCESS
        counter = SPANS_EXPORTED if well else SPANS_DROPPED.labels("export_failed")
        counter.inc(len(spans))
        if well is not self._well:
            self._say(well)
        return result

    def _say(self, well: bool) -> None:
        self._well = well
        if not well and self._shared.take_the_word():
            self._has_the_word = True
            log.warning("spans can't be exported")
        elif well and self._has_the_word:
            self._has_the_word = False
            log.info("spans are exported again")
            self._shared.give_the_word()

    def shutdown(self) -> None:
        self._inner.shutdown()


class CountingProcessor(BatchSpanProcessor):
    """The SDK drops the oldest spans of a full queue without counting them."""

    def on_end(self, span: ReadableSpan) -> None:
        queue = self._batch_processor._queue
        if span.context.trace_flags.sampled and len(queue) == queue.maxlen:
            SPANS_DROPPED.labels("queue_full").inc()
        super().on_end(span)


def _exporter(settings: Settings) -> SpanExporter:
    pairs = [part.split("=", 1) for part in settings.otel_exporter_otlp_headers.split(",") if part]
    packed = settings.otel_exporter_otlp_compression == "gzip"
    return OTLPSpanExporter(
        endpoint=settings.traces_endpoint,
        certificate_file=settings.otel_exporter_otlp_certificate or None,
        headers={name.strip(): unquote(value.strip()) for name, value in pairs},
        # The SDK's is for all tries together.
        timeout=min(settings.otel_exporter_otlp_timeout, settings.otel_bsp_export_timeout) / 1000,
        compression=Compression.Gzip if packed else Compression.NoCompression)


def _resource(settings: Settings, service_pid: int) -> Resource:
    """`process.pid` is the one that an operator sees and signals, not that of a worker."""
    own = {"service.name": SERVICE, "service.version": VERSION,
           "service.instance.id": str(uuid4()), "process.pid": service_pid,
           "host.name": os.uname().nodename, "os.type": "linux"}
    pairs = [part.split("=", 1) for part in settings.otel_resource_attributes.split(",") if part]
    own |= {name.strip(): unquote(value.strip()) for name, value in pairs}
    if settings.otel_service_name:
        own["service.name"] = settings.otel_service_name
    return Resource.create(own)


class Tracing:
    """The tracer of one process. Opened after the fork, for it has a thread."""

    def __init__(self, settings: Settings, shared: Shared):
        sampler = _SAMPLERS[settings.otel_traces_sampler](settings.otel_traces_sampler_arg)
        self._provider = TracerProvider(sampler, _resource(settings, shared.service_pid),
                                        shutdown_on_exit=False)
        if settings.traces_endpoint:
            self._provider.add_span_processor(CountingProcessor(
                CountingExporter(_exporter(settings), shared),
                max_queue_size=settings.otel_bsp_max_queue_size,
                schedule_delay_millis=settings.otel_bsp_schedule_delay,
                max_export_batch_size=min(settings.otel_bsp_max_export_batch_size,
                                          settings.otel_bsp_max_queue_size),
                export_timeout_millis=settings.otel_bsp_export_timeout))
        self.tracer = self._provider.get_tracer("items_fastapi", VERSION)

    def close(self) -> None:
        for processor in self._provider._active_span_processor._span_processors:
            processor._batch_processor.shutdown(_FLUSH_MS)


def parent_of(headers: Mapping[str, str]):
    """The context that a request or a row carries; an empty one when it carries none."""
    carrier = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
    if len(carrier.get("tracestate", "")) > _TRACESTATE_MAX:
        del carrier["tracestate"]
    return _PROPAGATOR.extract(carrier, trace.set_span_in_context(trace.INVALID_SPAN))


def carried(span: trace.Span) -> dict[str, str]:
    """What a message caused by this span carries."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
    return carrier


def ratio_keeps(ratio: float, trace_id: int) -> bool:
    """The same traces as a sampler of that ratio."""
    return trace_id & (2**64 - 1) < round(ratio * 2**64)


def server_address(host: str) -> dict[str, str | int]:
    """host, host:port, [address] or [address]:port (RFC 9110 7.2)."""
    found = re.fullmatch(r"(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?", host)
    if not found or not host:
        return {}
    address = {"server.address": found[1] or found[2] or ""}
    return address | ({"server.port": int(found[3])} if found[3] else {})
