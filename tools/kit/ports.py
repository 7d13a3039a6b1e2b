"""Free ports that stay free while their server is down for a moment.

The kernel gives port 0 out of the range that it also gives to outgoing
connections, so a server that is killed and started again can find its port
taken by a client. Ours are drawn from below that range.
"""

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_TRIES = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of a server that just stopped linger in TIME_WAIT; they don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(taken: set[int] = frozenset()) -> int:
    low, high = 12000, _ephemeral_low()
    for _ in range(_TRIES):
        port = random.randrange(low, high)
        if port not in taken and is_free(port):
            return port
    raise RuntimeError(f"no free port between {low} and {high} in {_TRIES} tries")


def _ephemeral_low() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        return max(int(text.split()[0]), 14000)
    except (OSError, ValueError):
        return 32768
