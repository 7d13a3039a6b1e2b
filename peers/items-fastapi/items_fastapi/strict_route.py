"""A route that reads its request as strictly as the contract asks, before FastAPI validates it."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from . import strict_json
from .context import context_of
from .problems import BAD_REQUEST, Problem

PAIRS_MAX = 64
# A second value of a parameter becomes a parameter of its own, which no model knows. No client can
# name it: a NUL in a name is refused.
AGAIN = "\0"
_HEX = frozenset("0123456789abcdefABCDEF")


class StrictRequest(Request):
    """What was read strictly is what FastAPI gets."""

    async def body(self) -> bytes:
        return context_of(self).body

    async def json(self) -> Any:
        return context_of(self).json

    @property
    def query_params(self) -> QueryParams:
        seen: set[str] = set()
        pairs = []
        for name, value in context_of(self).pairs:
            pairs.append((name + AGAIN if name in seen else name, value))
            seen.add(name)
        return QueryParams(pairs)


class StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        async def strictly(request: Request) -> Response:
            context = context_of(request)
            context.pairs = _pairs(context.query)
            if takes_body:
                try:
                    context.json = strict_json.loads(context.body)
                except strict_json.Malformed as fault:
                    raise Problem(BAD_REQUEST, f"The body is not valid JSON: {fault}") from None
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = [part for part in query.split("&") if part]
    if len(parts) > PAIRS_MAX:
        raise Problem(BAD_REQUEST, f"The query has more than {PAIRS_MAX} parameters.")
    return [(_text(name), _text(value)) for name, _, value in (part.partition("=")
                                                               for part in parts)]


def _text(escaped: str) -> str:
    for part in escaped.split("%")[1:]:
        if len(part) < 2 or not _HEX.issuperset(part[:2]) or part[:2] == "00":
            raise _malformed()
    try:
        return unquote_to_bytes(escaped.replace("+", " ").encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise _malformed() from None


def _malformed() -> Problem:
    return Problem(BAD_REQUEST, "The query is not valid: each % has to stand with two hexadecimal "
                                "digits, for UTF-8 without zeros.")
