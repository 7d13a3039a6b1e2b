"""Migrations: the same files, table, checksums and lock as those of every implementation.

All of it happens under an advisory lock, so processes that start together take turns, and whoever
comes later finds nothing left to do. The applied ones must be the first of the list; what comes
after the whole list is a newer version's, and is let be.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from .logs import log

LOCK_KEY = 8390898172903911278  # "trunnion" in ASCII.
_ROOT = Path(__file__).resolve().parents[3]
_SETS = {"trunnion": _ROOT / "src" / "messaging" / "migrations",
         "items": _ROOT / "services" / "items" / "migrations"}
_TABLE = """
CREATE TABLE IF NOT EXISTS trunnion_migrations (set_name text NOT NULL, name text NOT NULL,
 checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),
 PRIMARY KEY (set_name, name))
"""


class Refused(Exception):
    """The database and the list of migrations do not fit together."""


class NotYet(Exception):
    """The migrations are left to somebody else, who has not applied them yet."""


@dataclass(frozen=True, slots=True)
class Migration:
    set_name: str
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def _listed(set_name: str) -> list[Migration]:
    return [Migration(set_name, path.name, path.read_text())
            for path in sorted(_SETS[set_name].glob("*.sql"))]


async def migrate(url: str, apply: bool, timeout_ms: int) -> None:
    """Applies what is missing; or, with `apply` false, raises NotYet when something is."""
    connection = await asyncpg.connect(
        url, timeout=5, server_settings={"application_name": "trunnion-migrate",
                                         "lock_timeout": str(timeout_ms)})
    try:
        if apply:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
            await connection.execute(f"SET lock_timeout = 0; {_TABLE}")
        for set_name in _SETS:
            for missing in await _missing(connection, set_name):
                if not apply:
                    raise NotYet(f"migration {missing.name} was not applied yet")
                await _apply(connection, missing)
    finally:
        await connection.close()


async def _missing(connection: asyncpg.Connection, set_name: str) -> list[Migration]:
    listed = _listed(set_name)
    if not await connection.fetchval("SELECT to_regclass('trunnion_migrations')"):
        return listed
    applied = await connection.fetch(
        "SELECT name, checksum FROM trunnion_migrations WHERE set_name = $1"
        ' ORDER BY name COLLATE "C"', set_name)
    for newer, _ in applied[len(listed):]:
        log.warning("the database has a newer version's migration", set=set_name, migration=newer)
    for at, (name, checksum) in enumerate(applied[:len(listed)]):
        if name not in {one.name for one in listed}:
            raise Refused(f"migration {name} was applied to this database, but is gone")
        if listed[at].name != name:
            raise Refused(f"migration {listed[at].name} is new, but {name}, which comes after it, "
                          "was applied")
        if listed[at].checksum != checksum:
            raise Refused(f"migration {name} has changed since it was applied")
    return listed[len(applied):]


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO trunnion_migrations (set_name, name, checksum) VALUES ($1, $2, $3)",
            migration.set_name, migration.name, migration.checksum)
    log.info("migration applied", set=migration.set_name, migration=migration.name)
