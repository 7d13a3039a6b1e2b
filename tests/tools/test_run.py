"""make run from the outside: a checkout of its own with small stand-ins for the services."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from kit import ports

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60

SERVICE = """#!/usr/bin/python3
import http.server, json, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), os._exit(0)))
print(json.dumps({name: os.environ.get(name) for name in
                  ("DATABASE_URL", "AMQP_URL", "PORT", "HOST", "LOG_LEVEL", "COLOUR")}), flush=True)
if os.environ.get("COLOUR") == "none":
    sys.exit("no colour")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            print("last words", flush=True)
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ready"}')
    def log_message(self, *_): pass
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


class Checkout:
    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT / "tools", folder / "tools",
                        ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        self.runs: list[subprocess.Popen] = []
        self.add("alpha")
        self.add("beta")

    def add(self, name: str, *lines: str) -> None:
        place = self.folder / "services" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "service.env").write_text("\n".join([f"PORT={ports.free_port()}", *lines]) + "\n")
        program = self.folder / "build" / "services" / name / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(SERVICE)
        program.chmod(0o755)

    def start(self, **env: str) -> subprocess.Popen:
        run = subprocess.Popen([self.folder / "tools/run", "--no-build"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               env={**os.environ, **env})
        self.runs.append(run)
        return run

    def started(self, **env: str) -> tuple[subprocess.Popen, str]:
        run, said = self.start(**env), ""
        for line in run.stdout:
            said += line
            if line.startswith("Ready."):
                return run, said
        raise AssertionError(said)

    def state(self) -> dict:
        return json.loads((self.folder / ".trunnion/run.json").read_text())

    def log(self, name: str) -> str:
        return (self.folder / f".trunnion/log/{name}.log").read_text()

    def environment(self, name: str) -> dict:
        return json.loads(self.log(name).splitlines()[0])

    def processes(self) -> list[str]:
        """What of it still runs: everything that names this folder in its command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(self.folder) in line and entry.name not in (str(os.getpid()),):
                found.append(line)
        return found


@pytest.fixture
def checkout(tmp_path_factory):
    import tempfile
    folder = Path(tempfile.mkdtemp(prefix="trunnion-run-"))
    folder.chmod(0o755)
    made = Checkout(folder)
    yield made
    for run in made.runs:
        if run.poll() is None:
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=SECONDS)
    assert made.processes() == []
    subprocess.run([folder / "tools/stack", "reset"], check=True, capture_output=True)
    shutil.rmtree(folder)


def stop(run: subprocess.Popen, signum: int = signal.SIGINT) -> str:
    run.send_signal(signum)
    said, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, said
    return said


def test_each_service_gets_a_database_of_its_own_and_all_stop_cleanly(checkout):
    run, _ = checkout.started()
    alpha, beta = checkout.environment("alpha"), checkout.environment("beta")
    assert alpha["DATABASE_URL"].endswith("/alpha") and beta["DATABASE_URL"].endswith("/beta")
    assert alpha["AMQP_URL"] == beta["AMQP_URL"] and alpha["HOST"] == "127.0.0.1"
    for service in checkout.state()["services"].values():
        assert urllib.request.urlopen(service["url"] + "/readyz").status == 200
    assert "stopping, in reverse ... done" in stop(run)
    assert all(checkout.log(name).endswith("drained\n") for name in ("alpha", "beta"))
    assert checkout.processes() == []
    assert not (checkout.folder / ".trunnion/run.json").exists()


def test_a_second_run_starts_in_seconds_and_keeps_the_data(checkout):
    run, _ = checkout.started()
    first = checkout.environment("alpha")
    stop(run, signal.SIGTERM)
    began = time.monotonic()
    run, _ = checkout.started()
    assert time.monotonic() - began < SECONDS
    assert checkout.environment("alpha") == first


def test_two_at_once_are_refused_with_the_urls_of_the_first(checkout):
    checkout.started()
    second = checkout.start()
    said, _ = second.communicate(timeout=SECONDS)
    assert second.returncode == 1
    assert "runs already" in said and checkout.state()["services"]["alpha"]["url"] in said


def test_a_port_that_is_taken_is_replaced_and_said(checkout):
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        (checkout.folder / "services/alpha/service.env").write_text(f"PORT={taken}\n")
        _, said = checkout.started()
    assert f"note: port {taken} is taken; alpha gets " in said
    assert checkout.environment("alpha")["PORT"] != str(taken)


def test_settings_come_from_the_service_then_dotenv_then_the_shell(checkout):
    checkout.add("alpha", "LOG_LEVEL=error", "COLOUR=red")
    checkout.add("beta", "COLOUR=red")
    (checkout.folder / ".env").write_text("# ours\nLOG_LEVEL='warn'\nBETA_COLOUR=blue\n")
    run, _ = checkout.started(DATABASE_URL="postgresql://elsewhere/x", PORT="1")
    alpha, beta = checkout.environment("alpha"), checkout.environment("beta")
    assert (alpha["LOG_LEVEL"], alpha["COLOUR"]) == ("warn", "red")
    assert (beta["LOG_LEVEL"], beta["COLOUR"]) == ("warn", "blue")
    assert "elsewhere" not in alpha["DATABASE_URL"] and alpha["PORT"] != "1"
    stop(run)
    checkout.started(LOG_LEVEL="debug")
    assert checkout.environment("alpha")["LOG_LEVEL"] == "debug"


def test_a_database_without_a_service_in_dotenv_is_refused(checkout):
    (checkout.folder / ".env").write_text("DATABASE_URL=postgresql://x/y\n")
    said, _ = checkout.start().communicate(timeout=SECONDS)
    assert "write ALPHA_DATABASE_URL" in said and checkout.processes() == []


def test_a_service_that_ends_at_its_start_is_shown_and_all_stops(checkout):
    checkout.add("beta", "COLOUR=none")
    run = checkout.start()
    said, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 1
    assert "error: beta ended." in said and "no colour" in said
    assert checkout.processes() == []


def test_a_service_that_ends_later_is_shown_and_all_stops(checkout):
    run, _ = checkout.started()
    url = checkout.state()["services"]["alpha"]["url"]
    with pytest.raises(OSError):
        urllib.request.urlopen(url + "/die")
    said, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 1
    assert "error: alpha ended by itself (status 3)" in said and "last words" in said
    assert checkout.processes() == []


def test_killed_with_sigkill_it_leaves_nothing_behind(checkout):
    run, _ = checkout.started()
    run.kill()
    run.wait()
    deadline = time.monotonic() + SECONDS
    while checkout.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert checkout.processes() == []
    stop(checkout.started()[0])


def test_servers_that_ran_before_are_used_and_left_running(checkout):
    stack = checkout.folder / "tools/stack"
    subprocess.run([stack, "start"], check=True, capture_output=True)
    run, said = checkout.started()
    assert "they will be left running" in said
    stop(run)
    assert subprocess.run([stack, "status"], capture_output=True).returncode == 0
    subprocess.run([stack, "stop"], check=True, capture_output=True)


def test_the_demo_says_when_nothing_runs(checkout):
    done = subprocess.run([checkout.folder / "tools/demo"], capture_output=True, text=True)
    assert done.returncode == 3 and "nothing is running" in done.stderr
