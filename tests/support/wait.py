"""Waiting for what will be true soon: with a deadline, and never for longer than needed."""

import time

import pytest


def eventually(probe, seconds: float = 10, every: float = 0.02, what: str = ""):
    """Calls `probe` until it gives something true, and returns that.

    An AssertionError or an OSError of it is "not yet"; the last one is shown when time is up.
    """
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            found = probe()
            if found:
                return found
            last = f"it gave {found!r}"
        except (AssertionError, OSError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            pytest.fail(f"{what or probe.__name__}: not within {seconds} s; {last}")
        time.sleep(every)


def always(probe, seconds: float, every: float = 0.05) -> None:
    """Calls `probe` for that long; it asserts what must not stop being true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        probe()
        time.sleep(every)
