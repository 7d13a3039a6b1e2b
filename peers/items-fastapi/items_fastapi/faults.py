"""What is wrong with a request, in words: from Pydantic's errors to the members of a problem.

Body faults have a JSON Pointer (RFC 6901), those of parameters the parameter's name. Each says what
is allowed, as the model says it, and what was found.
"""

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from .models import ItemNew, ListQuery
from .problems import VALIDATION_FAILED, Problem
from .strict_route import AGAIN

LISTED_MAX, NAME_SHOWN_MAX, VALUE_SHOWN_MAX = 64, 64, 40
UUID_EXAMPLE = "018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a"
_ORDER = ("path", "query", "body")


def _rules(model: Any) -> dict[str, dict]:
    """The properties of a model as JSON Schema, where an optional one is no other thing."""
    found = model.model_json_schema()["properties"]
    return {name: rule.get("anyOf", [rule])[0] for name, rule in found.items()}


_RULES = {"body": _rules(ItemNew), "query": _rules(ListQuery),
          "path": {"id": {"type": "string", "format": "uuid"}}}


def problem_of(error: RequestValidationError, lists: bool) -> Problem:
    """`lists`: the operation takes the parameters of a list."""
    errors = sorted(error.errors(), key=lambda fault: _ORDER.index(fault["loc"][0]))
    of_query = "q" if lists else ""  # Beside those that every list has.
    listed = [_member(fault, of_query) for fault in errors[:LISTED_MAX]]
    n = len(errors)
    if n > len(listed):
        detail = f"{n} values are not valid; {len(listed)} of them are listed."
    else:
        detail = f"{n} value{' is' if n == 1 else 's are'} not valid."
    return Problem(VALIDATION_FAILED, detail, errors=listed)


def _member(fault: dict, of_query: str) -> dict[str, str]:
    where, *path = fault["loc"]
    detail = _detail(where, path, fault, of_query)
    if where == "body":
        return {"pointer": _pointer(path), "detail": detail}
    name = _shown(str(path[0]).removesuffix(AGAIN), NAME_SHOWN_MAX)
    return {"parameter": name, "in": where, "detail": detail}


def _pointer(path: Sequence[str | int]) -> str:
    parts = (_shown(str(part), NAME_SHOWN_MAX) for part in path)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _detail(where: str, path: list, fault: dict, of_query: str) -> str:
    if fault["type"] == "extra_forbidden":
        if str(path[0]).endswith(AGAIN):
            return "is given twice"
        known = ", ".join(_RULES["body"]) if where == "body" else of_query
        return f"is unknown; {f'known are {known}' if known else 'none are known'}"
    if fault["type"] == "cursor":
        return fault["msg"]
    allowed = describe(_RULES[where][path[0]]) if path else "an object"
    if fault["type"] == "missing":
        return f"must be {allowed}, but is missing"
    return f"must be {allowed}, found {_found(fault['input'])}"


def describe(rule: dict) -> str:
    if rule.get("format") == "uuid":
        return f"a UUID such as {UUID_EXAMPLE}"
    if rule["type"] == "integer":
        return f"an integer from {rule['minimum']} to {rule['maximum']}"
    low, high = rule.get("minLength", 0), rule.get("maxLength")
    if high is not None:  # Of any text; that it holds no NUL goes without saying.
        return f"a string of {f'{low} to' if low else 'at most'} {high} characters"
    return f"a string that matches {rule['pattern']}" if "pattern" in rule else "a string"


def _found(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return f"an array of {len(value)} item{'s' * (len(value) != 1)}"
        case str():
            length = f" ({len(value)} characters)" if len(value) > VALUE_SHOWN_MAX else ""
            return f'"{_shown(value, VALUE_SHOWN_MAX)}"{length}'
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
    return _shown(str(value), VALUE_SHOWN_MAX)


def _shown(text: str, most: int) -> str:
    """Cut, and without control characters."""
    shown = "".join("?" if ord(c) < 0x20 or ord(c) == 0x7F else c for c in text[:most])
    return shown + "…" if len(text) > most else shown
