"""Certificates for the name `localhost` alone, and a TLS port before a plain one."""

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Certificate and key for `localhost`; it is its own authority."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True)
    return certificate, key


class TlsFront:
    """Serves until the process ends. `certificate` is its own authority."""

    def __init__(self, target: int, folder: Path):
        self.target = target
        self.certificate, key = make_certificate(folder, "certificate")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            plain, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), \
                self._context.wrap_socket(plain, server_side=True) as inner, \
                socket.create_connection((LOOPBACK, self.target)) as outer:
            back = threading.Thread(target=_pump, args=(outer, inner), daemon=True)
            back.start()
            _pump(inner, outer)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
