"""Conditional requests (RFC 9110 13): entity tags and what asks for them."""

import re

# An element of a list: a comma within quotes does not end it.
_ELEMENT = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^,"])+')


def listed(field: str, etag: str, weak: bool) -> bool:
    """Whether If-Match (strong comparison) or If-None-Match (weak) names this tag."""
    if field.strip() == "*":
        return True
    tags = [element.strip(" \t") for element in _ELEMENT.findall(field)]
    return any((tag.removeprefix("W/") if weak else tag) == etag for tag in tags)


def fails(if_match: str | None, if_none_match: str | None, etag: str) -> bool:
    """Whether a change must not be made."""
    if if_match is not None and not listed(if_match, etag, weak=False):
        return True
    return if_none_match is not None and listed(if_none_match, etag, weak=True)
