"""How many requests are worked on at a time, and for how long; and whatever stops one is told."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..context import RequestContext
from ..errors import as_problem, stopping, too_late
from ..health import Health
from ..problems import UNAVAILABLE, busy
from ..settings import Settings


class LimitsMiddleware:
    def __init__(self, app: ASGIApp, settings: Settings, health: Health):
        self.app, self._health = app, health
        self._most = settings.per_worker(settings.requests_max)
        self._timeout_ms = settings.request_timeout_ms
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context: RequestContext = scope["state"]["context"]
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if context.endpoint.is_page:
                await self.app(scope, receive, watched)
            else:
                await self._limited(context, scope, receive, watched)
        except Exception as error:
            if started:
                raise
            problem = as_problem(error, context)
            await problem.response(context.path, context.request_id)(scope, receive, send)

    async def _limited(self, context: RequestContext, scope: Scope, receive: Receive,
                       send: Send) -> None:
        if not self._health.started:
            raise busy(UNAVAILABLE, "The service is starting.")
        if self._at_work >= self._most:
            raise busy(UNAVAILABLE, f"{self._most} requests are being worked on, which is as many "
                                    "as may be at a time.")
        self._at_work += 1
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await self.app(scope, receive, send)
        except TimeoutError:
            raise too_late(self._timeout_ms, is_read=scope["method"] == "GET") from None
        except asyncio.CancelledError:
            raise stopping() from None  # The drain's time is over.
        finally:
            self._at_work -= 1
