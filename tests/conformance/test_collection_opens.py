"""The collection opens in Bruno's app as it lies there: each file is read by the app's own reader,
the whole fits the app's own schema, and the app saves it without a loss. And a fault is found.
"""

import json
import shutil
import subprocess

import pytest
from kit.paths import ROOT

BRUNO = ROOT / "contract" / "bruno"


def opened(tools, folder) -> tuple[list[str], str]:
    """The faults, and how much there is."""
    done = subprocess.run([tools / "node_modules" / ".bin" / "node",
                           ROOT / "tools" / "conformance" / "open.cjs", folder, tools],
                          capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    *faults, last = done.stdout.splitlines()
    assert (done.returncode == 0) == (not faults)
    return faults, last


def test_the_collection_opens(tools):
    requests = [path for path in BRUNO.rglob("*.bru")
                if path.name not in ("folder.bru", "collection.bru")
                and path.parent.name != "environments"]
    assert len(requests) > 100
    assert opened(tools, BRUNO) == ([], f"{len(requests)} requests, 2 environments")


def change(name: str, old: str, new: str):
    def apply(folder) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
    return apply


def configure(**changed):
    def apply(folder) -> None:
        config = json.loads((folder / "bruno.json").read_text()) | changed
        (folder / "bruno.json").write_text(json.dumps(config))
    return apply


FAULTS = {
    "a block never closed": change("events/activity.bru", "params:query {", "params:query"),
    "an unknown way to sign on": change("events/folder.bru", "mode: inherit", "mode: guess"),
    "an unknown kind of body": change("events/activity.bru", "body: none", "body: yaml"),
    "a place before the first": change("events/activity.bru", "seq: 3", "seq: -1"),
    "a stray file": lambda folder: (folder / "events" / "notes.txt").write_text("x"),
    "another version": configure(version="2"),
    "no type": configure(type=None),
    "no name": configure(name=""),
}


@pytest.mark.parametrize("planted", FAULTS)
def test_a_fault_that_was_planted_is_found(tools, tmp_path, planted):
    folder = tmp_path / "bruno"
    shutil.copytree(BRUNO, folder)
    FAULTS[planted](folder)
    faults, _ = opened(tools, folder)
    assert faults
