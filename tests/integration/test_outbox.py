"""The outbox: what was accepted is announced, whatever the broker is doing meanwhile.

These tests have a world to themselves, whose items service reaches the broker through a gate: no
other process can take its events there.
"""

import time

import pytest
from support.gate import Gate
from support.load import item, side_by_side
from support.wait import eventually
from support.world import World


@pytest.fixture(scope="module")
def apart(stack, tmp_path_factory):
    made = World(stack, tmp_path_factory.mktemp("apart"), vhost="outbox")
    made.start("activity")
    yield made
    made.close()


@pytest.fixture(scope="module")
def _gate(stack):
    made = Gate(stack.state["ports"]["amqp"])
    yield made
    made.shut()


@pytest.fixture(scope="module")
def through(apart, stack, _gate):
    """The broker's address by way of the gate."""
    return apart.amqp_url().replace(f":{stack.state['ports']['amqp']}/", f":{_gate.port}/")


@pytest.fixture(scope="module")
def _sender(apart, through):
    return apart.start("items", AMQP_URL=through)


@pytest.fixture
def gate(_gate):
    yield _gate
    _gate.cut()
    _gate.open()


@pytest.fixture
def sender(_sender, gate):
    """Connected, and not still ready in its own belief, by a connection that a test has cut: with
    each new one it declares anew what a test may be about to take away."""
    eventually(lambda: gate.connections() and ready(_sender), 30, what="ready")
    return _sender


@pytest.fixture
def tap(apart, sender):
    broker = apart.broker()
    yield broker.tap("#")
    broker.close()


def readiness(service) -> dict:
    return service.http.get("/readyz").json()


def degraded(service) -> bool:
    reply = service.http.get("/readyz")
    return reply.status_code == 200 and reply.json()["status"] == "degraded"


def ready(service) -> bool:
    return readiness(service)["status"] == "ready"


def create(service, n: int) -> list[str]:
    """Makes n items at once; their ids."""
    replies = side_by_side(n, lambda _: service.api.post("/items", item()))
    assert {reply.status_code for reply in replies} == {201}
    return [reply.json()["id"] for reply in replies]


def assert_each_recorded_once(apart, made: list[str]) -> None:
    for item_id in made:
        apart.await_activities(item_id, 1, seconds=40)
    eventually(lambda: apart.outbox() == 0, 30, what="an empty outbox")
    counts = apart.sql("activity", "SELECT count(*), count(DISTINCT item_id) FROM activities"
                       " WHERE item_id = ANY(%s::uuid[])", made)
    assert counts == [(len(made), len(made))]


def test_without_a_broker_writes_are_accepted_and_announced_later(sender, apart, gate):
    gate.shut()
    eventually(lambda: degraded(sender), what="degraded")
    checks = readiness(sender)["checks"]
    assert checks["broker"]["status"] == "down" and checks["broker"]["detail"]
    assert checks["database"]["status"] == "up"
    made = create(sender, 10)
    assert apart.outbox() == 10
    assert all(apart.activities(item_id) == [] for item_id in made)
    gate.open()
    assert_each_recorded_once(apart, made)
    eventually(lambda: ready(sender), what="ready again")


def test_events_that_waited_are_published_once_and_in_their_order(sender, apart, gate, tap):
    gate.shut()
    item_id = sender.api.post("/items", item()).json()["id"]
    for price in range(3):
        sender.api.patch(f"/items/{item_id}", {"price_cents": price})
    sender.api.delete(f"/items/{item_id}")
    gate.open()
    heard = [tap.about(item_id, 30).routing_key for _ in range(5)]
    assert heard == ["item.created"] + ["item.updated"] * 3 + ["item.deleted"]


def test_a_service_starts_without_a_broker_and_connects_when_it_comes(sender, apart, gate, through):
    gate.shut()
    service = apart.start("items", AMQP_URL=through)
    assert degraded(service)
    made = create(service, 1)
    gate.open()
    eventually(lambda: ready(service), 20, what="ready")
    assert_each_recorded_once(apart, made)
    apart.stop([service])


def test_a_service_that_stops_without_a_broker_leaves_its_events_to_the_next(sender, apart, gate,
                                                                            through):
    service = apart.start("items", AMQP_URL=through)
    gate.shut()
    made = create(service, 3)
    apart.stop([service])
    assert apart.outbox() == 3
    gate.open()
    assert_each_recorded_once(apart, made)


def test_a_broker_that_is_stuck_holds_up_no_write(sender, apart, gate):
    """Nothing is refused and nothing comes back: only heartbeats and time limits tell."""
    gate.stick()
    made = []
    for _ in range(5):
        reply = sender.api.post("/items", item())  # It is 504 after five seconds.
        assert reply.status_code == 201
        made.append(reply.json()["id"])
    gate.cut()
    assert_each_recorded_once(apart, made)


def test_connections_that_are_cut_while_publishing_double_nothing(sender, apart, gate):
    """A confirm that got lost makes the relay publish again; the inbox sees to the rest."""
    made = []
    for _ in range(8):
        made += create(sender, 8)
        gate.cut()
    assert_each_recorded_once(apart, made)


def test_an_event_that_nobody_can_receive_stays_and_goes_later(sender, apart):
    """Unroutable is not sent: the row waits until there is a queue that takes it."""
    broker = apart.broker()
    broker.unbind("activity.events", "item.*")
    [item_id] = create(sender, 1)
    time.sleep(1.5)
    assert apart.outbox() == 1
    broker.bind("activity.events", "item.*")
    broker.close()
    assert_each_recorded_once(apart, [item_id])


def test_two_relays_publish_each_event_once(sender, apart, tap):
    """Rows are claimed, so replicas share the work without doubling it."""
    other = apart.start("items")
    replies = side_by_side(20, lambda i: (sender, other)[i % 2].api.post("/items", item()))
    made = [reply.json()["id"] for reply in replies]
    assert_each_recorded_once(apart, made)
    heard = [message.json["id"] for message in tap.drain()]
    assert sorted(heard) == sorted(made)
    apart.stop([other])


def test_an_event_is_on_its_way_at_once(stack, tmp_path):
    """The relay is woken by the commit: far quicker than it polls."""
    fresh = World(stack, tmp_path, vhost="at-once")
    try:
        service = fresh.start("items", OUTBOX_POLL_MS=60000)
        service.wait_whole()
        broker = fresh.broker()
        tap, took = broker.tap("#"), []
        for _ in range(7):
            began = time.monotonic()
            tap.about(service.api.post("/items", item()).json()["id"])
            took.append(time.monotonic() - began)
        broker.close()
        assert sorted(took)[3] < 2, took
    finally:
        fresh.close()


def test_nothing_published_before_the_consumers_first_start_is_lost(stack, tmp_path):
    """The producer declares the queues of the consumers that it knows of."""
    fresh = World(stack, tmp_path, vhost="first-start")
    try:
        service = fresh.start("items")
        [item_id] = create(service, 1)
        eventually(lambda: fresh.outbox() == 0, what="an empty outbox")
        fresh.start("activity")
        assert len(fresh.await_activities(item_id, 1)) == 1
    finally:
        fresh.close()


def test_a_consumer_that_starts_first_misses_nothing(stack, tmp_path):
    """Either side declares the topology; neither waits for the other."""
    fresh = World(stack, tmp_path, vhost="consumer-first")
    try:
        fresh.start("activity")
        [item_id] = create(fresh.start("items"), 1)
        assert len(fresh.await_activities(item_id, 1)) == 1
    finally:
        fresh.close()
