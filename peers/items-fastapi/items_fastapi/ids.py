"""What names a request, an item or an event, and an idempotency key as it is sent."""

import os
import re
import time
from uuid import UUID

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BARE_KEY = re.compile(r"[!#-~][!-~]{0,254}")
_QUOTED_KEY = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])+)"')
KEY_MAX = 255
_last = 0


def uuid7() -> UUID:
    """RFC 9562: milliseconds, then random bits; those of a process only rise."""
    global _last
    random = int.from_bytes(os.urandom(10), "big")
    fresh = time.time_ns() // 1_000_000 << 74 | random & (1 << 73) - 1
    _last = fresh if fresh >> 74 > _last >> 74 else _last + 1 + (random & 0xFFFFFFFF)
    high, low = _last >> 62, _last & (1 << 62) - 1
    return UUID(int=(high >> 12) << 80 | 7 << 76 | (high & 0xFFF) << 64 | 2 << 62 | low)


def request_id(given: str | None) -> str:
    """The caller's own where it is one, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else str(uuid7())


def read_key(field: str) -> str | None:
    """A key means the same quoted and bare; None when it is none."""
    if _BARE_KEY.fullmatch(field):
        return field
    quoted = _QUOTED_KEY.fullmatch(field)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    return key if 0 < len(key) <= KEY_MAX else None
