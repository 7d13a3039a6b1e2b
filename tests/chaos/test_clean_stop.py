"""A clean stop under load: what was accepted is answered, and the exit status is 0."""

import pytest


@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_replica_stops_and_another_takes_over(traffic, replicas, chaos, name):
    """As in a rolling update: the proxy sends nothing more to the one that is to stop."""
    with traffic:
        traffic.flow(40)
        for i in range(2):
            leaving = replicas[name][i]
            if leaving in traffic.services:
                traffic.services = [one for one in replicas["items"] if one is not leaving]
            leaving.stop()
            traffic.flow(20)
            leaving.start()
            traffic.services = list(replicas["items"])
            traffic.flow(20)
    assert traffic.book.errors == []
    traffic.assert_exactly_once()


def test_a_stop_that_nobody_was_told_of_loses_nothing(traffic, replicas):
    """Clients that keep coming are refused at worst: they try again, and nothing is doubled."""
    with traffic:
        traffic.flow(40)
        for leaving in replicas["items"]:
            leaving.stop()
            leaving.start()
            traffic.flow(20)
    traffic.assert_exactly_once()
