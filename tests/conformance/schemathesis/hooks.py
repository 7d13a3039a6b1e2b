"""What a client of the contract knows and a document can't say, for schemathesis.

What is wrong on purpose is sent as it was drawn; only valid data is touched here.
"""

import uuid

import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

# Of another form than the document tells, these have no effect, but the request is served: its id
# is replaced (our contract), and no resource has such an ETag (RFC 9110 13.1.2).
TOLERATED = {"X-Request-Id": ".*", "If-None-Match": ".*"}
# What browsers send before the first event: nothing, which some write as an empty header.
TOLERATED["Last-Event-ID"] = "^[0-9]{0,19}$"


@schemathesis.hook
def before_load_schema(_context, document) -> None:
    """What the service tolerates is not wrong, and the events of a stream have a schema too."""
    if isinstance(document, dict):
        if document.get("in") == "header" and document.get("name") in TOLERATED:
            document["schema"] = {"type": "string", "pattern": TOLERATED[document["name"]]}
        if "x-event-data" in document:
            document["schema"] = event_schema(document["x-event-data"])
    for part in document.values() if isinstance(document, dict) else document:
        if isinstance(part, (dict, list)):
            before_load_schema(_context, part)


def event_schema(data: dict) -> dict:
    """Before OpenAPI 3.2, schemathesis takes the schema of a stream for that of each event."""
    return {"type": "object", "required": ["data", "event", "id"], "properties": {
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data}}}


@schemathesis.hook
def before_call(_context, case, _kwargs) -> None:
    name_the_request_anew(case)
    begin_at_the_first_page(case)
    begin_at_the_first_event(case)


def name_the_request_anew(case) -> None:
    """A key names one request: drawn again for another, it would be refused, and rightly so."""
    if case.headers and "Idempotency-Key" in case.headers \
            and is_valid(case, ParameterLocation.HEADER):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def begin_at_the_first_page(case) -> None:
    """A cursor is what a page has given; one that was made up is refused, and rightly so."""
    if case.query and is_valid(case, ParameterLocation.QUERY):
        case.query.pop("cursor", None)


def begin_at_the_first_event(case) -> None:
    """An id is what an event has had; behind one that was made up a stream is silent for ever."""
    if case.headers and case.headers.get("Last-Event-ID") \
            and is_valid(case, ParameterLocation.HEADER):
        case.headers["Last-Event-ID"] = "0"


def is_valid(case, part: ParameterLocation) -> bool:
    """Whether that part of the request was drawn to fit the document."""
    if case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE:
        return True
    return not case.meta.is_negative_at(part)
