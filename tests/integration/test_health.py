"""Health: alive, ready, and what is down when it is not."""

import signal
import threading
import time

import pytest
from support.load import item
from support.problems import assert_problem
from support.raw import Raw, head
from support.services import READY_SECONDS
from support.wait import eventually
from support.world import World


@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_ready_service_says_so_and_names_its_checks(items, activity, name):
    service = {"items": items, "activity": activity}[name]

    def ready():
        reply = service.http.get("/readyz")
        assert reply.status_code == 200
        assert reply.headers["Content-Type"] == "application/json"
        assert "no-store" in reply.headers["Cache-Control"]
        return reply.json()["status"] == "ready" and reply.json()

    told = eventually(ready)
    assert {name: check["status"] for name, check in told["checks"].items()} == {
        "database": "up", "broker": "up"}


@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_service_is_alive(items, activity, name):
    reply = {"items": items, "activity": activity}[name].http.get("/livez")
    assert reply.status_code == 200 and "no-store" in reply.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["items", "activity"])
def test_metrics_are_what_prometheus_reads(items, activity, name):
    reply = {"items": items, "activity": activity}[name].http.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith(("text/plain", "application/openmetrics-text"))
    for line in reply.text.splitlines():
        assert line == "" or line.startswith("#") or float(line.split(" ")[1]) is not None, line


@pytest.fixture
def gate(gates, stack):
    return gates(stack.state["ports"]["postgres"])


@pytest.fixture
def through(gate, world, stack):
    def url(name: str) -> str:
        return world.database_url(name).replace(
            f":{stack.state['ports']['postgres']}/", f":{gate.port}/")

    return url


@pytest.mark.parametrize("name, path", [("items", "/items"), ("activity", "/activities")])
def test_without_its_database_a_service_is_alive_and_not_ready(start, gate, through, name, path):
    service = start(name, DATABASE_URL=through(name))
    gate.shut()

    def unavailable():
        reply = service.http.get("/readyz")
        return reply.status_code == 503 and reply.json()

    told = eventually(unavailable)
    assert told["status"] == "unavailable"
    assert told["checks"]["database"]["status"] == "down" and told["checks"]["database"]["detail"]
    assert service.http.get("/livez").status_code == 200
    assert_problem(service.api.get(path), 503, "service-unavailable")
    gate.open()
    service.wait_ready(20)
    assert eventually(lambda: service.api.get(path).status_code == 200)


def test_a_post_without_a_database_is_503_and_goes_through_later(start, gate, through, world):
    service = start("items", DATABASE_URL=through("items"))
    wanted = item()
    gate.shut()
    reply = service.api.post("/items", wanted, key="later-" + wanted["sku"])
    assert_problem(reply, reply.status_code, {503: "service-unavailable", 504: "gateway-timeout"}[
        reply.status_code])
    gate.open()

    def done():
        return service.api.post("/items", wanted, key="later-" + wanted["sku"]).status_code == 201

    eventually(done, 20)
    assert world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted["sku"]) == [(1,)]


def test_the_detail_of_a_check_holds_no_password(start, gate, through):
    service = start("items", DATABASE_URL=through("items"))
    gate.shut()
    eventually(lambda: service.http.get("/readyz").status_code == 503)
    password = service.env["DATABASE_URL"].split("://")[1].split("@")[0].split(":")[1]
    assert password not in service.http.get("/readyz").text
    gate.open()


@pytest.mark.parametrize("name, path", [("items", "/items"), ("activity", "/activities")])
def test_lost_connections_are_made_again(start, world, stack, name, path):
    """An operator ends every session of the database; the service is back in a moment."""
    service = start(name)
    for _ in range(3):
        stack.postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            f" WHERE usename = '{world.database_url(name).rsplit('/', 1)[1]}'")
        eventually(lambda: service.api.get(path).status_code == 200)


# ---- Start ----------------------------------------------------------------------------


@pytest.mark.parametrize("name, path", [("items", "/items"), ("activity", "/activities")])
def test_a_service_waits_for_a_database_that_is_not_there_yet(start, gate, through, name, path):
    gate.shut()
    service = start(name, ready=False, DATABASE_URL=through(name))
    eventually(lambda: any(line["level"] in ("warn", "error") and "database" in str(line).lower()
                           for line in service.logs()), READY_SECONDS,
               what="a line that says what is missing")
    assert service.running()
    gate.open()
    service.wait_ready()
    assert service.api.get(path).status_code == 200


def test_a_service_that_waits_for_its_database_can_be_stopped(start, gate, through):
    gate.shut()
    service = start("items", ready=False, DATABASE_URL=through("items"))
    eventually(lambda: service.out.exists() and service.logs(), READY_SECONDS,
               what="a first line")
    time.sleep(0.3)
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 10


def test_a_service_waits_for_a_broker_that_is_not_there_yet(start, gates, stack, world):
    gate = gates(stack.state["ports"]["amqp"])
    gate.shut()
    url = world.amqp_url().replace(f":{stack.state['ports']['amqp']}/", f":{gate.port}/")
    service = start("activity", ready=False, AMQP_URL=url)
    eventually(lambda: any(line["level"] in ("warn", "error") for line in service.logs()),
               READY_SECONDS, what="a line that says what is missing")
    gate.open()
    eventually(lambda: service.http.get("/readyz").json()["status"] == "ready", 20)


