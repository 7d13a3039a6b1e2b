"""Media types: what a client accepts (RFC 9110 12.5.1), and what it sends."""

import json

import pytest
from support.load import item
from support.problems import assert_problem
from support.raw import Raw, head

ACCEPTS_JSON = [
    None, "*/*", "application/*", "application/json", "application/json;q=0.1",
    "text/html, application/json", "text/html,application/xhtml+xml,*/*;q=0.8", "APPLICATION/JSON",
    "application/json; charset=utf-8", "text/plain;q=0.5 , application/json ;q=1.0",
    "application/xml;q=0, */*;q=0.1", "application/problem+json, application/json", ""]
REFUSES_JSON = [
    "text/html", "application/xml", "image/*", "application/json;q=0", "*/*;q=0",
    "application/*;q=0, text/html", "application/jsonx", "text/html, image/png;q=0.9"]


@pytest.mark.parametrize("accept", ACCEPTS_JSON)
def test_a_client_that_takes_json_gets_it(items, accept):
    reply = items.api.get("/items", headers={"Accept": accept})
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("accept", REFUSES_JSON)
def test_a_client_that_takes_no_json_is_406(items, accept):
    assert_problem(items.api.get("/items", headers={"Accept": accept}), 406, "not-acceptable")


def test_a_406_has_no_effect(items, world):
    wanted = item()
    reply = items.api.post("/items", wanted, headers={"Accept": "text/html"})
    assert_problem(reply, 406, "not-acceptable")
    assert world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted["sku"]) == [(0,)]


def test_an_error_is_a_problem_whatever_is_accepted(items):
    for accept in ("application/json", "text/html", "application/problem+json", "image/png"):
        reply = items.http.get("/nothing", headers={"Accept": accept})
        assert_problem(reply, 404, "not-found")


@pytest.mark.parametrize("media_type", [
    "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
    'application/json; charset="utf-8"', "Application/JSON", "application/json ; charset=utf-8"])
def test_json_by_any_spelling_is_understood(items, media_type):
    reply = items.api.post("/items", item(), headers={"Content-Type": media_type})
    assert reply.status_code == 201, reply.text


@pytest.mark.parametrize("media_type", [
    None, "", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "application/json; charset=latin-1",
    "application/json; charset=utf-16", "application/merge-patch+json", "application/jsonp", "json",
    "application/json, text/plain"])
def test_a_body_of_another_type_is_415(items, media_type):
    reply = items.api.post("/items", item(), headers={"Content-Type": media_type})
    assert_problem(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["text/plain", "application/json-patch+json", None])
def test_a_patch_of_another_type_is_415(items, media_type):
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    reply = items.api.patch(path, {"name": "x"}, headers={"Content-Type": media_type})
    assert_problem(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_an_encoded_body_is_refused(items, coding):
    """Nobody decodes it, and the bytes are no JSON."""
    reply = items.api.post("/items", body=b"\x1f\x8b\x08", headers={"Content-Encoding": coding})
    assert reply.status_code in (400, 415)
    assert_problem(reply, reply.status_code,
                   "bad-request" if reply.status_code == 400 else "unsupported-media-type")


def test_a_body_where_none_is_asked_for_is_ignored(items):
    made = items.api.post("/items", item()).json()
    for method in ("GET", "DELETE"):
        reply = items.api.request(method, f"/items/{made['id']}", body=b"not asked for",
                                  headers={"Content-Type": "text/plain"})
        assert reply.status_code in (200, 204)


def test_a_body_in_pieces_is_put_together(items):
    body = json.dumps(wanted := item()).encode()
    with Raw(items.url) as raw:
        raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                      f"Idempotency-Key: {wanted['sku']}", "Transfer-Encoding: chunked"))
        for i in range(0, len(body), 7):
            piece = body[i:i + 7]
            raw.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        reply = raw.send(b"0\r\n\r\n").response("POST", "/api/v1/items")
    assert reply.status_code == 201 and json.loads(reply.content)["sku"] == wanted["sku"]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(items):
    body = json.dumps(wanted := item()).encode()
    with Raw(items.url) as raw:
        raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                      f"Idempotency-Key: {wanted['sku']}", f"Content-Length: {len(body)}",
                      "Expect: 100-continue"))
        assert raw.socket.recv(4096).startswith(b"HTTP/1.1 100 ")
        assert raw.send(body).response("POST").status_code == 201
