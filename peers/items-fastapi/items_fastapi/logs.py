"""The log: one JSON object a line on standard output.

Nobody waits for who reads it: what can't be written now is written with the next line, and beyond a
limit dropped and counted.

What concerns a request (its id, trace and span) is bound to the context of its task, so that every
line written on its behalf names them.
"""

import logging
import os
import select
from collections import deque
from datetime import UTC, datetime

import orjson
import structlog

from . import SERVICE, VERSION
from .metrics import LOG_DROPPED

LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40}
_OF_THE_REQUEST = ("request_id", "trace_id", "span_id")
_current = {"level": LEVELS["info"]}
log = structlog.get_logger()


def _members(_logger, method: str, event: dict) -> dict:
    level = {"warning": "warn", "exception": "error", "critical": "error"}.get(method, method)
    first = {"timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "level": level,
             "message": event.pop("event"), "service": SERVICE, "version": VERSION}
    first |= {name: event.pop(name) for name in _OF_THE_REQUEST if name in event}
    return first | event


def _filter(_logger, method: str, event: dict) -> dict:
    level = {"warning": "warn", "exception": "error", "critical": "error"}.get(method, method)
    if LEVELS[level] < _current["level"]:
        raise structlog.DropEvent
    return event


def _render(_logger, _method: str, event: dict) -> bytes:
    return orjson.dumps(event, default=str)


class _Output:
    """Writes where a write does not wait: a pipe that is ready takes this much at least."""

    PIECE, PENDING_MAX = select.PIPE_BUF, 10_000

    def __init__(self, fd: int):
        self._fd, self._pending = fd, deque()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def msg(self, line: bytes) -> None:
        if len(self._pending) == self.PENDING_MAX:
            LOG_DROPPED.inc()
            return
        self._pending.append(line + b"\n")
        try:
            while self._pending and self._is_ready():
                os.write(self._fd, self._piece())
        except OSError:
            self._pending.clear()  # The reader is gone, and the service goes on.

    def _is_ready(self) -> bool:
        return any(event & select.POLLOUT for _, event in self._poll.poll(0))

    def _piece(self) -> bytes:
        """One line, or as many as fit; a longer one by itself."""
        piece = self._pending.popleft()
        while self._pending and len(piece) + len(self._pending[0]) <= self.PIECE:
            piece += self._pending.popleft()
        return piece

    log = debug = info = warn = warning = error = critical = exception = fatal = msg


class _FromLibraries(logging.Handler):
    """What libraries say to the standard logging."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for name, number in reversed(LEVELS.items())
                      if record.levelno >= number), "debug")
        log.log(LEVELS[level], record.getMessage(), logger=record.name)


def set_up(level: str) -> None:
    _current["level"] = LEVELS[level]
    output = _Output(1)
    structlog.configure(
        processors=[_filter, structlog.contextvars.merge_contextvars,
                    structlog.processors.format_exc_info, _members, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=True)
    logging.basicConfig(handlers=[_FromLibraries()], level=logging.WARNING, force=True)
    # Our own lines say what these would, once and with what it concerns.
    for name in ("uvicorn", "uvicorn.error", "aio_pika", "aiormq", "asyncio", "opentelemetry",
                 "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.access").disabled = True


def shift_level(steps: int) -> str:
    """SIGUSR1 makes the log say more, SIGUSR2 less. Returns the level that holds now."""
    _current["level"] = min(40, max(10, _current["level"] + 10 * steps))
    return next(name for name, number in LEVELS.items() if number == _current["level"])
