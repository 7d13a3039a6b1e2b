"""/livez and /readyz: alive is who answers; ready is who has the database.

A broker that is away only degrades, since events wait in the outbox.
"""

import time
from typing import Any

from . import SERVICE, VERSION
from .database import Database
from .shared import Shared


class Health:
    def __init__(self, shared: Shared, database: Database, index: int):
        self._shared, self._database, self._index = shared, database, index
        self._opened = time.monotonic()
        self.started = False
        self.waits_for = "not reached yet"

    def start(self) -> None:
        """The tables are there, and the database can be had."""
        self.started = True
        self._shared.started(self._index, True)

    def alive(self) -> dict[str, Any]:
        return {"status": "alive", "service": SERVICE, "version": VERSION,
                "uptime_s": round(time.monotonic() - self._opened, 3)}

    async def readiness(self) -> dict[str, Any]:
        database = await self._database_fault()
        broker = None if self._shared.broker_up else self._shared.broker_fault
        return {"status": self._judge(database is None, broker is None),
                "checks": {"database": _check(database), "broker": _check(broker)}}

    async def _database_fault(self) -> str | None:
        if not self.started:
            return self.waits_for
        fault = await self._database.fault()
        if fault is None and not self._shared.all_started:
            return "not every worker has reached it yet"
        return fault

    def _judge(self, database_up: bool, broker_up: bool) -> str:
        if self._shared.draining:
            return "draining"
        if not database_up:
            return "unavailable"
        return "ready" if broker_up else "degraded"


def _check(fault: str | None) -> dict[str, str]:
    return {"status": "up"} if fault is None else {"status": "down", "detail": fault}
