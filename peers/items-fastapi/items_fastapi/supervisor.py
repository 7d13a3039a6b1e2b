"""The processes of the service: this one, which is signalled and waits; workers; the relay's.

Forked before any loop runs, so that they share what was imported. Each worker listens on a socket
of its own, and the kernel spreads the clients over them. On SIGTERM readiness goes off, the workers
finish what is in their hands, then the relay publishes what they wrote, and all is over with
status 0. Who dies is started anew.
"""

import os
import resource
import signal
import socket
import time
import traceback
from collections.abc import Callable

from .logs import log, shift_level
from .settings import Settings
from .shared import Shared
from .worker import run_relay, run_worker

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LEVELS = (signal.SIGUSR1, signal.SIGUSR2)
_HEARD = {*_STOPS, *_LEVELS, signal.SIGCHLD}
_BLOCKED = {*_HEARD, signal.SIGALRM}
FILES_BESIDES = 256
BACKLOG = 2048
RESTART_AFTER_S = 0.5
SAME_REQUEST_S = 0.1  # A terminal signals the whole group, and a wrapper in it once more.
EX_SOFTWARE = 70


def listen(settings: Settings) -> list[socket.socket]:
    """A socket for each worker, all on one port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sockets, port = [], settings.port
    for _ in range(settings.workers):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((settings.host, port))
        one.listen(BACKLOG)
        one.setblocking(False)
        port = one.getsockname()[1]
        sockets.append(one)
    log.info("listening", host=settings.host, port=port, workers=settings.workers)
    return sockets


def raise_files_limit(wanted: int) -> None:
    """Connections are descriptors, so the limit on these is raised as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def hear(signals: set[int], seconds: float) -> int | None:
    """The first of these within that time, when there is one; they and SIGALRM are blocked.

    Not `signal.sigtimedwait`: when its time passes while the process is suspended, CPython (seen
    in 3.11) returns a signal made of memory that nobody wrote.
    """
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    heard = signal.sigwaitinfo({*signals, signal.SIGALRM}).si_signo
    signal.setitimer(signal.ITIMER_REAL, 0)
    return None if heard == signal.SIGALRM else heard


class Supervisor:
    def __init__(self, settings: Settings):
        self._settings, self._shared = settings, Shared(settings)
        self._sockets = listen(settings)
        self._relay = settings.workers  # The index after the workers'.
        self._children: dict[int, int] = {}  # By process id: the index.
        self._refused = False
        self._second_counts_from = float("inf")

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        raise_files_limit(self._settings.per_worker(self._settings.connections_max) + FILES_BESIDES)
        began = time.monotonic()
        for index in range(self._relay + 1):
            self._fork(index)
        stop = self._watch(began)
        if self._refused:
            self._end(range(self._relay + 1), 1)
            return EX_SOFTWARE
        return self._stop(stop)

    # ---- Children ---------------------------------------------------------------------

    def _fork(self, index: int) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = index
            return
        status = 1
        try:
            self._shared.leave_to_parent()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
            status = self._body_of(index)()
        except SystemExit as ended:
            status = ended.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # What the parent tidies up at its exit is not the child's.

    def _body_of(self, index: int) -> Callable[[], int]:
        if index == self._relay:
            return lambda: run_relay(self._settings, self._shared, index)
        return lambda: run_worker(self._settings, self._shared, index, self._sockets[index])

    def _reap(self) -> list[int]:
        """The indexes of those that have ended."""
        ended = []
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            index = self._children.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            self._refused = self._refused or code == EX_SOFTWARE
            if code:
                log.error("a process ended", index=index, status=code)
            ended.append(index)
        return ended

    # ---- Watching -----------------------------------------------------------------------

    def _watch(self, began: float) -> signal.Signals:
        """Until it is told to stop, or the migrations were refused."""
        told_ready = False
        while not self._refused:
            heard = hear(_HEARD, 60 if told_ready else 0.02)
            if heard in _STOPS:
                return signal.Signals(heard)
            if heard in _LEVELS:
                self._pass_on(heard)
            for index in self._reap():
                self._restart(index)
            if not told_ready and self._shared.all_started and self._shared.broker_up:
                told_ready = True
                log.info("ready", after_ms=round(1000 * (time.monotonic() - began)))
        return signal.SIGTERM

    def _restart(self, index: int) -> None:
        if self._refused:
            return
        self._shared.started(index, False)
        if index == self._relay:
            self._shared.broker(False, "the relay starts anew")
        time.sleep(RESTART_AFTER_S)
        self._fork(index)

    def _pass_on(self, number: int) -> None:
        level = shift_level(-1 if number == signal.SIGUSR1 else 1)
        for pid in self._children:
            os.kill(pid, number)
        getattr(log, level)("log level changed", log_level=level)

    # ---- Stopping -----------------------------------------------------------------------

    def _stop(self, why: signal.Signals) -> int:
        began = time.monotonic()
        log.info("stopping", signal=why.name, drain_timeout_ms=self._settings.drain_timeout_ms)
        self._shared.drain()
        self._second_counts_from = began + SAME_REQUEST_S
        self._wait(began + self._settings.readiness_delay_ms / 1000)
        self._end(range(self._relay), self._settings.drain_timeout_ms / 1000 + 2)
        self._end([self._relay], 5)
        log.info("stopped", after_ms=round(1000 * (time.monotonic() - began)))
        return 0

    def _end(self, indexes, seconds: float) -> None:
        """Asks them to end; whoever does not is killed."""
        deadline = time.monotonic() + seconds
        self._signal(indexes, signal.SIGTERM)
        while self._running(indexes):
            if time.monotonic() > deadline:
                log.error("a process didn't end")
                self._signal(indexes, signal.SIGKILL)
                deadline += 5
            self._wait(time.monotonic() + 0.05, for_children=True)
            self._reap()

    def _wait(self, until: float, for_children: bool = False) -> None:
        """Until then, or a child has ended; a second signal ends everything at once."""
        heard = {*_STOPS, signal.SIGCHLD} if for_children else {*_STOPS}
        while (left := until - time.monotonic()) > 0:
            found = hear(heard, left)
            if found == signal.SIGCHLD:
                return
            if found is not None and time.monotonic() > self._second_counts_from:
                self._signal(range(self._relay + 1), signal.SIGKILL)
                os._exit(128 + found)

    def _running(self, indexes) -> list[int]:
        return [pid for pid, index in self._children.items() if index in indexes]

    def _signal(self, indexes, number: int) -> None:
        for pid in self._running(indexes):
            os.kill(pid, number)
