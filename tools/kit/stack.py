"""A private PostgreSQL and a private RabbitMQ, kept together in one folder.

The folder holds `state.json`: the ports, the passwords and the processes. All
of it can be asked for by anybody who names the folder, so a shell, a test and
`make run` use the same thing. Starting and stopping is done under a lock.

As root the servers run as accounts of their own. Where those can't reach the
folder (a checkout under /root, say), the data lies under /var/lib/trunnion,
in a folder named after this one; it goes when the checkout has gone.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from . import proc, rabbitmq
from .paths import STACK
from .ports import free_port, is_free
from .postgres import Postgres
from .postgres import user as postgres_user
from .rabbitmq import Rabbit

ELSEWHERE = Path("/var/lib/trunnion")
_PORTS = ("postgres", "amqp", "dist", "epmd")


class Stack:
    def __init__(self, folder: Path = STACK):
        self.folder = Path(folder).resolve()
        self.state: dict = {}
        self.postgres: Postgres | None = None
        self.rabbit: Rabbit | None = None
        self.moved: list[str] = []  # Ports that had to change at this start, for the user to read.
        self._load()

    # ---- The whole ----------------------------------------------------------

    def exists(self) -> bool:
        return bool(self.state)

    def running(self) -> bool:
        return self.exists() and self.postgres.running() and self.rabbit.running()

    def start(self, databases: list[str] = (), broker: bool = True) -> None:
        """Starts what does not run yet, and makes the databases that are not there yet.

        A test that needs no broker says so, and starts in a second instead of four.
        """
        with self._locked():
            if not self.exists():
                self._create()
            self._find_ports()
            try:
                if broker and not self.rabbit.running():
                    self.rabbit.spawn()
                self.postgres.start()
                for name in databases:
                    self._ensure_database(name)
                if broker:
                    self.rabbit.wait()
            finally:
                self._save()

    def stop(self) -> None:
        with self._locked():
            if self.exists():
                self.rabbit.process and self.rabbit.process.send(signal.SIGTERM)
                self.postgres.stop()
                self.rabbit.stop()
                self._save()

    def reset(self) -> None:
        """Stops it and throws its data away."""
        self.stop()
        if self.exists():
            home = Path(self.state["home"])
            shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.state, self.postgres, self.rabbit = {}, None, None

    # ---- Its parts, for tests that break them --------------------------------

    def kill9(self, which: str) -> None:
        with self._locked():
            self._part(which).kill9()
            self._save()

    def start_part(self, which: str) -> None:
        """Starts one server again, on the same port and the same data."""
        with self._locked():
            self._part(which).start()
            self._save()

    def stop_part(self, which: str) -> None:
        with self._locked():
            self._part(which).stop()
            self._save()

    def _part(self, which: str) -> Postgres | Rabbit:
        return {"postgres": self.postgres, "rabbitmq": self.rabbit}[which]

    # ---- What it offers -----------------------------------------------------

    def databases(self) -> list[str]:
        return sorted(self.state.get("databases", {}))

    def database_url(self, name: str) -> str:
        return self.postgres.url(name, name, self.state["databases"][name])

    def amqp_url(self) -> str:
        return self.rabbit.url()

    def ensure_database(self, name: str) -> str:
        """Makes the database if need be; returns its URL."""
        with self._locked():
            self._ensure_database(name)
            self._save()
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        with self._locked():
            self.postgres.drop_database(name)
            self.state["databases"].pop(name, None)
            self._save()

    def _ensure_database(self, name: str) -> None:
        password = self.state["databases"].setdefault(name, secrets.token_hex(16))
        self.postgres.ensure_database(name, name, password)

    # ---- The folder ---------------------------------------------------------

    def _create(self) -> None:
        _forget_orphans()
        home = self._choose_home()
        self.state = {
            "home": str(home),
            "node": "trunnion-" + _key(self.folder),
            "ports": {},
            "postgres": {"password": secrets.token_hex(16), "process": None},
            "rabbitmq": {"password": secrets.token_hex(16), "process": None, "epmd": None},
            "databases": {},
        }
        self._assemble()
        self._save()

    def _choose_home(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        for home in (self.folder / "data", ELSEWHERE / _key(self.folder)):
            _clear(home)
            if _make_homes(home):
                break
            shutil.rmtree(home, ignore_errors=True)
        else:
            raise RuntimeError(f"the servers' accounts can reach neither {self.folder} nor {home}")
        if home.parent == ELSEWHERE:
            (home / "of").write_text(str(self.folder) + "\n")
        return home

    def _find_ports(self) -> None:
        """Keeps each port it had, unless a stranger took it while we were down."""
        ports, self.moved = self.state["ports"], []
        held = set()
        if self.postgres.running():
            held.add("postgres")
        if self.rabbit.running():
            held |= {"amqp", "dist"}
        if self.rabbit.epmd is not None and self.rabbit.epmd.alive():
            held.add("epmd")
        for name in _PORTS:
            if name in held or (name in ports and is_free(ports[name])):
                continue
            new = free_port(set(ports.values()))
            if name in ports:
                self.moved.append(f"port {ports[name]} ({name}) was taken; it is {new} now")
            ports[name] = new
        self.postgres.port = ports["postgres"]

    def _assemble(self) -> None:
        """Makes the two servers of what the state says; those that are known are kept and told."""
        state, home = self.state, Path(self.state["home"])
        pg, mq = state["postgres"], state["rabbitmq"]
        if self.postgres is None or self.postgres.password != pg["password"]:
            self.postgres = Postgres(home / "postgres", self.folder / "postgres.log", 0,
                                     pg["password"])
            self.rabbit = Rabbit(home / "rabbitmq", self.folder / "rabbitmq.log", {},
                                 mq["password"], state["node"])
        self.postgres.port = state["ports"].get("postgres", 0)
        self.rabbit.ports = state["ports"]
        self.postgres.process = _told(self.postgres.process, pg["process"])
        self.rabbit.process = _told(self.rabbit.process, mq["process"])
        self.rabbit.epmd = _told(self.rabbit.epmd, mq["epmd"])

    def _load(self) -> None:
        try:
            self.state = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            self.state = {}
            return
        self._assemble()

    def _save(self) -> None:
        self.state["postgres"]["process"] = _to_json(self.postgres.process)
        self.state["rabbitmq"]["process"] = _to_json(self.rabbit.process)
        self.state["rabbitmq"]["epmd"] = _to_json(self.rabbit.epmd)
        fresh = self.folder / "state.json.new"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(self.state, out, indent=2)
        fresh.rename(self.folder / "state.json")

    @contextlib.contextmanager
    def _locked(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load()  # Another program may have started or killed a server meanwhile.
            yield


def _told(known: proc.Process | None, told: dict | None) -> proc.Process | None:
    """The process that the state tells of; ours, with what reaps it, if that is the same."""
    process = proc.Process.from_json(told)
    return known if known == process else process


def _to_json(process: proc.Process | None) -> dict | None:
    return process.to_json() if process is not None and process.alive() else None


def _key(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:12]


def _make_homes(home: Path) -> bool:
    """Makes both servers' folders below `home`; False where their accounts can't reach them."""
    for name, account in (("postgres", postgres_user()), ("rabbitmq", rabbitmq.user())):
        folder = home / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            home.chmod(0o755)
            folder.chmod(0o700)
            if account is not None:
                os.chown(folder, account.uid, account.gid)
                subprocess.run(["test", "-w", str(folder)], check=True, cwd="/",
                               **account.popen_args())
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


def _clear(home: Path) -> None:
    """Removes what is left in `home` of a stack whose state was deleted, perhaps while it ran.

    The servers that live in these folders were started by us, for nobody else has them.
    """
    for server in (home / "postgres" / "data", home / "rabbitmq"):
        for pid in proc.living_in(server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)


def _forget_orphans() -> None:
    """Removes the data of checkouts that are no more."""
    for of in ELSEWHERE.glob("*/of"):
        with contextlib.suppress(OSError):
            if not Path(of.read_text().strip()).exists():
                _clear(of.parent)
