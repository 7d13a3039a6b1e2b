"""The fixtures of the integration and chaos tests.

`world` lives for the whole run, with one process of each service: `items` and `activity`. A test
that wants others, or wants them otherwise, says `start("items", REQUESTS_MAX=2)`; those are stopped
at its end, cleanly, which is part of the test.
"""

import pytest

from .gate import Gate
from .implementations import PEERS, UnknownImplementation, chosen, command
from .world import World


def pytest_configure() -> None:
    """An implementation that is not there is refused before any test runs."""
    try:
        for name in PEERS:
            command(name)
    except UnknownImplementation as fault:
        raise pytest.UsageError(str(fault)) from fault


def pytest_report_header() -> str:
    return "implementations: " + ", ".join(
        f"{name}={chosen(name) or 'a command line'}" for name in PEERS)


@pytest.fixture(scope="session")
def world(stack, tmp_path_factory):
    made = World(stack, tmp_path_factory.mktemp("services"))
    broker = made.broker()
    for queue in ("activity.events", "activity.events.dead"):
        broker.purge(queue)  # What an earlier run on a shared broker may have left.
    broker.close()
    yield made
    made.close()


@pytest.fixture(scope="session")
def _items(world):
    return world.start("items")


@pytest.fixture(scope="session")
def _activity(world):
    return world.start("activity")


@pytest.fixture
def items(_items):
    return _alive(_items)


@pytest.fixture
def activity(_activity):
    return _alive(_activity)


def _alive(service):
    assert service.running(), f"{service.label} ended in an earlier test\n{service.last_words()}"
    service.wait_whole()
    return service


@pytest.fixture
def start(world):
    """Starts more processes for this test: start("items", NAME=value, ...)."""
    began = []

    def one(name: str, ready: bool = True, **env):
        service = world.service(name, **env)
        began.append(service)
        return service.start(ready=ready)

    yield one
    world.stop(began)


@pytest.fixture
def broker(world):
    made = world.broker()
    yield made
    made.close()


@pytest.fixture
def tap(broker, items):
    """Hears every event from now on; asks for items, which declares the exchange."""
    return broker.tap("#")


@pytest.fixture
def gates():
    """gates(port) puts a gate before a server of ours."""
    made = []

    def gate(port: int) -> Gate:
        made.append(Gate(port))
        return made[-1]

    yield gate
    for one in made:
        one.shut()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the services said last."""
    report = (yield).get_result()
    if report.failed and "world" in getattr(item, "fixturenames", ()):
        services = getattr(item, "funcargs", {}).get("world")
        for service in services.services if services else ():
            report.sections.append((service.label, service.last_words()))
