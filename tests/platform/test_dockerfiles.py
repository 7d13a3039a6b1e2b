"""The Dockerfiles, by Hadolint and by the promises that it doesn't know."""

import re
import subprocess

import pytest
from kit.paths import ROOT

SHIPPED = [ROOT / "services" / "Dockerfile", *sorted(ROOT.glob("peers/*/Dockerfile"))]
STAND_INS = sorted(ROOT.glob("tests/platform/images/*/Dockerfile"))


def name(path) -> str:
    return str(path.relative_to(ROOT))


def lint(*paths) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "tools" / "hadolint" / "run", *paths], capture_output=True,
                          text=True, timeout=300)


def last_stage(path) -> str:
    return re.split(r"^FROM ", path.read_text(), flags=re.MULTILINE)[-1]


def test_there_is_one_for_the_services_and_one_for_each_peer():
    peers = {path.parent.name for path in ROOT.glob("peers/*/run")}
    assert peers == {path.parent.name for path in SHIPPED[1:]} and len(peers) == 2


def test_hadolint_has_nothing_to_say():
    done = lint(*SHIPPED, *STAND_INS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_say_it(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install curl\n")
    done = lint(bad)
    assert done.returncode != 0
    assert {"DL3006", "DL3004", "DL3003"} <= set(re.findall(r"DL\d+", done.stdout))


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_an_image_runs_without_root_and_can_be_asked(path):
    stage = last_stage(path)
    assert re.search(r"^USER 10001:10001$", stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", stage, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["', stage, re.MULTILINE), "exec form: signals must arrive"


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_an_image_says_what_it_is(path):
    for label in ("title", "description", "version", "revision", "licenses", "base.name"):
        assert f"org.opencontainers.image.{label}=" in last_stage(path), label


@pytest.mark.parametrize("path", SHIPPED + STAND_INS, ids=name)
def test_a_base_is_named_in_full_and_its_version_is_an_argument(path):
    for image in re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE):
        assert image == "scratch" or re.fullmatch(r"docker\.io/[\w/-]+:\$\{[A-Z_]+\}", image), image


def test_no_secret_and_nothing_made_gets_into_an_image():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored, "what isn't named stays out"
    assert [path for path in allowed if ".trunnion" in path] == [".trunnion/docs-page"]
    assert not {".", ".env", ".git"} & set(allowed)
