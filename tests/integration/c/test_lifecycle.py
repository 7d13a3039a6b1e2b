"""From the first moment of a process to its last: what it says, what it ends with, what it loses.

../test_health.py holds what a service does while something is missing.
"""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
import requests
from kit.ports import LOOPBACK
from support.client import new_key
from support.implementations import command
from support.load import item, side_by_side
from support.program import run
from support.services import SANITIZER_MARKS
from support.wait import eventually

EX_SOFTWARE = 70  # sysexits.h
READY_MS_MAX = 100


def line_of(service, message: str) -> dict:
    return eventually(lambda: next((line for line in service.logs() if line["message"] == message),
                                   None), what=f"the line '{message}'")


def is_sanitized() -> bool:
    program = Path(command("items")[0]).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


# ---- Start -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_service_is_ready_soon_when_its_servers_are_up(start, items, activity, name):
    """The limit is of a build for use; sanitizers cost several times as much. The machine may be
    busy with something else: one start of several has to keep to it."""
    limit = READY_MS_MAX * (30 if is_sanitized() else 1)
    took = []
    while not took or (min(took) >= limit and len(took) < 10):
        took.append(line_of(start(name), "ready")["after_ms"])
    assert min(took) < limit, took


@pytest.mark.parametrize("end", [0, 1], ids=["least", "greatest"])
@pytest.mark.parametrize("name", ["items", "activity"])
def test_it_serves_with_every_number_that_is_allowed(start, name, end):
    """But for times, which one can make so short that nothing gets done in them."""
    bounds = re.findall(r"^  (\w+) \(.*\n.*\n +Allowed: a whole number from (\d+) to (\d+)",
                        run(name, "--help").stdout, re.MULTILINE)
    numbers = {variable: ends[end] for variable, *ends in bounds
               if variable not in ("PORT", "WORKERS", "CONNECTIONS_MAX")
               and not variable.endswith(("_MS", "_TIMEOUT", "_DELAY"))}
    assert {"OUTBOX_BATCH_MAX", "CONSUMER_RETRIES_MAX"} <= numbers.keys()
    service = start(name, WORKERS="1", **numbers)
    service.wait_whole()
    service.stop()


def test_every_line_of_the_log_says_when_where_and_how_important(start):
    service = start("items")
    service.api.post("/items", item(), headers={"X-Request-Id": "line-1"})
    service.stop()
    lines = service.logs()
    assert [line["message"] for line in lines][0] == "starting"
    assert [line["message"] for line in lines][-1] == "stopped"
    for line in lines:
        assert list(line)[:5] == ["timestamp", "level", "message", "service", "version"]
        assert line["service"] == "items" and line["level"] in ("debug", "info", "warn", "error")
    of_request = [line for line in lines if line.get("request_id") == "line-1"]
    assert of_request and all(len(line["trace_id"]) == 32 for line in of_request)
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)


def test_secrets_are_not_logged(start, world):
    service = start("items", LOG_LEVEL="debug")
    service.api.post("/items", item(description="a body is nobody's business"), key="a-secret-key")
    service.stop()
    secrets = [url.split("://")[1].split("@")[0].split(":")[1]
               for url in (world.database_url("items"), world.amqp_url())]
    text = service.out.read_text() + service.err.read_text()
    for secret in (*secrets, "nobody's business", "a-secret-key"):
        assert secret not in text


def test_a_port_that_is_taken_ends_the_start_with_status_70(world):
    service = world.service("items")
    with socket.create_server((LOOPBACK, service.port), reuse_port=False):
        service.start(ready=False)
        assert service.wait_exit(10) == EX_SOFTWARE
    line = line_of(service, "can't listen")
    assert line["level"] == "error" and line["port"] == service.port and line["reason"]


def test_migrations_that_changed_end_the_start_with_status_70(database, world):
    url = database("refused")
    first = world.start("items", DATABASE_URL=url)
    first.stop()
    with psycopg.connect(url) as db:
        db.execute("UPDATE trunnion_migrations SET checksum = 'another' WHERE set_name = 'items'")
        db.commit()
    second = world.service("items", DATABASE_URL=url).start(ready=False)
    assert second.wait_exit(10) == EX_SOFTWARE
    assert line_of(second, "migrations refused")["level"] == "error"


def test_a_service_that_may_not_migrate_waits_until_somebody_has(database, world):
    url = database("prepared")
    service = world.service("items", DATABASE_URL=url, MIGRATE="false").start(ready=False)
    line = line_of(service, "waiting for the database")
    assert "0001_chassis.sql was not applied yet" in line["reason"]
    told = service.http.get("/readyz")
    assert told.status_code == 503
    assert "not applied yet" in told.json()["checks"]["database"]["detail"]
    done = run("items", "--migrate", env={"DATABASE_URL": url})
    assert done.returncode == 0, done.stdout + done.stderr
    service.wait_ready()
    assert service.api.post("/items", item()).status_code == 201
    service.stop()


# ---- While it runs -----------------------------------------------------------


def test_livez_says_who_is_alive_and_since_when(items):
    told = items.http.get("/livez").json()
    assert told["status"] == "alive" and told["service"] == "items" and told["version"] == "1.0.0"
    later = items.http.get("/livez").json()
    assert 0 < told["uptime_s"] < later["uptime_s"]


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
def test_a_document_that_is_known_is_not_sent_again(items, path):
    first = items.http.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = items.http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    changed = items.http.get(path, headers={"If-None-Match": '"another"'})
    assert changed.status_code == 200 and changed.content == first.content


