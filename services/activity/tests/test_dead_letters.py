"""A message that can't take effect: its reason, the list of such messages, and its way back."""

import json

import pika
import pytest
from support.broker import DEAD, EVENTS, event, uuid7
from support.load import pages
from support.problems import assert_invalid, assert_problem
from support.wait import eventually

ENVELOPE = {"timestamp": "2026-01-31T09:15:00Z", "source_service": "items"}


@pytest.fixture
def die(activity, broker):
    """Publishes a message that can't take effect; gives its dead letter."""

    def one(message):
        broker.publish(message)
        return letter(activity, message.properties.message_id)

    return one


def letters(activity) -> list[dict]:
    return [one for page in pages(activity.api, "/dead-letters", limit=100)
            for one in page["items"]]


def letter(activity, message_id: str) -> dict:
    return eventually(lambda: next((one for one in letters(activity)
                                    if one["id"] == message_id), None), what="the dead letter")


POISON = {
    "no JSON": b"{not json",
    "nothing": b"",
    "no object": b"[1, 2]",
    "null": b"null",
    "no id": json.dumps(ENVELOPE).encode(),
    "an id that is no UUID": json.dumps(ENVELOPE | {"id": "seven"}).encode(),
    "an id of another type": json.dumps(ENVELOPE | {"id": 7}).encode(),
    "no time": json.dumps({"id": uuid7(), "source_service": "items"}).encode(),
    "a time that is none": json.dumps(ENVELOPE | {"id": uuid7(), "timestamp": "now"}).encode(),
    "no source": json.dumps({"id": uuid7(), "timestamp": ENVELOPE["timestamp"]}).encode(),
    "invalid UTF-8": b'{"id": "\xff\xfe"}',
    "a NUL": b'{"id": "a\\u0000b", "timestamp": "2026-01-31T09:15:00Z", "source_service": "i"}',
    "too deep": b'{"id":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "a name given twice": b'{"id": "a", "id": "b"}',
}


@pytest.mark.parametrize("fault", POISON)
def test_poison_goes_to_the_dead_letters_with_its_reason(die, fault):
    made = die(event(body=POISON[fault]))
    assert made["reason"] and made["type"] == "item.created"


def test_a_reason_names_each_fault_and_its_place(die):
    reason = die(event(body=json.dumps({"id": "seven", "timestamp": 5}).encode()))["reason"]
    assert "/id" in reason and "/timestamp" in reason and "/source_service" in reason


def test_poison_holds_up_nobody_behind_it(activity, broker, world):
    messages = []
    for i in range(20):
        messages += [event(body=b"poison"), event()]
    broker.publish_many(messages)
    for message in messages[1::2]:
        assert world.await_activities(message.json["id"], 1)
    for message in messages[::2]:
        letter(activity, message.properties.message_id)


def test_a_dead_letter_tells_all_that_is_known_of_the_message(die):
    body = b'{"id": "seven"}'
    message = event("item.updated", body=body, source="tests", correlation_id="who-asked")
    made = die(message)
    assert made["id"] == message.properties.message_id
    assert made["type"] == "item.updated" and made["routing_key"] == "item.updated"
    assert made["source_service"] == "tests" and made["correlation_id"] == "who-asked"
    assert made["body"] == body.decode()
    assert "replayed_at" not in made


def test_a_message_of_a_type_that_nobody_handles_is_not_heard(broker, activity):
    """The queue is bound to item.* alone: a stranger is unroutable, which its sender is told."""
    with pytest.raises(pika.exceptions.UnroutableError):
        broker.publish(event("order.created"))


def test_a_message_without_an_id_is_a_dead_letter(activity, broker):
    """Nothing could tell its second delivery from another message."""
    before = {one["id"] for one in letters(activity)}
    broker.publish(event(message_id=None, type="item.noid", routing_key="item.noid"))
    fresh = eventually(lambda: [one for one in letters(activity) if one["id"] not in before
                                and one["routing_key"] == "item.noid"], what="the dead letter")
    assert len(fresh) == 1 and "message_id" in fresh[0]["reason"]


def test_a_message_id_that_is_no_uuid_is_a_dead_letter(activity, broker):
    before = {one["id"] for one in letters(activity)}
    broker.publish(event(message_id="seven", type="item.badid", routing_key="item.badid"))
    eventually(lambda: [one for one in letters(activity) if one["id"] not in before
                        and one["routing_key"] == "item.badid"], what="the dead letter")


def test_a_dead_letter_passes_over_the_exchange_for_dead_ones(activity, broker):
    tap = broker.tap("#", exchange=DEAD)
    message = event(body=b"poison", correlation_id="who-asked")
    broker.publish(message)
    heard = tap.next()
    assert heard.properties.message_id == message.properties.message_id
    assert heard.body == b"poison" and heard.headers["x-death-reason"]
    assert heard.headers["correlation_id"] == "who-asked"
    assert heard.routing_key == "activity.item.created"


def test_the_same_poison_twice_is_one_dead_letter(activity, die, broker):
    message = event(body=b"poison")
    die(message)
    die(message)
    eventually(lambda: broker.depth("activity.events.dead") == 0, what="an empty queue")
    assert [one["id"] for one in letters(activity)].count(message.properties.message_id) == 1


def test_the_list_is_newest_first_and_paged(activity, broker):
    made = []
    for _ in range(3):
        message = event(body=b"poison")
        broker.publish(message)
        letter(activity, message.properties.message_id)
        made.append(message.properties.message_id)
    paged = [one["id"] for page in pages(activity.api, "/dead-letters", limit=2)
             for one in page["items"]]
    assert paged[:3] == made[::-1]
    assert len(paged) == len(set(paged))


