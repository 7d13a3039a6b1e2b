"""Everything that `make test` runs, and how each part's outcome is counted.

A part's output goes to a log; what a person reads is one line a part, and what failed. A part that
could not run, ran out of time or counted nothing is a failure: silence is no success.
"""

import json
import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from support.implementations import each_once

from .paths import ROOT, STATE, shown

LOGS = STATE / "test"
WHY_MAX = 300  # Characters.
PYTHON = "/usr/bin/python3"  # Debian's, which has the packages that the tests need.
SANITIZERS = {
    # Each stops at the first fault, with a status that no test takes for success.
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=97:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=97",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:exitcode=97",
}
# A case in TAP, with the lines that say why it failed.
_CASES = re.compile(r"^(ok|not ok) \d+(?: - (.*))?((?:\n# .*)*)", re.MULTILINE)
_SUMMARY = re.compile(r"^SUMMARY: .*$", re.MULTILINE)  # A sanitizer's.
_COUNTS = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)


@dataclass
class Outcome:
    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Outcome") -> "Outcome":
        self.passed += other.passed
        self.failures += other.failures
        return self


@dataclass
class Ran:
    status: int | None  # None: it ran out of time.
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def reason(self) -> str:
        said = "ran out of time" if self.status is None else f"ended with status {self.status}"
        return f"{said}; see {shown(self.log)}"


def execute(name: str, command: list, minutes: float, env: dict[str, str] | None = None) -> Ran:
    """Runs a command with its output in a log; one that takes too long is ended, with its own."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with open(log, "wb") as out:
        child = subprocess.Popen([str(word) for word in command], cwd=ROOT, stdout=out, stderr=out,
                                 stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                                 start_new_session=True)
        try:
            return Ran(child.wait(minutes * 60), log)
        except BaseException as error:
            end_group(child)
            if isinstance(error, subprocess.TimeoutExpired):
                return Ran(None, log)
            raise


def end_group(child: subprocess.Popen) -> None:
    """First politely, so that its servers are stopped; they are in groups of their own."""
    for signum, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 5)):
        try:
            os.killpg(child.pid, signum)
            child.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def fixed_addresses() -> list[str]:
    """A prefix without address randomisation, of which older sanitizers don't bear as much as some
    kernels give; empty where the machine does not allow it."""
    prefix = ["setarch", "-R"]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0 else []


# ---- Counting -----------------------------------------------------------------------


def one(name: str, ran: Ran) -> Outcome:
    """A command that passes or fails as a whole."""
    return Outcome(1) if ran.status == 0 else Outcome(0, [f"{name}: {ran.reason()}"])


def counted(name: str, ran: Ran) -> Outcome:
    """A command that says `N passed, N failed` itself."""
    found = _COUNTS.findall(ran.text())
    if not found:
        return Outcome(0, [f"{name}: said no counts; {ran.reason()}"])
    passed, failed, skipped = (int(word or 0) for word in found[-1])
    outcome = Outcome(passed, [f"{name}: {failed + skipped} failed; see {shown(ran.log)}"]
                      * (failed + skipped))
    if ran.status != 0 and not outcome.failures:
        outcome.failures.append(f"{name}: {ran.reason()}")
    return outcome


def junit(name: str, ran: Ran, report: Path) -> Outcome:
    """The report that pytest, or another, has made. A skipped test did not run, so it failed."""
    outcome = Outcome()
    for case in _cases(report):
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        where = f"{case.get('classname', '')}::{case.get('name', '')}"
        if bad:
            outcome.failures.append(f"{name}: {where} ({bad[0].tag}"
                                    f"{_in_brief(bad[0].get('message', ''))})")
        else:
            outcome.passed += 1
    if not outcome.failures and (ran.status != 0 or not outcome.passed):
        outcome.failures.append(f"{name}: {ran.reason()}")
    return outcome


def _in_brief(why: str) -> str:
    """Where only the output is kept, this is all that there is to go by."""
    said = " ".join(why.split())
    return f": {said[:WHY_MAX]}" if said else ""


def _cases(report: Path) -> list[ElementTree.Element]:
    """None of a report that is not there, or that was not written to its end."""
    try:
        return list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return []


def meson(name: str, ran: Ran, build: Path) -> Outcome:
    """meson's log: a cmocka program says its cases in TAP, each of which counts."""
    outcome = Outcome()
    log = build / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines() if log.exists() else ():
        test = json.loads(line)
        cases = _CASES.findall(test.get("stdout") or "")
        bad = [(title, why) for said, title, why in cases
               if said == "not ok" or "# SKIP" in title.upper()]
        outcome.passed += len(cases) - len(bad) if cases else int(test["result"] == "OK")
        outcome.failures += [f"{name}: {test['name']}: {title}{_in_brief(why.replace('#', ''))}"
                             for title, why in bad]
        if test["result"] != "OK" and not bad:
            found = _SUMMARY.search(test.get("stderr") or "")
            why = found[0] if found else f"see {shown(log.with_suffix('.txt'))}"
            outcome.failures.append(f"{name}: {test['name']}: {test['result']}; {why}")
    if not outcome.failures and (ran.status != 0 or not outcome.passed):
        outcome.failures.append(f"{name}: {ran.reason()}")
    return outcome


