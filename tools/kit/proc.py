"""Processes that outlive the program which started them.

A process id alone is no proof: ids are used again. A process here is its id
and the moment it started, and whoever signals one names a word that must stand
in its command line. So nothing is ever signalled that we did not start.
"""

import os
import pwd
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # Clock ticks after boot: with the id it names one process for good.
    mark: str = ""  # Stands in its command line.
    handle: subprocess.Popen | None = field(default=None, compare=False, repr=False)

    def alive(self) -> bool:
        if self.handle is not None:
            self.handle.poll()  # Reaps it, so that it does not stay behind as a zombie.
        stat = _stat(self.pid)
        if stat is None or stat[0] == "Z" or stat[1] != self.started:
            return False
        line = _command_line(self.pid)
        return self.mark in line or not line  # Empty for an instant, while a program starts.

    def send(self, signum: int) -> None:
        if self.alive():
            try:
                os.kill(self.pid, signum)
            except ProcessLookupError:
                pass

    def wait(self, seconds: float) -> bool:
        """True if it has ended within that time."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def to_json(self) -> dict:
        return {"pid": self.pid, "started": self.started, "mark": self.mark}

    @staticmethod
    def from_json(value: dict | None) -> "Process | None":
        return Process(value["pid"], value["started"], value["mark"]) if value else None


def spawn(command: list[str], log: Path, mark: str, user: "User | None" = None,
          env: dict[str, str] | None = None, cwd: str = "/") -> Process:
    """Starts a server in a session of its own: the terminal's Ctrl-C is not for it."""
    who = user.popen_args() if user else {}
    with open(log, "ab") as out:
        handle = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                  env=env, cwd=cwd, start_new_session=True, **who)
    stat = _stat(handle.pid)
    return Process(handle.pid, stat[1] if stat else -1, mark, handle)


def itself() -> Process:
    return Process(os.getpid(), _stat(os.getpid())[1])


def stop(process: Process | None, gently: int = signal.SIGTERM, seconds: float = 15) -> bool:
    """Asks a process to end; takes it down when it has not within that time (then False)."""
    if process is None or not process.alive():
        return True
    process.send(gently)
    if process.wait(seconds):
        return True
    process.send(signal.SIGKILL)
    process.wait(5)
    return False


def living_in(folder: Path) -> list[int]:
    """The processes whose working directory is this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd").removesuffix(" (deleted)") == str(folder):
                    found.append(int(entry.name))
            except OSError:
                continue  # It ended meanwhile, or is not ours to see.
    return found


@dataclass(frozen=True)
class User:
    """An account to run a server as: root does not run PostgreSQL, and PostgreSQL refuses root."""
    name: str
    uid: int
    gid: int

    def popen_args(self) -> dict:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_user(*preferred: str) -> User | None:
    """The account a server runs as when we are root; None says: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return User(name, entry.pw_uid, entry.pw_gid)
        except KeyError:
            continue
    raise RuntimeError("no account to run a server as: neither " + ", ".join(preferred))


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the fields after it are plain.
    fields = text[text.rindex(")") + 2:].split()
    return fields[0], int(fields[19])


def _command_line(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode("utf-8", "replace")
