"""The log: one JSON object a line on standard output.

What concerns a request (its id, trace and span) is bound to the context of its task, so that every
line written on its behalf names them.
"""

import logging
import sys
from datetime import UTC, datetime

import orjson
import structlog

from . import SERVICE, VERSION

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


class _FromLibraries(logging.Handler):
    """What libraries say to the standard logging."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for name, number in reversed(LEVELS.items())
                      if record.levelno >= number), "debug")
        log.log(LEVELS[level], record.getMessage(), logger=record.name)


def set_up(level: str) -> None:
    _current["level"] = LEVELS[level]
    structlog.configure(
        processors=[_filter, structlog.contextvars.merge_contextvars,
                    structlog.processors.format_exc_info, _members, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
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
