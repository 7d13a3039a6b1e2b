"""What is no operation of the contract: probes, metrics, documents, docs page, problem types."""

import gzip
import hashlib
import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from . import problems
from .conditional import listed
from .context import context_of
from .exposition import metrics_page
from .negotiation import quality

_ROOT = Path(__file__).resolve().parents[3]
CONTRACT = _ROOT / "services" / "items" / "contract"
_DOCS = _ROOT / ".trunnion" / "docs-page"
_FRESH = {"Cache-Control": "no-store"}
_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
           "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
           "frame-ancestors 'none'")
_WITHOUT_DOCS = b"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>API</title>
<h1>The files of the docs page are not there</h1>
<p>With npm at hand, <code>tools/docs-page/make</code> fetches them.</p>
<p>The contract itself is here: <a href="openapi.json">openapi.json</a>,
<a href="asyncapi.json">asyncapi.json</a>.</p>
</html>
"""

router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def livez(request: Request) -> Response:
    return JSONResponse(request.app.state.health.alive(), headers=_FRESH)


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    told = await request.app.state.health.readiness()
    down = told["status"] in ("unavailable", "draining")
    headers = _FRESH | ({"Retry-After": "1"} if down else {})
    return JSONResponse(told, 503 if down else 200, headers)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    state = request.app.state
    page, media_type = await metrics_page(state.shared.service_pid, state.index,
                                          state.n_processes, request.headers.get("accept", ""))
    return Response(page, headers={"Content-Type": media_type, **_FRESH})


class Document:
    """Bytes that change only with the program, for which a client may ask again."""

    def __init__(self, data: bytes, media_type: str, headers: dict[str, str] | None = None):
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        self._data, self._media_type = data, media_type
        self._headers = {"Cache-Control": "no-cache", "ETag": etag} | (headers or {})

    def answer(self, request: Request) -> Response:
        asked = request.headers.get("if-none-match")
        if asked is not None and listed(asked, self._headers["ETag"], weak=True):
            return Response(status_code=304, headers=self._headers)
        return Response(self._data, headers={"Content-Type": self._media_type, **self._headers})


_OPENAPI = Document((CONTRACT / "openapi.json").read_bytes(), "application/json")
_ASYNCAPI = Document((CONTRACT / "asyncapi.json").read_bytes(), "application/json")


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    return _OPENAPI.answer(request)


@router.get("/asyncapi.json")
async def asyncapi(request: Request) -> Response:
    return _ASYNCAPI.answer(request)


def _assets() -> dict[str, Document]:
    guarded = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    found = {"index.html": Document(_WITHOUT_DOCS, "text/html; charset=utf-8", guarded)}
    for path in sorted(_DOCS.glob("*.gz")):
        kind = mimetypes.guess_type(path.stem)[0] or "text/plain"
        found[path.stem] = Document(gzip.decompress(path.read_bytes()), f"{kind}; charset=utf-8",
                                    guarded)
    return found


_ASSETS = _assets()


@router.get("/docs")
async def docs(request: Request) -> Response:
    return _ASSETS["index.html"].answer(request)


@router.get("/docs/{name}")
async def docs_asset(name: str, request: Request) -> Response:
    if name not in _ASSETS:
        raise problems.Problem(problems.NOT_FOUND, "Nothing is at this path.")
    return _ASSETS[name].answer(request)


@router.get("/problems/{slug}")
async def problem_type(slug: str, request: Request) -> Response:
    kind = problems.TYPES.get(slug)
    if kind is None:
        raise problems.Problem(problems.NOT_FOUND, "There is no such type of problem.")
    accept = context_of(request).headers.get("accept", "")
    html = quality(accept, "text/html") > quality(accept, "application/json")
    return problems.page(kind, html)
