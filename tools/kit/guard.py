"""The other end of stack.Guard's pipe: `python3 -m kit.guard FOLDER [--reset]`."""

import sys
from pathlib import Path

from .stack import Stack


def main() -> None:
    folder = Path(sys.argv[1])
    if "dismiss" in sys.stdin.read():
        return
    stack = Stack(folder)
    if "--reset" in sys.argv[2:]:
        stack.reset()
    else:
        stack.stop()


main()
