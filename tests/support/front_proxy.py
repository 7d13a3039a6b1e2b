"""A proxy before the services, as our Traefik is one: by host, and for nobody unknown.

It asks for HTTP Basic, says itself who the client is, and routes neither health nor metrics. Like
Traefik it lets preflights pass unasked, and tells pages of `origin` that they may read a 401. It
shows that a client can live behind such a proxy; what Traefik does is tested with the platform.
"""

import base64
import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
ROUTED = ("/api/v1/", "/docs", "/problems/", "/openapi.json", "/asyncapi.json")
_OWN = {"connection", "keep-alive", "transfer-encoding", "host", "authorization"}


class FrontProxy:
    """Serves items.localhost and activity.localhost on `port`, until `stop`."""

    def __init__(self, items, activity, username: str, password: str, origin: str):
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        settings = {"targets": {"items": items.port, "activity": activity.port},
                    "allowed": f"Basic {pair}", "identity": username, "origin": origin}
        self._server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), settings))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://{name}.localhost:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    targets: dict[str, int]
    allowed: str
    identity: str
    origin: str

    def __getattr__(self, name: str):
        if name.startswith("do_"):  # Every method is handled alike.
            return self._handle
        raise AttributeError(name)

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.targets.get(self.headers.get("Host", "").split(".")[0])
        if target is None or not urlsplit(self.path).path.startswith(ROUTED):
            self._say(404)
        elif self._is_preflight():
            self._forward(target, b"", {})
        elif self.headers.get("Authorization") != self.allowed:
            allowed = self.headers.get("Origin") == self.origin
            self._say(401, headers=[("Access-Control-Allow-Origin", self.origin)] * allowed)
        else:
            self._forward(target, body, {"X-authentik-username": self.identity,
                                         "X-authentik-uid": f"uid of {self.identity}"})

    def _is_preflight(self) -> bool:
        asked = self.headers.get("Origin") and self.headers.get("Access-Control-Request-Method")
        return bool(asked) and self.command == "OPTIONS" and self.path.startswith("/api/v1/")

    def _forward(self, port: int, body: bytes, identity: dict[str, str]) -> None:
        sent = {name: value for name, value in self.headers.items()
                if name.lower() not in _OWN and not name.lower().startswith("x-authentik-")}
        sent |= identity | {"Host": self.headers["Host"], "Content-Length": str(len(body))}
        target = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
        try:
            # Who refuses a body may answer, and close, before all of it has arrived.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                target.request(self.command, self.path, body, sent)
            answer = target.getresponse()
            # The headers of a stream come at once, and its end never.
            content = b"" if self.command == "HEAD" else answer.read()
            self._say(answer.status, content, answer.getheaders())
        finally:
            target.close()

    def _say(self, status: int, body: bytes = b"", headers=()) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OWN | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        pass
