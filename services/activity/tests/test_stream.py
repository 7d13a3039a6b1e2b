"""GET /activities/stream: server-sent events that can be resumed without a loss or a double."""

import itertools
import threading
import time

import pytest
from support.broker import event
from support.problems import assert_invalid, assert_problem
from support.raw import Raw, head
from support.stream import Stream
from support.wait import eventually

PATH = "/api/v1/activities/stream"


@pytest.fixture
def publish(broker):
    def some(n: int) -> list[str]:
        """Publishes n events; their ids."""
        messages = [event() for _ in range(n)]
        broker.publish_many(messages)
        return [message.properties.message_id for message in messages]

    return some


def events(sent) -> list[str]:
    return [one.json["event_id"] for one in sent]


def newest(world) -> int:
    return world.sql("activity", "SELECT coalesce(max(position), 0) FROM activities")[0][0]


def settled(world, broker) -> int:
    """The newest position once nothing is on its way: what comes after all of it is there."""
    later = event()
    broker.publish(later)
    world.await_activities(later.json["id"], 1)
    eventually(lambda: broker.depth("activity.events") == 0, what="an empty queue")
    last = [-1]

    def still():
        before, last[0] = last[0], newest(world)
        time.sleep(0.2)
        return before == last[0] == newest(world)

    eventually(still, what="a still table")
    return last[0]


def test_a_stream_shows_what_is_recorded_as_it_is_shown_elsewhere(activity, publish):
    with Stream(activity, **{"from": "now"}) as stream:
        [event_id] = publish(1)
        sent = stream.next()
        assert sent.json == activity.api.get(f"/activities/{event_id}").json()
        assert sent.id == str(sent.json["position"]) and sent.event == sent.json["type"]
        assert "\n" not in sent.data


def test_a_stream_has_the_headers_of_one(activity):
    with Stream(activity) as stream:
        headers = stream.headers
        assert headers["Content-Type"].split(";")[0] == "text/event-stream"
        assert "no-store" in headers["Cache-Control"] or "no-cache" in headers["Cache-Control"]
        assert "Content-Length" not in headers and headers["X-Request-Id"]
        eventually(lambda: stream.retry_ms == 2000, what="the time to wait before a reconnect")


def test_a_stream_begins_now_unless_it_is_asked_otherwise(activity, publish, world, broker):
    publish(1)
    settled(world, broker)
    with Stream(activity) as stream:
        assert stream.quiet(0.5)
        made = publish(1)
        assert events([stream.next()]) == made


def test_a_stream_from_the_start_shows_all_in_order(activity, publish, world, broker):
    publish(5)
    last = settled(world, broker)
    whole = [str(row[0]) for row in world.sql(
        "activity", "SELECT position FROM activities ORDER BY position")]
    with Stream(activity, **{"from": "start"}) as stream:
        sent = stream.take(len(whole))
        assert [one.id for one in sent] == whole and sent[-1].id == str(last)
        made = publish(1)
        assert events([stream.next()]) == made


def test_a_stream_is_live(activity, publish, broker):
    """The row wakes the stream: nobody polls."""
    with Stream(activity) as stream:
        took = []
        for _ in range(5):
            began = time.monotonic()
            [event_id] = publish(1)
            while stream.next().json["event_id"] != event_id:
                pass
            took.append(time.monotonic() - began)
        assert sorted(took)[2] < 0.5, took


def test_a_stream_resumes_after_the_last_event_it_saw(activity, publish):
    with Stream(activity) as stream:
        first = publish(6)
        seen = stream.take(3)
    later = publish(3)
    with Stream(activity, last_id=seen[-1].id) as stream:
        rest = stream.take(6)
        assert stream.quiet(0.3)
    assert sorted(events(seen) + events(rest)) == sorted(first + later)


def test_a_last_event_id_goes_before_from(activity, publish, world, broker):
    publish(2)
    last = settled(world, broker)
    with Stream(activity, last_id=str(last - 1), **{"from": "start"}) as stream:
        assert stream.next().id == str(last)


@pytest.mark.parametrize("wrong", ["abc", "-1", "1.5", "99999999999999999999", "1 OR 1=1"])
def test_a_last_event_id_that_is_no_position_is_refused(activity, wrong):
    reply = activity.api.get("/activities/stream", headers={
        "Accept": "text/event-stream", "Last-Event-ID": wrong}, stream=True)
    assert reply.status_code == 422, reply.status_code
    problem = assert_problem(reply, 422, "validation-failed")
    assert [error["parameter"] for error in problem["errors"]] == ["Last-Event-ID"]


def test_a_from_that_nobody_knows_is_422(activity):
    reply = activity.api.get("/activities/stream?from=yesterday",
                             headers={"Accept": "text/event-stream"})
    assert_invalid(reply, "query:from")


def test_a_client_that_takes_no_events_is_406(activity):
    reply = activity.api.get("/activities/stream", headers={"Accept": "application/json"})
    assert_problem(reply, 406, "not-acceptable")


