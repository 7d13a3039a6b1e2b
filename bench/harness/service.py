"""A service under load, in any implementation."""

import contextlib
import json
import os
import secrets
import statistics
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from harness.load import Run, wrk
from kit.paths import SERVICES
from kit.ports import LOOPBACK, free_port
from kit.say import fail
from kit.services import read_env
from kit.stack import Stack

PATHS_MAX = 2000
# What a service shows: the column that a path names it by, and the table, which is its path too.
SINGLES = {"items": ("id", "items"), "activity": ("event_id", "activities")}
READY_SECONDS_MAX = 60
DELIVERED_SECONDS_MAX = 180


class Service:
    """`command` is how it is started; settings beyond the usual come as keywords."""

    def __init__(self, name: str, command: list[str], stack: Stack, access_log: bool = False,
                 **env: str):
        self.name, self.command, self.stack = name, command, stack
        self.port = free_port()
        fragment = SERVICES / name / "service.env"
        self.env = {"PATH": os.environ["PATH"], **(read_env(fragment) if fragment.exists() else {}),
                    "HOST": LOOPBACK, "PORT": str(self.port), "AMQP_URL": stack.amqp_url(),
                    "DATABASE_URL": stack.database_url(name),
                    "ACCESS_LOG": "true" if access_log else "false", "LOG_LEVEL": "info", **env}
        self.process: subprocess.Popen | None = None
        self.ready_ms = 0.0

    # ---- Its life ----------------------------------------------------------------

    def migrate(self, database: str | None = None) -> None:
        env = {**self.env, "DATABASE_URL": self.stack.database_url(database or self.name)}
        subprocess.run([*self.command, "--migrate"], env=env, check=True, capture_output=True)

    def start(self) -> None:
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.DEVNULL)
        while not self._is_ready():
            if self.process.poll() is not None:
                fail(f"the service ended with {self.process.returncode}")
            if time.monotonic() - began > READY_SECONDS_MAX:
                fail(f"the service is not ready within {READY_SECONDS_MAX} s")
            time.sleep(0.001)
        self.ready_ms = (time.monotonic() - began) * 1000

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            url = f"http://{LOOPBACK}:{self.port}/readyz"
            with urllib.request.urlopen(url, timeout=5) as reply:
                return json.load(reply)["status"] == "ready"
        return False

    def stop(self) -> None:
        self.process.terminate()
        if self.process.wait(60) != 0:
            fail(f"the service ended with {self.process.returncode}")

    @contextlib.contextmanager
    def running(self):
        self.start()
        try:
            yield self
        finally:
            self.stop()

    # ---- Load and what comes of it -------------------------------------------------

    def load(self, scenario: str, connections: int, seconds: int, argument: str) -> Run:
        return wrk(scenario, self.port, connections, seconds, argument, self.process.pid)

    def post(self, connections: int, seconds: int, settle: bool = True) -> Run:
        """New items, each with a key of its own; the next load meets nothing of what they left."""
        run = self.load("post", connections, seconds, secrets.token_hex(5).upper())
        if settle:
            run.backlog = self.settle()
        return run

    def settle(self) -> int:
        """Waits until the outbox is empty, and empties the queue; the longest it was by then."""
        first = self.unsent()
        await_none(self.unsent, "events are still in the outbox")
        self.stack.rabbit.control("purge_queue", "activity.events")
        return first

    def unsent(self) -> int:
        return self.count("SELECT count(*) FROM trunnion_outbox")

    def count(self, sql: str) -> int:
        return int(self.stack.postgres.psql(sql, database=self.name))

    def execute(self, sql: str) -> None:
        self.stack.postgres.psql(sql, database=self.name)

    def paths(self, folder: Path) -> Path:
        """Of single things that it has."""
        column, table = SINGLES[self.name]
        ids = self.stack.postgres.psql(f"SELECT {column} FROM {table} LIMIT {PATHS_MAX}",
                                       database=self.name).split()
        return paths_file(folder, f"{table}-by-id", [f"/api/v1/{table}/{one}" for one in ids])

    def list_path(self, folder: Path) -> Path:
        table = SINGLES[self.name][1]
        return paths_file(folder, f"{table}-list", [f"/api/v1/{table}?limit=20"])

    # ---- Metrics -------------------------------------------------------------------

    def metrics(self) -> str:
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}/metrics", headers={
            "Accept": "application/openmetrics-text;version=1.0.0"})
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.read().decode()

    def counter(self, name: str) -> float:
        return sum(float(line.split()[-1]) for line in self.metrics().splitlines()
                   if line.startswith(name))

    @contextlib.contextmanager
    def scraped(self, enabled: bool = True):
        """Reads the metrics every second, as Prometheus would."""
        over = threading.Event()

        def scrape():
            while not over.wait(1):
                with contextlib.suppress(OSError):
                    self.metrics()

        if enabled:
            threading.Thread(target=scrape, daemon=True).start()
        yield
        over.set()


def ready_ms(service: Service) -> float:
    """From the process's start until its readiness says so, on tables that are there; the median
    of 5 starts."""
    service.migrate()
    found = []
    for _ in range(5):
        service.start()
        found.append(service.ready_ms)
        service.stop()
    return statistics.median(found)


def paths_file(folder: Path, name: str, paths: list[str]) -> Path:
    file = folder / name
    file.write_text("".join(f"{path}\n" for path in paths))
    return file


def await_none(count, what: str) -> None:
    deadline = time.monotonic() + DELIVERED_SECONDS_MAX
    while (left := count()) > 0:
        if time.monotonic() > deadline:
            fail(f"{left} {what} {DELIVERED_SECONDS_MAX} s after the load")
        time.sleep(0.2)
