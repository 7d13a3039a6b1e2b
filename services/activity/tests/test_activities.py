"""What the service recorded: shown, listed, narrowed down."""

import uuid
from datetime import datetime

import pytest
from support.broker import event, rfc3339, uuid7
from support.load import item, pages
from support.problems import assert_invalid, assert_problem
from support.wait import eventually


@pytest.fixture
def record(activity, broker):
    """Publishes events and waits until they are recorded; gives the messages."""

    def some(*messages):
        broker.publish_many(list(messages))
        for message in messages:
            eventually(lambda: shown(activity, message).status_code == 200, what="the activity")
        return messages

    return some


def shown(activity, message):
    return activity.api.get(f"/activities/{message.properties.message_id}")


def ids(listing) -> list[str]:
    return [one["event_id"] for page in listing for one in page["items"]]


def test_an_activity_tells_what_the_event_said(activity, record):
    [message] = record(event("item.updated", correlation_id="who-asked"))
    told = shown(activity, message).json()
    assert told == {
        "position": told["position"], "event_id": message.properties.message_id,
        "type": "item.updated", "item_id": message.json["id"], "source_service": "items",
        "correlation_id": "who-asked", "occurred_at": message.json["timestamp"],
        "recorded_at": told["recorded_at"]}
    assert type(told["position"]) is int and told["position"] > 0
    assert told["recorded_at"] >= told["occurred_at"]


@pytest.mark.parametrize("given, told", [
    ("2026-01-31T09:15:00Z", "2026-01-31T09:15:00.000000Z"),
    ("2026-01-31T10:15:00.5+01:00", "2026-01-31T09:15:00.500000Z"),
    ("2026-01-31T09:15:00.123456Z", "2026-01-31T09:15:00.123456Z"),
    ("1999-12-31T23:59:59.999999-11:30", "2000-01-01T11:29:59.999999Z")])
def test_a_time_in_any_zone_is_told_in_utc(activity, record, given, told):
    [message] = record(event(body={"id": uuid7(), "timestamp": given, "source_service": "items"}))
    found = shown(activity, message).json()["occurred_at"]
    assert datetime.fromisoformat(found[:-1]) == datetime.fromisoformat(told[:-1])


def test_fields_that_nobody_knows_are_ignored(activity, record):
    [message] = record(event(extra={"colour": "red", "data": {"deep": [1, {"x": None}]}}))
    assert "colour" not in shown(activity, message).json()


def test_an_event_nobody_has_seen_is_404(activity):
    assert_problem(activity.api.get(f"/activities/{uuid7()}"), 404, "not-found")


def test_an_event_id_that_is_no_uuid_is_422(activity):
    assert_invalid(activity.api.get("/activities/nobody"), "path:event_id")


def test_the_list_is_newest_first_and_positions_ascend(activity, record):
    item_id = uuid7()
    made = []
    for event_type in ("item.created", "item.updated", "item.updated", "item.deleted"):
        made += record(event(event_type, item_id=item_id))
    listed = [one for page in pages(activity.api, "/activities", item_id=item_id, limit=3)
              for one in page["items"]]
    assert [one["event_id"] for one in listed] == [
        message.properties.message_id for message in reversed(made)]
    positions = [one["position"] for one in listed]
    assert positions == sorted(positions, reverse=True) and len(set(positions)) == 4


def test_the_filters_narrow_the_list_down_and_may_be_joined(activity, record):
    item_id, cause = uuid7(), "cause-" + uuid.uuid4().hex
    first, second, third = record(
        event("item.created", item_id=item_id, correlation_id=cause),
        event("item.updated", item_id=item_id),
        event("item.created", correlation_id=cause))
    one, two, three = (message.properties.message_id for message in (first, second, third))

    def found(**params):
        return set(ids(pages(activity.api, "/activities", **params)))

    assert found(item_id=item_id) == {one, two}
    assert found(correlation_id=cause) == {one, three}
    assert found(item_id=item_id, type="item.updated") == {two}
    assert found(item_id=item_id, correlation_id=cause) == {one}
    assert found(correlation_id=cause, type="item.created") == {one, three}
    assert found(item_id=item_id, type="item.deleted") == set()
    assert found(item_id=uuid7()) == set()


def test_pages_with_filters_are_whole(activity, record):
    cause = "cause-" + uuid.uuid4().hex
    made = record(*[event(correlation_id=cause) for _ in range(7)])
    for limit in (1, 2, 7, 100):
        found = ids(pages(activity.api, "/activities", correlation_id=cause, limit=limit))
        assert len(found) == 7
        assert set(found) == {message.properties.message_id for message in made}


def test_pages_are_stable_while_more_is_recorded(activity, record):
    item_id = uuid7()
    for _ in range(4):
        record(event("item.updated", item_id=item_id))
    whole = ids(pages(activity.api, "/activities", item_id=item_id))
    listing = pages(activity.api, "/activities", item_id=item_id, limit=2)
    first = next(listing)
    record(event("item.updated", item_id=item_id))
    assert ids([first]) + ids(listing) == whole


@pytest.mark.parametrize("name, value", [
    ("item_id", "nobody"), ("item_id", ""), ("type", ""), ("type", "t" * 121),
    ("correlation_id", ""), ("correlation_id", "c" * 129), ("limit", "0"), ("limit", "101"),
    ("cursor", "!"), ("colour", "red")])
def test_a_parameter_out_of_its_rule_is_422(activity, name, value):
    assert_invalid(activity.api.get("/activities", params={name: value}), f"query:{name}")


def test_all_faults_of_a_query_are_told_at_once(activity):
    params = {"item_id": "x", "type": "", "limit": "-1", "cursor": "?", "colour": "red"}
    assert_invalid(activity.api.get("/activities", params=params),
                   *(f"query:{name}" for name in params))


def test_a_cursor_of_items_is_422_in_activities(activity, items):
    for _ in range(2):
        items.api.post("/items", item())
    foreign = items.api.get("/items", params={"limit": 1}).json()["next_cursor"]
    reply = activity.api.get("/activities", params={"cursor": foreign})
    assert_invalid(reply, "query:cursor")


def test_a_message_of_long_ago_keeps_its_own_time(activity, record):
    now = rfc3339()
    [message] = record(event(body={"id": uuid7(), "timestamp": "2001-01-01T00:00:00Z",
                                   "source_service": "items"}))
    told = shown(activity, message).json()
    assert told["occurred_at"].startswith("2001-01-01") and told["recorded_at"] >= now[:19]
