"""What the processes of one service know of each other: a few bytes of memory that all map.

Made before they are forked. Each byte has one writer. Whoever wrote events wakes the relay's
process through an eventfd, which costs one system call.
"""

import mmap
import os

from .settings import Settings

_DRAINING, _BROKER_UP, _STARTED, _WHY = 0, 1, 8, 128
_SIZE, _WHY_MAX = 4096, 255


class Shared:
    def __init__(self, settings: Settings):
        self._memory = mmap.mmap(-1, _SIZE)
        self._n_workers = settings.workers
        self.service_pid = os.getpid()
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._export_fd = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Whoever reads it sees its end when the service's first process is gone, however it went.
        self.life_fd, self._alive_fd = os.pipe()
        self.broker(False, "waits for the database")

    def leave_to_parent(self) -> None:
        """Called in each child: the parent alone holds the pipe's other end."""
        os.close(self._alive_fd)

    # ---- Stopping -------------------------------------------------------------

    @property
    def draining(self) -> bool:
        return self._memory[_DRAINING] == 1

    def drain(self) -> None:
        self._memory[_DRAINING] = 1

    # ---- Started --------------------------------------------------------------

    def started(self, index: int, value: bool) -> None:
        self._memory[_STARTED + index] = value

    @property
    def all_started(self) -> bool:
        return all(self._memory[_STARTED:_STARTED + self._n_workers])

    # ---- The broker -------------------------------------------------------------

    def broker(self, up: bool, why: str = "") -> None:
        text = why.encode()[:_WHY_MAX]
        self._memory[_WHY:_WHY + 1 + len(text)] = bytes([len(text)]) + text
        self._memory[_BROKER_UP] = up

    @property
    def broker_up(self) -> bool:
        return self._memory[_BROKER_UP] == 1

    @property
    def broker_fault(self) -> str:
        length = self._memory[_WHY]
        return self._memory[_WHY + 1:_WHY + 1 + length].decode(errors="replace")

    # ---- The collector ----------------------------------------------------------

    def take_the_word(self) -> bool:
        """True for one process until it gives it back: all notice, one says it."""
        try:
            os.eventfd_read(self._export_fd)
        except BlockingIOError:
            return False
        return True

    def give_the_word(self) -> None:
        os.eventfd_write(self._export_fd, 1)

    # ---- The relay --------------------------------------------------------------

    def wake_relay(self) -> None:
        os.eventfd_write(self.wake_fd, 1)

    def take_wake(self) -> None:
        os.eventfd_read(self.wake_fd)
