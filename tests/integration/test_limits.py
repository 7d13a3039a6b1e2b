"""Limits: each one can be set, each one is told to whoever meets it, and nobody else suffers."""

import json
import socket
import threading
import time

import pytest
from support.client import new_key
from support.load import body_of, item, side_by_side
from support.problems import assert_problem, check_problem
from support.raw import Raw, head
from support.wait import eventually

# Time limits that a test with a sanitizer's slowness still keeps.
PATIENT = {"DATABASE_LOCK_TIMEOUT_MS": 15000, "REQUEST_TIMEOUT_MS": 15000}


def post_head(length: int | str, *lines: str) -> str:
    return head("POST", "/api/v1/items", "Content-Type: application/json",
                f"Idempotency-Key: {new_key()}", f"Content-Length: {length}", *lines)


# ---- Size -----------------------------------------------------------------------


@pytest.fixture
def small(start):
    return start("items", BODY_BYTES_MAX=2048, HEADER_BYTES_MAX=1024)


def test_a_body_as_large_as_may_be_is_served(small):
    assert small.api.post("/items", body=body_of(2048)).status_code == 201


def test_a_larger_body_is_413(small):
    reply = small.api.post("/items", body=body_of(2049))
    assert_problem(reply, 413, "content-too-large", detail="2048")


def test_a_body_that_is_announced_too_large_is_not_waited_for(small):
    with Raw(small.url) as raw:
        reply = raw.send(post_head(10**12)).response("POST", "/api/v1/items")
    assert_problem(reply, 413, "content-too-large")


def test_a_body_in_pieces_that_grows_too_large_is_413(small):
    with Raw(small.url) as raw:
        raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                      f"Idempotency-Key: {new_key()}", "Transfer-Encoding: chunked"))
        for _ in range(5):
            raw.send(b"400\r\n" + b" " * 1024 + b"\r\n")
        reply = raw.response("POST", "/api/v1/items")
    assert_problem(reply, 413, "content-too-large")


def test_a_client_that_asks_before_it_sends_is_told_at_once(small):
    with Raw(small.url) as raw:
        raw.send(post_head(4096, "Expect: 100-continue"))
        reply = raw.response("POST", "/api/v1/items")
    assert_problem(reply, 413, "content-too-large")


def test_a_body_limit_holds_where_no_body_is_asked_for(small):
    reply = small.api.request("DELETE", "/items/01890a5d-ac96-774b-bcce-b302099a8057",
                              body=b"x" * 5000)
    assert_problem(reply, 413, "content-too-large")


@pytest.mark.parametrize("lines", [
    ["X-Big: " + "x" * 2000], [f"X-{i}: {'x' * 40}" for i in range(40)]])
def test_headers_too_large_are_431(small, lines):
    with Raw(small.url) as raw:
        raw.send(head("GET", "/api/v1/items", *lines))
        reply = raw.response("GET", "/api/v1/items")
    assert_problem(reply, 431, "header-fields-too-large")
    assert small.http.get("/livez").status_code == 200


def test_headers_within_the_limit_are_served(small):
    reply = small.api.get("/items", headers={"X-Big": "x" * 500})
    assert reply.status_code == 200


def test_a_path_too_long_is_414(small):
    with Raw(small.url) as raw:
        path = "/api/v1/items?q=" + "x" * 2000
        reply = raw.send(head("GET", path)).response("GET", path)
    assert_problem(reply, 414, "uri-too-long")


@pytest.mark.parametrize("size", [9000, 20000, 60000, 1000000])
def test_headers_of_any_size_harm_nobody(items, size):
    """Beyond its buffers a server may answer in its own words, or hang up; never more."""
    with Raw(items.url) as raw:
        try:
            raw.send(head("GET", "/api/v1/items", "X-Big: " + "x" * size))
            assert raw.response("GET").status_code == 431
        except OSError:
            pass
    assert items.http.get("/livez").status_code == 200


# ---- Slow clients ------------------------------------------------------------------


@pytest.fixture
def impatient(start):
    return start("items", READ_TIMEOUT_MS=500, IDLE_TIMEOUT_MS=5000)


def assert_timed_out(raw: Raw, began: float, path: str | None) -> None:
    reply = raw.response("POST", path or "/")
    assert 0.3 < time.monotonic() - began < 8  # It is ten seconds where nothing else is said.
    assert reply.status_code == 408 and reply.headers["Connection"].lower() == "close"
    assert reply.headers["Content-Type"] == "application/problem+json"
    check_problem(json.loads(reply.content), 408, "request-timeout", path,
                  reply.headers["X-Request-Id"])
    assert raw.closed_within(10)


def test_a_body_that_does_not_come_is_408(impatient):
    with Raw(impatient.url) as raw:
        began = time.monotonic()
        raw.send(post_head(100) + '{"name": ')
        assert_timed_out(raw, began, "/api/v1/items")


