"""Input that is broken before any rule of an item could apply: each kind has its clear error."""

import json
import socket

import pytest
from support.broker import uuid7
from support.client import new_key
from support.load import item
from support.problems import assert_invalid, assert_problem
from support.raw import Raw, head

PLACE = r"line \d+, column \d+"
DEEP = 33
BROKEN = {
    "nothing": b"",
    "white space": b" \n\t ",
    "an unfinished object": b'{"name": "x"',
    "an unfinished string": b'{"name": "x',
    "an unfinished name": b'{"na',
    "a comma at the end": b'{"name": "x",}',
    "no comma": b'{"name": "x" "sku": "ABC"}',
    "no colon": b'{"name" "x"}',
    "single quotes": b"{'name': 'x'}",
    "a bare word": b"{name: 1}",
    "a comment": b'{"name": "x" /* why */}',
    "a half number": b'{"price_cents": 1.}',
    "a leading zero": b'{"price_cents": 012}',
    "a plus sign": b'{"price_cents": +1}',
    "hexadecimal": b'{"price_cents": 0x10}',
    "NaN": b'{"price_cents": NaN}',
    "Infinity": b'{"price_cents": -Infinity}',
    "None": b'{"name": None}',
    "a line break in a string": b'{"name": "a\nb"}',
    "a control character in a string": b'{"name": "a\x01b"}',
    "a bad escape": rb'{"name": "\x41"}',
    "half a surrogate pair": rb'{"name": "\ud83d"}',
    "a surrogate pair the wrong way round": rb'{"name": "\ude00\ud83d"}',
    "more after the end": b"{} {}",
    "rubbish after the end": b"{}x",
    "a second document": b'{"name": "x"}\n{"name": "y"}',
    "an array never closed": b"[" * 20,
    "a name given twice": b'{"name": "x", "price_cents": 1, "name": "y"}',
    "a name given twice by an escape": rb'{"name": "x", "n\u0061me": "y"}',
    "invalid UTF-8": b'{"name": "\xff"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "UTF-8 cut off": b'{"name": "\xe2\x82"}',
    "Latin-1": '{"name": "ü"}'.encode("latin-1"),
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a NUL": b'{"name": "a\x00b"}',
    "a NUL after the end": b"{}\x00",
    "a double out of range": b'{"price_cents": 1e999}',
    "nesting too deep": b'{"name":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "nesting far too deep": b'{"a":' * 100000 + b"1" + b"}" * 100000,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_text_that_is_no_json_is_400_with_its_place(items, kind):
    reply = items.api.post("/items", body=BROKEN[kind])
    assert_problem(reply, 400, "bad-request", detail=PLACE)


@pytest.mark.parametrize("kind", ["an unfinished object", "a name given twice", "invalid UTF-8",
                                  "nesting far too deep"])
def test_a_patch_that_is_no_json_is_400_with_its_place(items, kind):
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    reply = items.api.patch(path, body=BROKEN[kind])
    assert_problem(reply, 400, "bad-request", detail=PLACE)


@pytest.mark.parametrize("body, line", [
    (b'{"name": x}', 1), (b'{\n"name": x}', 2), (b'{\n  "name": "a",\n  "sku": ?\n}', 3),
    (b'{\r\n"name": "a",\r\n\r\n!', 4)])
def test_the_line_of_a_fault_is_the_right_one(items, body, line):
    reply = items.api.post("/items", body=body)
    assert_problem(reply, 400, "bad-request", detail=rf"line {line}, column \d+")


def test_the_column_of_a_fault_is_near_it(items):
    problem = assert_problem(items.api.post("/items", body=b'{"name": "abc", ?}'), 400,
                             "bad-request", detail=PLACE)
    column = int(problem["detail"].split("column ")[1].split()[0].strip(":,.;"))
    assert 16 <= column <= 18, problem["detail"]


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809",
                                    "100000000000000000000000000000", "1" * 400])
