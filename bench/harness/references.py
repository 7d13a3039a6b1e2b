"""What the machine gives today: the least that the same work can cost."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from harness.load import Run, wrk
from kit.ports import LOOPBACK, free_port
from kit.say import fail
from kit.stack import Stack

SOURCES = Path(__file__).resolve().parent.parent / "reference"
AT_ONCE, SUSPENDED = "at once", "suspended"


def pgbench(stack: Stack, seconds: int) -> Run:
    done = subprocess.run(
        ["pgbench", "-n", "-M", "prepared", "-c", "32", "-j", "1", "-T", str(seconds),
         "-f", str(SOURCES / "write.sql"), stack.database_url("reference")],
        capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode != 0 or not found:
        fail(f"pgbench: {done.stdout}{done.stderr}")
    return Run(float(found.group(1)))


def build(name: str, folder: Path, *libraries: str) -> Path:
    program = folder / name
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", str(program),
                    str(SOURCES / f"{name}.c"), *libraries], check=True)
    return program


def fixed_reply(program: Path, how: str, connections: int, seconds: int, paths: Path) -> Run:
    port = free_port()
    process = subprocess.Popen([str(program), str(port), str(os.cpu_count()),
                                *([how] if how == SUSPENDED else [])])
    try:
        await_port(port)
        return wrk("get", port, connections, seconds, str(paths), process.pid)
    finally:
        process.terminate()
        process.wait(10)


class Sink:
    """A receiver of spans."""

    def __init__(self, program: Path):
        self.program, self.port = program, free_port()
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Sink":
        self.process = subprocess.Popen([str(self.program), str(self.port)])
        await_port(self.port)
        return self

    def __exit__(self, *_unused) -> None:
        self.process.kill()
        self.process.wait(10)

    def dies_after(self, seconds: float) -> None:
        threading.Timer(seconds, self.process.kill).start()


def await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        time.sleep(0.01)
    fail("the reference server does not listen")
