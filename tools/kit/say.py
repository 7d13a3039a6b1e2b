"""What the tools say to a person: plain lines, one a step, with the time a long one took."""

import contextlib
import sys
import time


def say(text: str = "") -> None:
    print(text, flush=True)


def fail(text: str, status: int = 1) -> None:
    """Ends the program with a reason; a tool never ends badly without one."""
    print(f"error: {text}", file=sys.stderr, flush=True)
    raise SystemExit(status)


@contextlib.contextmanager
def step(text: str):
    """Announces a long step before it runs, and says how long it took after."""
    print(f"  {text} ... ", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"done ({time.monotonic() - began:.1f} s)", flush=True)
