"""A whole life of both C services under AddressSanitizer: no leak, no wrong step.

Every stop in these tests asks for status 0 and an unblemished standard error; with a sanitizer that
is the check. This file makes sure that there is a sanitizer: where BUILD_DIR holds none, it builds
the services once more.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from kit.paths import ROOT
from support.broker import event
from support.implementations import build_dir
from support.load import item, side_by_side
from support.raw import Raw, head
from support.stream import Stream
from support.wait import eventually
from support.world import World


def sanitizer(build: Path) -> str:
    """What a build directory was set up with."""
    done = subprocess.run(["meson", "introspect", "--buildoptions", str(build)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return "none"
    options = {option["name"]: option["value"] for option in json.loads(done.stdout)}
    value = options["b_sanitize"]
    return value if isinstance(value, str) else ",".join(value)


@pytest.fixture(scope="module")
def sanitized() -> Path:
    if "address" in sanitizer(build_dir()):
        return build_dir()
    done = subprocess.run([ROOT / "tools" / "build", "asan"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build-asan"


@pytest.fixture
def apart(stack, tmp_path, sanitized, monkeypatch):
    for name in ("items", "activity"):
        monkeypatch.setenv(f"{name.upper()}_COMMAND", str(sanitized / "services" / name / name))
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=1:" + os.environ.get("ASAN_OPTIONS", ""))
    made = World(stack, tmp_path, vhost="leaks")
    yield made
    made.close()


def test_a_whole_life_of_both_services_leaks_nothing(apart):
    items, activity = apart.start("items"), apart.start("activity")
    with Stream(activity) as stream:
        made = _busy(items)
        stream.take(len(made))
    _poison(apart, activity)
    _rude(items)
    for item_id in made:
        apart.await_activities(item_id, 1, seconds=40)
    apart.stop()  # Asserts status 0, and that no sanitizer has said a word.


def test_a_life_with_losses_leaks_nothing(apart, gates, stack):
    """Connections to the database and to the broker end in the middle of the work."""
    ports = stack.state["ports"]
    database, broker = gates(ports["postgres"]), gates(ports["amqp"])

    def env(name: str) -> dict:
        return {"DATABASE_URL": apart.database_url(name).replace(
                    f":{ports['postgres']}/", f":{database.port}/"),
                "AMQP_URL": apart.amqp_url().replace(f":{ports['amqp']}/", f":{broker.port}/")}

    items = apart.start("items", **env("items"))
    activity = apart.start("activity", **env("activity"))
    for _ in range(4):
        side_by_side(8, lambda _: items.api.post("/items", item()))
        database.cut()
        side_by_side(8, lambda _: items.api.post("/items", item()))
        broker.cut()
    activity.wait_ready()
    items.wait_ready()
    apart.stop()


def _busy(service) -> list[str]:
    """Some of everything that can go well or wrong; the ids of the items made."""
    replies = side_by_side(16, lambda _: service.api.post("/items", item()))
    made = [reply.json()["id"] for reply in replies]
    body = item()
    twins = side_by_side(6, lambda _: service.api.post("/items", body, key="twin-" + body["sku"]))
    made += list({reply.json()["id"] for reply in twins if reply.status_code == 201})
    service.api.post("/items", item(sku=body["sku"]))
    service.api.post("/items", {"name": 1, "unknown": 2})
    service.api.post("/items", body=b'{"name": "x", "name"')
    service.api.patch(f"/items/{made[0]}", {"description": None}, headers={"If-Match": '"9"'})
    service.api.get("/items", params={"q": "o", "limit": 3})
    service.api.get("/items", params={"cursor": "?"})
    service.api.get("/nothing")
    return made


def _poison(apart, activity) -> None:
    broker = apart.broker()
    message = event(body=b"poison")
    broker.publish_many([message, event(), message])
    broker.close()
    eventually(lambda: activity.api.get("/dead-letters").json()["items"], what="a dead letter")
    activity.api.post(f"/dead-letters/{message.properties.message_id}/replay")


def _rude(service) -> None:
    """Clients that hang up at each stage of a request."""
    for sent in ("", "GET", head("GET", "/api/v1/items")[:-2], head("GET", "/api/v1/items"),
                 head("POST", "/api/v1/items", "Content-Length: 50",
                      "Content-Type: application/json") + "{"):
        with Raw(service.url) as raw:
            raw.send(sent)
