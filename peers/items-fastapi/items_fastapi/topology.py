"""The exchanges and queues that events travel through. Declaring is idempotent as long as everybody
declares the same; these arguments are part of the contract between services."""

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

EXCHANGE, EXCHANGE_DEAD = "events", "events.dead"
DELIVERY_LIMIT = 20
# A dead letter waits for its consumer however often that dies.
DEAD_DELIVERY_LIMIT = 1_000_000_000


async def declare(channel: AbstractChannel, consumers: list[tuple[str, str]]) -> None:
    events = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    dead = await channel.declare_exchange(EXCHANGE_DEAD, ExchangeType.TOPIC, durable=True)
    for consumer in dict.fromkeys(consumer for consumer, _ in consumers):
        graveyard = await channel.declare_queue(f"{consumer}.events.dead", durable=True, arguments={
            "x-queue-type": "quorum", "x-delivery-limit": DEAD_DELIVERY_LIMIT})
        await graveyard.bind(dead, f"{consumer}.#")
        queue = await channel.declare_queue(f"{consumer}.events", durable=True, arguments={
            "x-queue-type": "quorum", "x-dead-letter-exchange": EXCHANGE_DEAD,
            "x-dead-letter-routing-key": consumer, "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish", "x-delivery-limit": DELIVERY_LIMIT})
        for pattern in [pattern for name, pattern in consumers if name == consumer]:
            await queue.bind(events, pattern)