def test_signals_change_how_much_is_logged(start):
    service = start("items", LOG_LEVEL="warn")
    said = lambda: [line["log_level"] for line in service.logs()
                    if line["message"] == "log level changed"]
    for number, expected in ((signal.SIGUSR1, ["info"]), (signal.SIGUSR1, ["info", "debug"]),
                             (signal.SIGUSR2, ["info", "debug", "info"])):
        service.process.send_signal(number)
        assert eventually(lambda: said() == expected or None)
    assert service.http.get("/livez").status_code == 200


def test_metrics_tell_of_the_process(items):
    lines = dict(line.rsplit(" ", 1) for line in items.http.get("/metrics").text.splitlines()
                 if not line.startswith("#"))
    assert float(lines["process_resident_memory_bytes"]) > 1e6
    assert float(lines["process_open_fds"]) > 5
    assert float(lines["process_start_time_seconds"]) <= time.time()
    assert float(lines["trunnion_log_dropped_total"]) == 0


# ---- Stop --------------------------------------------------------------------


def test_a_stop_under_load_loses_nothing_that_was_acknowledged(start, world, activity):
    service = start("items")
    acknowledged, stopping = [], threading.Event()
    lock = threading.Lock()

    def client(_: int) -> None:
        with requests.Session() as session:
            while not stopping.is_set():
                wanted = item()
                try:
                    reply = session.post(service.url + "/api/v1/items", json=wanted, timeout=10,
                                         headers={"Idempotency-Key": new_key()})
                except requests.RequestException:
                    return
                if reply.status_code == 201:
                    with lock:
                        acknowledged.append(reply.json()["id"])

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acknowledged) > 100)
    service.stop()
    stopping.set()
    for thread in threads:
        thread.join(20)
    rows = {row[0] for row in world.sql("items", "SELECT id::text FROM items")}
    assert not set(acknowledged) - rows
    for item_id in acknowledged:
        assert len(world.await_activities(item_id, 1)) == 1


def test_readiness_goes_before_service_when_there_is_a_delay(start):
    """A load balancer gets time to notice: requests are still served."""
    service = start("items", READINESS_DELAY_MS=5000)
    service.terminate()
    eventually(lambda: service.http.get("/readyz").json()["status"] == "draining")
    assert service.http.get("/readyz").status_code == 503
    assert service.api.get("/items").status_code == 200
    assert service.wait_exit(20) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(start, number):
    service = start("items", READINESS_DELAY_MS=60000)
    service.process.send_signal(number)
    line_of(service, "stopping")
    time.sleep(0.15)  # What comes in the same moment is the same request.
    service.process.send_signal(number)
    assert service.wait_exit(20) == 128 + number


def test_a_signal_that_comes_twice_in_a_moment_is_one(start):
    """A terminal signals the whole group, and a wrapper in it passes the signal on."""
    service = start("items", READINESS_DELAY_MS=500)
    service.process.send_signal(signal.SIGSTOP)  # So that it finds both, however slow we are.
    _, status = os.waitpid(service.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        service.process.send_signal(number)
    assert service.wait_exit(10) == 0


def test_a_hangup_is_a_clean_stop(start):
    service = start("items")
    service.process.send_signal(signal.SIGHUP)
    assert service.wait_exit(10) == 0
    assert line_of(service, "stopping")["signal"] == "SIGHUP"


def test_starts_and_stops_at_any_moment_end_cleanly(world, items):
    """A signal may come while anything is half open."""
    def once(i: int) -> None:
        service = world.service("activity" if i % 2 else "items").start(ready=False)
        time.sleep(0.012 * i)
        service.terminate()
        status = service.wait_exit(15)
        text = service.err.read_text()
        # Before it listens for signals, the signal's own way is the right one.
        assert status in (0, -signal.SIGTERM), f"{status}\n{service.last_words()}"
        assert not any(mark in text for mark in SANITIZER_MARKS), text

    for batch in range(4):
        side_by_side(4, lambda i, batch=batch: once(4 * batch + i))


def test_a_reader_of_the_log_that_is_gone_does_not_stop_a_service(world):
    service = world.service("items")
    process = subprocess.Popen(command("items"), env=service.env, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    try:
        process.stdout.readline()
        process.stdout.close()
        service.process = process
        eventually(lambda: requests.get(service.url + "/readyz", timeout=2).status_code == 200)
        assert service.api.post("/items", item()).status_code == 201
        process.terminate()
        assert service.wait_exit(10) == 0
    finally:
        process.kill()
        process.wait()


def test_a_reader_of_the_log_that_is_stuck_does_not_hold_up_requests_or_the_stop(world):
    service = world.service("items", LOG_LEVEL="debug")
    process = subprocess.Popen(command("items"), env=service.env, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    try:
        service.process = process
        eventually(lambda: requests.get(service.url + "/readyz", timeout=2).status_code == 200)
        with requests.Session() as session:
            for _ in range(1000):
                assert session.get(service.url + "/livez", timeout=20).status_code == 200
        process.terminate()
        assert service.wait_exit(10) == 0
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
