"""Load from wrk, and what it cost the processes that took it."""

import contextlib
import json
import os
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.ports import LOOPBACK
from kit.say import fail

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
THREADS = 1  # The load shares the cores with what it measures.
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    rate: float
    p50_us: float = 0
    p99_us: float = 0
    cpu_us: float = 0  # of the service, a request
    peak_kb: int = 0
    failed: int = 0
    backlog: int = 0  # events that were still in the outbox when the load ended


def median(runs) -> Run:
    """The median of each figure, but the most of memory and backlog; failures add up, since there
    must be none."""
    runs = list(runs)

    def middle(name: str) -> float:
        return statistics.median(getattr(run, name) for run in runs)

    return Run(middle("rate"), middle("p50_us"), middle("p99_us"), middle("cpu_us"),
               max(run.peak_kb for run in runs), sum(run.failed for run in runs),
               max(run.backlog for run in runs))


def wrk(scenario: str, port: int, connections: int, seconds: int, argument: str, pid: int) -> Run:
    """One run, with the CPU and the peak memory of the process that it loads, and its children."""
    forget_peak(pid)
    before = cpu_seconds(pid)
    done = subprocess.run(
        ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
         "-s", str(SCENARIOS / f"{scenario}.lua"), f"http://{LOOPBACK}:{port}", "--", argument],
        env={**os.environ, "BENCH_REPORT": str(SCENARIOS / "report.lua")},
        capture_output=True, text=True, check=False)
    found = re.search(r"^BENCH (\{.*\})$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        fail(f"wrk: {done.stdout}{done.stderr}")
    said = json.loads(found.group(1))
    if said["requests"] == 0:
        fail(f"{scenario}, {connections} connections: not one request was answered")
    spent = cpu_seconds(pid) - before
    return Run(said["requests"] / said["us"] * 1e6, said["p50_us"], said["p99_us"],
               spent / said["requests"] * 1e6, peak_kb(pid), said["failed"] + said["broken"])


# ---- A process and its children --------------------------------------------------


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    return sum(_cpu_seconds(one) for one in family(pid))


def _cpu_seconds(pid: int) -> float:
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_kb(pid: int) -> int:
    """The sum of their peaks: what children share with their parent counts twice."""
    return sum(int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{one}/status").read_text()).group(1))
               for one in family(pid))


def forget_peak(pid: int) -> None:
    """The peak counts from here on (proc(5), clear_refs)."""
    for one in family(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{one}/clear_refs").write_text("5")
