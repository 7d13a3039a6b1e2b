"""An OpenAPI 3.1 document as a judge of real requests and responses."""

import json
import re
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker, RefResolver

PREFIX = "/api/v1"
_FORMATS = FormatChecker(formats=())
_RFC3339_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z")


@_FORMATS.checks("uuid", ValueError)
def _is_uuid(value) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value.lower()


@_FORMATS.checks("date-time", ValueError)
def _is_time(value) -> bool:
    if not isinstance(value, str):
        return True
    return bool(_RFC3339_UTC.fullmatch(value)) and bool(datetime.fromisoformat(value[:19]))


class Schemas:
    """The schemas within a document, as OpenAPI and AsyncAPI have them."""

    def __init__(self, document: dict):
        self.document = document
        self._resolver = RefResolver("", document)

    def resolve(self, node: dict) -> dict:
        while "$ref" in node:
            node = self._resolver.resolve(node["$ref"])[1]
        return node

    def faults(self, schema: dict, value) -> list[str]:
        validator = Draft202012Validator(schema, resolver=self._resolver, format_checker=_FORMATS)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


class Document(Schemas):
    """OpenAPI."""

    def __init__(self, document: dict):
        super().__init__(document)
        bases = [urlsplit(server["url"]).path.rstrip("/") for server in document.get("servers", [])]
        self._bases = bases or [""]
        self._paths = [(self._pattern(base + path), base + path, item)
                       for path, item in document["paths"].items() for base in self._bases]

    # ---- Finding ------------------------------------------------------------

    def operation(self, method: str, path: str) -> dict | None:
        """The operation that a request meets; a fixed path goes before one with parameters."""
        found = [(template.count("{"), item) for pattern, template, item in self._paths
                 if pattern.fullmatch(path)]
        if not found:
            return None
        return min(found, key=lambda pair: pair[0])[1].get(method.lower())

    def operations(self) -> list[tuple[str, str, dict]]:
        """All of them: method, whole path, operation."""
        methods = ("get", "put", "post", "delete", "patch", "head", "options")
        return [(method.upper(), path, item[method]) for _, path, item in self._paths
                for method in methods if method in item]

    def request_schema(self, method: str, path: str) -> dict:
        body = self.resolve(self.operation(method, path)["requestBody"])
        return next(iter(body["content"].values()))["schema"]

    # ---- Judging ------------------------------------------------------------

    def check(self, reply) -> None:
        """Asserts that the answer is one that the document announces for this request."""
        path = urlsplit(reply.request.url).path
        method = "GET" if reply.request.method == "HEAD" else reply.request.method
        operation = self.operation(method, path)
        if operation is None:
            return
        what = f"{reply.request.method} {path} -> {reply.status_code}"
        answer = self._answer(operation, reply.status_code)
        assert answer is not None, f"{what}: the document doesn't know this status"
        self._check_headers(answer, reply, what)
        if reply.request.method != "HEAD":
            self._check_body(answer, reply, what)

    def _answer(self, operation: dict, status: int) -> dict | None:
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in operation["responses"]:
                return self.resolve(operation["responses"][name])
        return None

    def _check_headers(self, answer: dict, reply, what: str) -> None:
        for name, header in answer.get("headers", {}).items():
            header = self.resolve(header)
            if name not in reply.headers:
                assert not header.get("required"), f"{what}: the header {name} is missing"
                continue
            value = reply.headers[name]
            schema = self.resolve(header.get("schema", {}))
            if schema.get("type") == "integer":
                assert re.fullmatch(r"-?\d+", value), f"{what}: {name}: {value}"
                value = int(value)
            assert not self.faults(schema, value), f"{what}: {name}: {self.faults(schema, value)}"

    def _check_body(self, answer: dict, reply, what: str) -> None:
        content = answer.get("content", {})
        if not content:
            assert reply.content == b"", f"{what}: a body that the document doesn't know"
            return
        if reply.status_code == 304:
            return
        media_type = reply.headers.get("Content-Type", "").split(";")[0].strip()
        assert media_type in content, f"{what}: the document doesn't know {media_type!r}"
        if media_type.endswith("json"):
            schema = content[media_type]["schema"]
            faults = self.faults(schema, json.loads(reply.content))
            assert not faults, f"{what}: {faults}\n{reply.text}"

    @staticmethod
    def _pattern(template: str) -> re.Pattern:
        parts = re.split(r"(\{[^}]+\})", template)
        return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part)
                                  for part in parts))
