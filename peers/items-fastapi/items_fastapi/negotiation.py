"""Media types: what a client accepts (RFC 9110 12.5.1), and what it sends."""

import re
from functools import lru_cache

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})\s*((?:;.*)?)")
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def _quality_of(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return float(value) if _QUALITY.fullmatch(value.strip()) else 1.0
    return 1.0


def _specificity(main: str, sub: str, wanted_main: str, wanted_sub: str) -> int:
    if main == "*":
        return 1 if sub == "*" else 0
    if main.lower() != wanted_main:
        return 0
    return 2 if sub == "*" else 3 if sub.lower() == wanted_sub else 0


@lru_cache(1024)
def quality(accept: str, media_type: str) -> float:
    """The weight that the most specific range gives it; without a valid range all is accepted."""
    main, _, sub = media_type.partition("/")
    ranges = [found for part in accept.split(",") if (found := _RANGE.fullmatch(part.strip()))]
    if not ranges:
        return 1.0
    best, weight = 0, 0.0
    for found in ranges:
        match = _specificity(found[1], found[2], main, sub)
        if match > best:
            best, weight = match, _quality_of(found[3])
    return weight


def accepts_json(accept: str) -> bool:
    return any(quality(accept, kind) > 0 for kind in ("application/json",
                                                      "application/problem+json"))


@lru_cache(256)
def is_json(content_type: str, merge_patch: bool) -> bool:
    found = _RANGE.fullmatch(content_type.strip())
    kinds = ("json", "merge-patch+json") if merge_patch else ("json",)
    if not found or found[1].lower() != "application" or found[2].lower() not in kinds:
        return False
    parameters = [part.strip().lower() for part in found[3].split(";") if part.strip()]
    return all(part in ("charset=utf-8", 'charset="utf-8"') for part in parameters)
