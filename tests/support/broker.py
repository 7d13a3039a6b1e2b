"""The broker as a test sees it: a tap on the exchange, and messages that we make ourselves."""

import json
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

import pika

EVENTS, DEAD = "events", "events.dead"


@dataclass(frozen=True)
class Message:
    routing_key: str
    properties: pika.BasicProperties
    body: bytes
    exchange: str = EVENTS
    redelivered: bool = False

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def headers(self) -> dict:
        return self.properties.headers or {}


class Tap:
    """A queue of our own that hears what is published from now on."""

    def __init__(self, channel, exchange: str, patterns):
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).method.queue
        for pattern in patterns:
            channel.queue_bind(self._queue, exchange, pattern)

    def get(self) -> Message | None:
        method, properties, body = self._channel.basic_get(self._queue, auto_ack=True)
        if method is None:
            return None
        return Message(method.routing_key, properties, body, method.exchange, method.redelivered)

    def next(self, seconds: float = 10) -> Message:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.get()
            if message is not None:
                return message
            time.sleep(0.01)
        raise AssertionError(f"no message within {seconds} s")

    def take(self, n: int, seconds: float = 20) -> list[Message]:
        return [self.next(seconds) for _ in range(n)]

    def drain(self, quiet_s: float = 0.5) -> list[Message]:
        """All that is there, and what follows within a quiet time of that length."""
        found, deadline = [], time.monotonic() + quiet_s
        while time.monotonic() < deadline:
            message = self.get()
            if message is None:
                time.sleep(0.02)
                continue
            found.append(message)
            deadline = time.monotonic() + quiet_s
        return found

    def about(self, item_id: str, seconds: float = 10) -> Message:
        """The next message whose body names this item; others are dropped."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.get()
            if message is None:
                time.sleep(0.01)
            elif json.loads(message.body).get("id") == item_id:
                return message
        raise AssertionError(f"no message about {item_id} within {seconds} s")


class Broker:
    """A connection to the broker; made for one test and closed after it."""

    def __init__(self, url: str):
        # No heartbeats: nothing here runs in the background.
        parameters = pika.URLParameters(url)
        parameters.heartbeat = 0
        parameters.socket_timeout = 10
        self._connection = pika.BlockingConnection(parameters)
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()

    def tap(self, *patterns: str, exchange: str = EVENTS) -> Tap:
        return Tap(self._connection.channel(), exchange, patterns or ("#",))

    def depth(self, queue: str) -> int:
        """The messages that wait in a queue, without those that somebody holds."""
        return self._passive(queue).method.message_count

    def exists(self, queue: str) -> bool:
        try:
            self._passive(queue)
            return True
        except pika.exceptions.ChannelClosedByBroker:
            return False

    def _passive(self, queue: str):
        channel = self._connection.channel()
        reply = channel.queue_declare(queue, passive=True)
        channel.close()
        return reply

    def bind(self, queue: str, pattern: str) -> None:
        self._channel.queue_bind(queue, EVENTS, pattern)

    def unbind(self, queue: str, pattern: str) -> None:
        self._channel.queue_unbind(queue, EVENTS, pattern)

    def purge(self, queue: str) -> None:
        if self.exists(queue):
            channel = self._connection.channel()
            channel.queue_purge(queue)
            channel.close()

    def publish(self, message: Message) -> None:
        """Publishes it and waits for the broker's confirm; unroutable is an error."""
        self._channel.basic_publish(message.exchange, message.routing_key, message.body,
                                    message.properties, mandatory=True)

    def publish_many(self, messages: list[Message]) -> None:
        """The same without a confirm each; the last one is confirmed after all the others."""
        channel = self._connection.channel()
        for message in messages[:-1]:
            channel.basic_publish(message.exchange, message.routing_key, message.body,
                                  message.properties)
        channel.confirm_delivery()
        last = messages[-1]
        channel.basic_publish(last.exchange, last.routing_key, last.body, last.properties,
                              mandatory=True)
        channel.close()


def uuid7() -> str:
    """A UUIDv7 (RFC 9562 5.7), as the message ids of the contract are."""
    bits = int(time.time() * 1000) << 80 | uuid.uuid4().int & ((1 << 80) - 1)
    bits = bits & ~(0xF << 76) | 7 << 76
    bits = bits & ~(0x3 << 62) | 2 << 62
    return str(uuid.UUID(int=bits))


def rfc3339() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event(event_type: str = "item.created", *, item_id: str | None = None, source: str = "items",
          message_id: str | None = "", correlation_id: str | None = "", headers: dict | None = None,
          body: bytes | dict | None = None, extra: dict | None = None,
          routing_key: str | None = None, **properties) -> Message:
    """An event as the contract describes it; each part can be replaced to make it wrong."""
    if body is None:
        body = {"id": item_id or uuid7(), "timestamp": rfc3339(), "source_service": source}
        body |= extra or {}
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    message_id = uuid7() if message_id == "" else message_id
    correlation_id = "test-" + uuid.uuid4().hex if correlation_id == "" else correlation_id
    own = {"correlation_id": correlation_id} if correlation_id is not None else {}
    wanted = {"message_id": message_id, "type": event_type, "app_id": source,
              "timestamp": int(time.time()), "content_type": "application/json",
              "correlation_id": correlation_id, "delivery_mode": 2,
              "headers": own if headers is None else headers} | properties
    return Message(routing_key or event_type, pika.BasicProperties(**wanted), body)
