"""A live hand-over: under load one implementation is stopped and another takes its place, with its
database and its queue, and on its port. Nothing is lost, and nothing is done twice.
"""

import itertools

import pytest
from support.client import new_key
from support.implementations import C, present
from support.load import item
from support.traffic import Traffic
from support.world import World


def handovers() -> list[tuple[str, str, str]]:
    """Each two implementations of each service; C after C is a restart."""
    return [(name, *two) for name in ("items", "activity")
            for two in [(C, C), *itertools.combinations(present(name), 2)]]


@pytest.fixture(scope="module")
def world_of_all(stack, installed, tmp_path_factory):
    made = World(stack, tmp_path_factory.mktemp("handover"), vhost="handover")
    yield made
    made.close()


@pytest.fixture
def place(world_of_all):
    """All that one test left behind is there for the next, but nothing of it runs."""
    yield world_of_all
    world_of_all.stop()


def successor(world: World, before, implementation: str):
    """Another implementation, not started yet, where a stopped one was."""
    made = world.service(before.name, implementation)
    made.port, made.url = before.port, before.url
    made.env["PORT"] = str(before.port)
    made.http.base, made.api.base = before.http.base, before.api.base
    return made


def assert_replayed(reply, first) -> None:
    """A key outlives the implementation that it was given to."""
    assert reply.status_code == first.status_code == 201, reply.text
    assert reply.headers.get("Idempotent-Replayed") == "true"
    assert reply.content == first.content and reply.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("name, before, after", [pytest.param(*one, id="-".join(one))
                                                 for one in handovers()])
def test_another_implementation_takes_over(place, name, before, after):
    running = {other: place.service(other, C if other != name else before).start()
               for other in ("items", "activity")}
    for service in running.values():
        service.wait_whole()
    wanted, key = item(), new_key()
    first = running["items"].api.post("/items", wanted, key=key)
    traffic = Traffic(place, [running["items"]], clients=3)
    try:
        with traffic:
            for implementation in (after, before):  # And back again.
                traffic.flow(40)
                running[name].stop()
                running[name] = successor(place, running[name], implementation).start()
                if name == "items":
                    traffic.services = [running["items"]]
                traffic.flow(40)
                assert_replayed(running["items"].api.post("/items", wanted, key=key), first)
        traffic.assert_exactly_once()
    finally:
        traffic.abandon()
