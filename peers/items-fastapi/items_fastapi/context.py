"""What is known of a request before any handler sees it."""

from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from starlette.requests import Request

from .routes_table import Endpoint


@dataclass(slots=True)
class RequestContext:
    method: str
    path: str  # As it came, for `instance` and for keys.
    query: str
    headers: dict[str, str]
    request_id: str
    span: trace.Span
    started_ns: int
    endpoint: Endpoint | None = None
    path_is_malformed: bool = False
    pairs: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    json: Any = None

    @property
    def principal(self) -> str:
        """Whose keys these are; the proxy says it."""
        return self.headers.get("x-authentik-uid") or self.actor

    @property
    def actor(self) -> str:
        return self.headers.get("x-authentik-username", "")


def context_of(request: Request) -> RequestContext:
    return request.scope["state"]["context"]


def headers_of(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """By lower-case names; a field that is there twice is a list (RFC 9110 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        text, key = value.decode("latin-1").strip(" \t"), name.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
