"""What the head of a request decides before its body is read, and the reading of the body."""

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..context import RequestContext
from ..cors import Cors
from ..negotiation import accepts_json, is_json
from ..problems import (BAD_REQUEST, CONTENT_TOO_LARGE, METHOD_NOT_ALLOWED, NOT_ACCEPTABLE,
                        NOT_FOUND, UNSUPPORTED_MEDIA_TYPE, Problem)
from ..settings import Settings

_CLOSE = {"Connection": "close"}  # Nobody reads the rest of such a body.


class AdmissionMiddleware:
    def __init__(self, app: ASGIApp, settings: Settings):
        self.app, self._body_max = app, settings.body_bytes_max
        self._cors = Cors(settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context: RequestContext = scope["state"]["context"]
        try:
            self._check_head(context, scope["state"])
            if context.method == "OPTIONS":
                await self._options(context)(scope, receive, send)
                return
            _check_media_types(context)
            context.body = await self._read_body(context, receive)
        except Problem as problem:
            await problem.response(context.path, context.request_id)(scope, receive, send)
        except ClientDisconnect:
            pass
        else:
            # HEAD is GET whose body the server does not send.
            inner = scope | {"method": "GET"} if context.method == "HEAD" else scope
            await self.app(inner, receive, send)

    def _check_head(self, context: RequestContext, state: dict) -> None:
        if (refused := state.get("refused")) is not None:
            raise refused
        length = context.headers.get("content-length", "0")
        if int(length) > self._body_max:
            raise Problem(CONTENT_TOO_LARGE,
                          f"The body has {length} bytes; at most {self._body_max} are read.",
                          headers=_CLOSE)
        if context.path_is_malformed:
            raise Problem(BAD_REQUEST, "Each % in the path has to stand with two hexadecimal "
                                       "digits, for a byte other than zero.")
        if context.endpoint is None:
            raise Problem(NOT_FOUND, "Nothing is at this path.")
        method = "GET" if context.method == "HEAD" else context.method
        if method not in context.endpoint.methods and method != "OPTIONS":
            allow = context.endpoint.allow
            raise Problem(METHOD_NOT_ALLOWED, f"This path takes {allow}.", headers={"Allow": allow})

    def _options(self, context: RequestContext) -> Response:
        allow = context.endpoint.allow
        headers = {"Allow": allow}
        if "access-control-request-method" in context.headers:
            headers |= self._cors.preflight(context.headers.get("origin"), allow)
        return Response(status_code=204, headers=headers)

    async def _read_body(self, context: RequestContext, receive: Receive) -> bytes:
        if not {"content-length", "transfer-encoding"} & context.headers.keys():
            return b""
        parts, total = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            total += len(parts[-1])
            if total > self._body_max:
                raise Problem(CONTENT_TOO_LARGE, f"At most {self._body_max} bytes are read.",
                              headers=_CLOSE)
            if not message.get("more_body"):
                return b"".join(parts)


def _check_media_types(context: RequestContext) -> None:
    endpoint, method = context.endpoint, context.method
    if endpoint.is_page:
        return
    if not accepts_json(context.headers.get("accept", "")):
        raise Problem(NOT_ACCEPTABLE, "The answer comes as application/json.")
    merge_patch = method == "PATCH"
    if method in ("POST", "PATCH") and not is_json(context.headers.get("content-type", ""),
                                                   merge_patch):
        other = " or application/merge-patch+json" if merge_patch else ""
        raise Problem(UNSUPPORTED_MEDIA_TYPE,
                      f"Content-Type has to be application/json{other}, in UTF-8.")
