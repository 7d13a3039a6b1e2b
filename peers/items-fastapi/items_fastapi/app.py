"""The application of one worker: its parts, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from . import VERSION, items, migrations, pages
from .context import context_of
from .database import Busy, Database, Unavailable, Unknown, Violated, reason
from .errors import as_problem
from .exposition import tell_siblings
from .health import Health
from .logs import log
from .middleware.admission import AdmissionMiddleware
from .middleware.limits import LimitsMiddleware
from .middleware.telemetry import TelemetryMiddleware
from .problems import Problem
from .routes_table import Endpoint, RoutesTable
from .settings import Settings
from .shared import Shared
from .tracing import Tracing
from .unit import Units

MIGRATE_TIMEOUT_MS = 10_000
RETRY_S, RETRY_MAX_S = 0.05, 2
_TOLD = (Problem, RequestValidationError, HTTPException, Violated, Busy, Unavailable, Unknown)


async def until_migrated(settings: Settings, health: Health | None = None) -> None:
    """Tries until the tables are there. Refused is for good; everything else may pass."""
    told, wait_s = "", RETRY_S
    while True:
        try:
            await migrations.migrate(settings.database_url, settings.migrate, MIGRATE_TIMEOUT_MS)
            return
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError,
                migrations.NotYet) as error:
            why = str(error) if isinstance(error, migrations.NotYet) else reason(error)
        if health is not None:
            health.waits_for = why
            if why != told:
                log.warning("waiting for the database", reason=why)
            told = why
        await asyncio.sleep(wait_s)
        wait_s = min(RETRY_MAX_S, wait_s * 1.5)


async def _start(app: FastAPI, settings: Settings) -> None:
    """In the background, for health answers from the first moment."""
    state = app.state
    await until_migrated(settings, state.health)
    while True:
        try:
            await state.units.database.open()
            break
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            state.health.waits_for = reason(error)
            await asyncio.sleep(RETRY_MAX_S / 4)
    state.health.start()


async def _answer(request: Request, error: Exception) -> Response:
    context = context_of(request)
    return as_problem(error, context).response(context.path, context.request_id)


def create_app(settings: Settings, shared: Shared, index: int = 0) -> FastAPI:
    tracing = Tracing(settings, shared)
    database = Database(settings, tracing.tracer)
    health = Health(shared, database, index)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        siblings = await tell_siblings(shared.service_pid, index)
        starting = asyncio.create_task(_start(app, settings))
        starting.add_done_callback(_end_if_refused)
        yield
        starting.cancel()
        await database.close()
        siblings.close()
        await asyncio.to_thread(tracing.close)

    app = FastAPI(title="Items", version=VERSION, lifespan=lifespan, openapi_url=None,
                  docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.units = Units(settings, shared, database)
    app.state.health, app.state.shared, app.state.index = health, shared, index
    app.state.n_processes = settings.workers + 1  # The relay's is the last.
    app.include_router(items.router)
    app.include_router(pages.router)
    for kind in _TOLD:
        app.add_exception_handler(kind, _answer)
    app.add_middleware(LimitsMiddleware, settings=settings, health=health)
    app.add_middleware(AdmissionMiddleware, settings=settings)
    app.add_middleware(TelemetryMiddleware, settings=settings, tracing=tracing,
                       table=RoutesTable(endpoints_of([items.router, pages.router])))
    return app


def _end_if_refused(starting: asyncio.Task) -> None:
    if starting.cancelled() or (error := starting.exception()) is None:
        return
    log.error("migrations refused", reason=str(error))
    raise SystemExit(70)


def endpoints_of(routers) -> list[Endpoint]:
    """Each path once, with the methods of all its routes."""
    found: dict[str, Endpoint] = {}
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                endpoint = found.setdefault(route.path, Endpoint(route.path))
                endpoint.methods |= route.methods
                endpoint.is_page = not route.include_in_schema
    return list(found.values())
