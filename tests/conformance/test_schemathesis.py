"""Schemathesis against each service by its own OpenAPI document: every check, data that is valid
and data that is not, and sequences of requests. How is said in schemathesis/schemathesis.toml.

SCHEMATHESIS_EXAMPLES, and SCHEMATHESIS_SEED, make a run longer, or another.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "schemathesis"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "30")
SEED = os.environ.get("SCHEMATHESIS_SEED", "20261123")
PHASES = ("Examples", "Coverage", "Fuzzing", "Stateful")
CASES_MIN = 300


@pytest.mark.each_once
@pytest.mark.parametrize("name", ["items", "activity"])
def test_nothing_is_found(pairing, busy, tools, tmp_path, name):
    service = getattr(pairing, name)
    done = subprocess.run(
        [tools / "venv" / "bin" / "schemathesis", "--config-file", HERE / "schemathesis.toml",
         "run", f"{service.url}/openapi.json", "--checks", "all", "--max-examples", EXAMPLES,
         "--seed", SEED, "--output-sanitize", "false", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60 + 10 * int(EXAMPLES),
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
                          "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    cases, passed = map(int, re.search(r"(\d+) generated, (\d+) passed", done.stdout).groups())
    assert cases == passed >= CASES_MIN, done.stdout
    for phase in PHASES:  # None was left out.
        assert re.search(rf"{phase} \(in ", done.stdout), done.stdout
