"""A world for chaos: two replicas of each service, and a load that goes on whatever happens."""

import pytest
from support.traffic import Traffic
from support.world import World


@pytest.fixture(scope="module")
def chaos(stack, tmp_path_factory):
    made = World(stack, tmp_path_factory.mktemp("chaos"), vhost="chaos")
    yield made
    made.close()


@pytest.fixture
def replicas(chaos):
    """Two of each, which owe a clean stop at the end; whoever was killed has been started again.

    A stopping one still takes what is on its way to it, as it must behind a proxy.
    """
    made = {name: [chaos.start(name, READINESS_DELAY_MS=300) for _ in range(2)]
            for name in ("items", "activity")}
    yield made
    chaos.stop([service for pair in made.values() for service in pair])


@pytest.fixture
def traffic(chaos, replicas):
    made = Traffic(chaos, replicas["items"])
    yield made
    made.abandon()
