"""The database: a pool of connections, and each statement by its name.

A statement's name labels its span and its metric. What went wrong is told in the words of this
service: see the exceptions.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import asyncpg
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from .logs import log
from .metrics import CONNECTIONS, QUERY_SECONDS
from .settings import Settings

CONNECT_TIMEOUT_S = 5
PROBE_TIMEOUT_S = 2
TRIES_MAX = 3
SLOW_S = 0.5
T = TypeVar("T")

_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError,
         asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError, OSError)
_AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True, slots=True)
class Query:
    name: str
    sql: str


class Unavailable(Exception):
    """The database can't be reached; nothing was changed."""


class Unknown(Exception):
    """The database was lost before it confirmed."""


class Busy(Exception):
    """A lock was not to be had in time. `on_key`: that of an idempotency key."""

    def __init__(self, on_key: bool):
        super().__init__("lock timeout")
        self.on_key = on_key


class Violated(Exception):
    """A constraint said no."""

    def __init__(self, error: asyncpg.IntegrityConstraintViolationError):
        super().__init__(error.sqlstate)
        self.constraint, self.sqlstate = error.constraint_name, error.sqlstate


class Session:
    """A connection for a while; runs queries with their spans and metrics."""

    def __init__(self, connection: asyncpg.Connection, tracer: trace.Tracer, attributes: dict):
        self.connection, self._tracer, self._attributes = connection, tracer, attributes

    async def rows(self, query: Query, *args: Any) -> list[asyncpg.Record]:
        return await self._observed(query, self.connection.fetch(query.sql, *args))

    async def row(self, query: Query, *args: Any) -> asyncpg.Record | None:
        return await self._observed(query, self.connection.fetchrow(query.sql, *args))

    async def _observed(self, query: Query, running: Awaitable[T]) -> T:
        span = self._tracer.start_span(query.name, kind=SpanKind.CLIENT)
        if span.is_recording():
            span.set_attributes(self._attributes | {"db.query.summary": query.name,
                                                    "db.operation.name": query.name})
        began = time.perf_counter()
        try:
            return await running
        except Exception as error:
            _tell(span, error)
            raise
        finally:
            took = time.perf_counter() - began
            if took >= SLOW_S:
                log.warning("slow query", query=query.name, duration_ms=round(1000 * took, 3))
            QUERY_SECONDS.labels(query.name).observe(took, _exemplar(span))
            span.end()


def _exemplar(span: trace.Span) -> dict[str, str] | None:
    context = span.get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _tell(span: trace.Span, error: Exception) -> None:
    # asyncpg gives a lost connection a state of class 08, which no server has sent.
    lost = isinstance(error, asyncpg.PostgresConnectionError)
    sqlstate = None if lost else getattr(error, "sqlstate", None)
    span.set_attribute("error.type", sqlstate or "connection_lost")
    if sqlstate:
        span.set_attribute("db.response.status_code", sqlstate)
    span.set_status(Status(StatusCode.ERROR))


class Database:
    def __init__(self, settings: Settings, tracer: trace.Tracer):
        self._settings, self._tracer = settings, tracer
        self._pool: asyncpg.Pool | None = None
        self._attributes = _attributes(settings.database_url)
        self._was_up = False
        for state in ("idle", "used"):
            CONNECTIONS.labels(state).set_function(lambda state=state: self._count(state))

    async def open(self) -> None:
        """A few connections from the start, the others when they are wanted."""
        most = self._settings.database_pool_max
        self._pool = await asyncpg.create_pool(
            self._settings.database_url, min_size=min(2, most), max_size=most,
            max_inactive_connection_lifetime=0, timeout=CONNECT_TIMEOUT_S,
            server_settings={
                "application_name": "items",
                "lock_timeout": str(self._settings.database_lock_timeout_ms)})

    async def close(self) -> None:
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 1)
            except TimeoutError:
                self._pool.terminate()

    def _count(self, state: str) -> int:
        if self._pool is None:
            return 0
        idle = self._pool.get_idle_size()
        return idle if state == "idle" else self._pool.get_size() - idle

    # ---- Work -------------------------------------------------------------------

    async def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Statements that each stand for themselves."""
        return await self._repeat(work, self._session)

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Statements that take effect together or not at all."""
        return await self._repeat(work, self._transaction)

    async def _repeat(self, work: Callable[[Session], Awaitable[T]], opened: Callable) -> T:
        """Again when the connection was lost, or two transactions stood in each other's way."""
        for left in reversed(range(TRIES_MAX)):
            try:
                async with opened() as session:
                    return await work(session)
            except asyncpg.IntegrityConstraintViolationError as error:
                raise Violated(error) from None
            except asyncpg.LockNotAvailableError as error:
                raise Busy("trunnion_idempotency" in (error.context or "")) from None
            except _AGAIN:
                if not left:
                    raise Busy(on_key=False) from None
            except _LOST as error:
                log.debug("database connection lost", detail=type(error).__name__)
                if not left:
                    raise Unknown from None
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        try:
            connection = await self._pool.acquire()
        except (*_LOST, TimeoutError) as error:
            self._note(up=False, why=error)
            raise Unavailable from None
        try:
            yield Session(connection, self._tracer, self._attributes)
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Session]:
        """Lost at the commit, it is open what became of it; lost before, nothing did."""
        async with self._session() as session:
            transaction = session.connection.transaction()
            await transaction.start()
            try:
                yield session
            except BaseException:
                if not session.connection.is_closed():
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except _LOST:
                raise Unknown from None

    # ---- Health -----------------------------------------------------------------

    async def fault(self) -> str | None:
        """What is wrong with it; None when it answers, or is at work with all connections."""
        if self._pool is None:
            return "not connected yet"
        if not self._pool.get_idle_size() and self._pool.get_size() == self._pool.get_max_size():
            return None
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._pool.fetchval("SELECT 1")
        except (*_LOST, TimeoutError, asyncpg.PostgresError) as error:
            self._note(up=False, why=error)
            return reason(error)
        self._note(up=True)
        return None

    def _note(self, up: bool, why: BaseException | None = None) -> None:
        if up and not self._was_up:
            log.info("database is up")
        elif self._was_up and not up:
            log.warning("database is down; trying to connect", detail=reason(why))
        self._was_up = up


def reason(error: BaseException) -> str:
    """In a few words, without anything of the URL."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _attributes(url: str) -> dict[str, str | int]:
    parts = urlsplit(url)
    return {"db.system.name": "postgresql", "db.namespace": unquote(parts.path.lstrip("/")),
            "server.address": parts.hostname or "localhost", "server.port": parts.port or 5432}
