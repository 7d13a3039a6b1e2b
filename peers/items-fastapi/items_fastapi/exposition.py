"""The metrics page of the whole service: each process tells its own, who is asked adds them up.

The client library's own way for several processes keeps no exemplars. Each process listens on an
abstract socket that its siblings know, and tells there what it counted.
"""

import asyncio
import socket
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client import generate_latest as as_text
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as as_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from .metrics import REGISTRY

SIBLING_TIMEOUT_S = 1
_LARGEST = ("process_start_time_seconds", "process_max_fds", "trunnion_outbox_oldest_age_seconds")


def socket_name(service_pid: int, index: int) -> str:
    return f"\0items-fastapi-{service_pid}-{index}"


async def tell_siblings(service_pid: int, index: int) -> asyncio.Server:
    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(as_openmetrics(REGISTRY))
        writer.write_eof()
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(tell, socket_name(service_pid, index))


def _connected(name: str) -> socket.socket:
    """uvloop takes no abstract names; connecting on the same machine does not wait."""
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.setblocking(False)
    try:
        one.connect(name)
    except OSError:
        one.close()
        raise
    return one


async def _asked(name: str) -> str:
    try:
        async with asyncio.timeout(SIBLING_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(sock=_connected(name))
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return "# EOF\n"  # It is starting, or ended.


class _Sum:
    """What all of them counted, as a registry has it."""

    def __init__(self, pages: Iterable[str]):
        self._families: dict[str, Metric] = {}
        self._samples: dict[tuple, Sample] = {}
        for page in pages:
            for family in text_string_to_metric_families(page):
                self._families.setdefault(family.name, family)
                for sample in family.samples:
                    self._add(family.name, sample)

    def _add(self, family: str, sample: Sample) -> None:
        key = (family, sample.name, *sorted(sample.labels.items()))
        known = self._samples.get(key)
        if known is not None:
            merge = max if sample.name in _LARGEST else lambda a, b: a + b
            sample = sample._replace(value=merge(known.value, sample.value),
                                     exemplar=_newer(known.exemplar, sample.exemplar))
        self._samples[key] = sample

    def collect(self) -> Iterable[Metric]:
        for name, family in self._families.items():
            family.samples = [sample for key, sample in self._samples.items() if key[0] == name]
            yield family


def _newer(one, other):
    if one is None or other is None:
        return one or other
    return one if float(one.timestamp or 0) >= float(other.timestamp or 0) else other


async def metrics_page(service_pid: int, index: int, n_processes: int,
                       accept: str) -> tuple[bytes, str]:
    """The page and its media type, with exemplars for who can read them."""
    others = [socket_name(service_pid, i) for i in range(n_processes) if i != index]
    pages = [as_openmetrics(REGISTRY).decode(), *await asyncio.gather(*map(_asked, others))]
    total = _Sum(pages)
    if "application/openmetrics-text" in accept:
        return as_openmetrics(total), CONTENT_TYPE_LATEST
    return as_text(total), CONTENT_TYPE_PLAIN_0_0_4
