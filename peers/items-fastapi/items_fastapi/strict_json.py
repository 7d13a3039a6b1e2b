"""JSON as the contract reads it: UTF-8 alone, no name twice, no NaN, no NUL, bounded depth.

The text is parsed by the standard library's C scanner. Only what that can't judge, or can't say the
place of, is looked at token by token: a body that is refused, or one with \\u escapes.
"""

import json
import math
import re
from json.decoder import scanstring
from typing import Any

DEPTH_MAX = 32
VALUES_MAX = 100_000
DIGITS_MAX = 1000  # Longer ones no machine holds, and reading them takes quadratic time.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class Malformed(ValueError):
    def __init__(self, text: str, at: int, what: str):
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"line {line}, column {column}: {what}")


class _Refused(ValueError):
    """Somewhere in the text; where, the tokens tell."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("a member is named twice")
    return members


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused("a number is out of range")
    return value


def _whole(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise _Refused("a number is out of range")
    return int(text)


def _constant(name: str) -> None:
    raise _Refused(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=_real, parse_int=_whole,
                            parse_constant=_constant)


def loads(body: bytes) -> Any:
    text = _text_of(body)
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX or body.count(b",") > VALUES_MAX:
        _check_size(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(text, error.pos, error.msg) from None
    except _Refused as error:
        raise Malformed(text, _place_of_fault(text), str(error)) from None
    if _SUSPICIOUS.search(text):
        _check_escapes(text)
    return value


def _text_of(body: bytes) -> str:
    if not body:
        raise Malformed("", 0, "the text is empty")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        before = body[:error.start].decode()
        raise Malformed(before, len(before), "not valid UTF-8") from None
    if text.startswith("\ufeff"):
        raise Malformed(text, 0, "a byte order mark is not allowed")
    return text


def _check_size(text: str) -> None:
    depth = values = 0
    for token in _TOKEN.finditer(text):
        if token.group() in "{[":
            depth += 1
        elif token.group() in "}]":
            depth -= 1
        values += token.group() == ","
        if depth > DEPTH_MAX:
            raise Malformed(text, token.start(), f"nested deeper than {DEPTH_MAX} levels")
        if values > VALUES_MAX:
            raise Malformed(text, token.start(), f"more than {VALUES_MAX} values")


def _check_escapes(text: str) -> None:
    """Half a surrogate pair is no character, and PostgreSQL's text can't hold a NUL."""
    for token in _TOKEN.finditer(text):
        if token.group().startswith('"') and "\\u" in token.group():
            value, _ = scanstring(text, token.start() + 1, True)
            if "\0" in value:
                raise Malformed(text, token.start(), "the character NUL is not allowed")
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise Malformed(text, token.start(), "half a surrogate pair")


def _place_of_fault(text: str) -> int:
    """The first name that is there twice, or the first number that is none."""
    names: list[set[str] | None] = []
    last = None
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word in "{[":
            names.append(set() if word == "{" else None)
        elif word in "}]":
            names.pop()
        elif word == ":" and names and names[-1] is not None:
            name, _ = scanstring(text, last.start() + 1, True)
            if name in names[-1]:
                return last.start()
            names[-1].add(name)
        elif word[0] in "-0123456789NI" and not _is_number(word):
            return token.start()
        last = token
    return len(text)


def _is_number(word: str) -> bool:
    try:
        return len(word) <= DIGITS_MAX and math.isfinite(float(word))
    except ValueError:
        return False
