"""Which endpoint a path names, asked before routing: for the span's name, the log, 404 and Allow.

Built from the application's own routes. Paths are matched segment by segment after decoding, so
that an escaped slash is part of a segment and never parts two.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, unquote_to_bytes

_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEX = frozenset(b"0123456789abcdefABCDEF")


@dataclass(slots=True)
class Endpoint:
    pattern: str
    methods: set[str] = field(default_factory=set)
    is_page: bool = True  # None of the contract's operations: probes, documents.

    @property
    def allow(self) -> str:
        return allow_of(self.methods)


def allow_of(methods: set[str]) -> str:
    known = [method for method in _ORDER if method in methods]
    return ", ".join("GET, HEAD" if method == "GET" else method for method in known) + ", OPTIONS"


class MalformedPath(ValueError):
    pass


def decoded(raw_path: str) -> str:
    """The path with each segment decoded; a slash or a percent within one stays escaped."""
    if "%" not in raw_path:
        return raw_path
    data = raw_path.encode("latin-1")
    for at, byte in enumerate(data):
        if byte == 0x25:
            digits = data[at + 1:at + 3]
            if len(digits) < 2 or not _HEX.issuperset(digits) or digits == b"00":
                raise MalformedPath(raw_path)
    parts = [unquote_to_bytes(part) for part in raw_path.split("/")]
    return "/".join(quote_from_bytes(part, safe="") if b"/" in part or b"%" in part
                    else part.decode(errors="replace") for part in parts)


class RoutesTable:
    def __init__(self, endpoints: Iterable[Endpoint]):
        endpoints = list(endpoints)
        self._whole = Endpoint("*", set().union(*(endpoint.methods for endpoint in endpoints)))
        self._fixed: dict[str, Endpoint] = {}
        self._under: dict[tuple[str, int], Endpoint] = {}
        for endpoint in endpoints:
            if "{" in endpoint.pattern:
                self._under[endpoint.pattern.partition("{")[0], endpoint.pattern.count("/")] = (
                    endpoint)
            else:
                self._fixed[endpoint.pattern] = endpoint

    def find(self, method: str, path: str) -> Endpoint | None:
        """Parameters stand for the last segment, which is not empty."""
        if method == "OPTIONS" and path == "*":  # About the whole service (RFC 9110 9.3.7).
            return self._whole
        if (fixed := self._fixed.get(path)) is not None:
            return fixed
        parent, _, last = path.rpartition("/")
        return self._under.get((parent + "/", path.count("/"))) if last else None
