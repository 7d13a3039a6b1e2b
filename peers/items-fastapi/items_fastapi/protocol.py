"""HTTP/1.1 as Uvicorn speaks it on httptools, with the contract's limits for clients.

Uvicorn has no time limit for a request's arrival, none for the size of its head, and words of its
own for what it can't parse. All three are answered with problems here.
"""

import asyncio
import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .ids import uuid7
from .lingering import LingeringTransport
from .logs import log
from .metrics import REQUEST_SECONDS
from .problems import (BAD_REQUEST, HEADER_TOO_LARGE, MEDIA_TYPE, REQUEST_TIMEOUT, UNAVAILABLE,
                       URI_TOO_LONG, Problem, busy)
from .settings import Settings

_CLOSE = {"Connection": "close"}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_KNOWN = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS".split())
# The parser knows a list of methods, and takes any of them as good as another.
_STAND_IN = b"PROPFIND"
_OVERHEAD = 64  # Of a request line, beside the target.


def protocol_of(settings: Settings) -> type[HttpToolsProtocol]:
    return type("Protocol", (LimitedProtocol,), {
        "head_max": settings.header_bytes_max, "read_timeout_s": settings.read_timeout_ms / 1000,
        "connections_max": settings.per_worker(settings.connections_max)})


class LimitedProtocol(HttpToolsProtocol):
    head_max: int
    read_timeout_s: float
    connections_max: int
    scope, cycle = None, None

    _reading: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0  # Of the head that is being read, as they came.
    _fields_bytes = 0
    _stranger: str | None = None  # A method that the parser doesn't know.
    _refused = False

    # ---- Connections ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(LingeringTransport(transport, self.loop, self._more_may_come))
        if len(self.connections) > self.connections_max:
            self._refuse(busy(UNAVAILABLE, "As many connections are open as may be."))
            self.transport.close_at_once()  # It would be in the place of another.
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_timer()
        self._unset_keepalive_if_required()
        self.transport.close_at_once()
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        """A client that has said all still gets its answers; one in mid-sentence is let go."""
        if self.transport.lingers:
            return False
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        newest = self.pipeline[0][0] if self.pipeline else self.cycle
        newest.keep_alive = False
        return True

    def _more_may_come(self) -> bool:
        return self._refused or self._reading is not None

    # ---- Bytes ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.lingers:
            return
        try:
            if not self._in_head and self._reading is None:
                data = self._with_known_method(data)
            self._head_bytes += len(data)
            super().data_received(data)
        except ValueError:
            self._refuse(Problem(BAD_REQUEST, "The request is not valid HTTP/1.1."))
        if self._in_head and self._head_bytes > 2 * self.head_max + _OVERHEAD:
            self._refuse(self._head_fault() or self._fields_fault())

    def _with_known_method(self, data: bytes) -> bytes:
        """Methods are open to extension (RFC 9110 9.1), but the parser's list is closed."""
        method, space, rest = data.partition(b" ")
        if not space or method in _KNOWN or not _TOKEN.fullmatch(method):
            return data
        self._stranger = method.decode()
        return _STAND_IN + space + rest

    def send_400_response(self, msg: str) -> None:
        fault = self._head_fault() if self._in_head else None
        self._refuse(fault or Problem(BAD_REQUEST, "The request is not valid HTTP/1.1."))

    # ---- A request --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._fields_bytes = True, 0, 0
        if self._reading is None:
            self._reading = self.loop.call_later(self.read_timeout_s, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields_bytes += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._framing_is_ambiguous():
            # What the end of this body is to us may be its middle to the next (RFC 9112 11.2).
            raise ValueError("ambiguous framing")
        super().on_headers_complete()
        if self._stranger is not None:
            self.scope["method"], self._stranger = self._stranger, None
        if (fault := self._head_fault()) is not None:
            self.scope["state"]["refused"] = fault

    def on_message_complete(self) -> None:
        self._stop_reading_timer()
        super().on_message_complete()

    def _framing_is_ambiguous(self) -> bool:
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if codings:
            return bool(lengths) or [coding.lower() for coding in codings] != [b"chunked"]
        return len(lengths) > 1 or any(not value.isdigit() for value in lengths)

    def _head_fault(self) -> Problem | None:
        target = len(getattr(self, "url", b""))
        if target > self.head_max:
            return Problem(URI_TOO_LONG, f"The target has {target} bytes; at most {self.head_max} "
                                         "are read.", headers=_CLOSE)
        return self._fields_fault() if self._fields_bytes > self.head_max else None

    def _fields_fault(self) -> Problem:
        return Problem(HEADER_TOO_LARGE, f"The header has more than {self.head_max} bytes, which "
                                         "is as many as are read.", headers=_CLOSE)

    # ---- Refusals -----------------------------------------------------------------------

    def _too_slow(self) -> None:
        self._reading = None
        if self.cycle is not None and self.cycle.response_started and not self._in_head:
            self.transport.close()  # It was answered, and its body never came.
            return
        self._refuse(Problem(REQUEST_TIMEOUT, "The request did not arrive in time."))

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _refuse(self, problem: Problem) -> None:
        """Answers past the application, for there is no request to give it, and ends."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._stop_reading_timer()
        request_id = str(uuid7())
        body = problem.body(self._path(), request_id)
        fields = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)),
                  "Cache-Control": "no-store", "X-Request-Id": request_id, **problem.headers,
                  **_CLOSE}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.transport.write(b"".join([STATUS_LINE[problem.type.status], head.encode(), b"\r\n",
                                       body]))
        self.transport.close()
        REQUEST_SECONDS.labels("_OTHER", "", problem.type.status).observe(0)
        log.info("request", method="", route="", status=problem.type.status,
                 request_id=request_id)

    def _path(self) -> str | None:
        """Only of a request line that was read to its end."""
        if self.scope is None or not self.headers and self._in_head:
            return None
        return self.url.decode("latin-1").partition("?")[0]
