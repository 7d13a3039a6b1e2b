"""A request that is refused while its body still comes: whoever says all before it listens, as most
clients do, has its answer (RFC 9112 9.6); whoever never ends is not listened to for ever.
"""

import select
import time

import pytest
from support.client import new_key
from support.problems import assert_problem
from support.raw import Raw, head

LIMIT = 1 << 20  # BODY_BYTES_MAX, when nothing else is said.
PIECE = b" " * 32768
JSON, KEY = "Content-Type: application/json", "Idempotency-Key: {key}"
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
ITEMS, REPLAY = "/api/v1/items", f"/api/v1/dead-letters/{ID}/replay"
# Service, answer, request, and how long its body is.
REFUSED = {
    "too large": ("items", 413, "content-too-large", ["POST", ITEMS, JSON, KEY], 3 * LIMIT),
    "too large and not asked for": ("activity", 413, "content-too-large", ["POST", REPLAY, KEY],
                                    3 * LIMIT),
    "for no path": ("items", 404, "not-found", ["POST", "/nothing", JSON], LIMIT),
    "for no path of activity": ("activity", 404, "not-found", ["POST", "/nothing", JSON], LIMIT),
    "for no method": ("items", 405, "method-not-allowed", ["PUT", ITEMS, JSON], LIMIT),
    "for no method of activity": ("activity", 405, "method-not-allowed",
                                  ["PUT", "/api/v1/activities", JSON], LIMIT),
    "of another type": ("items", 415, "unsupported-media-type",
                        ["POST", ITEMS, "Content-Type: text/plain", KEY], LIMIT),
    "with nothing acceptable": ("items", 406, "not-acceptable",
                                ["POST", ITEMS, JSON, KEY, "Accept: text/html"], LIMIT),
    "no JSON": ("items", 400, "bad-request", ["POST", ITEMS, JSON, KEY], LIMIT),
    "for a target too long": ("items", 414, "uri-too-long",
                              ["POST", ITEMS + "?q=" + "x" * 9000, JSON], LIMIT),
    "with a header too large": ("items", 431, "header-fields-too-large",
                                ["POST", ITEMS, JSON, "X-Big: " + "x" * 9000], LIMIT),
    "with a header too large for activity": (
        "activity", 431, "header-fields-too-large",
        ["POST", REPLAY, "X-Big: " + "x" * 9000], LIMIT),
}


def begin(raw: Raw, request: list[str], framing: str) -> None:
    method, path, *lines = request
    raw.send(head(method, path, framing, *(line.format(key=new_key()) for line in lines)))


def go_on(raw: Raw, size: int, chunked: bool, pause_s: float = 0) -> None:
    """Sends so much of a body; it is an error when nobody takes it."""
    for _ in range(size // len(PIECE)):
        raw.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
        time.sleep(pause_s)


def await_answer(raw: Raw, seconds: float) -> None:
    """Until the answer is here, unread, or it is not: a server may want to see all of it first."""
    select.select([raw.socket], [], [], seconds)


@pytest.mark.parametrize("chunked", [False, True], ids=["of known length", "in chunks"])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_client_that_says_all_before_it_listens_has_its_answer(request, kind, chunked):
    name, status, slug, wanted, size = REFUSED[kind]
    service = request.getfixturevalue(name)
    with Raw(service.url) as raw:
        begin(raw, wanted, "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}")
        go_on(raw, size // 2, chunked)
        await_answer(raw, 0.2)
        go_on(raw, size // 2, chunked, pause_s=0.002)  # Each alone: the first would bring a reset.
        raw.send(b"0\r\n\r\n" if chunked else b"")
        assert_problem(raw.response(*wanted[:2]), status, slug)


@pytest.mark.parametrize("kind", ["too large", "too large and not asked for"])
def test_a_client_that_never_ends_is_let_go(request, kind):
    name, status, slug, wanted, _ = REFUSED[kind]
    service = request.getfixturevalue(name)
    with Raw(service.url) as raw:
        begin(raw, wanted, f"Content-Length: {10**12}")
        assert_problem(raw.response(*wanted[:2]), status, slug)
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 15:
                go_on(raw, len(PIECE), False, pause_s=0.05)
    assert service.http.get("/livez").status_code == 200
