"""What a report says of the machine, the versions and each run."""

import os
import platform
import re
import subprocess
from pathlib import Path

from harness.load import Run
from kit.paths import ROOT
from kit.stack import Stack

TABLE_HEAD = [
    "| what | requests/s | p50 ms | p99 ms | CPU µs a request | peak MB | failed |",
    "|---|--:|--:|--:|--:|--:|--:|"]


def table_row(name: str, run: Run) -> str:
    """What was not measured stays empty."""
    latency = f"{run.p50_us / 1000:.2f} | {run.p99_us / 1000:.2f}" if run.p50_us else "|"
    cost = f"{run.cpu_us:.1f} | {run.peak_kb / 1024:.1f}" if run.cpu_us else "|"
    return f"| {name} | {run.rate:,.0f} | {latency} | {cost} | {run.failed} |"


def machine(stack: Stack) -> list[str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    name = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    return [f"- {os.cpu_count()} × {cpu.group(1) if cpu else platform.machine()}, "
            f"{memory / 1048576:.0f} GB, {name.group(1) if name else ''}, "
            f"Linux {platform.release()}",
            f"- PostgreSQL {stack.postgres.psql('SHOW server_version').strip()}, "
            f"RabbitMQ {stack.rabbit.control('version').strip()}, "
            f"libmicrohttpd {version('libmicrohttpd')}, libpq {version('libpq')}"]


def version(library: str) -> str:
    done = subprocess.run(["pkg-config", "--modversion", library], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or "?"


def commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
