"""The outermost layer: names the request, and tells of it in the log, the metrics and its span."""

import time

import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import metrics
from ..context import RequestContext, headers_of
from ..cors import Cors
from ..ids import request_id
from ..logs import log
from ..routes_table import MalformedPath, RoutesTable, decoded
from ..settings import Settings
from ..tracing import Tracing, parent_of, ratio_keeps, server_address

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
CLIENT_GONE = 499  # The answer found nobody.


class TelemetryMiddleware:
    def __init__(self, app: ASGIApp, settings: Settings, tracing: Tracing, table: RoutesTable):
        self.app, self._tracing, self._table = app, tracing, table
        self._cors = Cors(settings.origins)
        self._log_ratio = settings.access_log_ratio if settings.access_log else 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = self._open(scope)
        status, sent_bytes = CLIENT_GONE, 0

        async def observed(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()), (b"x-request-id", context.request_id.encode()),
                    *self._cors.headers(context.headers.get("origin"))]
            else:
                sent_bytes += len(message.get("body", b""))
                if not message.get("more_body"):
                    # Before the last byte is out, so that whoever has the answer finds its traces.
                    self._close(context, scope, status, sent_bytes)
            await send(message)

        metrics.ACTIVE_REQUESTS.inc()
        try:
            await self.app(scope, receive, observed)
        finally:
            metrics.ACTIVE_REQUESTS.dec()
            if status == CLIENT_GONE:
                self._close(context, scope, CLIENT_GONE, 0)
            structlog.contextvars.clear_contextvars()

    # ---- The beginning ------------------------------------------------------------

    def _open(self, scope: Scope) -> RequestContext:
        headers, raw_path = headers_of(scope["headers"]), scope["raw_path"].decode("latin-1")
        started_ns = time.time_ns()
        malformed, endpoint = False, None
        try:
            scope["path"] = decoded(raw_path)
            endpoint = self._table.find(scope["method"], scope["path"])
        except MalformedPath:
            malformed = True
        if endpoint is not None and endpoint.is_page:
            span = trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)
        else:
            span = self._tracing.tracer.start_span(
                _span_name(scope["method"], endpoint), parent_of(headers), SpanKind.SERVER,
                start_time=started_ns)
        context = RequestContext(
            scope["method"], raw_path, scope["query_string"].decode("latin-1"), headers,
            request_id(headers.get("x-request-id")), span, started_ns, endpoint, malformed)
        scope["state"]["context"] = context
        structlog.contextvars.clear_contextvars()  # Of the one before on this connection.
        structlog.contextvars.bind_contextvars(request_id=context.request_id, **_ids(span))
        # Spans of statements become children of this one. The task is the request's alone.
        trace.context_api.attach(trace.set_span_in_context(span))
        return context

    # ---- The end --------------------------------------------------------------------

    def _close(self, context: RequestContext, scope: Scope, status: int, n_bytes: int) -> None:
        ended_ns = time.time_ns()
        seconds = max(0, ended_ns - context.started_ns) / 1e9
        route = context.endpoint.pattern if context.endpoint else ""
        if status != CLIENT_GONE:
            sampled = context.span.get_span_context().trace_flags.sampled
            metrics.REQUEST_SECONDS.labels(_label(context.method), route, status).observe(
                seconds, _ids(context.span) if sampled else None)
        if self._is_logged(context, status):
            log.info("request", method=context.method, route=route, status=status,
                     duration_ms=round(seconds * 1000, 3), bytes=n_bytes, actor=context.actor)
        if context.span.is_recording():
            _describe(context, scope, route, status)
        context.span.end(ended_ns)

    def _is_logged(self, context: RequestContext, status: int) -> bool:
        """Of those that went well as many as were asked for; all that failed."""
        if self._log_ratio in (0, 1):
            return bool(self._log_ratio)
        return status >= 500 or ratio_keeps(self._log_ratio,
                                            context.span.get_span_context().trace_id)


def _label(method: str) -> str:
    return method if method in _METHODS else "_OTHER"


def _span_name(method: str, endpoint) -> str:
    known = method if method in _METHODS else "HTTP"
    return f"{known} {endpoint.pattern}" if endpoint else known


def _ids(span: trace.Span) -> dict[str, str]:
    context = span.get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _describe(context: RequestContext, scope: Scope, route: str, status: int) -> None:
    """OpenTelemetry's semantic conventions for HTTP servers."""
    attributes = {"http.request.method": _label(context.method), "url.path": context.path,
                  "url.scheme": "http", "network.protocol.version": scope["http_version"]}
    attributes |= server_address(context.headers.get("host", ""))
    if attributes["http.request.method"] == "_OTHER":
        attributes["http.request.method_original"] = context.method
    if route:
        attributes["http.route"] = route
    if status != CLIENT_GONE:
        attributes["http.response.status_code"] = status
    if status >= 500 or status == CLIENT_GONE:
        attributes["error.type"] = "client_gone" if status == CLIENT_GONE else str(status)
        context.span.set_status(Status(StatusCode.ERROR))
    if context.headers.get("user-agent"):
        attributes["user_agent.original"] = context.headers["user-agent"]
    context.span.set_attributes(attributes)