# ---- The parts ----------------------------------------------------------------------


def build(kind: str) -> Outcome:
    """One of tools/build's kinds; or "peers", what those stand on."""
    if kind == "peers":
        return made_peers()
    return one(f"build {kind}", execute(f"build-{kind}", ["tools/build", kind], 15))


def check() -> Outcome:
    ran = execute("check", ["tools/check"], 15)
    outcome = counted("check", ran)
    named = re.findall(r"^  (\w+) +FAILED", ran.text(), re.MULTILINE)
    if len(named) == len(outcome.failures):
        outcome.failures = [f"check: {name}; see {shown(ran.log)}" for name in named]
    return outcome


def units(kind: str) -> Outcome:
    """The unit tests of one build: "release", "asan" or "tsan"."""
    folder = ROOT / ("build" if kind == "release" else f"build-{kind}")
    (folder / "meson-logs" / "testlog.json").unlink(missing_ok=True)
    # They wait more than they compute: for a server, for a deadline to pass.
    at_once = 2 * (os.cpu_count() or 1)
    command = ["meson", "test", "-C", folder, "--no-rebuild", "--timeout-multiplier", "4",
               "--num-processes", str(at_once)]
    ran = execute(f"unit-{kind}", [*fixed_addresses(), *command], 20, SANITIZERS)
    return meson(f"unit ({kind})", ran, folder)


def python(name: str, *where: str, minutes: float, build_dir: str = "build-asan",
           env: dict[str, str] | None = None) -> Outcome:
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    folders = [place for place in where if (ROOT / place).exists()]
    ran = execute(name, [*fixed_addresses(), PYTHON, "-B", "-m", "pytest", "-ra", "--durations=10",
                         f"--junitxml={report}", *folders],
                  minutes, {**SANITIZERS, "BUILD_DIR": build_dir, **(env or {})})
    return junit(name, ran, report)


def service_tests() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "services").glob("*/tests"))


def contract_tests(items: str, activity: str) -> Outcome:
    """The contract's own tests against one pairing of implementations."""
    return python(f"contract-{items}-{activity}", "tests/integration", *service_tests(), minutes=20,
                  build_dir="build", env={"ITEMS": items, "ACTIVITY": activity})


# ---- The peers ----------------------------------------------------------------------


def made_peers() -> Outcome:
    """Installs what they stand on, so that no test's time limit counts that."""
    return _sum(*(one(f"make {maker.parent.name}",
                      execute(f"make-{maker.parent.name}", [maker], 15))
                  for maker in sorted((ROOT / "peers").glob("*/make"))))