def test_an_integer_that_no_machine_holds_is_refused(items, number):
    body = json.dumps(item(price_cents=7)).replace(": 7", f": {number}").encode()
    reply = items.api.post("/items", body=body)
    if reply.status_code == 422:
        assert_invalid(reply, "/price_cents")
    else:
        assert_problem(reply, 400, "bad-request", detail=PLACE)


def test_nesting_as_deep_as_may_be_is_only_of_the_wrong_type(items):
    body = {"name": json.loads("[" * 20 + "]" * 20)} | {
        name: value for name, value in item().items() if name != "name"}
    assert_invalid(items.api.post("/items", body), "/name")


def test_a_nul_by_its_escape_is_refused(items):
    """PostgreSQL's text can't hold it."""
    reply = items.api.post("/items", item(name="a\u0000b"))
    assert reply.status_code in (400, 422)
    if reply.status_code == 422:
        assert_invalid(reply, "/name")
    else:
        assert_problem(reply, 400, "bad-request", detail=PLACE)


def test_a_fault_does_not_end_the_connection(items):
    """The next request on it is served."""
    key = new_key()
    with Raw(items.url) as raw:
        for body in (b"{", b"{}", b"[", b'{"a": 1}'):
            raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                          f"Idempotency-Key: {key}", f"Content-Length: {len(body)}"))
            raw.send(body)
            assert raw.response("POST").status_code in (400, 422)
        assert raw.send(head("GET", "/livez")).response().status_code == 200


@pytest.mark.parametrize("sent", [
    b"\x00\x01\x02\x03\r\n\r\n", b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /livez HTTP/1.1\r\nbroken header\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/v1/items HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n\r\n",
    b"POST /api/v1/items HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"POST /api/v1/items HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"ffffffffffff\r\n"])
def test_bytes_that_are_no_http_harm_nobody(items, sent):
    """They are answered with an error or with the end of the connection; others are served."""
    with Raw(items.url, timeout=3) as raw:
        raw.send(sent)
        raw.socket.shutdown(socket.SHUT_WR)
        try:
            said = raw.socket.recv(65536)
        except (ConnectionResetError, TimeoutError):
            said = b""
        assert said == b"" or said.split(b" ")[1][:1] in (b"4", b"5", b"2")
        assert not said.startswith(b"HTTP/1.1 201")
    assert items.http.get("/livez").status_code == 200


# How long a body is must have one answer: else what one server takes for its end is, to the next,
# the beginning of another request (RFC 9112 11.2).
@pytest.mark.parametrize("lines", [
    ["Content-Length: 5", "Content-Length: 6"], ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Content-Length: 5, 6"], ["Content-Length: +5"], ["Content-Length: 0x5"], ["Content-Length:"],
    ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chunked, identity"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: \x0bchunked"]])
def test_a_body_whose_end_can_not_be_told_ends_the_connection(items, lines):
    path = "/api/v1/items"
    with Raw(items.url) as raw:
        raw.send(head("POST", path, "Content-Type: application/json",
                      f"Idempotency-Key: {new_key()}", *lines))
        raw.send("0\r\n\r\n" + head("GET", "/livez"))
        assert_problem(raw.response("POST", path), 400, "bad-request")
        assert raw.rest() == b""  # The second request was never one.


@pytest.mark.parametrize("target", [
    b"/\xff\xfe", b"/api/v1/items/\xc3\xa9", b"/a\"b\\c", b"/<b>", b"x",
    b"/api/v1/items?q=\xff"])
def test_any_bytes_in_the_target_make_a_valid_problem(items, target):
    with Raw(items.url) as raw:
        raw.send(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = raw.response()
    assert reply.status_code in (400, 404, 422)
    assert json.loads(reply.content.decode("utf-8"))["status"] == reply.status_code


def test_a_client_that_has_said_all_still_gets_its_answer(items):
    """It has closed its own side of the connection."""
    body = json.dumps(item())
    with Raw(items.url) as raw:
        raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                      f"Idempotency-Key: {new_key()}", f"Content-Length: {len(body)}") + body)
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.response("POST").status_code == 201


