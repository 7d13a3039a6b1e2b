"""A small steady load of POSTs, sent as a good client sends them, and its book-keeping.

Each client makes one item after the other. It tries again with the same key until it has a 2xx, at
the next replica when one does not answer. So at the end every item that was begun must be there
exactly once, and every event exactly once too.
"""

import threading
import time
import uuid
from dataclasses import dataclass, field

import requests

from .client import new_key
from .load import item
from .wait import eventually

CLIENTS = 6
PAUSE_S = 0.01
# Longer than any server here needs to come back.
GIVE_UP_S = 90
_MAY_PASS = {409, 429, 500, 502, 503, 504}


@dataclass
class Book:
    made: dict[str, str] = field(default_factory=dict)  # sku -> id, as acknowledged
    retries: int = 0
    errors: list[str] = field(default_factory=list)  # Requests that were not answered, or with 5xx.
    faults: list[str] = field(default_factory=list)  # What no good service ever answers.


class Traffic:
    def __init__(self, world, services, clients: int = CLIENTS):
        self.world, self.services, self.clients = world, list(services), clients
        self.book = Book()
        self.name = f"load {uuid.uuid4()}"  # Of all items that it makes.
        self._lock = threading.Lock()
        self._stop, self._abandoned = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> "Traffic":
        for i in range(self.clients):
            thread = threading.Thread(target=self._client, args=(i,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __enter__(self) -> "Traffic":
        return self.start()

    def __exit__(self, *_exc) -> None:
        self.finish()

    def finish(self) -> None:
        """No new items; those that were begun are brought to their end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(GIVE_UP_S)
        assert not any(thread.is_alive() for thread in self._threads), "a client is still at it"
        self._threads = []

    def abandon(self) -> None:
        self._stop.set()
        self._abandoned.set()
        for thread in self._threads:
            thread.join(5)

    def flow(self, n: int, seconds: float = 60) -> None:
        """Waits until n more items are acknowledged."""
        goal = len(self.book.made) + n
        eventually(lambda: len(self.book.made) >= goal, seconds, what=f"{n} more items made")

    # ---- A client ------------------------------------------------------------

    def _client(self, number: int) -> None:
        turn = number
        while not self._stop.is_set():
            turn += 1
            self._make(turn)
            time.sleep(PAUSE_S)

    def _make(self, turn: int) -> None:
        body, key = item(name=self.name), new_key()
        deadline = time.monotonic() + GIVE_UP_S
        while not self._abandoned.is_set():
            if time.monotonic() > deadline:
                self.book.faults.append(f"{body['sku']} was given up")
                return
            services = self.services  # Another thread may put another list there.
            if self._attempt(services[turn % len(services)], body, key):
                return
            turn += 1
            with self._lock:
                self.book.retries += 1
            time.sleep(0.05)

    def _attempt(self, service, body: dict, key: str) -> bool:
        try:
            reply = service.api.post("/items", body, key=key, check=False, timeout=10)
        except requests.RequestException as error:
            self._note(self.book.errors, f"{service.label}: {error!r}")
            return False
        if reply.status_code == 201:
            with self._lock:
                self.book.made[body["sku"]] = reply.json()["id"]
            return True
        said = f"{service.label}: {reply.status_code} {reply.text}"
        in_use = reply.status_code == 409 and "idempotency-key-in-use" in reply.text
        if reply.status_code not in _MAY_PASS or (reply.status_code == 409 and not in_use):
            self._note(self.book.faults, said)
        elif not in_use:
            self._note(self.book.errors, said)
        return False

    def _note(self, where: list[str], what: str) -> None:
        with self._lock:
            where.append(what)

    # ---- The reckoning ---------------------------------------------------------

    def assert_exactly_once(self, seconds: float = 60) -> None:
        """Every acknowledged item is one row, one event and one activity; there is nothing else."""
        assert not self.book.faults, self.book.faults[:5]
        made = self.book.made
        rows = self.world.sql("items", "SELECT sku, id::text FROM items WHERE name = %s", self.name)
        assert len(rows) == len(made) and dict(rows) == made
        eventually(lambda: self.world.outbox() == 0, seconds, what="an empty outbox")
        [(items,)] = self.world.sql("items", "SELECT count(*) FROM items")
        eventually(lambda: self._recorded()[0] >= items, seconds, what="all activities")
        time.sleep(0.5)  # A double would come late.
        assert self._recorded() == (items, items, items)
        assert self._recorded(list(made.values())) == (len(made),) * 3
        assert self.world.sql("activity", "SELECT count(*) FROM trunnion_dead_letters") == [(0,)]

    def _recorded(self, ids: list[str] | None = None) -> tuple[int, int, int]:
        """Activities, items and events among them; nothing but creations ever happens here."""
        [row] = self.world.sql(
            "activity", "SELECT count(*), count(DISTINCT item_id),"
            " count(DISTINCT event_id) FILTER (WHERE type = 'item.created') FROM activities"
            " WHERE %s::uuid[] IS NULL OR item_id = ANY(%s::uuid[])", ids, ids)
        return row
