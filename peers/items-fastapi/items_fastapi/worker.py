"""The bodies of the forked processes: a worker, which serves, and the relay's, which publishes."""

import asyncio
import os
import signal
import socket

import uvicorn
import uvloop

from .app import create_app, until_migrated
from .exposition import tell_siblings
from .logs import shift_level
from .protocol import protocol_of
from .relay import Relay
from .settings import Settings
from .shared import Shared
from .tracing import Tracing

LAST_STEPS_S_MAX = 1  # What the steps after the requests keep of the drain.


def _follow_parent(shared: Shared) -> None:
    """Ends with the service's first process, however that ended."""
    asyncio.get_running_loop().add_reader(shared.life_fd, lambda: os._exit(1))


def _hear_levels() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, shift_level, -1)
    loop.add_signal_handler(signal.SIGUSR2, shift_level, 1)


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        _follow_parent(self.config.app.state.shared)
        _hear_levels()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: object) -> None:
        """A second signal does not hurry us: the drain has its limit."""
        self.should_exit = True


def run_worker(settings: Settings, shared: Shared, index: int, listening: socket.socket) -> int:
    drain_s = settings.drain_timeout_ms / 1000
    kept_s = min(LAST_STEPS_S_MAX, drain_s / 20)
    config = uvicorn.Config(
        create_app(settings, shared, index), http=protocol_of(settings), loop="uvloop", ws="none",
        lifespan="on", log_config=None, access_log=False, server_header=False,
        timeout_keep_alive=settings.idle_timeout_ms / 1000,
        timeout_graceful_shutdown=max(0.1, drain_s - 3 * kept_s))
    Server(config).run([listening])
    return 0


def run_relay(settings: Settings, shared: Shared, index: int) -> int:
    uvloop.run(_relay(settings, shared, index))
    return 0


async def _relay(settings: Settings, shared: Shared, index: int) -> None:
    _follow_parent(shared)
    _hear_levels()
    tracing = Tracing(settings, shared)
    relay = Relay(settings, shared, tracing.tracer)
    work = asyncio.create_task(_migrated_relay(settings, relay))

    def stop() -> None:
        relay.close()
        if not relay.running:
            work.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    siblings = await tell_siblings(shared.service_pid, index)
    await asyncio.wait([work])
    siblings.close()
    await asyncio.to_thread(tracing.close)
    if not work.cancelled():
        work.result()


async def _migrated_relay(settings: Settings, relay: Relay) -> None:
    await until_migrated(settings)
    await relay.run()