@pytest.mark.parametrize("part", ["type", "correlation_id", "app_id"])
def test_a_property_that_no_text_column_can_hold_is_shown_all_the_same(die, part):
    """PostgreSQL's text has no place for NUL."""
    message = event(body=b"poison\x00", **{part: "a\x00b"})
    made = die(message)
    shown = {"type": "type", "correlation_id": "correlation_id", "app_id": "source_service"}[part]
    assert made[shown].startswith("a") and made[shown].endswith("b") and "\x00" not in made[shown]
    assert made["body"].startswith("poison")


def test_an_effect_that_no_text_column_can_hold_is_a_dead_letter(die):
    assert die(event(type="item.\x00created"))["reason"]


# ---- The way back ------------------------------------------------------------


@pytest.fixture
def no_room(world):
    """A rule in the database that refuses a certain item, for as long as it stands."""
    refused = uuid7()
    world.sql("activity", "ALTER TABLE activities ADD CONSTRAINT no_room CHECK"
              f" (item_id <> '{refused}') NOT VALID")
    yield refused
    world.sql("activity", "ALTER TABLE activities DROP CONSTRAINT IF EXISTS no_room")


def let_in(world) -> None:
    world.sql("activity", "ALTER TABLE activities DROP CONSTRAINT IF EXISTS no_room")


def test_a_message_that_the_database_refuses_is_a_dead_letter(die, no_room):
    assert "no_room" in die(event(item_id=no_room))["reason"]


def test_a_message_refused_in_company_takes_nobody_with_it(activity, broker, world, no_room):
    messages = [event(item_id=no_room) if i % 10 == 3 else event() for i in range(40)]
    broker.publish_many(messages)
    for i, message in enumerate(messages):
        if i % 10 == 3:
            letter(activity, message.properties.message_id)
        else:
            assert len(world.await_activities(message.json["id"], 1)) == 1


def test_a_replay_takes_effect_once_the_cause_is_gone(activity, die, world, no_room):
    made = die(event(item_id=no_room, correlation_id="who-asked"))
    assert world.activities(no_room) == []
    let_in(world)
    reply = activity.api.post(f"/dead-letters/{made['id']}/replay")
    assert reply.status_code == 202, reply.text
    assert world.await_activities(no_room, 1) == [("item.created", made["id"])]
    assert activity.api.get(f"/activities/{made['id']}").json()["correlation_id"] == "who-asked"
    assert letter(activity, made["id"])["replayed_at"]


def test_a_replay_while_the_cause_is_there_dies_again(activity, die, world, no_room):
    made = die(event(item_id=no_room))
    activity.api.post(f"/dead-letters/{made['id']}/replay")
    eventually(lambda: letter(activity, made["id"])["deaths"] == 2, what="a second death")
    assert world.activities(no_room) == []
    let_in(world)
    assert activity.api.post(f"/dead-letters/{made['id']}/replay").status_code == 202
    assert len(world.await_activities(no_room, 1)) == 1


def test_replays_of_one_letter_have_one_effect(activity, die, world, no_room, broker):
    made = die(event(item_id=no_room))
    let_in(world)
    for _ in range(4):
        reply = activity.api.post(f"/dead-letters/{made['id']}/replay")
        assert reply.status_code in (202, 404, 409)
    world.await_activities(no_room, 1)
    later = event()
    broker.publish(later)
    world.await_activities(later.json["id"], 1)  # So the replays before it have been seen too.
    assert len(world.activities(no_room)) == 1


def test_a_replay_needs_a_key_and_repeats_its_answer(activity, die, world, no_room):
    made = die(event(item_id=no_room))
    let_in(world)
    path = f"/dead-letters/{made['id']}/replay"
    assert_problem(activity.api.post(path, key=None), 400, "idempotency-key-missing")
    first = activity.api.post(path, key="again-" + made["id"])
    second = activity.api.post(path, key="again-" + made["id"])
    assert first.status_code == second.status_code == 202
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(world.await_activities(no_room, 1)) == 1


def test_the_replayed_message_is_the_one_that_died(activity, die, broker, no_room):
    """Same id, same body, same headers: it goes to the service's own queue, past the exchange."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    message = event(item_id=no_room, headers={"correlation_id": "who-asked", "traceparent": trace})
    made = die(message)
    tap, dead = broker.tap("#", exchange=EVENTS), broker.tap("#", exchange=DEAD)
    activity.api.post(f"/dead-letters/{made['id']}/replay")
    again = dead.next()  # The cause is still there, so it comes by once more.
    assert again.properties.message_id == message.properties.message_id
    assert again.body == message.body
    assert again.headers["correlation_id"] == "who-asked"
    assert again.headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert tap.drain(0.3) == []


def test_a_replay_of_what_is_not_there_is_404(activity):
    assert_problem(activity.api.post(f"/dead-letters/{uuid7()}/replay"), 404, "not-found")


def test_a_replay_of_no_uuid_is_422(activity):
    assert_invalid(activity.api.post("/dead-letters/nobody/replay"), "path:id")


def test_a_cursor_of_another_list_is_422(activity):
    assert_invalid(activity.api.get("/dead-letters?cursor=AAAA"), "query:cursor")


def test_any_replica_lists_and_replays(activity, start, die, world, no_room):
    made = die(event(item_id=no_room))
    other = start("activity")
    assert letter(other, made["id"])["reason"] == made["reason"]
    let_in(world)
    assert other.api.post(f"/dead-letters/{made['id']}/replay").status_code == 202
    assert len(world.await_activities(no_room, 1)) == 1
