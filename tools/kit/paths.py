"""Where things lie in this checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".trunnion"  # Everything a run makes; git ignores it.
STACK = STATE / "stack"
LOGS = STATE / "log"
BUILD = ROOT / "build"
SERVICES = ROOT / "services"


def shown(path: Path) -> str:
    """A path as a person wants to read it: relative to the checkout where it lies in it."""
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return str(path)
