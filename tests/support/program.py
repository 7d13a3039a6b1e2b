"""A service's program run to its end, as a shell runs it: what it says, and its exit status."""

import os
import subprocess

from .implementations import command

EX_CONFIG = 78  # sysexits.h


def run(name: str, *args: str, env: dict[str, str] | None = None,
        seconds: float = 20) -> subprocess.CompletedProcess:
    base = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "LSAN_OPTIONS",
                                             "UBSAN_OPTIONS") if key in os.environ}
    return subprocess.run([*command(name), *args], env=base | (env or {}), capture_output=True,
                          text=True, timeout=seconds, stdin=subprocess.DEVNULL)
