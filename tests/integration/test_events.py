"""Events on the wire: exactly what the contract says, nothing missing and nothing more."""

import re
from datetime import datetime, timezone

import pytest
from support.client import new_key
from support.load import item

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@pytest.fixture
def changes(items, tap):
    """Creates, changes and removes an item; gives its id and the three events, by name."""
    key = new_key()
    item_id = items.api.post("/items", item(), key=key, headers={"X-Request-Id": "c"}).json()["id"]
    items.api.patch(f"/items/{item_id}", {"price_cents": 1}, headers={"X-Request-Id": "u"})
    items.api.delete(f"/items/{item_id}", headers={"X-Request-Id": "d"})
    heard = [tap.about(item_id) for _ in range(3)]
    return item_id, {message.routing_key: message for message in heard}, key


NAMES = ["item.created", "item.updated", "item.deleted"]


def test_each_change_is_one_event(changes, tap):
    item_id, heard, _ = changes
    assert sorted(heard) == sorted(NAMES)
    assert [message for message in tap.drain(0.3) if message.json["id"] == item_id] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_body_is_the_envelope_and_nothing_else(changes, name):
    item_id, heard, _ = changes
    body = heard[name].json
    assert set(body) == {"id", "timestamp", "source_service"}
    assert body["id"] == item_id and body["source_service"] == "items"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body["timestamp"])
    when = datetime.fromisoformat(body["timestamp"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - when).total_seconds()) < 30


@pytest.mark.parametrize("name", NAMES)
def test_the_properties_are_those_of_the_contract(changes, name):
    _, heard, _ = changes
    message = heard[name]
    properties = message.properties
    body_time = datetime.fromisoformat(message.json["timestamp"].replace("Z", "+00:00"))
    assert message.exchange == "events" and message.routing_key == name
    assert UUID7.fullmatch(properties.message_id)
    assert properties.type == name and properties.app_id == "items"
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2  # Persistent.
    assert properties.timestamp == int(body_time.timestamp())
    for absent in ("reply_to", "expiration", "user_id", "cluster_id"):
        assert getattr(properties, absent) is None


@pytest.mark.parametrize("name, request_id", zip(NAMES, "cud"))
def test_the_correlation_id_is_the_request_id(changes, name, request_id):
    _, heard, _ = changes
    assert heard[name].properties.correlation_id == request_id
    assert heard[name].headers["correlation_id"] == request_id


def test_the_headers_are_those_of_the_contract(changes):
    _, heard, key = changes
    created, updated = heard["item.created"].headers, heard["item.updated"].headers
    assert created["idempotency_key"] == key
    assert set(created) == {"correlation_id", "idempotency_key", "traceparent"}
    assert set(updated) == {"correlation_id", "traceparent"}  # The change had no key.
    assert TRACEPARENT.fullmatch(created["traceparent"])


def test_a_quoted_key_travels_bare(items, tap):
    key = new_key()
    item_id = items.api.post("/items", item(), key=f'"{key}"').json()["id"]
    assert tap.about(item_id).headers["idempotency_key"] == key


def test_the_changes_of_an_item_are_heard_in_their_order(items, tap):
    item_id = items.api.post("/items", item()).json()["id"]
    for price in range(5):
        items.api.patch(f"/items/{item_id}", {"price_cents": price})
    items.api.delete(f"/items/{item_id}")
    heard = [tap.about(item_id).routing_key for _ in range(7)]
    assert heard == ["item.created"] + ["item.updated"] * 5 + ["item.deleted"]


def test_a_request_that_fails_sends_nothing(items, tap):
    made = items.api.post("/items", item()).json()
    assert items.api.post("/items", item(sku=made["sku"])).status_code == 409
    assert items.api.post("/items", item(name="")).status_code == 422
    assert items.api.patch(f"/items/{made['id']}", {"price_cents": -1}).status_code == 422
    assert tap.next().json["id"] == made["id"]
    assert tap.drain() == []


def test_the_round_trip_is_seen_in_activity(items, activity, world):
    reply = items.api.post("/items", item(), headers={"X-Request-Id": "round-trip-" + new_key()})
    item_id = reply.json()["id"]
    [(_, event_id)] = world.await_activities(item_id, 1)
    told = activity.api.get(f"/activities/{event_id}").json()
    assert told["item_id"] == item_id and told["type"] == "item.created"
    assert told["source_service"] == "items"
    assert told["correlation_id"] == reply.headers["X-Request-Id"]
