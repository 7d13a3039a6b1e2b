"""A real Prometheus on the configuration of platform/prometheus, with other addresses in it.

What is replaced is where the targets are, and how often they are asked, for a test has no minute.
Names that DNS would resolve become addresses with the label that DNS would have given them, so what
the configuration does with that label is tested too.
"""

import copy
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import yaml
from kit.paths import ROOT
from kit.ports import LOOPBACK, free_port
from support.wait import eventually

PROMETHEUS = ROOT / "platform" / "prometheus"
EVERY_SECONDS = 2
DNS_LABEL = "__meta_dns_name"


def with_addresses(config: dict, addresses: dict[str, str | list[str]]) -> dict:
    """`addresses` has one for each target, under its job's name, or under the name that DNS knows;
    for several replicas a list. What has none there is not scraped."""
    made = copy.deepcopy(config)
    every = f"{EVERY_SECONDS}s"
    made["global"] |= dict.fromkeys(["scrape_interval", "evaluation_interval", "scrape_timeout"],
                                    every)
    for job in made["scrape_configs"]:
        if "static_configs" in job:
            job["static_configs"] = targets(addresses.get(job["job_name"]), {})
        for names in [name for dns in job.pop("dns_sd_configs", ()) for name in dns["names"]]:
            job.setdefault("static_configs", []).extend(
                targets(addresses.get(names), {DNS_LABEL: names}))
    return made


def targets(found: str | list[str] | None, labels: dict) -> list[dict]:
    if not found:
        return []
    return [{"targets": [found] if isinstance(found, str) else found, "labels": labels}]


def start(command: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen:
    """A server that the kernel ends when we are gone, however we went."""
    with open(log, "ab") as out:
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdout=out,
                                stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
                                env={"PATH": os.environ["PATH"], **(env or {})})


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


class Prometheus:
    def __init__(self, folder: Path, addresses: dict[str, str | list[str]]):
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.log = folder / "prometheus.log"
        shutil.copytree(PROMETHEUS / "rules", folder / "rules")
        config = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())
        own = {"prometheus": f"{LOOPBACK}:{self.port}"}
        file = folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(with_addresses(config, addresses | own)))
        self.process = start(["prometheus", f"--config.file={file}",
                              f"--storage.tsdb.path={folder / 'data'}",
                              f"--web.listen-address={LOOPBACK}:{self.port}",
                              "--enable-feature=exemplar-storage", "--log.level=warn"], self.log)

    def stop(self) -> None:
        stop(self.process)

    def ask(self, path: str, **values) -> list | dict:
        """What the API answers; a query that it doesn't understand fails here."""
        query = urllib.parse.urlencode(values, doseq=True)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=20) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # It is not ready yet.
                raise
            raise ValueError(f"{values}: {error.read().decode()}") from None

    def query(self, expression: str, at: float | None = None) -> list[dict]:
        when = {} if at is None else {"time": at}
        return self.ask("query", query=expression, **when)["result"]

    def numbers(self, expression: str, at: float | None = None) -> list[float]:
        """The values of a query, now or at a time, without those that are no numbers."""
        found = [float(one["value"][1]) for one in self.query(expression, at)]
        return [number for number in found if number == number]

    def await_targets(self, seconds: float = 40) -> None:
        """Until every target has been scraped, and none is down."""
        def all_up() -> bool:
            active = self.ask("targets", state="active")["activeTargets"]
            bad = [(one["labels"]["job"], one["lastError"]) for one in active
                   if one["health"] != "up"]
            assert active and not bad, bad
            return True

        eventually(all_up, seconds, every=0.25, what="all targets up")


class Recording:
    """Serves pages that the real component has written, the second one from the fifth scrape on;
    its counters are ahead of the first one's."""

    def __init__(self, pages: list[str]):
        left = [pages[0]] * 4 + [pages[-1]]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = (left.pop(0) if len(left) > 1 else left[0]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
