"""Request ids and W3C trace context: taken over when valid, made when not, carried to the end."""

import re

import pytest
from support.client import new_key
from support.load import item
from support.problems import assert_problem
from support.wait import eventually

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("given", [
    "a", "A-Z_0.9", "x" * 128, "01890a5d-ac96-774b-bcce-b302099a8057"])
def test_a_valid_request_id_is_taken_over(items, given):
    assert items.api.get("/items", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [
    "", "x" * 129, "a b", "a/b", "a;b", 'a"b', "<script>", "é".encode("latin-1"), "a,b", "{}"])
def test_an_invalid_request_id_is_replaced(items, given):
    reply = items.api.get("/items", headers={"X-Request-Id": given})
    assert reply.status_code == 200
    assert UUID7.fullmatch(reply.headers["X-Request-Id"])


def test_each_request_has_an_id_of_its_own(items):
    made = [items.api.get("/items").headers["X-Request-Id"] for _ in range(10)]
    assert len(set(made)) == 10 and all(UUID7.fullmatch(one) for one in made)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/api/v1/items",
                                  "/nowhere"])
def test_every_answer_has_a_request_id(items, path):
    assert items.http.get(path).headers["X-Request-Id"]


def test_a_problem_tells_the_request_id_it_was_given(items):
    reply = items.api.get("/nowhere", headers={"X-Request-Id": "find-me"})
    assert assert_problem(reply, 404, "not-found")["request_id"] == "find-me"


def test_the_request_id_reaches_the_message_and_the_activity(items, activity, world, tap):
    given = "trail-" + new_key()
    item_id = items.api.post("/items", item(), headers={"X-Request-Id": given}).json()["id"]
    message = tap.about(item_id)
    assert message.properties.correlation_id == message.headers["correlation_id"] == given
    world.await_activities(item_id, 1)
    [told] = activity.api.get("/activities", params={"correlation_id": given}).json()["items"]
    assert told["item_id"] == item_id


def test_a_made_request_id_reaches_the_message_too(items, tap):
    reply = items.api.post("/items", item())
    assert tap.about(reply.json()["id"]).headers["correlation_id"] == reply.headers["X-Request-Id"]


def traced(items, tap, headers: dict):
    """The trace context of the event that a request with these headers caused."""
    item_id = items.api.post("/items", item(), headers=headers).json()["id"]
    return tap.about(item_id).headers


def test_a_trace_goes_on_in_the_message(items, tap):
    heard = traced(items, tap, {"traceparent": f"00-{TRACE}-{SPAN}-01",
                                "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"})
    assert TRACEPARENT.fullmatch(heard["traceparent"]).group(1) == TRACE
    assert heard["traceparent"].endswith("-01")
    assert heard["tracestate"] == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"


def test_a_trace_that_is_not_sampled_stays_so(items, tap):
    heard = traced(items, tap, {"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert heard["traceparent"].split("-")[1] == TRACE and heard["traceparent"].endswith("-00")
    assert "tracestate" not in heard


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known(items, tap):
    heard = traced(items, tap, {"traceparent": f"01-{TRACE}-{SPAN}-01-more"})
    assert TRACEPARENT.fullmatch(heard["traceparent"]).group(1) == TRACE


@pytest.mark.parametrize("given", [
    None, "", "00", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01-more",
    f"00-{TRACE}{SPAN}-01", f"00-{TRACE[:-1]}g-{SPAN}-01", f"00-{TRACE}-{SPAN}-0x", "x" * 300])
def test_without_a_valid_trace_a_new_one_begins(items, tap, given):
    headers = {"tracestate": "rojo=1"} | ({} if given is None else {"traceparent": given})
    heard = traced(items, tap, headers)
    trace = TRACEPARENT.fullmatch(heard["traceparent"]).group(1)
    assert trace not in (TRACE, "0" * 32)
    assert "tracestate" not in heard  # It belongs to the trace that could not be read.


def test_the_log_line_of_a_request_names_its_id_and_its_trace(items):
    given = "logged-" + new_key()
    items.api.get("/items", headers={"X-Request-Id": given, "traceparent": f"00-{TRACE}-{SPAN}-01"})
    lines = eventually(lambda: [line for line in items.logs() if line.get("request_id") == given],
                       what="the log line")
    assert lines[-1]["trace_id"] == TRACE
    assert re.fullmatch(r"[0-9a-f]{16}", lines[-1]["span_id"]) and lines[-1]["span_id"] != SPAN


def test_every_log_line_is_an_object_with_the_members_of_the_contract(items, activity):
    for service in (items, activity):
        lines = service.logs()
        assert lines
        for line in lines:
            assert {"timestamp", "level", "message", "service", "version"} <= set(line), line
            assert line["service"] == service.name
            assert line["level"] in ("debug", "info", "warn", "error")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])


def test_no_password_shows_in_the_log(items, activity, world):
    for service in (items, activity):
        said = service.out.read_text() + service.err.read_text()
        for url in (service.env["DATABASE_URL"], service.env["AMQP_URL"]):
            assert url.split("://")[1].split("@")[0].split(":")[1] not in said


def test_the_actor_is_logged(items):
    given = "acted-" + new_key()
    items.api.get("/items", headers={"X-Request-Id": given, "X-authentik-username": "alice"})
    [line] = eventually(lambda: [line for line in items.logs()
                                 if line.get("request_id") == given], what="the log line")
    assert line["actor"] == "alice"
