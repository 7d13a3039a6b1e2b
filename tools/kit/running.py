"""What `make run` has started, written down so that others find it and can clean up after it.

`.trunnion/run.json` names the services with their URLs and processes. Whoever runs holds a lock
for as long as it lives, so a second run, and the demo, know the living from the dead.
"""

import contextlib
import fcntl
import json
from pathlib import Path

from . import proc
from .paths import STATE
from .stack import Stack

FILE = STATE / "run.json"
# Longer than a service's own limit (DRAIN_TIMEOUT_MS), after which it ends by itself.
DRAIN_SECONDS = 20


def read(file: Path = FILE) -> dict:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return {}


def write(state: dict, file: Path = FILE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(state, indent=2))
    fresh.rename(file)


def lock(file: Path = FILE):
    """The open lock of the one that runs; None if another has it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    held = open(file.with_suffix(".lock"), "w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return held
    except BlockingIOError:
        held.close()
        return None


def is_alive(file: Path = FILE) -> bool:
    held = lock(file)
    if held is not None:
        held.close()
    return held is None


def stop_all(file: Path = FILE) -> list[str]:
    """Stops what the file names, last started first; returns the names that had to be killed."""
    state, killed = read(file), []
    for name, service in reversed(list(state.get("services", {}).items())):
        if not proc.stop(proc.Process.from_json(service["process"]), seconds=DRAIN_SECONDS):
            killed.append(name)
    if state.get("stack"):
        Stack(Path(state["stack"])).stop()
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
    return killed