def test_replicas_that_start_at_once_migrate_once(stack, tmp_path):
    fresh = World(stack, tmp_path, vhost="migrate-once")
    try:
        replicas = [fresh.service("items") for _ in range(4)]
        for replica in replicas:
            replica.start(ready=False)
        for replica in replicas:
            replica.wait_ready()
            assert replica.api.get("/items").status_code == 200
    finally:
        fresh.close()


@pytest.fixture
def newer_database(world, name):
    """A service's, after a version that comes later."""
    world.service(name).start().stop()
    world.sql(name, "INSERT INTO trunnion_migrations (set_name, name, checksum)"
                    " VALUES (%s, '9999_later.sql', 'another')", name)
    yield
    world.sql(name, "DELETE FROM trunnion_migrations WHERE name = '9999_later.sql'")


@pytest.mark.parametrize("name", ["items", "activity"])
def test_the_version_before_starts_on_a_newer_ones_database(start, name, newer_database):
    """While versions are exchanged one may have to start again, or the newer be taken back."""
    service = start(name)
    service.wait_whole()
    told = [line for line in service.logs()
            if line["message"] == "the database has a newer version's migration"]
    assert told and all((line["level"], line["set"], line["migration"])
                        == ("warn", name, "9999_later.sql") for line in told)


# ---- Stop ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items", "activity"])
@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_an_idle_service_stops_at_once_with_status_0(start, name, signal_name):
    service = start(name)
    service.process.send_signal(getattr(signal, signal_name))
    assert service.wait_exit(10) == 0  # Whom something holds up gets 15 seconds.


@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_service_that_is_suspended_while_it_stops_stops_cleanly(start, name):
    """As by a debugger, or by a machine that sleeps: its waits are over when it wakes."""
    service = start(name, READINESS_DELAY_MS=1000)
    service.terminate()
    eventually(lambda: "stopping" in said_by(service), what="the beginning of the stop")
    time.sleep(0.2)
    service.process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    service.process.send_signal(signal.SIGCONT)
    assert service.wait_exit(10) == 0
    assert said_by(service)[-1] == "stopped"


def said_by(service) -> list[str]:
    return [line["message"] for line in service.logs()]


def test_a_stopping_service_finishes_what_is_in_flight(start, world):
    service = start("items", DATABASE_LOCK_TIMEOUT_MS=15000, REQUEST_TIMEOUT_MS=15000)
    got = []
    with world.transaction("items") as holder:
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=lambda: got.append(service.api.post("/items", item())))
        thread.start()
        eventually(lambda: waits(world) > 0, what="a request that waits")
        service.terminate()
        time.sleep(0.5)
        assert service.running()
    thread.join(20)
    assert got[0].status_code == 201
    assert service.wait_exit(15) == 0


def waits(world) -> int:
    return world.sql("items", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                     " AND datname = current_database()")[0][0]


def test_a_stopping_service_says_that_it_is_not_ready(start, world):
    """A connection that was open before still gets its answer; a new request is told to go away."""
    service = start("items", DATABASE_LOCK_TIMEOUT_MS=15000, REQUEST_TIMEOUT_MS=15000)
    got = []
    with Raw(service.url) as raw, world.transaction("items") as holder:
        raw.send(head("GET", "/livez")).response()
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=lambda: got.append(service.api.post("/items", item())))
        thread.start()
        eventually(lambda: waits(world) > 0, what="a request that waits")
        service.terminate()
        assert_not_ready(service, raw)
    thread.join(20)
    assert got[0].status_code == 201
    assert service.wait_exit(15) == 0


def assert_not_ready(service, raw: Raw) -> None:
    """Either it takes no more connections, or it answers 503."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with Raw(service.url, timeout=2) as fresh:
                reply = fresh.send(head("GET", "/readyz")).response()
            if reply.status_code == 503:
                assert b"draining" in reply.content
                return
        except OSError:
            return
        except Exception as error:
            assert "Disconnected" in type(error).__name__
            return
        time.sleep(0.05)
    raise AssertionError("it still says that it is ready")


def test_a_stop_has_its_limit(start, world):
    """What does not end in the time that is given is cancelled; its client is told."""
    service = start("items", DATABASE_LOCK_TIMEOUT_MS=60000, REQUEST_TIMEOUT_MS=60000,
                    DRAIN_TIMEOUT_MS=1000)
    got = []

    def post():
        try:
            got.append(service.api.post("/items", item()).status_code)
        except OSError as error:
            got.append(error)

    with world.transaction("items") as holder:
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=post)
        thread.start()
        eventually(lambda: waits(world) > 0, what="a request that waits")
        began = time.monotonic()
        service.terminate()
        service.wait_exit(10)
        assert 0.8 < time.monotonic() - began < 8
    thread.join(20)
    assert got and got[0] != 201


def test_a_stopping_service_flushes_its_events(start, items, world, activity):
    service = start("items")
    made = [service.api.post("/items", item()).json()["id"] for _ in range(20)]
    service.stop()
    for item_id in made:
        assert len(world.await_activities(item_id, 1)) == 1
