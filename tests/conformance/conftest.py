"""A pairing: an implementation of items and one of activity, in a world of their own.

There is one of each two that this checkout holds; a peer that comes in is tested without a word.
"""

import itertools
import subprocess
import threading
from types import SimpleNamespace

import pytest
from kit.paths import ROOT
from support.broker import event
from support.client import new_key
from support.implementations import C, PEERS, each_once, present
from support.load import item
from support.wait import eventually
from support.world import World

ORIGIN = "https://shop.example"
TOOLS = ROOT / ".trunnion" / "conformance"
EACH_ONCE = each_once()
PAIRINGS = EACH_ONCE + [pair for pair in itertools.product(present("items"), present("activity"))
                        if pair not in EACH_ONCE]
# What a test may be marked with, to be run for fewer.
FEWER = {"each_once": (EACH_ONCE, "it concerns each implementation, not each pairing"),
         "c_alone": (EACH_ONCE[:1], "it concerns the test, not the implementation")}


def pytest_configure(config) -> None:
    for name, (_, why) in FEWER.items():
        config.addinivalue_line("markers", f"{name}: {why}")


def pytest_generate_tests(metafunc) -> None:
    if "pairing" in metafunc.fixturenames:
        marked = [FEWER[mark.name][0] for mark in metafunc.definition.iter_markers()
                  if mark.name in FEWER]
        metafunc.parametrize("pairing", (marked or [PAIRINGS])[0], indirect=True, ids="-".join,
                             scope="session")


@pytest.fixture(scope="session", autouse=True)
def installed():
    """What tests from outside, and what the peers stand on: no time limit of a test counts that."""
    makers = [ROOT / "tools" / "conformance" / "make"]
    makers += [ROOT / "peers" / PEERS[name][peer] / "make"
               for name in PEERS for peer in present(name) if peer != C]
    for maker in makers:
        done = subprocess.run([maker], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{maker}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def tools():
    return TOOLS


@pytest.fixture(scope="session")
def pairing(request, installed, stack, tmp_path_factory):
    """Both services of a pairing, running, with a dead letter to be looked at."""
    names = "-".join(request.param)
    world = World(stack, tmp_path_factory.mktemp(names), vhost=f"conformance-{names}")
    services = {name: world.service(name, implementation, CORS_ALLOWED_ORIGINS=ORIGIN).start()
                for name, implementation in zip(("items", "activity"), request.param)}
    for service in services.values():
        service.wait_whole()
    made = SimpleNamespace(world=world, origin=ORIGIN, names=names, **services)
    make_dead_letter(made)
    yield made
    world.close()


def make_dead_letter(pairing) -> None:
    broker = pairing.world.broker()
    broker.publish(event(body=b"poison"))
    broker.close()
    eventually(lambda: pairing.activity.api.get("/dead-letters").json()["items"],
               what="a dead letter")


@pytest.fixture
def busy(pairing):
    """Items are made all the while, so that a stream of activities has something to tell."""
    stop = threading.Event()

    def make_items():
        while not stop.wait(0.05):
            pairing.items.api.post("/items", item(), key=new_key())

    thread = threading.Thread(target=make_items)
    thread.start()
    yield
    stop.set()
    thread.join(30)
