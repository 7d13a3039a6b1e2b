"""make new-service: in a copy of the checkout, a third service that builds, runs and passes."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "orders"
MINUTES = 10 * 60


def run(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=MINUTES,
                          env={**os.environ, **env})


@pytest.fixture(scope="module")
def checkout():
    folder = Path(tempfile.mkdtemp(prefix="trunnion-new-"))
    folder.chmod(0o755)
    listed = run(ROOT, "git", "ls-files", "-zco", "--exclude-standard").stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for command in (["init", "-q"], ["add", "-A"],
                    ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "all"]):
        assert run(folder, "git", *command).returncode == 0
    yield folder
    run(folder, "tools/stack", "reset")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(checkout):
    done = run(checkout, "make", "new-service", f"NAME={NAME}")
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def test_it_touches_its_own_folder_only(made):
    changed = run(made, "git", "status", "--porcelain").stdout
    assert changed == f"?? services/{NAME}/\n"


def test_nothing_of_the_template_is_left_unfilled(made):
    for file in (made / "services" / NAME).rglob("*"):
        assert "@" not in file.name
        if file.is_file():
            assert not [word for word in ("@name@", "@one@", "@many@", "@port@")
                        if word in file.read_text()], file


def test_it_passes_its_own_tests(made):
    done = run(made, "/usr/bin/python3", "-B", "-m", "pytest", "-q", f"services/{NAME}/tests",
               BUILD_DIR="build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_it_has_the_habits_of_the_project(made):
    said = run(made, "tools/check", "format", "banned", "layers", "lengths", "openings", "sayings",
               "skips", "python").stdout
    assert not [line for line in said.splitlines() if f"services/{NAME}" in line], said


@pytest.mark.parametrize("kind", ["openapi", "asyncapi"])
def test_its_contract_is_clean(made, kind):
    # The linter that this checkout has fetched is the one that the copy would fetch.
    done = run(ROOT, "tools/lint/run", str(made / "services" / NAME / "contract" / f"{kind}.json"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_with_the_others(made):
    going = subprocess.Popen([made / "tools/run", "--no-build"], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    said = ""
    for line in going.stdout:
        said += line
        if line.startswith("Ready."):
            break
    try:
        services = json.loads((made / ".trunnion/run.json").read_text())["services"]
        assert {"activity", "items", NAME} <= set(services), said
        request = urllib.request.Request(
            services[NAME]["url"] + f"/api/v1/{NAME}", data=b'{"title": "The first one"}',
            headers={"Content-Type": "application/json", "Idempotency-Key": "try-1"})
        assert urllib.request.urlopen(request).status == 201
    finally:
        going.send_signal(signal.SIGINT)
        rest, _ = going.communicate(timeout=60)
    assert going.returncode == 0, said + rest


@pytest.mark.parametrize("name, reason", [
    ("user", "means something else"), ("int", "means something else"), ("Orders", "can't be"),
    ("a_b", "can't be"), ("../x", "can't be"), ("1st", "can't be"), ("a--b", "can't be"),
    ("x" * 41, "can't be"), ("items", "is there already"), ("", "a name is missing"),
])
def test_a_name_that_does_not_do_is_refused(checkout, name, reason):
    before = run(checkout, "git", "status", "--porcelain").stdout
    done = run(checkout, "make", "new-service", f"NAME={name}")
    assert done.returncode != 0 and reason in done.stderr
    assert run(checkout, "git", "status", "--porcelain").stdout == before
