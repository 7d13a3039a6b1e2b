"""A stack for the time of a test, which goes with the program that wanted it, however that ends."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from .guard import Guard
from .stack import Stack

SHARED = "TRUNNION_TEST_STACK"  # A folder whose stack is used, and left running, instead.


@contextlib.contextmanager
def throw_away_stack(databases: list[str] = (), broker: bool = True):
    """Gives a running Stack; `broker=False` starts PostgreSQL alone."""
    if os.environ.get(SHARED):
        stack = Stack(Path(os.environ[SHARED]))
        stack.start(databases, broker)
        yield stack
        return
    folder = Path(tempfile.mkdtemp(prefix="trunnion-test-"))
    folder.chmod(0o755)  # The servers' own accounts have to get through.
    guard = Guard("reset-stack", folder)
    stack = Stack(folder)
    try:
        stack.start(databases, broker)
        yield stack
    finally:
        stack.reset()
        guard.dismiss()
        shutil.rmtree(folder, ignore_errors=True)
