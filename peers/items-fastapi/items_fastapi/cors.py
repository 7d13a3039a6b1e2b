"""Cross-origin requests (the Fetch standard): which web pages may read our answers.

Starlette's own middleware answers preflights itself; here OPTIONS has one answer, whoever asks.
"""

EXPOSED = b"ETag, Idempotent-Replayed, Link, Location, Retry-After, X-Request-Id"
HEADERS = ("Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, traceparent, "
           "tracestate, X-Request-Id")
MAX_AGE_S = "600"


class Cors:
    def __init__(self, origins: list[str]):
        self._any = "*" in origins
        self._origins = frozenset(origins)

    def allowed(self, origin: str | None) -> str | None:
        """What is allowed, byte for byte: browsers send origins in lower case, with no slash."""
        if origin is None:
            return None
        if self._any:
            return "*"
        return origin if origin in self._origins else None

    def headers(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """Goes on every answer."""
        found = []
        if self._origins and not self._any:
            # Else a cache could give a page the answer without the header.
            found.append((b"vary", b"Origin"))
        if (allowed := self.allowed(origin)) is not None:
            found += [(b"access-control-allow-origin", allowed.encode("latin-1")),
                      (b"access-control-expose-headers", EXPOSED)]
        return found

    def preflight(self, origin: str | None, allow: str) -> dict[str, str]:
        if self.allowed(origin) is None:
            return {}
        return {"Access-Control-Allow-Methods": allow, "Access-Control-Allow-Headers": HEADERS,
                "Access-Control-Max-Age": MAX_AGE_S}
