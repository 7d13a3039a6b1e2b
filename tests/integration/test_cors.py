"""CORS (the Fetch standard): which web pages may read our answers."""

import pytest
from support.broker import uuid7
from support.load import item

HERE, THERE, EVIL = "https://shop.example", "http://localhost:3000", "https://evil.example"
EXPOSED = {"etag", "link", "location", "retry-after", "x-request-id", "idempotent-replayed"}
ALLOWED_HEADERS = {"content-type", "idempotency-key", "if-match", "if-none-match", "x-request-id",
                   "traceparent", "tracestate", "last-event-id"}


def words(reply, name: str) -> set[str]:
    return {word.strip().lower() for word in reply.headers[name].split(",")}


@pytest.fixture(scope="module")
def listed(world):
    made = world.start("items", CORS_ALLOWED_ORIGINS=f"{HERE},{THERE}")
    yield made
    world.stop([made])


@pytest.fixture(scope="module")
def anyone(world):
    made = world.start("items", CORS_ALLOWED_ORIGINS="*")
    yield made
    world.stop([made])


def preflight(service, path: str, origin: str, method: str, headers: str = "content-type"):
    return service.api.options(path, headers={
        "Origin": origin, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers})


@pytest.mark.parametrize("origin", [HERE, THERE])
def test_a_listed_page_may_read_the_answer(listed, origin):
    reply = listed.api.get("/items", headers={"Origin": origin})
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    assert "origin" in words(reply, "Vary")
    assert words(reply, "Access-Control-Expose-Headers") >= EXPOSED


@pytest.mark.parametrize("origin", [
    EVIL, "null", HERE + ".evil.example", HERE + ":444", HERE.upper(), "http://shop.example",
    HERE + "/", "shop.example", "https://a." + HERE[8:], f"{HERE}, {THERE}", "*", ""])
def test_another_page_may_not(listed, origin):
    reply = listed.api.get("/items", headers={"Origin": origin})
    assert reply.status_code == 200  # It is the browser that keeps the answer from the page.
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")]
    assert "origin" in words(reply, "Vary")


def test_the_answer_varies_by_origin_even_without_one(listed):
    """Else a cache could give a page the answer without the header."""
    assert "origin" in words(listed.api.get("/items"), "Vary")


@pytest.mark.parametrize("status, ask", [
    (404, lambda api, headers: api.get(f"/items/{uuid7()}", headers=headers)),
    (404, lambda api, headers: api.get("/nothing", headers=headers)),
    (405, lambda api, headers: api.request("PUT", "/items", headers=headers)),
    (415, lambda api, headers: api.post("/items", body=b"x", headers=headers | {
        "Content-Type": "text/plain"})),
    (422, lambda api, headers: api.post("/items", {}, headers=headers)),
    (400, lambda api, headers: api.post("/items", body=b"{", headers=headers)),
    (201, lambda api, headers: api.post("/items", item(), headers=headers))])
def test_errors_may_be_read_too(listed, status, ask):
    reply = ask(listed.api, {"Origin": HERE})
    assert reply.status_code == status
    assert reply.headers["Access-Control-Allow-Origin"] == HERE
    assert words(reply, "Access-Control-Expose-Headers") >= EXPOSED


def test_a_replay_may_be_read_too(listed):
    body = item()
    for origin in (HERE, THERE):
        reply = listed.api.post("/items", body, key="cors-" + body["sku"],
                                headers={"Origin": origin})
        assert reply.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("path, methods", [
    ("/items", {"get", "post"}), (f"/items/{uuid7()}", {"get", "patch", "delete"})])
def test_a_preflight_tells_methods_and_headers_and_is_cached(listed, path, methods):
    for method in methods:
        reply = preflight(listed, path, HERE, method.upper(), ", ".join(ALLOWED_HEADERS))
        assert reply.status_code == 204 and reply.content == b""
        assert reply.headers["Access-Control-Allow-Origin"] == HERE
        assert words(reply, "Access-Control-Allow-Methods") >= methods
        assert words(reply, "Access-Control-Allow-Headers") >= ALLOWED_HEADERS
        assert int(reply.headers["Access-Control-Max-Age"]) >= 60
        assert "origin" in words(reply, "Vary")


def test_a_preflight_of_another_page_is_told_nothing(listed):
    reply = preflight(listed, "/items", EVIL, "POST")
    assert reply.status_code == 204
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


def test_anyone_may_read_when_all_are_listed(anyone):
    for origin in (HERE, EVIL, "null"):
        reply = anyone.api.get("/items", headers={"Origin": origin})
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in reply.headers
    assert preflight(anyone, "/items", EVIL, "POST").headers["Access-Control-Allow-Origin"] == "*"


def test_nobody_may_read_when_none_is_listed(items):
    reply = items.api.get("/items", headers={"Origin": HERE})
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")]
    plain = preflight(items, "/items", HERE, "POST")
    assert plain.status_code == 204
    assert not [name for name in plain.headers if name.lower().startswith("access-control-")]
