"""An HTTP client that holds each answer against the service's own OpenAPI document.

Each request goes over a connection of its own, so that the requests of a test meet all workers of a
service. Bodies are sent as they are given: `json` is encoded here, `body` is bytes.
"""

import json as json_module
import uuid

import requests

TIMEOUT_SECONDS = 20
_ABSENT = object()


def new_key() -> str:
    """A fresh Idempotency-Key."""
    return str(uuid.uuid4())


class Client:
    def __init__(self, base: str, service):
        self.base, self.service = base, service

    def request(self, method: str, path: str, *, json=_ABSENT, body: bytes | None = None,
                key: str | None = None, headers: dict | None = None, check: bool = True,
                timeout: float = TIMEOUT_SECONDS, **options) -> requests.Response:
        has_body = json is not _ABSENT or body is not None
        sent = {"Content-Type": "application/json"} if has_body else {}
        if key is not None:
            sent["Idempotency-Key"] = key
        # A header given as None is not sent, even where one would be by itself.
        sent |= headers or {}
        if json is not _ABSENT:
            body = json_module.dumps(json).encode()
        reply = requests.request(method, self.base + path, data=body, headers=sent,
                                 timeout=timeout, allow_redirects=False, **options)
        if check:
            self.service.document().check(reply)
        return reply

    def get(self, path: str, **options) -> requests.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options) -> requests.Response:
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options) -> requests.Response:
        return self.request("OPTIONS", path, **options)

    def post(self, path: str, json=_ABSENT, **options) -> requests.Response:
        """With a fresh key, unless one is given; `key=None` sends none."""
        options.setdefault("key", new_key())
        return self.request("POST", path, json=json, **options)

    def patch(self, path: str, json=_ABSENT, **options) -> requests.Response:
        options["headers"] = {"Content-Type": "application/merge-patch+json"} | (
            options.get("headers") or {})
        return self.request("PATCH", path, json=json, **options)

    def delete(self, path: str, **options) -> requests.Response:
        return self.request("DELETE", path, **options)