def test_a_header_that_does_not_end_is_408(impatient):
    with Raw(impatient.url) as raw:
        began = time.monotonic()
        raw.send("GET /api/v1/items HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert_timed_out(raw, began, None)


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_client_that_drips_gains_no_time(impatient, part):
    """The limit is for the whole request, not for the silence between two bytes."""
    with Raw(impatient.url) as raw:
        raw.send("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " if part == "header" else post_head(1000))
        over = threading.Event()

        def drip():
            while not over.wait(0.1):
                try:
                    raw.send("x")
                except OSError:
                    return

        dripper = threading.Thread(target=drip, daemon=True)
        dripper.start()
        try:
            assert raw.response("POST").status_code == 408  # While it drips on.
        finally:
            over.set()
    dripper.join()


def test_a_slow_client_holds_up_nobody(start):
    service = start("items", READ_TIMEOUT_MS=60000)
    slow = [Raw(service.url) for _ in range(50)]
    for raw in slow:
        raw.send(post_head(100))
    assert service.api.post("/items", item()).status_code == 201  # Long before they time out.
    for raw in slow:
        raw.socket.close()


def test_a_second_request_on_a_connection_has_a_limit_of_its_own(impatient):
    with Raw(impatient.url) as raw:
        for _ in range(4):  # Together longer than the limit for one.
            assert raw.send(head("GET", "/livez")).response().status_code == 200
            time.sleep(0.2)
        began = time.monotonic()
        raw.send(post_head(100))
        assert_timed_out(raw, began, "/api/v1/items")


def test_an_idle_connection_is_closed_without_a_word(impatient):
    with Raw(impatient.url) as raw:
        assert raw.send(head("GET", "/livez")).response().status_code == 200
        time.sleep(0.8)  # Longer than a request may take to arrive, for none has begun.
        assert raw.send(head("GET", "/livez")).response().status_code == 200
        raw.socket.settimeout(20)
        assert raw.socket.recv(1000) == b""


# ---- Too much at once ----------------------------------------------------------------


def test_requests_beyond_those_in_flight_are_503_and_the_others_go_through(start, world):
    service = start("items", REQUESTS_MAX=3, WORKERS=1, **PATIENT)
    got = []
    with world.transaction("items") as holder:
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        threads = [threading.Thread(target=lambda: got.append(service.api.post("/items", item())))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(got) == 5, what="five who are told to come again")
        began = time.monotonic()
        assert_problem(service.api.get("/items"), 503, "service-unavailable")
        assert time.monotonic() - began < 10  # Who queues gets nothing before 15 seconds.
        assert service.http.get("/livez").status_code == 200
        assert len(got) == 5
    for thread in threads:
        thread.join(20)
    for refused in got[:5]:
        assert_problem(refused, 503, "service-unavailable")
    assert [reply.status_code for reply in got[5:]] == [201] * 3
    assert service.api.get("/items").status_code == 200


def test_a_request_that_takes_too_long_is_504_and_may_be_sent_again(start, world):
    service = start("items", REQUEST_TIMEOUT_MS=400, DATABASE_LOCK_TIMEOUT_MS=15000)
    key, wanted = new_key(), item()
    with world.transaction("items") as holder:
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert_problem(service.api.post("/items", wanted, key=key), 504, "gateway-timeout")
        assert 0.3 < time.monotonic() - began < 10  # The lock is waited for longer.
        assert_problem(service.api.get("/items"), 504, "gateway-timeout")

    def done():
        reply = service.api.post("/items", wanted, key=key)
        return reply.status_code == 201 and reply

    eventually(done)
    assert world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted["sku"]) == [(1,)]


def test_connections_beyond_the_limit_are_not_served(start):
    service = start("items", CONNECTIONS_MAX=16, WORKERS=1)
    crowd = [Raw(service.url) for _ in range(40)]
    try:
        served = 0
        for raw in crowd:
            raw.socket.settimeout(0.2)
            try:
                served += raw.send(head("GET", "/livez")).response().status_code == 200
            except (OSError, EOFError, ValueError):
                pass
            except Exception as error:  # http.client's way to say that the connection ended.
                assert "Disconnected" in type(error).__name__ or "BadStatus" in type(error).__name__
        assert 8 <= served <= 16
    finally:
        for raw in crowd:
            raw.socket.close()
    eventually(lambda: service.http.get("/livez", timeout=2).status_code == 200, 20,
               what="served again")


def test_five_hundred_requests_that_wait_all_get_through(start, world):
    service = start("items", WORKERS=1, **PATIENT)
    crowd = []
    try:
        with world.transaction("items") as holder:
            holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            for _ in range(500):
                body = body_of(300).decode()
                crowd.append(Raw(service.url, timeout=30).send(post_head(len(body)) + body))
        assert [raw.response("POST").status_code for raw in crowd] == [201] * 500
    finally:
        for raw in crowd:
            raw.socket.close()


def test_a_client_that_does_not_read_its_answer_holds_up_nobody(items):
    made = [items.api.post("/items", item(description="ü" * 2000)) for _ in range(20)]
    assert {reply.status_code for reply in made} == {201}
    lazy = []
    for _ in range(20):
        raw = Raw(items.url)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        lazy.append(raw.send(head("GET", "/api/v1/items?limit=100")))
    assert items.api.post("/items", item()).status_code == 201
    for raw in lazy:
        raw.socket.close()


def test_two_hundred_clients_at_once_are_all_served(items):
    replies = side_by_side(200, lambda _: items.api.get("/items?limit=1", timeout=60))
    assert {reply.status_code for reply in replies} == {200}
