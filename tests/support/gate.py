"""A TCP gate before a server: open, shut, or stuck. A server is taken away without being harmed.

    shut    connections are cut, new ones are refused: the server is down
    stuck   connections stay, nothing passes: the network swallows packets
"""

import contextlib
import socket
import threading

from kit.ports import LOOPBACK, free_port


class Gate:
    def __init__(self, port: int):
        self.target = port
        self.port = free_port()
        self._flow = threading.Event()
        self._flow.set()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener: socket.socket | None = None
        self.open()

    def open(self) -> None:
        self._flow.set()
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port), reuse_port=False)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Ends the connections that there are; new ones may come."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _end(pair)
        self._flow.set()

    def stick(self) -> None:
        self._flow.clear()

    def connections(self) -> int:
        with self._lock:
            return len(self._pairs)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            try:
                outer = socket.create_connection((LOOPBACK, self.target), timeout=5)
            except OSError:
                inner.close()
                continue
            outer.settimeout(None)
            pair = (inner, outer)
            with self._lock:
                shut = self._listener is not listener  # Meanwhile.
                if not shut:
                    self._pairs.add(pair)
            if shut:
                _end(pair)
                return
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, pair) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flow.wait()
                sink.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        _end(pair)


def _end(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
