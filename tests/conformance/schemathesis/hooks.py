"""What a client of the contract knows and a document can't say, for schemathesis.

What is wrong on purpose is sent as it was drawn; only valid data is touched here.
"""

import uuid

import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

_KEYS_USED: set[str] = set()


@schemathesis.hook
def before_load_schema(_context, document) -> None:
    """The events of a stream have a schema too."""
    if isinstance(document, dict) and "x-event-data" in document:
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
    key = (case.headers or {}).get("Idempotency-Key")
    if key is None or not is_valid(case, ParameterLocation.HEADER):
        return
    plain = key.replace('"', "").replace("\\", "")  # In quotes and bare it is one key.
    if plain in _KEYS_USED:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    _KEYS_USED.add(plain)


def begin_at_the_first_page(case) -> None:
    """A cursor is what a page has given; one that was made up is refused, and rightly so."""
    if case.query and is_valid(case, ParameterLocation.QUERY):
        case.query.pop("cursor", None)


def begin_at_the_first_event(case) -> None:
    """An id is what an event has had; behind one that was made up a stream may be silent."""
    seen = (case.headers or {}).get("Last-Event-ID")
    if seen is not None and is_valid(case, ParameterLocation.HEADER):
        case.headers["Last-Event-ID"] = "0" * len(seen)


def is_valid(case, part: ParameterLocation) -> bool:
    """Whether that part of the request was drawn to fit the document."""
    if case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE:
        return True
    return not case.meta.is_negative_at(part)
