"""Exactly once, whoever dies: each of the four processes is killed with SIGKILL under load."""

import pytest


def kill_service(name):
    def kill(replicas, _stack):
        victim = replicas[name][0]
        victim.kill9()
        return lambda: victim.start()

    return kill


def kill_server(name):
    def kill(_replicas, stack):
        stack.kill9(name)
        return lambda: stack.start_part(name)

    return kill


VICTIMS = {
    "an items process": kill_service("items"),
    "an activity process": kill_service("activity"),
    "PostgreSQL": kill_server("postgres"),
    "RabbitMQ": kill_server("rabbitmq"),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_killing_it_loses_nothing_and_doubles_nothing(traffic, replicas, stack, victim):
    with traffic:
        traffic.flow(60)
        start_again = VICTIMS[victim](replicas, stack)
        if victim != "PostgreSQL":
            traffic.flow(30)  # The others go on without it.
        start_again()
        for pair in replicas.values():
            for service in pair:
                service.wait_ready(60)
        traffic.flow(60)
    traffic.assert_exactly_once()


def test_killing_all_of_them_one_after_the_other_at_a_brisk_pace(traffic, replicas, stack):
    """No time to recover in between: the second death meets the recovery from the first."""
    with traffic:
        traffic.flow(30)
        for victim in ("an items process", "an activity process", "PostgreSQL", "an items process",
                       "an activity process"):
            VICTIMS[victim](replicas, stack)()
            traffic.flow(5)
        traffic.flow(30)
    traffic.assert_exactly_once()
