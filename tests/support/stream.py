"""A reader of server-sent events, as the HTML standard (9.2) asks a browser to read them."""

import contextlib
import json
import queue
import threading
from dataclasses import dataclass

import requests

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
        self.reply = requests.get(service.api.base + path, headers=headers, params=params,
                                  stream=True, timeout=timeout)
        self.comments: list[str] = []
        self.retry_ms: int | None = None
        self.last_id = last_id or ""
        self.ended = threading.Event()
        self._came: queue.Queue[Sent] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Stream":
        """The first line says that the stream listens: what is published from here on, it shows."""
        assert self.reply.status_code == 200, self.reply.text
        eventually(lambda: self.retry_ms is not None, what="the stream's first line")
        return self

    def __exit__(self, *_exc) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.reply.raw._fp.fp.raw._sock.shutdown(2)  # close() alone would not wake the reader.
        self.reply.close()
        self._thread.join(5)

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
            for line in self._lines():
                if line == "":
                    self._dispatch(fields)
                    fields = {}
                elif line.startswith(":"):
                    self.comments.append(line[1:].strip())
                else:
                    name, _, value = line.partition(":")
                    fields.setdefault(name, []).append(value.removeprefix(" "))
        except Exception:  # However the connection ended: the stream has ended.
            pass
        finally:
            self.ended.set()

    def _lines(self):
        rest = b""
        for piece in self.reply.iter_content(chunk_size=None):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode().removesuffix("\r")

    def _dispatch(self, fields: dict[str, list[str]]) -> None:
        if "retry" in fields:
            self.retry_ms = int(fields["retry"][-1])
        if "id" in fields:
            self.last_id = fields["id"][-1]
        if "data" in fields:
            event = fields.get("event", ["message"])[-1]
            self._came.put(Sent(self.last_id, event, "\n".join(fields["data"])))
