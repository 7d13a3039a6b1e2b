"""Problems (RFC 9457): the one shape of every error, and the types that there are."""

from dataclasses import dataclass, field

import orjson
from starlette.responses import HTMLResponse, Response

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    status: int
    slug: str
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.slug}"


BAD_REQUEST = ProblemType(
    400, "bad-request", "The request is malformed.",
    "The request can't be read: its JSON, its path or its header is not what the syntax asks for. "
    "The detail says where.")
KEY_MISSING = ProblemType(
    400, "idempotency-key-missing", "An Idempotency-Key is required.",
    "The operation changes something, and a key makes it safe to send again. Send a header "
    "Idempotency-Key with a value of your own, such as a UUID, and the same one on each retry.")
KEY_INVALID = ProblemType(
    400, "idempotency-key-invalid", "The Idempotency-Key is not valid.",
    "A key has 1 to 255 visible ASCII characters, with or without quotes around them.")
NOT_FOUND = ProblemType(
    404, "not-found", "There is no such resource.",
    "Nothing is at this path, or the thing that it names doesn't exist.")
METHOD_NOT_ALLOWED = ProblemType(
    405, "method-not-allowed", "The method is not allowed here.",
    "The header Allow lists the methods of this path.")
NOT_ACCEPTABLE = ProblemType(
    406, "not-acceptable", "No acceptable representation.",
    "The header Accept excludes what the operation answers with.")
REQUEST_TIMEOUT = ProblemType(
    408, "request-timeout", "The request took too long to arrive.",
    "The whole request has to arrive within the time that the service allows.")
KEY_IN_USE = ProblemType(
    409, "idempotency-key-in-use", "The request is still being worked on.",
    "A request with this Idempotency-Key has not been answered yet. Try again after the time in "
    "Retry-After: the answer will then be that of the first.")
CONFLICT = ProblemType(
    409, "conflict", "The request conflicts with what is there.",
    "What is stored does not allow the change, such as a name that must be unique.")
SKU_TAKEN = ProblemType(
    409, "sku-taken", "An item with this SKU exists.", "An item with this SKU exists.")
PRECONDITION_FAILED = ProblemType(
    412, "precondition-failed", "The resource has changed.",
    "The header If-Match or If-None-Match names another version than the current one. Read it "
    "again, and decide anew.")
CONTENT_TOO_LARGE = ProblemType(
    413, "content-too-large", "The body is too large.",
    "The detail says how large a body may be.")
URI_TOO_LONG = ProblemType(
    414, "uri-too-long", "The request target is too long.",
    "Path and query together are longer than the service reads.")
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    415, "unsupported-media-type", "The body is not of a supported type.",
    "A body has to come as application/json in UTF-8, a merge patch also as "
    "application/merge-patch+json.")
KEY_REUSED = ProblemType(
    422, "idempotency-key-reused", "The Idempotency-Key was used for another request.",
    "The key belongs to a request with another body or query. Use a new key for a new request.")
VALIDATION_FAILED = ProblemType(
    422, "validation-failed", "The request has values that are not valid.",
    "The member errors lists all of them, each with its place: a JSON Pointer into the body, or "
    "the name of a parameter.")
HEADER_TOO_LARGE = ProblemType(
    431, "header-fields-too-large", "The header is too large.",
    "The fields of the header together are longer than the service reads.")
INTERNAL_ERROR = ProblemType(
    500, "internal-error", "The service failed.",
    "It is not the request's fault. The service's log tells more under the request_id.")
UNAVAILABLE = ProblemType(
    503, "service-unavailable", "The service can't answer now.",
    "It is overloaded, stopping, or something that it needs is away. Try again after the time in "
    "Retry-After, with the same Idempotency-Key.")
GATEWAY_TIMEOUT = ProblemType(
    504, "gateway-timeout", "The answer took too long.",
    "The service gave up after the time that a request may take. Whether it took effect is not "
    "known: try again with the same Idempotency-Key.")

TYPES = {kind.slug: kind for kind in list(globals().values()) if isinstance(kind, ProblemType)}


@dataclass(slots=True)
class Problem(Exception):
    """Raised anywhere below a request; answered in one place."""

    type: ProblemType
    detail: str
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, instance: str | None, request_id: str) -> bytes:
        members = {"type": self.type.uri, "title": self.type.title, "status": self.type.status,
                   "detail": self.detail}
        if instance:
            members["instance"] = instance
        members["request_id"] = request_id
        if self.errors:
            members["errors"] = self.errors
        return orjson.dumps(members)

    def response(self, instance: str, request_id: str) -> Response:
        return Response(self.body(instance, request_id), self.type.status, media_type=MEDIA_TYPE,
                        headers={"Cache-Control": "no-store", **self.headers})


def busy(kind: ProblemType, detail: str, retry_after_s: int = 1) -> Problem:
    return Problem(kind, detail, headers={"Retry-After": str(retry_after_s)})


def page(kind: ProblemType, html: bool) -> Response:
    """What is found under a problem's type, for people or for programs."""
    vary = {"Vary": "Accept"}
    if html:
        return HTMLResponse(
            f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{kind.slug}</title>'
            f"\n<h1>{kind.title}</h1>\n<p>Status {kind.status}, problem type <code>{kind.slug}"
            f"</code>.</p>\n<p>{kind.meaning}</p>\n</html>\n".replace("'", "&#39;"), headers=vary)
    told = {"type": kind.uri, "title": kind.title, "status": kind.status,
            "description": kind.meaning}
    return Response(orjson.dumps(told), media_type="application/json", headers=vary)
