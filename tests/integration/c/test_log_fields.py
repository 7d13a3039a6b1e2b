"""What stands on a line of the log, what never does, and how much is logged meanwhile."""

import signal

import pytest
from support.broker import event
from support.client import new_key
from support.load import item
from support.wait import eventually
from support.world import World

COMMON = ["timestamp", "level", "message", "service", "version", "request_id", "trace_id",
          "span_id"]


def lines_of(service, **wanted) -> list[dict]:
    return eventually(lambda: [line for line in service.logs()
                               if all(line.get(key) == value for key, value in wanted.items())],
                      what=f"a line with {wanted}")


# ---- What is on a line ---------------------------------------------------------------


def test_the_line_of_a_request_tells_its_route_and_what_became_of_it(items):
    made = items.api.post("/items", item()).json()["id"]
    request_id = "fields-" + new_key()
    reply = items.api.get(f"/items/{made}?unused=1", check=False, headers={
        "X-Request-Id": request_id, "X-authentik-username": "alice"})
    [line] = lines_of(items, request_id=request_id)
    assert list(line)[:len(COMMON)] == COMMON
    assert (line["message"], line["level"], line["method"]) == ("request", "info", "GET")
    assert line["route"] == "/api/v1/items/{id}"  # Never the path.
    assert (line["status"], line["bytes"]) == (reply.status_code, len(reply.content))
    assert 0 < line["duration_ms"] < 5000 and line["actor"] == "alice"


def test_the_line_of_a_message_tells_which_it_was(activity, broker):
    sent = event("item.updated", correlation_id="fields-" + new_key())
    broker.publish(sent)
    [line] = lines_of(activity, message="message", message_id=sent.properties.message_id)
    assert list(line)[:len(COMMON)] == COMMON
    assert (line["type"], line["outcome"]) == ("item.updated", "done")
    assert line["request_id"] == sent.properties.correlation_id and line["duration_ms"] > 0


def test_the_line_of_a_slow_query_names_the_query(start, world):
    service = start("items", DATABASE_LOCK_TIMEOUT_MS=700)
    with world.transaction("items") as held:
        held.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        # The database gives up waiting for the lock; by then the query is slow.
        assert service.api.get("/items").status_code in (503, 504)
    line = lines_of(service, message="slow query")[0]
    assert line["level"] == "warn" and line["duration_ms"] >= 500
    assert line["query"] in service_queries(service)


def service_queries(service) -> set[str]:
    """The names under which its queries are counted."""
    page = service.http.get("/metrics").text
    return {line.split('db_operation_name="')[1].split('"')[0] for line in page.splitlines()
            if line.startswith("db_client_operation_duration_seconds_count")}


# ---- What is on none -------------------------------------------------------------------


@pytest.fixture
def alone(stack, tmp_path):
    """A world with no other consumer in it."""
    made = World(stack, tmp_path, vhost="log-fields")
    yield made
    made.close()


def test_no_line_holds_a_body_a_key_or_what_a_client_proves_itself_with(alone):
    """At the level that says most, and in what is refused too."""
    secret = "canary" + new_key().replace("-", "")
    items = alone.start("items", LOG_LEVEL="debug")
    activity = alone.start("activity", LOG_LEVEL="debug")
    headers = {"Authorization": f"Bearer {secret}", "Cookie": f"session={secret}"}
    body = item(name=secret, description=secret)
    made = items.api.post("/items", body, key=secret, headers=headers)
    assert made.status_code == 201
    assert items.api.post("/items", body, key=secret, headers=headers).status_code == 201
    assert items.api.post("/items", item(), key=secret).status_code == 422
    assert items.api.post("/items", body).status_code == 409  # The sku is taken.
    assert items.api.post("/items", {"sku": secret}).status_code == 422
    assert items.api.post("/items", body=secret.encode()).status_code == 400
    assert items.api.get("/items", params={"q": secret}).status_code == 200
    assert items.api.get(f"/{secret}", check=False).status_code == 404
    sent = event(extra={"note": secret}, headers={"correlation_id": "c", "idempotency_key": secret})
    broker = alone.broker()
    broker.publish(sent)
    broker.close()
    lines_of(activity, message="message", message_id=sent.properties.message_id)
    for service in (items, activity):
        assert service.logs() and secret not in service.out.read_text() + service.err.read_text()


# ---- How much is logged ----------------------------------------------------------------


def test_a_signal_changes_at_once_which_lines_there_are(start):
    service = start("items", LOG_LEVEL="warn", WORKERS=1)

    def asked() -> str:
        request_id = "level-" + new_key()
        service.api.get("/items", headers={"X-Request-Id": request_id})
        return request_id

    def told(number: signal.Signals, n: int) -> None:
        service.process.send_signal(number)
        eventually(lambda: len([line for line in service.logs()
                                if line["message"] == "log level changed"]) == n)

    before = asked()
    asked()  # Answered by the same worker, so it has done with the one before: a line, or none.
    told(signal.SIGUSR1, 1)
    between = asked()
    lines_of(service, request_id=between, message="request")
    told(signal.SIGUSR2, 2)
    after = asked()
    service.stop()  # Whatever waits to be written is written then.
    logged = {line.get("request_id") for line in service.logs()}
    assert between in logged and not {before, after} & logged


@pytest.mark.parametrize("setting", [{"ACCESS_LOG": "false"}, {"ACCESS_LOG_RATIO": "0"}])
def test_without_an_access_log_there_is_no_line_of_a_request(start, setting):
    service = start("items", **setting)
    service.api.get("/items", headers={"X-Request-Id": "unlogged-1"})
    service.stop()
    assert not [line for line in service.logs() if line["message"] == "request"]


def test_a_sampled_access_log_keeps_what_failed(start, world):
    service = start("items", ACCESS_LOG_RATIO="0.000001", REQUEST_TIMEOUT_MS=2000,
                    DATABASE_LOCK_TIMEOUT_MS=15000)
    asked = [service.api.get("/items", headers={"X-Request-Id": f"well-{i}"}) for i in range(20)]
    assert {reply.status_code for reply in asked} == {200}
    with world.transaction("items") as held:
        held.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        failed = service.api.get("/items", headers={"X-Request-Id": "failed-1"})
    assert failed.status_code == 504
    [line] = lines_of(service, request_id="failed-1", message="request")
    assert line["status"] == 504
    service.stop()
    well = [line for line in service.logs() if line["message"] == "request"
            and line["status"] < 500]
    assert len(well) <= 1  # Of a million one.
