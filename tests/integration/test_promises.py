"""What the OpenAPI documents say of a value is what is taken: no more, and no less."""

import itertools

import pytest
from support.broker import uuid7
from support.load import item


def schema_of(service, method: str, path: str, name: str) -> dict:
    document = service.document()
    operation = document.operation(method, "/api/v1" + path)
    [parameter] = [parameter for parameter in map(document.resolve, operation["parameters"])
                   if parameter["name"] == name]
    return parameter["schema"]


def is_promised(service, schema: dict, value) -> bool:
    return not service.document().faults(schema, value)


# ---- Headers --------------------------------------------------------------------

QUOTES = ["".join(letters) for n in range(1, 5) for letters in itertools.product('"\\a', repeat=n)]
LENGTHS = [begin + "k" * n + end for n in (254, 255, 256, 257)
           for begin, end in (("", ""), ('"', '"'), ('"\\"', '"'), ('"', ""))]
ESCAPED = ['"' + r"\"" * n + '"' for n in (255, 256)]


def test_a_key_is_taken_exactly_when_it_is_promised(items):
    path = f"/items/{uuid7()}"
    schema = schema_of(items, "DELETE", path, "Idempotency-Key")
    assert schema == schema_of(items, "POST", "/items", "Idempotency-Key")
    odd = [f"a{character}b" for character in map(chr, range(0x20, 0x7f))]
    for key in QUOTES + LENGTHS + ESCAPED + odd:
        reply = items.api.delete(path, key=key)
        assert reply.status_code in (400, 404)
        assert is_promised(items, schema, key) == (reply.status_code == 404), key


@pytest.mark.parametrize("seen", [
    "", "0", "7", "007", "0" * 19, "0" * 20, "9223372036854775807", "9223372036854775808",
    "9" * 19, "9" * 20, "-1", "+1", "1.0", "0x1", "1e3", "a", "1 2", "1, 2"])
def test_a_last_event_id_is_taken_exactly_when_it_is_promised(activity, seen):
    path = "/activities/stream"
    reply = activity.api.head(path, headers={"Accept": "text/event-stream", "Last-Event-ID": seen})
    assert reply.status_code in (200, 422)
    schema = schema_of(activity, "GET", path, "Last-Event-ID")
    assert is_promised(activity, schema, seen) == (reply.status_code == 200)


@pytest.mark.parametrize("name", ["X-Request-Id", "If-None-Match"])
@pytest.mark.parametrize("value", [
    "", "plain", '"1"', "a b", "x" * 3000, "*", "W/", ",", "\x80\xff"])
def test_a_header_that_may_be_anything_is_served_whatever_it_is(items, name, value):
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    assert schema_of(items, "GET", path, name) == {"type": "string"}
    reply = items.api.get(path, headers={name: value.encode("latin-1")})
    assert reply.status_code in (200, 304)


# ---- Texts ----------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "a", "\u0001", "a\nb\r\tc", "é\u2028😀", "\x7f", "a\u0000", "\u0000"])
def test_a_text_is_taken_exactly_when_it_is_promised(items, text):
    """All but NUL, which the database's text can't hold."""
    made = items.api.post("/items", item(name=text))
    body = items.document().operation("POST", "/api/v1/items")["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert is_promised(items, schema, item(name=text)) == (made.status_code == 201)
    assert made.status_code == 400 or made.json()["name"] == text
    found = items.http.get("/api/v1/items", params={"q": text})
    assert is_promised(items, schema_of(items, "GET", "/items", "q"), text) == (
        found.status_code == 200)
