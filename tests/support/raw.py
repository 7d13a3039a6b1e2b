"""HTTP by hand, for what no client library would send."""

import http.client
import io
import socket
import time
from urllib.parse import urlsplit


class _Reader(io.BufferedReader):
    """What was read ahead stays for the next response, so the end of one does not close it."""

    def close(self) -> None:
        pass

    def makefile(self, _mode: str) -> "_Reader":
        return self


class Raw:
    """One connection: bytes out, and whatever comes back."""

    def __init__(self, url: str, timeout: float = 15):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = _Reader(socket.SocketIO(self.socket, "r"))

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_exc) -> None:
        self.socket.close()

    def send(self, data: bytes | str) -> "Raw":
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def response(self, method: str = "GET", path: str = "/") -> "Answer":
        """Reads one response; the connection may go on."""
        reply = http.client.HTTPResponse(self._reader, method=method)
        reply.begin()
        return Answer(reply, method, path)

    def rest(self) -> bytes:
        """All that comes until the other side ends the connection."""
        found = b""
        try:
            while piece := self._reader.read1(65536):
                found += piece
        except ConnectionResetError:
            pass
        return found

    def closed_within(self, seconds: float) -> bool:
        """True when the other side ends the connection in that time; what it sends is dropped."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if self.socket.recv(65536) == b"":
                    return True
            except (ConnectionResetError, BrokenPipeError):
                return True
            except TimeoutError:
                return False
        return False


class Answer:
    """A response with the attributes of requests.Response that our helpers look at."""

    def __init__(self, reply: http.client.HTTPResponse, method: str, path: str):
        self.status_code = reply.status
        self.headers = reply.headers
        self.content = reply.read()
        self.text = self.content.decode("utf-8", "replace")
        self.request = type("Request", (), {"method": method, "url": "http://localhost" + path})


def head(method: str, path: str, *lines: str) -> str:
    """The head of a request, with its empty line."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""])
