"""tools/setup with a stand-in for apt: what it finds missing, says and installs."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [line.split() for line in (ROOT / "tools/packages.txt").read_text().splitlines()
            if line.strip() and not line.startswith("#")]
NAMES = [row[0].split("?")[0] for row in PACKAGES]


class Machine:
    def __init__(self, folder: Path, installed: list[str]):
        self.bin, self.asked = folder / "bin", folder / "asked"
        self.bin.mkdir()
        lines = "\n".join(f"{name} install ok installed" for name in installed)
        self.put("dpkg-query", f"cat <<'END'\n{lines}\nremoved-once deinstall ok config-files\nEND")
        self.put("apt-get", f'printf "%s\\n" "$*" >>{self.asked}\necho "1 newly installed, 0"')
        for command in ("bash", "awk", "cat", "dirname", "env", "grep", "id", "mkdir", "tail",
                        "tee",
                        "rm", "chmod", "rmdir"):
            (self.bin / command).symlink_to(f"/usr/bin/{command}")

    def put(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def setup(self, *args: str) -> subprocess.CompletedProcess:
        return subprocess.run([ROOT / "tools/setup", *args], capture_output=True, text=True,
                              env={"PATH": str(self.bin), "HOME": os.environ["HOME"]})

    def commands(self) -> list[str]:
        return self.asked.read_text().splitlines() if self.asked.exists() else []


def without(*names: str) -> list[str]:
    assert set(names) <= set(NAMES)
    return [name for name in NAMES if name not in names]


def test_every_package_has_a_scope_and_a_reason():
    assert len(set(NAMES)) == len(NAMES) > 30
    for row in PACKAGES:
        assert row[1] in ("build", "run", "test", "bench") and len(row) > 2, row


def test_nothing_is_said_or_done_when_all_is_there(tmp_path):
    machine = Machine(tmp_path, NAMES)
    done = machine.setup("all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.commands() == []


def test_what_is_missing_is_listed_with_the_reason(tmp_path):
    machine = Machine(tmp_path, without("meson", "curl"))
    done = machine.setup("--list", "run")
    assert done.returncode == 3
    assert "meson                  build  describes the build" in done.stdout
    assert "curl                   run    the lines" in done.stdout
    assert machine.commands() == []


@pytest.mark.parametrize("scope, expected", [
    ("build", {"meson"}), ("run", {"meson", "curl"}), ("test", {"meson", "curl", "valgrind"}),
    ("bench", {"meson", "curl", "valgrind", "wrk"}),
    ("all", {"meson", "curl", "valgrind", "wrk"}),
])
def test_a_scope_installs_what_it_needs_and_no_more(tmp_path, scope, expected):
    machine = Machine(tmp_path, without("meson", "curl", "valgrind", "wrk"))
    machine.put("sudo", '[ "$1" = -n ] && shift\n"$@"')
    done = machine.setup(scope)
    assert done.returncode == 0, done.stderr
    update, install = machine.commands()
    assert update.endswith(" update")
    assert " install -y --no-install-recommends " in install
    assert set(install.split("--no-install-recommends ")[1].split()) == expected


def test_node_of_another_origin_is_good_enough(tmp_path):
    machine = Machine(tmp_path, without("nodejs", "npm"))
    assert "nodejs" in machine.setup("--list", "test").stdout
    machine.put("node", "")
    machine.put("npm", "")
    assert machine.setup("--list", "test").returncode == 0


def test_a_failed_installation_is_said_with_the_words_of_apt(tmp_path):
    machine = Machine(tmp_path, without("meson"))
    machine.put("sudo", '[ "$1" = -n ] && shift\n"$@"')
    machine.put("apt-get", 'echo "E: Unable to locate package meson"; exit 100')
    done = machine.setup("build")
    assert done.returncode == 1
    assert "E: Unable to locate package meson" in done.stderr
    assert "error: apt could not install: meson" in done.stderr


def test_a_user_who_may_not_become_root_is_told_what_to_do(tmp_path):
    machine = Machine(tmp_path, without("meson"))
    (machine.bin / "id").unlink()
    machine.put("id", "echo 1000")
    done = machine.setup("build")
    assert done.returncode == 1 and "run this as root once, or install sudo" in done.stderr
    machine.put("sudo", "exit 1")
    done = subprocess.run([ROOT / "tools/setup", "build"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={"PATH": str(machine.bin)})
    assert done.returncode == 1 and "sudo apt-get install meson" in done.stderr


@pytest.mark.parametrize("argument", ["everything", "--lsit"])
def test_an_unknown_argument_is_refused(tmp_path, argument):
    done = Machine(tmp_path, NAMES).setup(argument)
    assert done.returncode == 1 and f"unknown argument '{argument}'" in done.stderr
