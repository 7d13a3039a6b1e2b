"""A world: databases, a place on the broker, and the services that live in it.

Services of one world see each other; two worlds share nothing but the servers they stand on.
"""

import contextlib
import itertools
import uuid
from pathlib import Path

import psycopg
from kit.stack import Stack

from .broker import Broker
from .services import Service
from .wait import eventually

DEFAULT_VHOST = "/"


class World:
    def __init__(self, stack: Stack, folder: Path, vhost: str = DEFAULT_VHOST):
        self.stack, self.folder, self.vhost = stack, folder, vhost
        self._tag = uuid.uuid4().hex[:8]
        self._databases: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self.services: list[Service] = []
        if vhost != DEFAULT_VHOST:
            stack.rabbit.control("add_vhost", vhost)
            stack.rabbit.control("set_permissions", "-p", vhost, "trunnion", ".*", ".*", ".*")

    # ---- Places -------------------------------------------------------------

    def database_url(self, name: str) -> str:
        """The database of a service, made when it is first asked for."""
        if name not in self._databases:
            self._databases[name] = self.stack.ensure_database(f"{name}_{self._tag}")
        return self._databases[name]

    def amqp_url(self) -> str:
        base = self.stack.amqp_url().rstrip("/")
        return base + "/" + ("%2F" if self.vhost == DEFAULT_VHOST else self.vhost)

    def sql(self, name: str, statement: str, *values) -> list[tuple]:
        """Runs one statement on a service's database, as the service's own role."""
        with psycopg.connect(self.database_url(name), autocommit=True, connect_timeout=10) as db:
            cursor = db.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def transaction(self, name: str):
        """A connection with a transaction open, which is rolled back at the end."""
        with contextlib.closing(psycopg.connect(self.database_url(name))) as db:
            yield db
            db.rollback()

    def broker(self) -> Broker:
        return Broker(self.amqp_url())

    # ---- Services -----------------------------------------------------------

    def service(self, name: str, implementation: str | None = None, **env) -> Service:
        """One more process of a service, not started yet."""
        needs = {"DATABASE_URL": self.database_url(name), "AMQP_URL": self.amqp_url()}
        label = f"{name}-{next(self._numbers)}"
        made = Service(name, needs | {key: None if value is None else str(value)
                                      for key, value in env.items()}, self.folder, label,
                       implementation)
        self.services.append(made)
        return made

    def start(self, name: str, **env) -> Service:
        return self.service(name, **env).start()

    def stop(self, services: list[Service] | None = None) -> None:
        """Stops those that still run. Each owes a clean stop; all are stopped before one fails."""
        chosen = list(self.services if services is None else services)
        faults = []
        for service in reversed(chosen):
            self.services.remove(service)
            try:
                if service.process is not None and not service.was_ended:
                    service.stop()
            except AssertionError as fault:
                faults.append(str(fault))
                if service.running():
                    service.kill9()
        assert not faults, "\n".join(faults)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            if self.stack.postgres.running():
                for url in self._databases.values():
                    self.stack.drop_database(url.rsplit("/", 1)[1])
            if self.vhost != DEFAULT_VHOST and self.stack.rabbit.running():
                self.stack.rabbit.control("delete_vhost", self.vhost)

    # ---- What is true in it --------------------------------------------------

    def outbox(self) -> int:
        """Events that the broker has not confirmed yet."""
        return self.sql("items", "SELECT count(*) FROM trunnion_outbox")[0][0]

    def activities(self, item_id: str, event_type: str | None = None) -> list[tuple[str, str]]:
        """What activity recorded about an item, in order: (type, event_id)."""
        return self.sql("activity", "SELECT type, event_id::text FROM activities WHERE item_id = %s"
                        " AND coalesce(type = %s, true) ORDER BY position", item_id, event_type)

    def await_activities(self, item_id: str, n: int, seconds: float = 20) -> list[tuple[str, str]]:
        return eventually(lambda: len(found := self.activities(item_id)) >= n and found, seconds,
                          what=f"{n} activities of {item_id}")
