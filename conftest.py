"""Makes tools/kit and tests/support importable to every Python test, wherever it lies."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

pytest_plugins = ["support.stack"]
