"""Cleans up after a program, however it ended: `python3 -m kit.guard WHAT PATH`.

It waits at the other end of a pipe, which the kernel closes for a program even when that is killed
with SIGKILL. WHAT is stop-stack or reset-stack (PATH: the stack's folder) or stop-run (PATH: the
file that says what runs).
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]


class Guard:
    def __init__(self, what: str, path: Path):
        self._handle = subprocess.Popen(
            [sys.executable, "-B", "-m", "kit.guard", what, str(path)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(TOOLS)}, cwd="/")

    def dismiss(self) -> None:
        """There is nothing to clean up any more."""
        with contextlib.suppress(OSError):
            self._handle.stdin.write(b"dismiss\n")
            self._handle.stdin.close()
        self._handle.wait()


def main(what: str, path: Path) -> None:
    from .running import stop_all
    from .stack import Stack
    if "dismiss" in sys.stdin.read():
        return
    {
        "stop-stack": lambda: Stack(path).stop(),
        "reset-stack": lambda: Stack(path).reset(),
        "stop-run": lambda: stop_all(path),
    }[what]()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
