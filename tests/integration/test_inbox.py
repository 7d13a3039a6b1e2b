"""The inbox: each message has its effect once, however often and in whatever order it comes."""

import random
import time

import pytest
from support.broker import event, uuid7
from support.wait import eventually


def recorded(world, message) -> list[tuple]:
    return world.sql("activity", "SELECT item_id::text FROM activities WHERE event_id = %s",
                     message.properties.message_id)


def settle(broker, world) -> None:
    """Waits until all that was published before has been seen: a later message has its effect."""
    later = event()
    broker.publish(later)
    world.await_activities(later.json["id"], 1)
    eventually(lambda: broker.depth("activity.events") == 0, what="an empty queue")


def test_a_message_published_twice_is_one_activity(activity, broker, world):
    message = event()
    for _ in range(3):
        broker.publish(message)
    settle(broker, world)
    assert len(recorded(world, message)) == 1


def test_copies_in_one_batch_are_one_activity(activity, broker, world):
    message = event()
    broker.publish_many([message] * 50)
    settle(broker, world)
    assert len(recorded(world, message)) == 1


def test_copies_over_two_replicas_are_one_activity_each(activity, start, broker, world):
    start("activity")
    messages = [event() for _ in range(100)]
    copies = messages * 3
    random.Random(3).shuffle(copies)
    broker.publish_many(copies)
    for message in messages:
        world.await_activities(message.json["id"], 1)
    settle(broker, world)
    counts = world.sql("activity", "SELECT count(*), count(DISTINCT event_id) FROM activities"
                       " WHERE event_id = ANY(%s::uuid[])",
                       [message.properties.message_id for message in messages])
    assert counts == [(100, 100)]


def test_a_copy_after_a_restart_changes_nothing(start, activity, broker, world):
    message = event()
    broker.publish(message)
    world.await_activities(message.json["id"], 1)
    start("activity")
    for _ in range(10):  # Either replica gets some of them.
        broker.publish(message)
    settle(broker, world)
    assert len(recorded(world, message)) == 1


def test_messages_in_any_order_are_all_recorded(activity, broker, world):
    item_id = uuid7()
    types = ["item.deleted", "item.updated", "item.created", "item.updated"]
    broker.publish_many([event(name, item_id=item_id) for name in types])
    found = world.await_activities(item_id, 4)
    assert sorted(name for name, _ in found) == sorted(types)


def test_a_type_of_tomorrow_is_recorded_too(activity, broker, world):
    """The queue is bound to item.*: what items will announce one day is kept as well."""
    message = event("item.archived")
    broker.publish(message)
    assert world.await_activities(message.json["id"], 1)[0][0] == "item.archived"


@pytest.mark.parametrize("missing", ["type", "app_id", "timestamp", "content_type",
                                     "correlation_id", "headers"])
def test_a_message_without_an_optional_property_is_recorded(activity, broker, world, missing):
    message = event(**{missing: None})
    broker.publish(message)
    assert world.await_activities(message.json["id"], 1)[0][0] == "item.created"


@pytest.mark.parametrize("timestamp", [0, 253402300799, 253402300800, 2**62, 2**63 - 1])
def test_a_timestamp_of_any_size_is_no_obstacle(activity, broker, world, timestamp):
    alive, dead = event(timestamp=timestamp), event(timestamp=timestamp, body=b"poison")
    broker.publish_many([alive, dead])
    assert world.await_activities(alive.json["id"], 1)
    eventually(lambda: world.sql("activity", "SELECT 1 FROM trunnion_dead_letters WHERE id = %s",
                                 dead.properties.message_id), what="the dead letter")


def test_a_message_id_means_the_same_in_either_case(activity, broker, world):
    message_id = uuid7()
    first, again = event(message_id=message_id.upper()), event(message_id=message_id)
    broker.publish_many([first, again])
    settle(broker, world)
    assert recorded(world, again) in ([(first.json["id"],)], [(again.json["id"],)])


def test_headers_of_other_kinds_are_no_obstacle(activity, broker, world):
    message = event(headers={"number": 7, "list": [1, "x"], "table": {"a": True}, "none": None,
                             "correlation_id": 5, "bytes": b"\xff\xfe"})
    broker.publish(message)
    assert world.await_activities(message.json["id"], 1)


def test_forty_headers_are_no_obstacle(activity, broker, world):
    message = event(headers={f"h{i}": "x" * 200 for i in range(40)})
    broker.publish(message)
    assert world.await_activities(message.json["id"], 1)


def test_a_message_is_acknowledged_once_it_is_durable(activity, broker, world, start):
    """While the database can't commit, nothing is acknowledged; afterwards nothing is missing."""
    messages = [event() for _ in range(10)]
    with world.transaction("activity") as holder:
        holder.execute("LOCK TABLE activities IN ACCESS EXCLUSIVE MODE")
        broker.publish_many(messages)
        assert_none_recorded(world, messages)
    for message in messages:
        assert len(world.await_activities(message.json["id"], 1, seconds=30)) == 1


def assert_none_recorded(world, messages) -> None:
    """Looks at the inbox, which the lock leaves readable."""
    time.sleep(0.5)
    found = world.sql("activity", "SELECT count(*) FROM trunnion_inbox"
                      " WHERE message_id = ANY(%s::uuid[])",
                      [message.properties.message_id for message in messages])
    assert found == [(0,)]


def test_a_transient_failure_is_retried_and_no_dead_letter(activity, broker, world):
    """A lock that outlasts the lock timeout passes; the messages wait for it."""
    messages = [event() for _ in range(3)]
    with world.transaction("activity") as holder:
        holder.execute("LOCK TABLE activities IN ACCESS EXCLUSIVE MODE")
        broker.publish_many(messages)
        time.sleep(2.5)
    for message in messages:
        world.await_activities(message.json["id"], 1, seconds=30)
    dead = world.sql("activity", "SELECT count(*) FROM trunnion_dead_letters"
                     " WHERE id = ANY(%s::uuid[])",
                     [message.properties.message_id for message in messages])
    assert dead == [(0,)]


def test_a_consumer_survives_a_broker_that_cuts_its_connection(start, world, stack, gates, broker,
                                                              activity):
    gate = gates(stack.state["ports"]["amqp"])
    through = world.amqp_url().replace(f":{stack.state['ports']['amqp']}/", f":{gate.port}/")
    service = start("activity", AMQP_URL=through)
    messages = [event() for _ in range(300)]
    for i in range(0, 300, 50):
        broker.publish_many(messages[i:i + 50])
        gate.cut()
    for message in messages:
        world.await_activities(message.json["id"], 1, seconds=30)
    settle(broker, world)
    counts = world.sql("activity", "SELECT count(*), count(DISTINCT event_id) FROM activities"
                       " WHERE event_id = ANY(%s::uuid[])",
                       [message.properties.message_id for message in messages])
    assert counts == [(300, 300)]
    eventually(lambda: service.http.get("/readyz").json()["status"] == "ready", 20,
               what="a consumer that is back")


def test_the_queues_are_quorum_queues_with_dead_lettering(stack, world, activity, items):
    rows = stack.rabbit.control("list_queues", "-p", world.vhost, "name", "type", "durable",
                                "arguments").splitlines()
    told = {row.split("\t")[0]: row for row in rows}
    assert "\tquorum\ttrue" in told["activity.events"] and "\ttrue" in told["activity.events.dead"]
    assert "events.dead" in told["activity.events"]
