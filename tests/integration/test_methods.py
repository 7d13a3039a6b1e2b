"""Methods: what a path allows, and what HEAD and OPTIONS answer everywhere."""

import pytest
from support.broker import uuid7
from support.load import item
from support.problems import assert_problem
from support.raw import Raw, head

ONE = f"/api/v1/items/{uuid7()}"
ALLOWED = {
    "/api/v1/items": {"GET", "HEAD", "POST", "OPTIONS"},
    ONE: {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"},
    "/livez": {"GET", "HEAD", "OPTIONS"},
    "/readyz": {"GET", "HEAD", "OPTIONS"},
    "/metrics": {"GET", "HEAD", "OPTIONS"},
    "/openapi.json": {"GET", "HEAD", "OPTIONS"},
    "/asyncapi.json": {"GET", "HEAD", "OPTIONS"},
    "/problems/not-found": {"GET", "HEAD", "OPTIONS"},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")


def allow(reply) -> set[str]:
    return {method.strip() for method in reply.headers["Allow"].split(",")}


@pytest.mark.parametrize("path, method", [
    (path, method) for path, allowed in ALLOWED.items() for method in METHODS
    if method not in allowed])
def test_another_method_is_405_and_told_what_is_allowed(items, path, method):
    with Raw(items.url) as raw:
        reply = raw.send(head(method, path, "Content-Length: 0")).response(method, path)
    assert_problem(reply, 405, "method-not-allowed")
    assert allow(reply) == ALLOWED[path]


@pytest.mark.parametrize("path", ALLOWED)
def test_options_tells_what_is_allowed(items, path):
    reply = items.http.options(path)
    assert reply.status_code == 204 and reply.content == b""
    assert allow(reply) == ALLOWED[path]


def test_options_of_a_path_that_leads_nowhere_is_404(items):
    assert_problem(items.http.options("/api/v1/nothing"), 404, "not-found")


def test_options_of_a_star_is_about_the_whole_service(items):
    """RFC 9110 9.3.7: what can be asked for here at all."""
    with Raw(items.url) as raw:
        reply = raw.send(head("OPTIONS", "*")).response("OPTIONS", "*")
        assert reply.status_code == 204 and reply.content == b""
        assert allow(reply) == set.union(*ALLOWED.values())
        assert raw.send(head("GET", "/livez")).response().status_code == 200


def test_options_of_a_star_leaves_out_what_no_path_takes(activity):
    with Raw(activity.url) as raw:
        reply = raw.send(head("OPTIONS", "*")).response("OPTIONS", "*")
    assert reply.status_code == 204
    assert allow(reply) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_a_star_is_no_path(items):
    with Raw(items.url) as raw:
        reply = raw.send(head("GET", "*")).response()
        assert reply.status_code in (400, 404) and "Allow" not in reply.headers


@pytest.mark.parametrize("path", ["/api/v1/items", "/livez", "/openapi.json", "/docs",
                                  "/api/v1/items?limit=1", "/problems/not-found"])
def test_head_answers_as_get_does_without_a_body(items, path):
    got, headed = items.http.get(path), items.http.head(path)
    assert headed.status_code == got.status_code and headed.content == b""
    assert lasting(headed.headers) == lasting(got.headers)


def lasting(headers) -> dict[str, str]:
    """What is the same from one answer to the next; names in any case (RFC 9110 5.1)."""
    return {name.lower(): value for name, value in headers.items()
            if name.lower() not in ("date", "x-request-id", "content-length")}


def test_head_of_an_item_has_its_headers(items):
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    got, headed = items.api.get(path), items.api.head(path)
    assert headed.status_code == 200 and headed.content == b""
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert headed.headers[name] == got.headers[name]


def test_head_leaves_the_connection_fit_for_the_next_request(items):
    with Raw(items.url) as raw:
        for _ in range(3):
            assert raw.send(head("HEAD", "/api/v1/items")).response("HEAD").status_code == 200
            assert raw.send(head("GET", "/livez")).response().status_code == 200


def test_a_head_that_fails_has_no_body(items):
    with Raw(items.url) as raw:
        raw.send(head("HEAD", "/nothing"))
        assert raw.response("HEAD").status_code == 404
        assert raw.send(head("GET", "/livez")).response().status_code == 200


def test_methods_are_case_sensitive(items):
    with Raw(items.url) as raw:
        reply = raw.send(head("get", "/api/v1/items")).response("GET", "/api/v1/items")
    assert_problem(reply, 405, "method-not-allowed")
