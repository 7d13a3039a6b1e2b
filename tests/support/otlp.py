"""Where services send their spans in tests: a receiver in a process of its own, killed at will.

It decodes with the official definitions of OTLP (support.otlp_receiver), in the environment of
tools/otlp-proto/make.
"""

import json
import subprocess
import urllib.request
from pathlib import Path

from kit.paths import ROOT
from kit.ports import LOOPBACK, free_port

from .wait import eventually

PYTHON = ROOT / ".trunnion" / "otlp-proto" / "venv" / "bin" / "python"
PROGRAM = Path(__file__).with_name("otlp_receiver.py")


class Receiver:
    """`endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT; it stays the same after a restart."""

    def __init__(self):
        self.port = free_port()
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> "Receiver":
        if not PYTHON.exists():
            subprocess.run([ROOT / "tools" / "otlp-proto" / "make"], check=True)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", PYTHON, "-B", PROGRAM, str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        eventually(self.told, what="the receiver of spans")
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def ask(self, path: str, value=None) -> bytes:
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.endpoint + path, data)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read()

    def told(self) -> dict:
        """All that it has: spans, faults, requests."""
        return json.loads(self.ask("/spans"))

    def answer(self, *orders: dict) -> None:
        """What the next messages are answered with, one each; see the program."""
        self.ask("/orders", orders)

    def forget(self) -> None:
        self.ask("/forget", "")

    def spans(self, **wanted) -> list[dict]:
        """The spans so far, of which all members given are so: spans(kind="server")."""
        told = self.told()
        assert told["faults"] == [], told["faults"][:5]
        return [span for span in told["spans"]
                if all(span[name] == value for name, value in wanted.items())]

    def await_spans(self, n: int = 1, seconds: float = 10, **wanted) -> list[dict]:
        return eventually(lambda: len(found := self.spans(**wanted)) >= n and found, seconds,
                          what=f"{n} spans with {wanted}")