@pytest.mark.parametrize("sent", [
    "", "GET", "nonsense\r\n\r\n", head("GET", "/livez"), head("GET", "/livez")[:-2],
    head("POST", "/api/v1/items", "Content-Length: 9", "Content-Type: application/json",
         "Idempotency-Key: half") + "{"])
def test_a_client_that_has_said_its_last_is_let_go(items, sent):
    """Its last bytes and its end may come in one moment; nobody waits for what can't come."""
    crowd = [Raw(items.url) for _ in range(20)]
    for raw in crowd:
        raw.send(sent)
        raw.socket.shutdown(socket.SHUT_WR)
    for raw in crowd:
        assert raw.closed_within(9)
        raw.socket.close()


def test_a_client_of_http_1_0_is_served_and_the_connection_closed(items):
    with Raw(items.url) as raw:
        assert raw.send("GET /livez HTTP/1.0\r\n\r\n").response().status_code == 200
        assert raw.closed_within(20)


def test_a_client_that_hangs_up_in_the_middle_harms_nobody(items, world):
    wanted = item()
    body = json.dumps(wanted).encode()
    for cut in (0, 1, len(body) // 2, len(body) - 1):
        with Raw(items.url) as raw:
            raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                          f"Idempotency-Key: {new_key()}", f"Content-Length: {len(body)}"))
            raw.send(body[:cut])
    assert items.http.get("/livez").status_code == 200
    assert world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted["sku"]) == [(0,)]


def test_a_client_that_does_not_wait_for_its_answer_harms_nobody(items, world):
    """The request was whole, so it has its effect; only the answer finds nobody."""
    made = [item() for _ in range(20)]
    for wanted in made:
        body = json.dumps(wanted).encode()
        with Raw(items.url) as raw:
            raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                          f"Idempotency-Key: {new_key()}", f"Content-Length: {len(body)}")
                     + body.decode())
    assert items.http.get("/livez").status_code == 200
    for wanted in made:  # Each is there once, or, if its connection was seen to end, not at all.
        [(n,)] = world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted["sku"])
        assert n in (0, 1)


def test_requests_sent_ahead_are_answered_in_their_order(items):
    ids = [items.api.post("/items", item()).json()["id"] for _ in range(5)]
    with Raw(items.url) as raw:
        raw.send("".join(head("GET", f"/api/v1/items/{one}") for one in ids))
        assert [json.loads(raw.response().content)["id"] for _ in ids] == ids


@pytest.mark.parametrize("etag", ["", '"', "'1'", '"1', "*, *", "x" * 3000, "\x80\xff"])
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_a_broken_precondition_is_never_a_failure_of_ours(items, name, etag):
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    headers = {name: etag.encode("latin-1")}
    if name == "If-None-Match":
        reply = items.api.get(path, headers=headers)
        assert reply.status_code in (200, 304, 400)
    else:
        reply = items.api.patch(path, {"price_cents": 5}, headers=headers)
        assert reply.status_code in (200, 400, 412)
        if etag not in ("*, *", ""):
            assert reply.status_code != 200  # A condition that can't be read does not hold.


def test_a_path_parameter_that_is_no_text_is_refused(items):
    for path in ("/api/v1/items/%ff", "/api/v1/items/%00", "/api/v1/items/%zz"):
        with Raw(items.url) as raw:
            reply = raw.send(head("GET", path)).response("GET", path)
        assert reply.status_code in (400, 404, 422), path
        assert json.loads(reply.content)["status"] == reply.status_code


def test_no_header_of_a_client_comes_back_as_a_header_of_ours(items):
    reply = items.api.get(f"/items/{uuid7()}", headers={"X-Request-Id": "a%0d%0aSet-Cookie: x=1"})
    assert "Set-Cookie" not in reply.headers
