"""The end of a connection whose client still sends: in two steps (RFC 9112 9.6).

Bytes for a socket that is closed are answered with a reset, on which a client may lose the answer
that it was about to read. So the way out is shut first, and what still comes in is dropped, until
the client ends it too or its time is over.
"""

import asyncio
from collections.abc import Callable

LINGER_S = 1


class LingeringTransport:
    """What a protocol takes for its transport; close() lingers when there is reason to."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop,
                 more_may_come: Callable[[], bool]):
        self._transport, self._loop, self._more_may_come = transport, loop, more_may_come
        self._end: asyncio.TimerHandle | None = None
        self.write = transport.write  # Used for each answer, so without a detour.
        self.lingers = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Asked for a second time, it lingers no longer."""
        if self.is_closing() or not self._more_may_come():
            self.close_at_once()
            return
        self.lingers = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._end = self._loop.call_later(LINGER_S, self.close_at_once)

    def close_at_once(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
        self._transport.close()
