"""Both services under way with a receiver of their spans."""

import pytest

from .client import new_key
from .load import item
from .otlp import Receiver
from .world import World

CALLER = "c0ffee0000000001"  # The span of whoever calls.


def named(trace_id: str) -> dict:
    return {"traceparent": f"00-{trace_id}-{CALLER}-01"}


class Traced:
    """A world whose services send their spans to a receiver."""

    def __init__(self, world: World, receiver: Receiver):
        self.world, self.receiver = world, receiver
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        self.items = world.start("items", WORKERS=2, **env)
        self.activity = world.start("activity", OTEL_EXPORTER_OTLP_COMPRESSION="gzip", **env)

    def post(self, trace_id: str | None = None, sampled: bool = True, **headers) -> dict:
        trace_id = trace_id or new_key().replace("-", "")
        headers["traceparent"] = f"00-{trace_id}-{CALLER}-0{int(sampled)}"
        reply = self.items.api.post("/items", item(), headers=headers)
        assert reply.status_code == 201, reply.text
        return {"trace_id": trace_id, "id": reply.json()["id"],
                "request_id": reply.headers["X-Request-Id"]}

    def followed(self, made: dict) -> list[dict]:
        """The spans of that trace, once the last of each kind is there."""
        self.world.await_activities(made["id"], 1)
        for last in ({"kind": "server"}, {"kind": "producer"}, {"kind": "consumer"},
                     {"name": "insert_item"}, {"name": "insert_activity"}):
            self.receiver.await_spans(trace_id=made["trace_id"], **last)
        return self.receiver.spans(trace_id=made["trace_id"])


@pytest.fixture(scope="module")
def traced(stack, tmp_path_factory):
    receiver = Receiver().start()
    world = World(stack, tmp_path_factory.mktemp("traces"), vhost="traces")
    try:
        yield Traced(world, receiver)
    finally:
        world.close()
        faults = receiver.told()["faults"] if receiver.process.poll() is None else []
        receiver.stop()
        assert faults == []


@pytest.fixture
def receiver(traced):
    """The receiver, with nothing to object to at the end of the test."""
    yield traced.receiver
    assert traced.receiver.told()["faults"] == []
