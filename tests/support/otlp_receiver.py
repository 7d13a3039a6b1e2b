"""A receiver of OTLP over HTTP that takes nothing on trust: the program behind support.otlp.

It decodes with the official definitions, and writes down as a fault whatever they, or the
specification, don't know: a field without a definition, an id that is none, a span that ends before
it begins, a string that isn't UTF-8 (which doesn't decode at all). Runs in the environment that
tools/otlp-proto/make makes:

    otlp_receiver.py PORT

    POST /v1/traces     as a collector
    GET  /spans         {"spans": [...], "faults": [...], "requests": [...]}
    POST /orders        a list of answers to give before all is well again: {"status": 503,
                        "retry_after": "1", "message": "...", "rejected": 2, "hang_s": 1}
    POST /forget        the spans so far
"""

import gzip
import json
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import unknown_fields
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

LOCK = threading.Lock()
SPANS: list[dict] = []
FAULTS: list[str] = []
REQUESTS: list[dict] = []
ORDERS: deque = deque()
BATCH_MAX = 512


def fault(text: str) -> None:
    FAULTS.append(text)


# ---- Decoding -----------------------------------------------------------------------


def look_for_unknown(message, where: str) -> None:
    for one in unknown_fields.UnknownFieldSet(message):
        fault(f"{where}: field {one.field_number} (wire type {one.wire_type}) is not defined")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if field.is_repeated else [value]:
            look_for_unknown(part, f"{where}.{field.name}")


def value_of(value):
    kind = value.WhichOneof("value")
    if kind not in ("string_value", "bool_value", "int_value", "double_value"):
        fault(f"a value of the kind {kind}")
        return None
    return getattr(value, kind)


def attributes_of(owner, where: str) -> dict:
    found = {}
    for pair in owner.attributes:
        if not pair.key or pair.key in found:
            fault(f"{where}: the attribute {pair.key!r} has no name, or comes twice")
        found[pair.key] = value_of(pair.value)
    return found


def id_of(raw: bytes, length: int, where: str) -> str:
    if len(raw) != length or not any(raw):
        fault(f"{where}: {raw.hex()!r} is no id of {length} bytes")
    return raw.hex()


def link_of(link, where: str) -> dict:
    return {"trace_id": id_of(link.trace_id, 16, where), "span_id": id_of(link.span_id, 8, where),
            "flags": link.flags}


def span_of(span: Span, resource: dict, scope: dict) -> dict:
    where = f"span {span.name!r}"
    if not span.name or span.kind == Span.SPAN_KIND_UNSPECIFIED:
        fault(f"{where}: has no name or no kind")
    if span.end_time_unix_nano < span.start_time_unix_nano:
        fault(f"{where}: ends before it begins")
    if abs(span.start_time_unix_nano / 1e9 - time.time()) > 3600:
        fault(f"{where}: began at {span.start_time_unix_nano}, which is not about now")
    if not span.flags & SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK:
        fault(f"{where}: doesn't say whether its parent is remote")
    return {
        "trace_id": id_of(span.trace_id, 16, where),
        "span_id": id_of(span.span_id, 8, where),
        "parent_id": id_of(span.parent_span_id, 8, where) if span.parent_span_id else None,
        "parent_is_remote": bool(span.flags & SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK),
        "trace_flags": span.flags & SpanFlags.SPAN_FLAGS_TRACE_FLAGS_MASK,
        "tracestate": span.trace_state,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": attributes_of(span, where),
        "links": [link_of(link, where) for link in span.links],
        "dropped_links": span.dropped_links_count,
        "failed": span.status.code == Status.STATUS_CODE_ERROR,
        "why": span.status.message,
        "resource": resource,
        "scope": scope,
        "service": resource.get("service.name"),
    }


def is_ours(message) -> bool:
    """Made by the library's own encoder; what the official SDKs make is their own affair."""
    return any(attribute.key == "telemetry.sdk.name" and attribute.value.string_value == "trunnion"
               for spans in message.resource_spans for attribute in spans.resource.attributes)


def decode(body: bytes) -> list[dict]:
    message = ExportTraceServiceRequest.FromString(body)
    look_for_unknown(message, "request")
    again = message.SerializeToString()
    if is_ours(message) and len(again) != len(body):
        fault(f"{len(body)} bytes where {len(again)} say the same")
    spans = []
    for resource_spans in message.resource_spans:
        resource = attributes_of(resource_spans.resource, "resource")
        for scope_spans in resource_spans.scope_spans:
            scope = {"name": scope_spans.scope.name, "version": scope_spans.scope.version,
                     "schema_url": scope_spans.schema_url}
            if scope_spans.schema_url != resource_spans.schema_url:
                fault("the resource and the scope follow different conventions")
            spans += [span_of(span, resource, scope) for span in scope_spans.spans]
    if not 0 < len(spans) <= BATCH_MAX:
        fault(f"a message with {len(spans)} spans")
    return spans


# ---- Answering ----------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status: int, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self.chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def chunk(self) -> bytes:
        """The next one (RFC 9112 7.1); the last is empty. Nobody sends trailers here."""
        data = self.rfile.read(int(self.rfile.readline().split(b";")[0], 16))
        self.rfile.readline()
        return data

    def do_GET(self):
        with LOCK:
            told = {"spans": SPANS, "faults": FAULTS, "requests": REQUESTS}
            body = json.dumps(told).encode()
        self.reply(200, body, "application/json")

    def do_POST(self):
        body = self.body()
        if self.path == "/orders":
            with LOCK:
                ORDERS.extend(json.loads(body))
        elif self.path == "/forget":
            with LOCK:
                SPANS.clear()
                REQUESTS.clear()
        else:
            self.export(body)
            return
        self.reply(204, b"", "application/json")

    def export(self, body: bytes) -> None:
        with LOCK:
            order = ORDERS.popleft() if ORDERS else {}
        time.sleep(order.get("hang_s", 0))
        status = order.get("status", 200)
        with LOCK:
            REQUESTS.append({"path": self.path, "status": status, "at": time.time(),
                             "bytes": len(body), "headers": dict(self.headers)})
            if status == 200:
                self.take(body)
        extra = {"Retry_After": order["retry_after"]} if "retry_after" in order else {}
        self.reply(status, self.message(order), "application/x-protobuf", **extra)

    def take(self, body: bytes) -> None:
        if self.headers.get("Content-Type") != "application/x-protobuf":
            fault(f"Content-Type: {self.headers.get('Content-Type')}")
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            SPANS.extend(decode(body))
        except Exception as error:  # Whatever it is, it is the sender's.
            fault(f"does not decode: {error!r}")

    @staticmethod
    def message(order: dict) -> bytes:
        said = order.get("message", "")
        if order.get("status", 200) != 200:
            text = said.encode()  # google.rpc.Status: its message is field 2.
            return b"\x12" + bytes([len(text)]) + text if text else b""
        answer = ExportTraceServiceResponse()
        if said or "rejected" in order:
            answer.partial_success.rejected_spans = order.get("rejected", 0)
            answer.partial_success.error_message = said
        return answer.SerializeToString()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