def test_resuming_under_load_loses_and_doubles_nothing(activity, publish, world, broker):
    """A client that loses its connection again and again sees each event once, in order."""
    began = settled(world, broker)
    made: list[str] = []
    done = threading.Event()

    def feed():
        # A connection of its own: pika's may not be shared by threads.
        own = world.broker()
        for _ in range(30):
            messages = [event() for _ in range(10)]
            own.publish_many(messages)
            made.extend(message.properties.message_id for message in messages)
            time.sleep(0.02)
        own.close()
        done.set()

    feeder = threading.Thread(target=feed)
    feeder.start()
    seen, last = [], str(began)
    deadline = time.monotonic() + 30
    while (not done.is_set() or len(seen) < len(made)) and time.monotonic() < deadline:
        with Stream(activity, last_id=last) as stream:
            some = list(itertools.islice(iter(lambda: _maybe(stream), None), 25))
        seen += some
        last = some[-1].id if some else last
    feeder.join()
    assert sorted(events(seen)) == sorted(made)
    positions = [int(one.id) for one in seen]
    assert positions == sorted(positions)


def _maybe(stream):
    try:
        return stream.next(1)
    except AssertionError:
        return None


def test_streams_of_two_replicas_show_the_same(activity, start, publish):
    """Whichever replica records an event, the streams of both hear of it."""
    other = start("activity")
    with Stream(activity) as one, Stream(other) as two:
        made = publish(40)
        left, right = one.take(40), two.take(40)
    assert sorted(events(left)) == sorted(made)
    assert [sent.id for sent in left] == [sent.id for sent in right]
    assert [sent.data for sent in left] == [sent.data for sent in right]


def test_many_streams_are_served_at_once(activity, publish):
    streams = [Stream(activity) for _ in range(30)]
    try:
        made = publish(3)
        for stream in streams:
            assert sorted(events(stream.take(3))) == sorted(made)
    finally:
        for stream in streams:
            stream.close()


def test_a_stream_beyond_the_limit_is_503(start):
    service = start("activity", STREAMS_MAX=2, WORKERS=1)
    with Stream(service) as one, Stream(service):
        reply = service.api.get("/activities/stream", headers={"Accept": "text/event-stream"})
        assert_problem(reply, 503, "service-unavailable")
        assert service.api.get("/activities").status_code == 200
        one.close()

        def free():
            with Stream(service) as third:
                return third.status_code == 200

        eventually(free, what="a place for a stream that ended")


def test_a_stopping_service_ends_its_streams(start):
    service = start("activity")
    with Stream(service) as stream:
        service.terminate()
        assert stream.ended.wait(10)
        assert service.wait_exit(10) == 0


def test_a_stream_goes_on_where_the_next_process_takes_over(start, publish, world, broker):
    service = start("activity")
    with Stream(service, last_id=str(settled(world, broker))) as stream:
        made = publish(2)
        seen = stream.take(2)
        service.stop()
        assert stream.ended.wait(10)
    made += publish(2)
    successor = start("activity")
    with Stream(successor, last_id=seen[-1].id) as stream:
        seen += stream.take(2)
    assert sorted(events(seen)) == sorted(made)


def test_a_client_that_does_not_read_harms_nobody(activity, publish):
    """Its socket fills up; the service keeps little for it and serves the others."""
    with Raw(activity.url) as slow, Stream(activity) as quick:
        slow.send(head("GET", PATH + "?from=start", "Accept: text/event-stream"))
        made = []
        for _ in range(10):
            made += publish(100)
        assert sorted(events(quick.take(len(made)))) == sorted(made)
        assert activity.api.get("/activities").status_code == 200


def test_a_stream_lives_through_a_lost_database_connection(start, world, gates, publish, stack):
    """The client sees a pause at most; what was recorded meanwhile is not lost."""
    gate = gates(stack.state["ports"]["postgres"])
    url = world.database_url("activity").replace(
        f":{stack.state['ports']['postgres']}/", f":{gate.port}/")
    service = start("activity", DATABASE_URL=url)
    last = newest(world)
    stream = Stream(service, last_id=str(last))
    seen = []
    made = publish(2)
    seen += stream.take(2)
    gate.cut()
    made += publish(3)
    deadline = time.monotonic() + 30
    while len(seen) < 5 and time.monotonic() < deadline:
        if stream.ended.is_set() and not (left := stream.came()):
            stream = _reconnect(service, stream.last_id)
        elif stream.ended.is_set():
            seen += left
        else:
            some = _maybe(stream)
            seen += [some] if some is not None else []
    stream.close()
    assert sorted(events(seen)) == sorted(made)


def _reconnect(service, last_id: str) -> Stream:
    return eventually(lambda: (made := Stream(service, last_id=last_id)).status_code == 200
                      and made, what="a stream again")
