"""Requests of the C services share round trips to the database, and their spans say so."""

import time

from support.load import side_by_side
from support.traced import receiver, traced  # noqa: F401 (fixtures)
from support.wait import eventually


def test_requests_that_share_a_round_trip_are_linked_by_it(traced, receiver):
    def shared() -> list[dict]:
        side_by_side(24, lambda _: traced.post())
        time.sleep(0.2)
        return receiver.spans(name="BATCH", service="items")

    batches = eventually(shared, 20, what="a round trip that is shared")
    spans = {span["span_id"]: span for span in receiver.spans(service="items")}
    batch = max(batches, key=lambda span: len(span["links"]))
    assert batch["parent_id"] is None and batch["kind"] == "client"
    assert batch["attributes"]["db.operation.batch.size"] >= 2
    members = [spans[link["span_id"]] for link in batch["links"]]
    assert len(members) >= 2 and all(span["kind"] == "server" for span in members)
    assert len({span["trace_id"] for span in members}) == len(members)
    linked = [span for span in spans.values()
              if [link["span_id"] for link in span["links"]] == [batch["span_id"]]]
    assert {span["parent_id"] for span in linked} <= {span["span_id"] for span in members}
    assert linked and all(span["kind"] == "client" for span in linked)
    children = [span for span in spans.values() if span["parent_id"] == batch["span_id"]]
    assert all(span["trace_id"] == batch["trace_id"] for span in children)
