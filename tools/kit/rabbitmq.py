"""One private RabbitMQ, as light as it gets.

Everything that two brokers on a machine could share is its own: the port
mapper (epmd), the node name, the cookie, the data, the configuration and the
logs. It listens on loopback only. Works with RabbitMQ 3.10 and 4.0.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import proc
from .ports import LOOPBACK
from .postgres import tail

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 90
SCHEDULERS_MAX = 2

_CONFIG = """\
# Written at each start by tools/stack.
listeners.tcp.1 = {host}:{port}
distribution.listener.interface = {host}
default_user = {user}
default_pass = {password}
loopback_users = none
log.file.level = info
log.console = false
# No management plugin is there to read them; the one of metrics sets this for itself.
collect_statistics = none
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
# The quorum queues' write-ahead log; half a gigabyte by default.
raft.wal_max_size_bytes = 67108864
"""
_METRICS_CONFIG = """\
prometheus.tcp.ip = {host}
prometheus.tcp.port = {port}
"""
_METRICS_PLUGIN = "rabbitmq_prometheus"
_ROLE = "trunnion"
# In an application's resource file; the word may have a prefix, as in included_applications.
_APPLICATIONS = re.compile(r"applications\s*,\s*\[(.*?)\]", re.DOTALL)
_HELLO = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = 1


class RabbitError(RuntimeError):
    pass


class Rabbit:
    """A broker whose data lies in `home`; the three ports are its own."""

    def __init__(self, home: Path, log: Path, ports: dict[str, int], password: str, name: str,
                 process: proc.Process | None = None, epmd: proc.Process | None = None):
        self.home, self.log, self.ports, self.password = home, log, ports, password
        self.node = f"{name}@localhost"
        self.process, self.epmd = process, epmd
        self.user = user()
        self.metrics_port: int | None = None  # Set before a start: then its own metrics are there.

    def running(self) -> bool:
        return self.process is not None and self.process.alive()

    def url(self) -> str:
        return f"amqp://{_ROLE}:{self.password}@{LOOPBACK}:{self.ports['amqp']}/"

    # ---- Start and stop -----------------------------------------------------

    def spawn(self) -> None:
        """Starts it without waiting, so that PostgreSQL can start meanwhile; then wait()."""
        if not (PROGRAMS / "rabbitmq-server").exists():
            raise RabbitError("no RabbitMQ is installed; `tools/setup run` installs it")
        self._write_files()
        self._link_programs()
        if self.epmd is None or not self.epmd.alive():
            port = str(self.ports["epmd"])
            self.epmd = proc.spawn(["epmd", "-address", LOOPBACK, "-port", port], self.log,
                                   f"-port {port}", self.user, self._env(), str(self.home))
            # A broker that finds no port mapper starts one that would outlive it.
            _await_listener(self.ports["epmd"])
        scripts = self.home / "programs" / "bin"
        # The flag means nothing to Erlang: it marks the command line as this broker's.
        self.process = proc.spawn([str(scripts / "rabbitmq-server"), "-trunnion", str(self.home)],
                                  self.log, str(self.home), self.user,
                                  {**self._env(), "RABBITMQ_SCRIPTS_DIR": str(scripts)},
                                  str(self.home))

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._speaks_amqp():
            if not self.process.alive():
                raise RabbitError(f"RabbitMQ ended at its start:\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise RabbitError(f"RabbitMQ did not start:\n{self._last_words()}")
            time.sleep(0.05)

    def start(self) -> None:
        if not self.running():
            self.spawn()
        self.wait()

    def stop(self) -> None:
        proc.stop(self.process, signal.SIGTERM, seconds=20)
        proc.stop(self.epmd)
        self.process = self.epmd = None

    def kill9(self) -> None:
        """What a power cut does to it; its port mapper stays, as a machine's own does."""
        if self.process is not None:
            self.process.send(signal.SIGKILL)
            self.process.wait(5)
        self.process = None

    def control(self, *args: str, timeout: int = 60) -> str:
        """rabbitmqctl for this broker."""
        command = [str(PROGRAMS / "rabbitmqctl"), "--quiet", "--node", self.node, *args]
        done = subprocess.run(command, env=self._env(), cwd=self.home, capture_output=True,
                              text=True, timeout=timeout,
                              **(self.user.popen_args() if self.user else {}))
        if done.returncode != 0:
            raise RabbitError(f"rabbitmqctl {' '.join(args)}: {done.stdout}{done.stderr}".strip())
        return done.stdout

    def _speaks_amqp(self) -> bool:
        """The broker opens its port last, and answers a client's first bytes with a method."""
        try:
            with socket.create_connection((LOOPBACK, self.ports["amqp"]), timeout=2) as probe:
                probe.sendall(_HELLO)
                return probe.recv(1) == bytes([_METHOD_FRAME])
        except OSError:
            return False

    # ---- Its files ----------------------------------------------------------

    def _write_files(self) -> None:
        config = _CONFIG.format(host=LOOPBACK, port=self.ports["amqp"], user=_ROLE,
                                password=self.password)
        if self.metrics_port is not None:
            config += _METRICS_CONFIG.format(host=LOOPBACK, port=self.metrics_port)
        self._write("rabbitmq.conf", config)
        self._write("enabled_plugins", f"[{', '.join(self._plugins())}].\n")
        self._write("rabbitmq-env.conf", "# The machine's own settings are not for this broker.\n")
        cookie = self.home / ".erlang.cookie"
        if not cookie.exists():
            self._write(".erlang.cookie", os.urandom(20).hex().upper(), mode=0o400)

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.home / name
        path.write_text(text)
        path.chmod(mode)
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)

    def _link_programs(self) -> None:
        """An installation of links that holds the broker, and no plugin that it is not to run.

        Erlang looks for each of a thousand modules in each application's folder, and with the
        seventy of a whole installation that is more than half of the time a start takes.
        """
        links = self.home / "programs"
        shutil.rmtree(links, ignore_errors=True)
        (links / "plugins").mkdir(parents=True)
        (links / "bin").symlink_to(PROGRAMS)
        for application in _applications(["rabbit", *self._plugins()]):
            (links / "plugins" / application.name).symlink_to(application)

    def _plugins(self) -> list[str]:
        return [] if self.metrics_port is None else [_METRICS_PLUGIN]

    def _env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("RABBITMQ_", "ERL_", "NOTIFY_"))}
        schedulers = min(os.cpu_count() or 1, SCHEDULERS_MAX)
        own = {
            "HOME": self.home,
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": self.ports["epmd"],
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # The script then becomes the broker, instead of staying as its parent: one process id.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": self.ports["dist"],
            "RABBITMQ_CONFIG_FILE": self.home / "rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": self.home / "advanced.config",
            "RABBITMQ_CONF_ENV_FILE": self.home / "rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.home / "enabled_plugins",
            "RABBITMQ_MNESIA_BASE": self.home / "mnesia",
            "RABBITMQ_MNESIA_DIR": self.home / "mnesia" / "node",
            "RABBITMQ_GENERATED_CONFIG_DIR": self.home / "config",
            "RABBITMQ_LOG_BASE": self.home / "log",
            "RABBITMQ_LOGS": self.home / "log" / "rabbitmq.log",
            "RABBITMQ_PID_FILE": self.home / "pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                f"+S {schedulers}:{schedulers} +SDio 2 +A 2"
                " -kernel inet_dist_use_interface {127,0,0,1}",
        }
        return kept | {key: str(value) for key, value in own.items()}

    def _last_words(self) -> str:
        return tail(self.log) + "\n" + tail(self.home / "log" / "rabbitmq.log")


def user() -> proc.User | None:
    return proc.server_user("rabbitmq")


def _await_listener(port: int, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        time.sleep(0.01)
    raise RabbitError(f"nothing listens on port {port}, where RabbitMQ's epmd should")


def _applications(wanted: list[str]) -> list[Path]:
    """The folders of these Erlang applications and of those that they need, by their own word."""
    installed = {}
    for app_file in PROGRAMS.parent.glob("lib/rabbitmq_server-*/plugins/*/ebin/*.app"):
        installed[app_file.stem] = app_file
    needed, queue = set(), list(wanted)
    while queue:
        name = queue.pop()
        if name not in needed and name in installed:  # The others are Erlang's own.
            needed.add(name)
            for words in _APPLICATIONS.findall(installed[name].read_text(errors="replace")):
                queue += re.findall(r"[a-z]\w*", words)
    return [installed[name].parents[1] for name in sorted(needed)]
