"""The habits of this project as checks. Each takes the tree and returns its faults, a line each.

A check that finds nothing to look at fails: it would otherwise pass for ever after a folder moved.
"""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LAYERS = ["base", "loop", "schema", "telemetry", "pg", "amqp", "messaging", "http", "service"]
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 100
CLANG_FORMAT_RELEASE = 14  # Others format some corners in another way.

BANNED = {
    "sprintf": "snprintf, or tn_buf", "vsprintf": "vsnprintf",
    "strcpy": "tn_str and an arena copy, or snprintf", "strcat": "tn_buf, or snprintf",
    "strtok": "tn_str and a loop", "atoi": "strtol with its end and errno checked",
    "atol": "strtol with its end and errno checked", "atoll": "strtoll with its end checked",
    "atof": "strtod with its end and errno checked", "gmtime": "gmtime_r",
    "localtime": "localtime_r, or better UTC", "gets": "fgets, or getline",
}
BARE_ALLOCATION = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|strdup|free)\s*\(")

# Each is spelt so that it does not match itself.
SAYINGS = {
    r"/(?:root|home/[a-z][\w-]*|wor[k]|Users/\w+)/[\w.]": "a path of one machine",
    r"/tmp/tea[m]\b": "a path of one machine",
    r"(?:registry[.]npmjs|pypi[.]org|files[.]pythonhosted|deb[.]debian|crates[.]io|proxy[.]golang)":
        "the host of a package registry",
    r"\b(?:FIX" r"ME|XX" r"X|TO" r"DO)\b": "something left undone",
    r"\b(?:issue|session) #?\d": "the way it was made",
}
SKIPS = re.compile(r"pytest\.(?:mark\.)?skip|pytest\.importorskip|unittest\.skip|\bxfail\b"
                   r"|(?<![\w.])skip\(\);")

_CODE_FOLDERS = ("include", "src", "services", "tests", "bench")
_MADE = {"node_modules", "__pycache__", ".git", ".trunnion"}


class Tree:
    """The files of the checkout that people wrote."""

    def __init__(self, root: Path):
        self.root = root
        self._files = sorted(self._list())

    def _list(self):
        listed = subprocess.run(["git", "-C", self.root, "ls-files", "-zco", "--exclude-standard"],
                                capture_output=True)
        if listed.returncode == 0:
            names = [Path(name) for name in listed.stdout.decode().split("\0") if name]
        else:
            names = [path.relative_to(self.root) for path in self.root.rglob("*")]
        return [name for name in names
                if not _MADE & set(name.parts) and not name.parts[0].startswith("build")
                and (self.root / name).is_file()]

    def read(self, name: Path) -> str:
        return (self.root / name).read_text(encoding="utf-8", errors="replace")

    def all_text(self) -> list[Path]:
        return [name for name in self._files
                if b"\0" not in (self.root / name).read_bytes()[:4096]]

    def c(self, *folders: str) -> list[Path]:
        return [name for name in self._files if name.suffix in (".c", ".h")
                and name.parts[0] in (folders or _CODE_FOLDERS)]

    def scripts(self, interpreter: str, suffix: str) -> list[Path]:
        return [name for name in self._files
                if name.suffix == suffix or (name.suffix == "" and self._runs(name, interpreter))]

    def _runs(self, name: Path, interpreter: str) -> bool:
        with open(self.root / name, "rb") as file:
            first = file.readline(200)
        return first.startswith(b"#!") and interpreter.encode() in first


# ---- Of C -----------------------------------------------------------------------


def format(tree: Tree, fix: bool = False) -> list[str]:
    files = tree.c()
    if not files:
        return ["no C file found"]
    how = ["-i"] if fix else ["--dry-run", "-Werror"]
    done = subprocess.run(["clang-format", "--style=file", *how, *map(str, files)], cwd=tree.root,
                          capture_output=True, text=True)
    places = re.findall(r"^(\S+?:\d+):\d+: error", done.stderr, re.MULTILINE)
    faults = [f"{place}: not as .clang-format has it; `make format` mends it"
              for place in dict.fromkeys(places)]
    return faults or ([done.stderr.strip()] if done.returncode != 0 else [])


def bugs(tree: Tree) -> list[str]:
    """clang-tidy on what the clang build compiles (tools/build asan)."""
    build = tree.root / "build-asan"
    database = build / "compile_commands.json"
    if not database.exists():
        return ["build-asan is not configured; `make sanitize` does it"]
    compiled = {Path(unit["directory"], unit["file"]).resolve()
                for unit in json.loads(database.read_text())}
    files = [name for name in tree.c("src", "services") if tree.root / name in compiled]
    if not files:
        return ["no C file found that build-asan compiles"]

    def tidy(name: Path) -> list[str]:
        done = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(name)], cwd=tree.root,
                              capture_output=True, text=True)
        found = [_from(tree.root, build, line) for line in done.stdout.splitlines()
                 if ": error:" in line or ": warning:" in line]
        if done.returncode != 0 and not found:
            found = [f"{name}: clang-tidy failed: {done.stderr.strip()[-500:]}"]
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(dict.fromkeys(line for found in pool.map(tidy, files) for line in found))


def banned(tree: Tree) -> list[str]:
    faults, files = [], tree.c()
    word = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for name in files:
        for number, line in enumerate(_code_only(tree.read(name)).splitlines(), 1):
            for found in word.findall(line):
                faults.append(f"{name}:{number}: {found}: use {BANNED[found]}")
            if name.parts[0] == "services":
                for found in BARE_ALLOCATION.findall(line):
                    faults.append(f"{name}:{number}: {found}: use the request's arena")
    return faults if files else ["no C file found"]


