"""The cursor of the list: opaque to clients, and the same bytes as every implementation's.

base64url of: version, kind of the key, the key, and a check over them and the list's path, so that
a cursor of another list, or one that was cut, is known.
"""

import base64
import binascii
from uuid import UUID

VERSION, KIND_UUID = 1, 5
HEAD = bytes([VERSION, KIND_UUID])
CHECK_BYTES = 4
_MASK = 2**64 - 1


def _mix(h: int, word: int) -> int:
    h = ((h ^ word) * 0x9E3779B97F4A7C15) & _MASK
    return h ^ (h >> 32)


def _hash(data: bytes) -> int:
    """Eight bytes at a time, little end first, the length before them."""
    h = _mix(0xCBF29CE484222325, len(data))
    for at in range(0, len(data), 8):
        h = _mix(h, int.from_bytes(data[at:at + 8], "little"))
    return _mix(h, 0)


def _check(path: str, data: bytes) -> bytes:
    h = (_hash(data) * 31 + _hash(path.encode())) & _MASK
    return ((h ^ (h >> 32)) & 0xFFFFFFFF).to_bytes(CHECK_BYTES, "big")


def write_cursor(path: str, key: UUID) -> str:
    data = HEAD + key.bytes
    return base64.urlsafe_b64encode(data + _check(path, data)).rstrip(b"=").decode()


def read_cursor(path: str, cursor: str) -> UUID | None:
    """None when this list has given no such cursor."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        key = UUID(bytes=data[len(HEAD):-CHECK_BYTES])
    except (ValueError, binascii.Error):
        return None
    return key if write_cursor(path, key) == cursor else None
