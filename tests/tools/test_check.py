"""Every check of tools/check fails on what it is there for, and passes on what is good."""

import os
import subprocess
from pathlib import Path

import pytest
from kit import checks

ROOT = Path(__file__).resolve().parents[2]

GOOD = {
    "include/trunnion/a.h": "/* A header. */\n#pragma once\n\n#include <stddef.h>\n",
    "src/base/base.h": "/* The layer. */\n#pragma once\n\n#include <trunnion/a.h>\n",
    "src/http/http.c": "/* Serves. */\n#include \"base/base.h\"\n\n"
                       "/* sprintf( in a comment, \"atoi(1)\" in a string: neither is a call. */\n"
                       "const char *serve(void)\n{\n    return \"gets()\";\n}\n",
    "services/items/items.c": "/* Items. */\n#include <trunnion/a.h>\n",
    "tests/unit/base/test_a.c": "/* Tests. */\n#include \"base/base.h\"\n",
    "tests/test_a.py": '"""Tests."""\n',
    "tools/do": "#!/bin/bash\necho \"$1\"\n",
    "tools/do.py": '#!/usr/bin/python3\n"""Does."""\n',
}


def tree(folder: Path, **changed: str) -> Path:
    for name, text in {**GOOD, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / ".clang-format").write_bytes((ROOT / ".clang-format").read_bytes())
    (folder / ".clang-tidy").write_bytes((ROOT / ".clang-tidy").read_bytes())
    return folder


def check(folder: Path, name: str) -> tuple[int, str]:
    done = subprocess.run([ROOT / "tools/check", "--root", folder, name], capture_output=True,
                          text=True)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


# bugs has a test of its own below; what can't be checked on this machine is said by tools/check.
CHECKS = [name for name in checks.ALL if name != "bugs" and name not in checks.left_out()]


@pytest.mark.parametrize("name", CHECKS)
def test_a_good_tree_passes(tmp_path, name):
    status, said = check(tree(tmp_path), name)
    assert status == 0 and said.endswith("1 passed, 0 failed\n"), said


LONG_FUNCTION = "/* Long. */\nvoid f(void)\n{\n" + "    f();\n" * 120 + "}\n"
BAD = [
    ("format", "src/base/b.c", "/* B. */\nint  f (void) {return 1;}\n", "src/base/b.c:2:"),
    *[("banned", "src/base/b.c", f"/* B. */\nint f(void)\n{{\n    {call};\n}}\n",
       f"b.c:4: {call.split('(')[0].strip()}: use")
      for call in ('sprintf(a, "b")', "strcpy (a, b)", "strcat(a, b)", "strtok(a, b)", "atoi(a)",
                   "gmtime(&t)", "gets(a)")],
    ("banned", "services/items/items.c", "/* I. */\nvoid *f(void)\n{\n    return malloc(1);\n}\n",
     "items.c:4: malloc: use the request's arena"),
    ("layers", "src/base/b.c", '/* B. */\n#include "http/http.h"\n', "base may not know http"),
    ("layers", "src/pg/p.c", '/* P. */\n#include "amqp/amqp.h"\n', "pg may not know amqp"),
    ("layers", "tests/unit/base/test_a.c", '/* T. */\n#include "loop/loop.h"\n',
     "base may not know loop"),
    ("layers", "tests/unit/base/test_a.c", '/* T. */\n#include "../loop/fixture.h"\n',
     "base may not know loop"),
    ("layers", "services/items/items.c", '/* I. */\n#include "base/base.h"\n',
     "a service knows"),
    ("layers", "include/trunnion/a.h", '/* A. */\n#include "base/base.h"\n', "knows no layer"),
    ("layers", "src/base/b.c", '/* B. */\n#include "../http/http.h"\n', "from the top"),
    ("layers", "src/base/b.c", '/* B. */\n#include "trunnion/a.h"\n', "included with <>"),
    ("lengths", "src/base/b.c", "/* B. */\n" + "int a;\n" * 800, "801 lines"),
    ("lengths", "src/base/b.c", LONG_FUNCTION, "b.c:3: a function of 122 lines"),
    ("openings", "src/base/b.c", "int a;\n", "src/base/b.c: opens without"),
    ("sayings", "docs/a.md", "see /wor" "k/main/x\n", "a.md:1: '/wor" "k/m' tells of a path"),
    ("sayings", "docs/a.md", "/ho" "me/jane/x\n", "a path of one machine"),
    ("sayings", "tools/do", "# TO" "DO\n", "something left undone"),
    ("sayings", "lock.json", '"https://registry.npm' 'js.org/x"', "a package registry"),
    ("skips", "tests/test_a.py", "@pytest.mark." "skip\ndef test(): pass\n", "test_a.py:1:"),
    ("skips", "tests/unit/base/test_a.c", "/* T. */\n    sk" "ip();\n", "test_a.c:2:"),
    ("shell", "tools/do", "#!/bin/bash\nrm $1\n", "tools/do:2:"),
    ("python", "tools/do.py", "#!/usr/bin/python3\nif:\n", "tools/do.py:2:"),
    ("python", "tools/do.py", "#!/usr/bin/python3\n# " + "x" * 100 + "\n", "102 columns"),
]


