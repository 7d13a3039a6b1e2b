"""Every query of the dashboards and every alert, run by a real Prometheus on real services.

The services, RabbitMQ, PostgreSQL with its exporter, and Prometheus itself run here, under a small
load in which everything happens that is counted: errors, duplicates, keys used again, a dead
letter. Traefik, authentik, the Collector, Tempo and Loki can't be had from Debian; their pages in
recordings/ were written by the real ones.
"""

import json
import re
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from kit.paths import ROOT
from kit.ports import LOOPBACK, free_port
from kit.throwaway import throw_away_stack
from support.broker import event
from support.client import new_key
from support.load import item
from support.prometheus import EVERY_SECONDS, Prometheus, Recording, start, stop
from support.wait import eventually
from support.world import World

DASHBOARDS = sorted((ROOT / "platform" / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((ROOT / "platform" / "prometheus" / "rules").glob("*.yaml"))
RECORDINGS = Path(__file__).parent / "recordings"
LOAD_SECONDS = 14
# At one replica a request waits so long for a table that is locked, and is then answered 504.
TIMEOUT_MS = 300
COMPARISON = re.compile(r"\s*(?:[<>]=?|==)\s*[\d.]+(?:\s*\*\s*[\d.]+)?")
# What an alert without a comparison looks at.
LOOKS_AT = {"TargetMissing": 'count(up{job="services", service=~"items|activity"}) == 3'}


# ---- What is observed ---------------------------------------------------------------


class Load:
    """One round after the other until the end, each with a little of everything."""

    def __init__(self, world: World, items, impatient, activity):
        self.world, self.items, self.activity = world, items, activity
        self.impatient = impatient
        self.until = time.monotonic() + LOAD_SECONDS
        self.rounds = 0
        self.fault: BaseException | None = None

    def run(self) -> None:
        broker = self.world.broker()
        try:
            while time.monotonic() < self.until:
                self.requests()
                self.messages(broker)
                if self.rounds % 10 == 3:
                    self.failing_request()
                self.rounds += 1
                time.sleep(0.05)
        except BaseException as fault:
            self.fault = fault
        finally:
            broker.close()

    def requests(self) -> None:
        api, key, body = self.items.api, new_key(), item()
        made = api.post("/items", body, key=key)
        assert made.status_code == 201
        assert api.post("/items", body, key=key).headers["Idempotent-Replayed"] == "true"
        assert api.post("/items", item(), key=key).status_code == 422
        path = f"/items/{made.json()['id']}"
        assert api.patch(path, {"price_cents": 7}).status_code == 200
        assert [api.get(path).status_code, api.get("/items").status_code] == [200, 200]
        assert api.delete(path).status_code == 204
        assert api.get(path).status_code == 404
        assert self.activity.api.get("/activities").status_code == 200

    def messages(self, broker) -> None:
        message = event()
        broker.publish(message)
        broker.publish(message)  # A duplicate.
        if self.rounds % 10 == 0:
            broker.publish(event(body=b"no JSON"))

    def failing_request(self) -> None:
        with self.world.transaction("items") as held:
            held.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            assert self.impatient.api.get("/items").status_code == 504


def exporter(stack, folder: Path) -> tuple[subprocess.Popen, str]:
    port = free_port()
    process = start(["prometheus-postgres-exporter", f"--web.listen-address={LOOPBACK}:{port}"],
                    folder / "exporter.log",
                    {"DATA_SOURCE_NAME": stack.postgres.admin_url("postgres") + "?sslmode=disable"})
    return process, f"{LOOPBACK}:{port}"


def await_evaluation(prometheus: Prometheus, since: float) -> None:
    """Until the rules have been evaluated with what was scraped by then."""
    eventually(lambda: min(prometheus.numbers("timestamp(service:http_server_errors:ratio_3d)"),
                           default=0) > since, 30, every=0.25, what="rules after the load")


def recordings() -> dict[str, Recording]:
    """By job; a page's name is its job and its number."""
    jobs = {path.stem.rpartition("-")[0] for path in RECORDINGS.glob("*.txt")}
    return {job: Recording([path.read_text() for path in sorted(RECORDINGS.glob(f"{job}-*.txt"))])
            for job in jobs}


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Prometheus after the load, and what it looked at."""
    folder = tmp_path_factory.mktemp("observed")
    with throw_away_stack(broker=False) as stack:
        stack.rabbit.metrics_port = free_port()
        if stack.rabbit.running():  # One that is shared, and has no metrics yet.
            stack.stop_part("rabbitmq")
        stack.start()
        world, recorded = World(stack, folder), recordings()
        process, address = exporter(stack, folder)
        prometheus = None
        try:
            env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{free_port()}"}
            items = world.start("items", WORKERS=2, **env)
            replica = world.start("items", REQUEST_TIMEOUT_MS=TIMEOUT_MS, WORKERS=1, **env)
            activity = world.start("activity", **env)
            broker = f"{LOOPBACK}:{stack.rabbit.metrics_port}"
            pages = {job: page.address for job, page in recorded.items()}
            prometheus = Prometheus(folder, pages | {
                "items": [f"{LOOPBACK}:{items.port}", f"{LOOPBACK}:{replica.port}"],
                "activity": f"{LOOPBACK}:{activity.port}", "postgres": address,
                "rabbitmq": broker, "rabbitmq-queues": broker})
            load = Load(world, items, replica, activity)
            thread = threading.Thread(target=load.run)
            thread.start()
            prometheus.await_targets()
            thread.join()
            assert load.fault is None and load.rounds > 10, load.fault
            await_evaluation(prometheus, time.time() + 2 * EVERY_SECONDS)
            yield SimpleNamespace(prometheus=prometheus, items=items, activity=activity,
                                  rounds=load.rounds, recorded=set(recorded), at=time.time())
        finally:
            for server in filter(None, (prometheus and prometheus.process, process)):
                stop(server)
            for page in recorded.values():
                page.stop()
            world.close()


@pytest.fixture
def prometheus(observed) -> Prometheus:
    return observed.prometheus


@pytest.fixture
def has_data(observed):
    """Fails where a query finds no number right after the load, whenever that is asked."""
    def check(expression: str) -> None:
        assert observed.prometheus.numbers(expression, observed.at), f"no data: {expression}"

    return check


# ---- The dashboards -------------------------------------------------------------------


def as_grafana_asks(expression: str) -> str:
    """With all services and all replicas chosen, and the interval that Grafana would take."""
    for name, value in (("$service", "(activity|items)"), ("$instance", "(.+)"),
                        ("$__rate_interval", "1m")):
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def dashboard_queries():
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield pytest.param(target["expr"],
                                   id=f"{path.stem}/{panel['title']}/{target['refId']}")


@pytest.mark.parametrize("expression", dashboard_queries())
def test_a_panel_has_something_to_show(has_data, expression):
    has_data(as_grafana_asks(expression))


def test_the_variables_offer_what_there_is(prometheus):
    services = json.loads((ROOT / "platform/grafana/dashboards/services.json").read_text())
    offered = {}
    for variable in services["templating"]["list"]:
        said = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        series = as_grafana_asks(said[1])
        offered[variable["name"]] = prometheus.ask(f"label/{said[2]}/values", **{"match[]": series})
    assert offered["service"] == ["activity", "items"]
    assert len(offered["instance"]) == 3


@pytest.mark.parametrize("title", ["Duration by route", "Duration, all requests",
                                   "Processing of a message"])
def test_exemplars_lead_to_traces(prometheus, title):
    services = json.loads((ROOT / "platform/grafana/dashboards/services.json").read_text())
    [panel] = [panel for panel in services["panels"] if panel["title"] == title]
    [target] = panel["targets"]
    assert target["exemplar"]
    now = time.time()
    found = eventually(lambda: prometheus.ask("query_exemplars", start=now - 600, end=now + 60,
                                              query=as_grafana_asks(target["expr"])), 20)
    for series in found:
        assert all(re.fullmatch("[0-9a-f]{32}", one["labels"]["trace_id"])
                   for one in series["exemplars"])


# ---- The rules ------------------------------------------------------------------------


def rules(kind: str):
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if kind in rule:
                    yield pytest.param(rule, id=rule[kind])


@pytest.mark.parametrize("rule", rules("alert"))
def test_what_an_alert_looks_at_is_there(has_data, rule):
    looks_at = LOOKS_AT.get(rule["alert"]) or COMPARISON.sub("", rule["expr"])
    assert looks_at != rule["expr"]
    has_data(looks_at)


@pytest.mark.parametrize("rule", rules("record"))
def test_what_is_computed_once_is_there(has_data, rule):
    has_data(rule["record"])


def test_every_rule_is_evaluated_without_an_error(prometheus):
    groups = prometheus.ask("rules")["groups"]
    known = {rule["name"]: (rule["health"], rule.get("lastError")) for group in groups
             for rule in group["rules"]}
    expected = {param.id for kind in ("alert", "record") for param in rules(kind)}
    assert set(known) == expected
    eventually(lambda: all(rule["health"] == "ok" for group in prometheus.ask("rules")["groups"]
                           for rule in group["rules"]), 20, what=f"rules that are well: {known}")


def test_the_alerts_of_what_happened_fire_and_no_others(prometheus):
    """Dead letters are told of at once, as are spans that went nowhere; a second's failures are
    within the time that the others wait. Nobody reads log lines here, which is told after two
    minutes, if this takes so long."""
    def firing() -> set[str]:
        return {one["metric"]["alertname"]
                for one in prometheus.query('ALERTS{alertstate="firing"}')}

    eventually(lambda: firing() >= {"DeadLetters"}, 20, every=0.25, what="the alert")
    assert firing() <= {"DeadLetters", "SpansDropped", "TargetMissing"}


# ---- What the numbers say ---------------------------------------------------------------


def test_the_numbers_are_those_of_the_load(observed):
    """Not only is there something: it is what was done."""
    def total(expression: str) -> float:
        return sum(observed.prometheus.numbers(f"sum({expression})"))

    rounds = observed.rounds
    for expression, expected in (
            ('trunnion_idempotency_total{result="replayed",service="items"}', rounds),
            ('trunnion_idempotency_total{result="mismatched",service="items"}', rounds),
            ('trunnion_inbox_duplicates_total{service="activity"}', rounds),
            ('http_server_request_duration_seconds_count{service="items",'
             'http_request_method="POST",http_response_status_code="201"}', 2 * rounds),
            ('trunnion_inbox_dead_letters_total{service="activity"}', (rounds + 9) // 10)):
        eventually(lambda: total(expression) == expected, 20, every=0.25,
                   what=f"{expected} of {expression}; there are {total(expression)}")


def test_replicas_are_one_service(prometheus):
    assert prometheus.numbers('count(up{job="services", service="items"})') == [2]
    assert prometheus.numbers('count(up{job="services", service="activity"})') == [1]


def test_every_job_but_the_named_is_scraped(observed, prometheus):
    """Of Grafana and authentik's worker nothing is asked but whether they are there; of the readers
    of logs one runs."""
    config = yaml.safe_load((ROOT / "platform/prometheus/prometheus.yaml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    up = {one["metric"]["job"] for one in prometheus.query("up")}
    assert jobs - up == {"grafana", "log-reader", "authentik-worker"}
    assert observed.recorded == {"authentik", "traefik", "otel-collector", "tempo", "loki"}


@pytest.mark.parametrize("name", ["items", "activity"])
def test_promtool_takes_the_metrics_after_all_that(observed, name):
    page = getattr(observed, name).http.get("/metrics", check=False).text
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0 and not done.stdout + done.stderr
