"""Real servers for tests: one throw-away PostgreSQL and RabbitMQ for a whole pytest run.

The fixture `stack` is a kit.stack.Stack (tools/kit/stack.py). What tests use of it:

    stack.ensure_database("items_7")      a database with a role of its own; returns its URL
    stack.drop_database("items_7")
    stack.database_url("items_7"), stack.postgres.admin_url("items_7"), stack.amqp_url()
    stack.kill9("postgres"), stack.stop_part("rabbitmq"), stack.start_part("rabbitmq")
    stack.postgres.psql("SELECT 1"), stack.rabbit.control("list_queues", "name", "messages")

The servers go with the run, even when it is killed. With TRUNNION_TEST_STACK set to a folder, the
stack there is used and left running, so that several runs share one.
"""

import uuid

import pytest
from kit.throwaway import throw_away_stack


@pytest.fixture(scope="session")
def stack():
    with throw_away_stack() as running:
        yield running


@pytest.fixture
def database(stack):
    """Makes databases that go with the test: `url = database("items")`."""
    made = []

    def make(prefix: str = "test") -> str:
        name = f"{prefix}_{uuid.uuid4().hex[:12]}"
        made.append(name)
        return stack.ensure_database(name)

    yield make
    for name in made:
        if stack.postgres.running():
            stack.drop_database(name)
