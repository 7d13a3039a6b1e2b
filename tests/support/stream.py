"""A reader of server-sent events, as the HTML standard (9.2) asks a browser to read them."""

import contextlib
import http.client
import json
import queue
import socket
import threading
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from .wait import eventually


@dataclass(frozen=True)
class Sent:
    id: str
    event: str
    data: str

    @property
    def json(self) -> dict:
        return json.loads(self.data)


class Stream:
    """Follows a stream in a thread of its own; what came is taken with next() and take()."""

    def __init__(self, service, last_id: str | None = None, path: str = "/activities/stream",
                 timeout: float = 30, **params):
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        base = urlsplit(service.api.base)
        self._connection = http.client.HTTPConnection(base.hostname, base.port, timeout=timeout)
        query = "?" + urlencode(params) if params else ""
        self._connection.request("GET", base.path + path + query, headers=headers)
        self._socket = self._connection.sock  # The response takes it away.
        self.reply = self._connection.getresponse()
        self.status_code, self.headers = self.reply.status, self.reply.headers
        self.comments: list[str] = []
        self.retry_ms: int | None = None
        self.last_id = last_id or ""
        self.ended = threading.Event()
        self._came: queue.Queue[Sent] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Stream":
        """The first line says that the stream listens: what is published from here on, it shows."""
        assert self.status_code == 200
        eventually(lambda: self.retry_ms is not None, what="the stream's first line")
        return self

    def __exit__(self, *_exc) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # close() alone would not wake the reader.
        self._thread.join(5)
        self._connection.close()

    def next(self, seconds: float = 10) -> Sent:
        try:
            return self._came.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no event within {seconds} s") from None

    def take(self, n: int, seconds: float = 20) -> list[Sent]:
        return [self.next(seconds) for _ in range(n)]

    def quiet(self, seconds: float) -> bool:
        try:
            self._came.get(timeout=seconds)
            return False
        except queue.Empty:
            return True

    def came(self) -> list[Sent]:
        """What is there now, without waiting."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._came.get_nowait())
        return found

    def _read(self) -> None:
        fields: dict[str, list[str]] = {}
        try:
            for raw in self.reply:
                line = raw.decode().rstrip("\r\n")
                if line == "":
                    self._dispatch(fields)
                    fields = {}
                elif line.startswith(":"):
                    self.comments.append(line[1:].strip())
                else:
                    name, _, value = line.partition(":")
                    fields.setdefault(name, []).append(value.removeprefix(" "))
        except (OSError, ValueError, http.client.HTTPException):
            pass  # However the connection ended: the stream has ended.
        finally:
            self.ended.set()

    def _dispatch(self, fields: dict[str, list[str]]) -> None:
        if "retry" in fields:
            self.retry_ms = int(fields["retry"][-1])
        if "id" in fields:
            self.last_id = fields["id"][-1]
        if "data" in fields:
            event = fields.get("event", ["message"])[-1]
            self._came.put(Sent(self.last_id, event, "\n".join(fields["data"])))
