"""The relay: what the outbox holds is published, and deleted when the broker has confirmed it.

It runs in a process of its own, one for the service, so that the events of an item keep their
order. A batch's rows stay locked until the broker's word on each is there: no other relay takes
them, and if this one dies they are free at once.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import aio_pika
import asyncpg
import orjson
from aio_pika.exceptions import DeliveryError
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from . import metrics
from .database import reason
from .logs import log
from .settings import Settings
from .shared import Shared
from .topology import EXCHANGE, declare
from .tracing import carried, parent_of

CONNECT_TIMEOUT_S, CONFIRM_TIMEOUT_S, STATEMENT_TIMEOUT_S = 3, 15, 10
HEARTBEAT_S = 10
RETRY_S, RETRY_MAX_S = 0.1, 5
HOLD_S, HOLD_MAX_S = 1, 30
PURGE_ROWS, PURGE_EVERY_S, MEASURE_EVERY_S = 500, 60, 5

CLAIM = """
SELECT seq, message_id, exchange, routing_key, type, app_id, occurred_at, correlation_id, headers,
 body FROM trunnion_outbox
WHERE exchange || '/' || routing_key <> ALL ($2::text[]) AND '#' || seq <> ALL ($2::text[])
ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED"""
DELETE = "DELETE FROM trunnion_outbox WHERE seq = ANY ($1::bigint[])"
PURGE_KEYS = """
DELETE FROM trunnion_idempotency WHERE id = ANY (ARRAY(
 SELECT id FROM trunnion_idempotency WHERE expires_at < now()
 ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""
PURGE_IDS = """
DELETE FROM trunnion_inbox WHERE message_id = ANY (ARRAY(
 SELECT message_id FROM trunnion_inbox WHERE received_at < now() - make_interval(secs => $2)
 ORDER BY received_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""
# Counting millions would cost more than the number is worth.
MEASURE = """
SELECT (SELECT count(*) FROM (SELECT FROM trunnion_outbox LIMIT 100000) AS counted),
 coalesce((SELECT extract(epoch FROM now() - occurred_at) FROM trunnion_outbox
 ORDER BY seq LIMIT 1), 0)"""


class BrokerLost(Exception):
    pass


@dataclass(slots=True)
class Held:
    """Rows that the broker did not take: tried again later, and in nobody's way meanwhile."""

    until: float = 0
    failures: int = 0


@dataclass(slots=True)
class Backoff:
    attempts: int = 0
    told: str = ""

    def next_s(self, why: str, what: str) -> float:
        """How long to wait; says why, once for each reason."""
        if why != self.told:
            log.warning(f"{what} is down; trying to connect", detail=why)
            self.told = why
        self.attempts += 1
        most = min(RETRY_MAX_S, RETRY_S * 2 ** min(self.attempts - 1, 10))
        return most * random.uniform(0.5, 1)

    def reset(self, what: str) -> None:
        log.info(f"{what} is up")
        self.attempts, self.told = 0, ""


@dataclass(slots=True)
class Relay:
    settings: Settings
    shared: Shared
    tracer: trace.Tracer
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    held: dict[str, Held] = field(default_factory=dict)
    running: bool = False
    next_purge: float = 0
    next_measure: float = 0

    # ---- Its life -------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is closed; then once more, for what was written before."""
        self.running = True
        asyncio.get_running_loop().add_reader(self.shared.wake_fd, self._woken)
        database, broker = Backoff(), Backoff()
        while not self.closing.is_set():
            try:
                async with await self._connected() as connection:
                    database.reset("outbox database")
                    await self._with_database(connection, broker)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                await self._pause(database.next_s(reason(error), "outbox database"))

    def close(self) -> None:
        self.closing.set()
        self.wake.set()

    def _woken(self) -> None:
        try:
            self.shared.take_wake()
        except BlockingIOError:
            return
        self.wake.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            pass

    async def _connected(self):
        connection = await asyncpg.connect(
            self.settings.database_url, timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings={"application_name": "items relay",
                             "idle_in_transaction_session_timeout": str(
                                 1000 * (CONFIRM_TIMEOUT_S + STATEMENT_TIMEOUT_S))})
        await connection.add_listener("trunnion_outbox", lambda *_: self.wake.set())
        connection.add_termination_listener(lambda *_: self.wake.set())
        return _Closing(connection)

    async def _with_database(self, connection: asyncpg.Connection, backoff: Backoff) -> None:
        """Keeps the broker for as long as the database is there."""
        while not self.closing.is_set():
            try:
                broker = await aio_pika.connect(
                    self.settings.amqp_url, timeout=CONNECT_TIMEOUT_S, heartbeat=HEARTBEAT_S,
                    client_properties={"connection_name": "items relay"})
            except (OSError, aio_pika.exceptions.AMQPError, TimeoutError) as error:
                self._broker_down(error)
                await self._upkeep(connection)
                await self._pause(backoff.next_s(reason(error), "outbox broker"))
                continue
            try:
                await self._with_both(connection, broker, backoff)
            except (BrokerLost, OSError, aio_pika.exceptions.AMQPError, RuntimeError) as error:
                self._broker_down(error)
                await self._pause(backoff.next_s(reason(error), "outbox broker"))
            finally:
                await _close_quietly(broker)

    def _broker_down(self, error: Exception) -> None:
        self.shared.broker(False, reason(error))

    async def _with_both(self, connection: asyncpg.Connection, broker, backoff: Backoff) -> None:
        channel = await broker.channel(publisher_confirms=True, on_return_raises=True)
        await declare(channel, self.settings.consumers)
        lost = asyncio.Event()
        for one in (broker, channel):
            one.close_callbacks.add(lambda *_: (lost.set(), self.wake.set()))
        self.shared.broker(True)
        backoff.reset("outbox broker")
        exchanges = {EXCHANGE: await channel.get_exchange(EXCHANGE, ensure=False),
                     "": channel.default_exchange}
        last = False
        while not last:
            last = self.closing.is_set()  # Once more than seems needed.
            self.wake.clear()
            while await self._batch(connection, exchanges):
                pass
            if lost.is_set():
                raise BrokerLost
            await self._upkeep(connection)
            if not last:
                await self._rest()

    async def _rest(self) -> None:
        now = time.monotonic()
        due = [held.until - now for held in self.held.values() if held.until > now]
        try:
            async with asyncio.timeout(min([self.settings.outbox_poll_ms / 1000, *due])):
                await self.wake.wait()
        except TimeoutError:
            pass

    # ---- A batch --------------------------------------------------------------------

    async def _batch(self, connection: asyncpg.Connection, exchanges: dict) -> bool:
        """True when there may be more to do at once."""
        now = time.monotonic()
        around = [key for key, held in self.held.items() if held.until > now]
        async with connection.transaction():
            rows = await connection.fetch(CLAIM, self.settings.outbox_batch_max, around)
            if not rows:
                return False
            sent = await asyncio.gather(*(self._publish(row, exchanges) for row in rows),
                                        return_exceptions=True)
            done = [row["seq"] for row, result in zip(rows, sent, strict=True) if result is None]
            await connection.execute(DELETE, done)
        self._learn(rows, sent)
        lost = next((one for one in sent if isinstance(one, BrokerLost)), None)
        if lost is not None:
            raise lost
        return len(rows) == self.settings.outbox_batch_max and bool(done)

    async def _publish(self, row: asyncpg.Record, exchanges: dict) -> None:
        """Returns when the broker has it; DeliveryError says that it doesn't want it."""
        headers = orjson.loads(row["headers"])
        span = self.tracer.start_span(
            f"publish {_destination(row)}", parent_of(headers), SpanKind.PRODUCER,
            attributes=_attributes(row))
        if span.is_recording():
            headers |= carried(span)
        message = aio_pika.Message(
            row["body"].encode(), headers=headers, content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT, message_id=str(row["message_id"]),
            type=row["type"], app_id=row["app_id"], correlation_id=row["correlation_id"],
            timestamp=row["occurred_at"])
        began, error_type = time.perf_counter(), "unconfirmed"
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                await exchanges[row["exchange"]].publish(message, row["routing_key"],
                                                         mandatory=True)
            error_type = None
        except DeliveryError as error:
            error_type = "unroutable" if error.message is not None else "nacked"
            raise
        except Exception as error:
            raise BrokerLost(type(error).__name__) from None
        finally:
            _tell(span, error_type, time.perf_counter() - began)

    def _learn(self, rows: list[asyncpg.Record], sent: list) -> None:
        """What is refused is held back with all that goes the same way."""
        now = time.monotonic()
        went = {_route(row) for row, result in zip(rows, sent, strict=True) if result is None}
        for key in [key for key in went if self.held.pop(key, None)]:
            log.info("events go through again", of=key)
        refused = {_route(row) for row, result in zip(rows, sent, strict=True)
                   if isinstance(result, DeliveryError)}
        for key in refused:
            if key not in self.held:
                log.warning("events are held back", of=key)
            held = self.held.setdefault(key, Held())
            held.failures += 1
            held.until = now + min(HOLD_MAX_S, HOLD_S * 2 ** min(held.failures - 1, 10))

    # ---- Upkeep ---------------------------------------------------------------------

    async def _upkeep(self, connection: asyncpg.Connection) -> None:
        now = time.monotonic()
        if now >= self.next_measure:
            self.next_measure = now + MEASURE_EVERY_S
            pending, age = await connection.fetchrow(MEASURE)
            metrics.PENDING.set(pending)
            metrics.OLDEST_AGE.set(max(0, age))
        if now >= self.next_purge:
            keys = await connection.execute(PURGE_KEYS, PURGE_ROWS)
            ids = await connection.execute(PURGE_IDS, PURGE_ROWS, self.settings.inbox_ttl_s)
            more = any(said.endswith(f" {PURGE_ROWS}") for said in (keys, ids))
            self.next_purge = now + (RETRY_S if more else PURGE_EVERY_S)


class _Closing:
    """A connection that is closed at the end, but not waited for when it is stuck."""

    def __init__(self, connection: asyncpg.Connection):
        self._connection = connection

    async def __aenter__(self) -> asyncpg.Connection:
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._connection.close(timeout=1)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            self._connection.terminate()


async def _close_quietly(broker) -> None:
    try:
        async with asyncio.timeout(1):
            await broker.close()
    except Exception as error:  # It is gone either way.
        log.debug("closing the broker's connection failed", detail=type(error).__name__)


def _route(row: asyncpg.Record) -> str:
    return f"{row['exchange']}/{row['routing_key']}"


def _destination(row: asyncpg.Record) -> str:
    return ":".join(part for part in (row["exchange"], row["routing_key"]) if part)


def _attributes(row: asyncpg.Record) -> dict[str, str]:
    return {"messaging.system": "rabbitmq", "messaging.operation.name": "publish",
            "messaging.operation.type": "send", "messaging.destination.name": _destination(row),
            "messaging.rabbitmq.destination.routing_key": row["routing_key"],
            "messaging.message.id": str(row["message_id"]),
            "messaging.message.conversation_id": row["correlation_id"]}


def _tell(span: trace.Span, error_type: str | None, seconds: float) -> None:
    context = span.get_span_context()
    exemplar = None
    if context.trace_flags.sampled:
        exemplar = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    metrics.PUBLISH_SECONDS.observe(seconds, exemplar)
    match error_type:
        case None:
            metrics.PUBLISHED.inc()
        case "unroutable":
            metrics.RETURNED.inc()
        case "nacked":
            metrics.NACKED.inc()
    if error_type:
        span.set_attribute("error.type", error_type)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