def layers(tree: Tree) -> list[str]:
    faults, seen = [], 0
    for name in tree.c():
        for number, included in _includes(tree.read(name)):
            seen += 1
            reason = _forbidden(name, included)
            if reason:
                faults.append(f"{name}:{number}: {included}: {reason}")
    return faults if seen else ["no #include found"]


def lengths(tree: Tree) -> list[str]:
    faults, files = [], tree.c()
    for name in files:
        lines = tree.read(name).splitlines()
        if len(lines) > FILE_LINES_MAX:
            faults.append(f"{name}: {len(lines)} lines; a file has one idea and at most "
                          f"{FILE_LINES_MAX}")
        for number, length in _functions(lines):
            if length > FUNCTION_LINES_MAX:
                faults.append(f"{name}:{number}: a function of {length} lines; at most "
                              f"{FUNCTION_LINES_MAX}")
    return faults if files else ["no C file found"]


def openings(tree: Tree) -> list[str]:
    files = tree.c()
    faults = [f"{name}: opens without a comment that says what it is"
              for name in files if not tree.read(name).lstrip().startswith("/*")]
    return faults if files else ["no C file found"]


# ---- Of everything -----------------------------------------------------------------


def sayings(tree: Tree) -> list[str]:
    patterns = {re.compile(pattern): what for pattern, what in SAYINGS.items()}
    faults = []
    for name in tree.all_text():
        for number, line in enumerate(tree.read(name).splitlines(), 1):
            for pattern, what in patterns.items():
                found = pattern.search(line)
                if found:
                    faults.append(f"{name}:{number}: '{found.group()}' tells of {what}")
    return faults


def skips(tree: Tree) -> list[str]:
    files = [name for name in tree.all_text() if "tests" in name.parts
             and name.suffix in (".c", ".py")]
    faults = [f"{name}:{number}: a test that is skipped is no test"
              for name in files
              for number, line in enumerate(tree.read(name).splitlines(), 1) if SKIPS.search(line)]
    return faults if files else ["no test found"]


def shell(tree: Tree) -> list[str]:
    files = tree.scripts("sh", ".sh")
    if not files:
        return ["no shell script found"]
    done = subprocess.run(["shellcheck", "--format=gcc", "--external-sources", *map(str, files)],
                          cwd=tree.root, capture_output=True, text=True)
    return done.stdout.splitlines() or ([done.stderr.strip()] if done.returncode != 0 else [])


def python(tree: Tree) -> list[str]:
    files, faults = tree.scripts("python3", ".py"), []
    for name in files:
        try:
            compile(tree.read(name), str(name), "exec", dont_inherit=True)
        except SyntaxError as error:
            faults.append(f"{name}:{error.lineno}: {error.msg}")
        for number, line in enumerate(tree.read(name).splitlines(), 1):
            if len(line) > 100:
                faults.append(f"{name}:{number}: {len(line)} columns; at most 100")
    return faults if files else ["no Python file found"]


ALL = {
    "format": format, "bugs": bugs, "banned": banned, "layers": layers, "lengths": lengths,
    "openings": openings, "sayings": sayings, "skips": skips, "shell": shell, "python": python,
}


# ---- Reading C ---------------------------------------------------------------------


_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def _from(root: Path, build: Path, line: str) -> str:
    """clang-tidy's line, with its file, named as the compiler was told, as seen from the root."""
    path, colon, rest = line.partition(":")
    return os.path.relpath(build / path, root) + colon + rest


def _code_only(text: str) -> str:
    """The text with comments and strings blanked, every line where it was."""
    return _NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def _includes(text: str) -> list[tuple[int, str]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*#\s*include\s*([<\"][^>\"]+[>\"])", line)
        if match:
            found.append((number, match.group(1)))
    return found


def _forbidden(name: Path, included: str) -> str:
    """Why this file may not include that; "" if it may."""
    target = included.strip('<>"')
    if name.parts[:2] == ("tests", "unit") and target.startswith("../"):
        target = target.removeprefix("../")  # Another layer's fixtures, seen from one's own.
    head = target.split("/")[0]
    if ".." in target.split("/"):
        return "an include names its place from the top, not from where it is"
    if name.parts[0] == "include":
        return "" if head not in LAYERS else "a public header knows no layer"
    if name.parts[0] == "services":
        return "" if head not in LAYERS else "a service knows <trunnion/...> only"
    own = _layer_of(name)
    if head in LAYERS and own and LAYERS.index(head) > LAYERS.index(own):
        return f"the layer {own} may not know {head}, which is above it"
    if head == "trunnion" and included.startswith('"'):
        return "public headers are included with <>"
    return ""


def _layer_of(name: Path) -> str:
    parts = name.parts
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[:2] == ("tests", "unit") and len(parts) > 3 and parts[2] in LAYERS:
        return parts[2]
    return ""


def _functions(lines: list[str]):
    """The line where each function's body opens, and its length: the format puts both braces at
    column 0, and those of nothing else."""
    opened = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            opened = number
        elif opened and line.startswith("}"):
            yield opened, number - opened + 1
            opened = None


def left_out() -> dict[str, str]:
    """Checks that can't be made on this machine, each with the reason."""
    said = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    release = re.search(r"version (\d+)", said)
    if release and int(release.group(1)) != CLANG_FORMAT_RELEASE:
        return {"format": f"clang-format {CLANG_FORMAT_RELEASE} decides, and this is "
                          f"{release.group(1)}"}
    return {}
