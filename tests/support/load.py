"""Small things that many tests make: items, keys, and requests side by side."""

import json
import random
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

_LETTERS = string.ascii_uppercase + string.digits


def sku(prefix: str = "T") -> str:
    """A SKU that nobody else has."""
    return f"{prefix}-" + "".join(random.choices(_LETTERS, k=14))


def item(**members) -> dict:
    """A valid new item; a member given as None is left out."""
    made = {"sku": sku(), "name": "Bolt M8 x 40", "price_cents": 125,
            "description": "Zinc-plated, with nut."} | members
    return {name: value for name, value in made.items() if value is not None}


def side_by_side(n: int, work) -> list:
    """Runs work(0) ... work(n-1) at the same moment; gives what they gave, or the first failure."""
    gate = threading.Barrier(n)

    def run(i: int):
        gate.wait(10)
        return work(i)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


def pages(client, path: str, **params):
    """Follows next_cursor to the end, and gives each page's body."""
    while True:
        reply = client.get(path, params=params)
        assert reply.status_code == 200, reply.text
        page = reply.json()
        yield page
        if "next_cursor" not in page:
            assert "Link" not in reply.headers
            return
        assert_links_to_next(reply, page["next_cursor"])
        params["cursor"] = page["next_cursor"]


def assert_links_to_next(reply, cursor: str) -> None:
    """RFC 8288: the link names the same resource with the next cursor."""
    link = reply.headers["Link"]
    target, _, relation = link.partition(">")
    assert target.startswith("<") and 'rel="next"' in relation, link
    assert f"cursor={cursor}" in urlsplit(target[1:]).query, link


def body_of(size: int, **members) -> bytes:
    """A valid new item of exactly so many bytes: white space is no fault."""
    text = json.dumps(item(**members)).encode()
    return text + b" " * (size - len(text))
