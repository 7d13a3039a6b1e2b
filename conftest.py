"""Makes tools/kit and tests/support importable to every Python test, wherever it lies."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

# What our helpers assert is shown with its values, as in a test.
pytest.register_assert_rewrite("support")
pytest_plugins = ["support.stack", "support.fixtures"]
