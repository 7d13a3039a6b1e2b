"""One private PostgreSQL: its data, its process, its databases.

It listens on loopback TCP only, has no socket in a shared folder, and asks
everybody for a password. A database belongs to the role of the same name, and
no other role may connect to it.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import proc
from .ports import LOOPBACK

SUPERUSER = "postgres"
START_SECONDS = 60
# The sanitized builds and the tests of many replicas open many; each costs little when idle.
MAX_CONNECTIONS = 200

_CONFIG = f"""\
# Written at each start by tools/stack.
listen_addresses = '{LOOPBACK}'
unix_socket_directories = ''
max_connections = {MAX_CONNECTIONS}
shared_buffers = 128MB
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
"""
_ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"
# A killed server's last processes still hold its shared memory for an instant.
_PASSING = ("pre-existing shared memory block", "lock file")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgresError(RuntimeError):
    pass


class Postgres:
    """A server whose data lies in `home`; `user` is the account it runs as, None for our own."""

    def __init__(self, home: Path, log: Path, port: int, password: str,
                 process: proc.Process | None = None):
        self.home, self.log, self.port, self.password = home, log, port, password
        self.data = home / "data"
        self.process = process
        self.user = user()

    def running(self) -> bool:
        return self.process is not None and self.process.alive()

    def url(self, database: str, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{database}"

    def admin_url(self, database: str = "postgres") -> str:
        return self.url(database, SUPERUSER, self.password)

    # ---- Start and stop -----------------------------------------------------

    def initialised(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def init(self) -> None:
        """Makes the data folder; one that an interrupted try left half made is made again."""
        if self.initialised():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        fresh = self.home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        secret = self.home / "superuser-password"
        secret.write_text(self.password + "\n")
        self._own(secret)
        secret.chmod(0o600)
        try:
            self._command("initdb", "-D", str(fresh), "-U", SUPERUSER, "--auth=scram-sha-256",
                          f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        finally:
            secret.unlink()
        fresh.rename(self.data)

    def start(self) -> None:
        if self.running():
            return
        self.init()
        (self.data / "postgresql.conf").write_text(_CONFIG)
        (self.data / "pg_hba.conf").write_text(_ACCESS)
        deadline = time.monotonic() + START_SECONDS
        self._forget_the_dead()
        while not self._start_once(deadline):
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start; its log ends:\n{tail(self.log)}")
            time.sleep(0.2)

    def stop(self) -> None:
        # SIGINT is PostgreSQL's fast shutdown: it ends sessions and writes a checkpoint.
        if not proc.stop(self.process, signal.SIGINT):
            self._await_children()
        self.process = None

    def kill9(self) -> None:
        """What a power cut does to it: every one of its processes ends at once, unasked."""
        if self.process is not None:
            self.process.send(signal.SIGKILL)
            self.process.wait(5)
        for pid in proc.living_in(self.data):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._await_children()
        self.process = None

    def _start_once(self, deadline: float) -> bool:
        before = self.log.stat().st_size if self.log.exists() else 0
        command = [str(self._program("postgres")), "-D", str(self.data), "-p", str(self.port)]
        self.process = proc.spawn(command, self.log, str(self.data), self.user, _clean_env())
        while time.monotonic() < deadline:
            if self._says_ready():
                return True
            if not self.process.alive():
                said = self.log.read_bytes()[before:].decode("utf-8", "replace")
                if any(reason in said for reason in _PASSING):
                    return False
                raise PostgresError(f"PostgreSQL ended at its start and said:\n{said.strip()}")
            time.sleep(0.02)
        return False

    def _says_ready(self) -> bool:
        """The eighth line of the pid file is the server's own word on its state."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _forget_the_dead(self) -> None:
        """Removes a pid file whose id is a stranger's now, for which PostgreSQL would wait."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return
        if os.path.exists(f"/proc/{pid}") and pid not in proc.living_in(self.data):
            self._await_children()
            pid_file.unlink()

    def _await_children(self) -> None:
        deadline = time.monotonic() + 10
        while proc.living_in(self.data) and time.monotonic() < deadline:
            time.sleep(0.02)

    # ---- Databases ----------------------------------------------------------

    def psql(self, *statements: str, database: str = "postgres") -> str:
        """Runs statements as the superuser, each in a transaction of its own."""
        command = [str(self._program("psql")), "-XAtq", "-v", "ON_ERROR_STOP=1",
                   "-h", LOOPBACK, "-p", str(self.port), "-U", SUPERUSER, "-d", database]
        for statement in statements:
            command += ["-c", statement]
        done = subprocess.run(command, env={**_clean_env(), "PGPASSWORD": self.password},
                              capture_output=True, text=True, timeout=60, cwd="/")
        if done.returncode != 0:
            raise PostgresError(f"psql: {done.stderr.strip()}")
        return done.stdout

    def ensure_database(self, name: str, role: str, password: str) -> None:
        """A database and the one role that may use it; both may exist already."""
        for word in (name, role):
            if not _NAME.fullmatch(word):
                raise PostgresError(f"'{word}' is no name for a database: {_NAME.pattern}")
        known = self.psql(f"SELECT 'role' FROM pg_roles WHERE rolname = '{role}'",
                          f"SELECT 'database' FROM pg_database WHERE datname = '{name}'").split()
        verb = "ALTER" if "role" in known else "CREATE"
        statements = [f"{verb} ROLE {role} LOGIN PASSWORD '{password}'"]
        if "database" not in known:
            statements.append(f"CREATE DATABASE {name} OWNER {role}")
        for database in (name, "postgres", "template1"):
            statements.append(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        self.psql(*statements)

    def drop_database(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise PostgresError(f"'{name}' is no name for a database: {_NAME.pattern}")
        self.psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}")

    # ---- Programs -----------------------------------------------------------

    def _program(self, name: str) -> Path:
        """The program of the release that made the data, for another can't read it."""
        wanted = None
        if self.initialised():
            wanted = (self.data / "PG_VERSION").read_text().strip()
        found = _releases()
        if not found:
            raise PostgresError("no PostgreSQL server is installed; `tools/setup run` installs it")
        if wanted is None:
            return found[max(found)] / name
        if int(wanted) not in found:
            raise PostgresError(f"the data in {self.data} is PostgreSQL {wanted}'s, and here is "
                                f"only {max(found)}; `tools/stack reset` throws the data away")
        return found[int(wanted)] / name

    def _command(self, name: str, *args: str) -> None:
        who = self.user.popen_args() if self.user else {}
        done = subprocess.run([str(self._program(name)), *args], env=_clean_env(), cwd="/",
                              capture_output=True, text=True, timeout=120, **who)
        if done.returncode != 0:
            raise PostgresError(f"{name}: {done.stdout}{done.stderr}".strip())

    def _own(self, path: Path) -> None:
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)


def user() -> proc.User | None:
    return proc.server_user("postgres")


def tail(log: Path, lines: int = 20) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _releases() -> dict[int, Path]:
    """Each installed server release and the folder of its programs."""
    found = {}
    for server in Path("/usr/lib/postgresql").glob("*/bin/initdb"):
        if server.parents[1].name.isdigit():
            found[int(server.parents[1].name)] = server.parent
    return found


def _clean_env() -> dict[str, str]:
    """Ours without PG*, which would send a tool to some other server."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C.UTF-8"}
