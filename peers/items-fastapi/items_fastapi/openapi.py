"""The served document is the contract; here FastAPI's own view of the routes is held against it.

    python -m items_fastapi.openapi

prints what differs in anything that a client could notice, and ends with 1 when something does.
"""

import json
import sys
from typing import Any

from fastapi.openapi.utils import get_openapi

from . import API_PREFIX, VERSION, items
from .pages import CONTRACT

_RULES = ("type", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "default")
_METHODS = ("get", "post", "put", "patch", "delete")


class View:
    """What a document says of operations, parameters and bodies, whatever way it is written."""

    def __init__(self, document: dict, prefix: str):
        self._document, self._prefix = document, prefix
        self.facts = {key: value for path, item in document["paths"].items()
                      for method in _METHODS if method in item
                      for key, value in self._operation(method, path, item[method])}

    def _operation(self, method: str, path: str, operation: dict):
        where = f"{method.upper()} {path.removeprefix(self._prefix)}"
        [status] = [code for code in operation["responses"] if code.startswith("2")]
        yield f"{where} answers", status
        for parameter in map(self._resolved, operation.get("parameters", [])):
            if parameter["in"] != "header":
                name = f"{where} {parameter['in']} {parameter['name']}"
                yield f"{name} is required", parameter.get("required", False)
                yield name, self._rules(parameter["schema"])
        answer = self._resolved(operation["responses"][status])
        for what, holder in (("takes", operation.get("requestBody", {})), ("gives", answer)):
            for media_type, content in holder.get("content", {}).items():
                for fact, value in self._shape(content["schema"]):
                    yield f"{where} {what} {_plain(media_type)} {fact}", value

    def _shape(self, schema: dict, at: str = ""):
        """The members of an object, and of what it holds."""
        schema = self._bare(schema)
        if schema.get("type") == "array":
            yield from self._shape(schema["items"], f"{at}[]")
        elif schema.get("type") == "object":
            yield f"{at} must have", sorted(schema.get("required", []))
            for name, rule in schema["properties"].items():
                yield from self._shape(rule, f"{at}/{name}")
        else:
            yield at, self._rules(schema)

    def _rules(self, schema: dict) -> dict[str, Any]:
        schema = self._bare(schema)
        return {rule: schema[rule] for rule in _RULES if schema.get(rule) is not None}

    def _bare(self, schema: dict) -> dict:
        """Without references, and without null for what may be left out."""
        schema = self._resolved(schema)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            [kind] = [one for one in kinds if one != "null"]
            return schema | {"type": kind}
        others = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
        return self._resolved(others[0]) if len(others) == 1 else schema

    def _resolved(self, node: dict) -> dict:
        while "$ref" in node:
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node


def _plain(media_type: str) -> str:
    """A merge patch is JSON to FastAPI."""
    return media_type.replace("merge-patch+json", "json")


def differences() -> list[str]:
    generated = View(get_openapi(title="Items", version=VERSION, routes=items.router.routes),
                     API_PREFIX).facts
    agreed = View(json.loads((CONTRACT / "openapi.json").read_text()), "").facts
    return [f"{fact}: the contract says {agreed.get(fact)}, FastAPI {generated.get(fact)}"
            for fact in sorted(agreed.keys() | generated.keys())
            if agreed.get(fact) != generated.get(fact)]


if __name__ == "__main__":
    found = differences()
    print("\n".join(found) or "FastAPI's view and the contract agree")
    sys.exit(1 if found else 0)
