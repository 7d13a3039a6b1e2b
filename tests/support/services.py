"""Starts services as an operator would, and stops them as an orchestrator would.

Which implementation that is, is said in support/implementations.py alone. All else that a service
is told is in its environment.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import requests
from kit.paths import SERVICES
from kit.ports import LOOPBACK, free_port
from kit.services import read_env

from .client import Client
from .contract import Document
from .implementations import command
from .wait import eventually

READY_SECONDS = 30
STOP_SECONDS = 30
ENDED_AT_ONCE = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # Nothing was tidied up.
# What a sanitizer writes to standard error when it has found something.
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "WARNING: ThreadSanitizer", "ERROR: ThreadSanitizer")
_documents: dict[tuple[str, ...], Document] = {}
# A service inherits nothing else of ours.
_INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "ASAN_OPTIONS", "LSAN_OPTIONS",
              "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE", "NODE_PATH", "PYTHONPATH")


def own_environment(name: str) -> dict[str, str]:
    """What services/<name>/service.env gives the service wherever it runs."""
    fragment = SERVICES / name / "service.env"
    values = read_env(fragment) if fragment.exists() else {}
    values.pop("PORT", None)
    return values


class Service:
    """One process of a service. `env` is added to what it needs; a value of None takes one away.

    `implementation` is the one that the run is about, unless a test names another.
    """

    def __init__(self, name: str, env: dict[str, str | None], folder: Path, label: str,
                 implementation: str | None = None):
        self.name, self.label = name, label
        self.command = command(name, implementation)
        self.port = free_port()
        base = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        wanted = base | own_environment(name) | {"HOST": LOOPBACK, "PORT": str(self.port)} | env
        self.env = {key: value for key, value in wanted.items() if value is not None}
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.out, self.err = folder / f"{label}.out", folder / f"{label}.err"
        self.process: subprocess.Popen | None = None
        self.was_ended = False  # By the test; a service that ended by itself has crashed.
        self.http = Client(self.url, self)           # /livez, /openapi.json, ...
        self.api = Client(self.url + "/api/v1", self)  # /items, /activities, ...

    # ---- Life ---------------------------------------------------------------

    def start(self, ready: bool = True) -> "Service":
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            # setpriv becomes env, and that the service. The kernel ends it when we are gone,
            # however we went; and a signal that we were started to ignore it does not ignore.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "env", "--default-signal=INT,HUP",
                 *self.command], env=self.env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        self.was_ended = False
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        last = "no answer yet"
        while time.monotonic() < deadline:
            assert self.running(), f"{self.label} ended with {self.process.returncode} before it " \
                                   f"was ready:\n{self.last_words()}"
            try:
                reply = requests.get(self.url + "/readyz", timeout=2)
                last = f"{reply.status_code}: {reply.text}"
                if reply.status_code == 200:
                    self.document()  # While it can still be asked for.
                    return
            except requests.RequestException as error:
                last = repr(error)
            time.sleep(0.02)
        raise AssertionError(f"{self.label} is not ready: {last}\n{self.last_words()}")

    def wait_whole(self, seconds: float = READY_SECONDS) -> None:
        """Ready is also who works without the broker; whole is who has everything."""
        self.wait_ready(seconds)
        eventually(lambda: self.http.get("/readyz").json()["status"] == "ready", seconds,
                   what=f"{self.label} with all its servers")

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        self.was_ended = True
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.label} still runs {seconds} s after it was asked to stop"
                                 f"\n{self.last_words()}") from None
        if status not in ENDED_AT_ONCE:
            self.assert_no_sanitizer_report()
        return status

    def stop(self) -> None:
        """The clean stop that every service owes: exit status 0, and no sanitizer complained."""
        assert self.running(), f"{self.label} had ended by itself, with status " \
                               f"{self.process.returncode}:\n{self.last_words()}"
        self.terminate()
        status = self.wait_exit()
        assert status == 0, f"{self.label} ended with {status}:\n{self.last_words()}"

    def kill9(self) -> None:
        self.was_ended = True
        self.process.kill()
        self.process.wait(10)

    # ---- What it said -------------------------------------------------------

    def logs(self) -> list[dict]:
        """The lines of its log; each one must be a JSON object."""
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def last_words(self, lines: int = 12) -> str:
        said = []
        for path in (self.out, self.err):
            text = path.read_text(errors="replace") if path.exists() else ""
            said += [f"--- {path.name}", *(line[:300] for line in text.splitlines()[-lines:])]
        return "\n".join(said)

    def assert_no_sanitizer_report(self) -> None:
        text = self.err.read_text(errors="replace") if self.err.exists() else ""
        assert not any(mark in text for mark in SANITIZER_MARKS), text[-8000:]

    def document(self) -> Document:
        """Its OpenAPI document, as the first process of this implementation served it."""
        program = tuple(self.command)
        if program not in _documents:
            reply = requests.get(self.url + "/openapi.json", timeout=10)
            _documents[program] = Document(reply.json())
        return _documents[program]