def own_tests(peer: Path) -> Outcome:
    """What concerns a peer alone: by its own `test`, or pytest's."""
    name = f"peers-{peer.name}"
    if not (peer / "test").exists():
        return python(name, f"peers/{peer.name}/tests", minutes=10, build_dir="build")
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    return junit(name, execute(name, [peer / "test", "--junit", report], 10), report)


def peers() -> Outcome:
    """What concerns each peer alone."""
    return _sum(*(own_tests(folder.parent) for folder in sorted((ROOT / "peers").glob("*/tests"))))


def fuzz() -> Outcome:
    ran = execute("fuzz", ["tests/fuzz/run"], 10, SANITIZERS)
    return counted("fuzz", ran) if _COUNTS.search(ran.text()) else one("fuzz", ran)


def lint() -> Outcome:
    """Each committed contract document by itself."""
    outcome = Outcome()
    documents = sorted((ROOT / "services").glob("*/contract/*.json"))
    if not documents:
        return Outcome(0, ["lint: no contract found"])
    for document in documents:
        name = f"lint {document.parent.parent.name}/{document.name}"
        ran = execute(name.replace(" ", "-").replace("/", "-"), ["tools/lint/run", document], 6)
        outcome += one(name, ran)
    return outcome


def pairings() -> Outcome:
    """Each implementation that isn't C meets every test of the contract here, once; what is left
    to tell of the pairings with C is conformance's."""
    return _sum(*(contract_tests(*pairing) for pairing in each_once()[1:]))


PARTS = {
    "check": check,
    "unit": lambda: _sum(units("asan"), units("release")),
    "tsan": lambda: units("tsan"),
    "lint": lint,
    "fuzz": fuzz,
    "integration": lambda: python("integration", "tests/integration", *service_tests(), minutes=15),
    "chaos": lambda: python("chaos", "tests/chaos", minutes=15, build_dir="build"),
    "peers": peers,
    "pairings": pairings,
    "conformance": lambda: python("conformance", "tests/conformance", minutes=20,
                                  build_dir="build"),
    "platform": lambda: python("platform", "tests/platform", minutes=25, build_dir="build"),
    "tools": lambda: python("tools", "tests/tools", minutes=15, build_dir="build"),
}
# What must have been built before; with clang's sanitizers, and with gcc as it is shipped.
NEEDS = {
    "check": ["asan"], "unit": ["asan", "release"], "tsan": ["tsan"], "lint": [], "fuzz": [],
    "integration": ["asan", "release"], "chaos": ["release"],
    "peers": ["release", "peers"], "pairings": ["release", "peers"],
    "conformance": ["release", "peers"], "platform": ["release"], "tools": ["release"],
}


def _sum(*outcomes: Outcome) -> Outcome:
    total = Outcome()
    for outcome in outcomes:
        total += outcome
    return total


def run(parts: list[str]) -> Outcome:
    total, built = Outcome(), {}
    for part in parts:
        for kind in NEEDS[part]:
            if kind not in built:
                built[kind] = told(f"build {kind}", lambda kind=kind: build(kind))
                total += built[kind]
        broken = [kind for kind in NEEDS[part] if built[kind].failures]
        if broken:
            total.failures.append(f"{part}: did not run, for the {broken[0]} build failed")
        else:
            total += told(part, PARTS[part])
    return total


def told(name: str, part) -> Outcome:
    """Runs a part, and says in a line how it went."""
    print(f"  {name:<16} ... ", end="", flush=True)
    began = time.monotonic()
    outcome = part()
    said = f"{len(outcome.failures)} FAILED, " if outcome.failures else ""
    print(f"{said}{outcome.passed} ok ({time.monotonic() - began:.0f} s)", flush=True)
    for failure in outcome.failures:
        print(f"    {failure}", flush=True)
    return outcome