BAD_HERE = [row for row in BAD if row[0] in CHECKS]


@pytest.mark.parametrize("name, path, text, told", BAD_HERE)
def test_a_bad_tree_fails_and_says_where(tmp_path, name, path, text, told):
    status, said = check(tree(tmp_path, **{path: text}), name)
    assert status == 1 and told in said and said.endswith("0 passed, 1 failed\n"), said


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ("sayings",)])
def test_a_check_with_nothing_to_look_at_fails(tmp_path, name):
    (tmp_path / "README.md").write_text("nothing\n")
    status, said = check(tmp_path, name)
    assert status == 1, said


def test_bugs_are_found_by_clang_tidy(tmp_path):
    folder = tree(tmp_path, **{
        "src/base/b.c": "/* B. */\nint f(int a);\nint f(int a)\n{\n    int *p = 0;\n"
                        "    if (a)\n        return *p;\n    return sizeof(a) == sizeof(a);\n}\n"})
    status, said = check(folder, "bugs")
    assert status == 1 and "build-asan is not configured" in said
    (folder / "build-asan").mkdir()
    (folder / "build-asan/compile_commands.json").write_text(
        f'[{{"directory": "{folder}/build-asan", "command": "clang -c ../src/base/b.c",'
        f' "file": "../src/base/b.c"}}]')
    for name in ("src/http/http.c", "services/items/items.c"):
        (folder / name).unlink()
    status, said = check(folder, "bugs")
    assert status == 1 and "    src/base/b.c:7:" in said, said


def test_another_clang_format_is_no_judge(tmp_path):
    fake = tmp_path / "bin/clang-format"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho Debian clang-format version 19.1.7\n")
    fake.chmod(0o755)
    folder = tree(tmp_path / "tree")
    done = subprocess.run([ROOT / "tools/check", "--root", folder, "format", "shell"],
                          capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"})
    assert "format    left out: clang-format 14 decides, and this is 19" in done.stdout
    assert done.stdout.endswith("1 passed, 0 failed\n")


@pytest.mark.parametrize("name", [name for name in CHECKS if name == "format"])
def test_format_can_be_mended(tmp_path, name):
    folder = tree(tmp_path, **{"src/base/b.c": "/* B. */\nint  f (void) {return 1;}\n"})
    done = subprocess.run([ROOT / "tools/check", "--root", folder, "--fix", name],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert (folder / "src/base/b.c").read_text() == \
        "/* B. */\nint f(void)\n{\n    return 1;\n}\n"


def test_an_unknown_check_is_refused():
    done = subprocess.run([ROOT / "tools/check", "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2 and "no check 'nonsense'" in done.stderr
