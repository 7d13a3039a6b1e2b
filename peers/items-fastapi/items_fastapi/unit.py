"""A unit of work: the effect of a request, its event and its idempotency key, all or nothing.

A key is a row: the request's fingerprint and the finished answer, written by the statement of the
effect itself. So the usual request costs one round trip and no look-up: a key that was used before
makes the statement fail, and only then it is looked up. Whatever a request failed with, its key is
looked up, for the failure may be the shadow of its own twin: a SKU that "is taken" was perhaps
taken by the first attempt.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response

from . import SERVICE
from .context import RequestContext, context_of
from .database import Busy, Database, Query, Session, Unavailable, Unknown, Violated
from .ids import read_key, uuid7
from .metrics import KEYS
from .models import format_time
from .problems import KEY_IN_USE, KEY_INVALID, KEY_MISSING, KEY_REUSED, UNAVAILABLE, Problem, busy
from .settings import Settings
from .shared import Shared
from .tracing import carried

# Goes before the statement of an effect, whose own parameters count from $14.
ALSO_WRITING = """
WITH key AS (
  INSERT INTO trunnion_idempotency (id, fingerprint, status, headers, body, expires_at)
  SELECT $1::uuid, $2::text, $3::bigint, $4::text, $5::text, $6::timestamptz WHERE $1 IS NOT NULL
), event AS (
  INSERT INTO trunnion_outbox (message_id, exchange, routing_key, type, app_id, occurred_at,
   correlation_id, headers, body)
  VALUES ($7::uuid, 'events', $8::text, $8::text, $9::text, $10::timestamptz, $11::text,
   $12::text, $13::text)
)
"""
FIND_KEY = Query("trunnion_find_key", """
SELECT fingerprint, status, headers, body, expires_at <= now() AS expired
FROM trunnion_idempotency WHERE id = $1""")
DROP_EXPIRED_KEY = Query("trunnion_drop_expired_key", """
DELETE FROM trunnion_idempotency WHERE id = $1 AND expires_at <= now()""")
NOTIFY = Query("trunnion_outbox_notify", "SELECT pg_notify('trunnion_outbox', '')")

STORED_FIELDS = {"content_type": "content-type", "location": "location", "etag": "etag"}
ROUNDS_MAX = 3


@dataclass(frozen=True, slots=True)
class Key:
    text: str
    id: UUID
    fingerprint: str


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(parts)).digest()


def key_of(context: RequestContext) -> Key | None:
    field = context.headers.get("idempotency-key")
    if field is None:
        if context.method == "POST":
            raise Problem(KEY_MISSING, "Send an Idempotency-Key of your own, such as a UUID, and "
                                       "the same one on each retry.")
        return None
    if (text := read_key(field)) is None:
        raise Problem(KEY_INVALID, "An Idempotency-Key has 1 to 255 visible ASCII characters.")
    method, path = context.method.encode(), context.path.encode("latin-1")
    identity = _hash(context.principal.encode("latin-1"), method, path, text.encode())
    fingerprint = _hash(method, path, context.query.encode("latin-1"), context.body)
    return Key(text, UUID(bytes=identity[:16]),
               base64.urlsafe_b64encode(fingerprint).rstrip(b"=").decode())


class Units:
    """Makes the units of a process, and knows the keys at work in it."""

    def __init__(self, settings: Settings, shared: Shared, database: Database):
        self.settings, self.shared, self.database = settings, shared, database
        self.keys_at_work: set[UUID] = set()


class Unit:
    def __init__(self, units: Units, context: RequestContext):
        self._units, self._context = units, context
        self.database = units.database
        self.key = key_of(context)

    # ---- What is written beside the effect --------------------------------------

    def beside(self, event: str, subject: UUID, now: datetime, answer: Response) -> tuple:
        """The parameters of ALSO_WRITING."""
        return *self._key_row(answer, now), *self._event_row(event, subject, now)

    def _key_row(self, answer: Response, now: datetime) -> tuple:
        if self.key is None:
            return (None,) * 6
        fields = {name: answer.headers[field] for name, field in STORED_FIELDS.items()
                  if field in answer.headers}
        expires = now + timedelta(seconds=self._units.settings.idempotency_ttl_s)
        return (self.key.id, self.key.fingerprint, answer.status_code,
                orjson.dumps(fields).decode(), answer.body.decode(), expires)

    def _event_row(self, event: str, subject: UUID, now: datetime) -> tuple:
        headers = {"correlation_id": self._context.request_id}
        if self.key is not None:
            headers["idempotency_key"] = self.key.text
        headers |= carried(self._context.span)
        body = {"id": str(subject), "timestamp": format_time(now), "source_service": SERVICE}
        return (uuid7(), event, SERVICE, now, self._context.request_id,
                orjson.dumps(headers).decode(), orjson.dumps(body).decode())

    # ---- Once ---------------------------------------------------------------------

    async def run(self, effect: Callable[[Session], Awaitable[Response]]) -> Response:
        """An effect of one statement."""
        return await self._once(lambda: self.database.run(effect))

    async def transact(self, effect: Callable[[Session], Awaitable[Response]]) -> Response:
        """An effect that looks before it writes."""
        return await self._once(lambda: self.database.transact(effect))

    async def _once(self, attempt: Callable[[], Awaitable[Response]]) -> Response:
        at_work = self._units.keys_at_work
        if self.key is None:
            return await self._announced(attempt)
        if self.key.id in at_work:
            KEYS.labels("in_use").inc()
            raise busy(KEY_IN_USE, "A request with this Idempotency-Key is being worked on.")
        at_work.add(self.key.id)
        try:
            return await self._first_or_replayed(attempt)
        finally:
            at_work.discard(self.key.id)

    async def _first_or_replayed(self, attempt: Callable[[], Awaitable[Response]]) -> Response:
        for _ in range(ROUNDS_MAX):
            try:
                answer = await self._announced(attempt)
            except (Problem, Violated, Busy, Unknown) as failure:
                if (replay := await self._replay()) is not None:
                    return replay
                if not self._was_about_key(failure):
                    raise
            else:
                KEYS.labels("stored").inc()
                return answer
        raise busy(UNAVAILABLE, "The database is busy. Nothing was changed.")

    @staticmethod
    def _was_about_key(failure: Exception) -> bool:
        """With no row of the key, nothing took effect: the same may be tried again."""
        if isinstance(failure, Violated):
            return failure.constraint == "trunnion_idempotency_pkey"
        return isinstance(failure, Unknown)

    async def _announced(self, attempt: Callable[[], Awaitable[Response]]) -> Response:
        answer = await attempt()
        self._units.shared.wake_relay()
        if not self._units.shared.broker_up:
            # Only then, for a notification is a lock that all who commit with one take in turn.
            try:
                await self.database.run(lambda session: session.row(NOTIFY))
            except (Unavailable, Unknown):
                pass  # It is committed; the relays look by themselves now and then.
        return answer

    # ---- Again ----------------------------------------------------------------------

    async def _replay(self) -> Response | None:
        """The stored answer; None when there is none, or no more."""
        row = await self.database.run(lambda session: session.row(FIND_KEY, self.key.id))
        if row is None:
            return None
        if row["expired"]:
            await self.database.run(lambda session: session.row(DROP_EXPIRED_KEY, self.key.id))
            return None
        if row["fingerprint"] != self.key.fingerprint:
            KEYS.labels("mismatched").inc()
            raise Problem(KEY_REUSED, "This Idempotency-Key was used for a request with another "
                                      "body or query.")
        KEYS.labels("replayed").inc()
        return _stored_answer(row)


def _stored_answer(row) -> Response:
    fields = orjson.loads(row["headers"])
    headers = {field: fields[name] for name, field in STORED_FIELDS.items() if fields.get(name)}
    return Response(row["body"].encode(), row["status"],
                    headers | {"Idempotent-Replayed": "true"})


async def unit_of(request: Request) -> Unit:
    return Unit(request.app.state.units, context_of(request))
