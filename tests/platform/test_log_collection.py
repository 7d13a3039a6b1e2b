"""What the log collectors make of lines: those of running services, and those of the platform."""

import json
import re
import secrets

import pytest
import yaml
from kit.paths import ROOT
from support import log_pipeline
from support.load import item
from support.log_pipeline import docker_line
from support.wait import eventually

PROMTAIL = ROOT / "platform" / "promtail" / "promtail.yaml"
ALLOY = ROOT / "platform" / "alloy" / "config.alloy"
STAGES = log_pipeline.stages_of(PROMTAIL)
DOCKERS = "2026-11-23T12:00:00.123456789Z"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def collected(text: str, service: str | None) -> log_pipeline.Entry:
    return log_pipeline.run(STAGES, docker_line(text, service, DOCKERS))


def said(entry: log_pipeline.Entry) -> tuple[str, str]:
    return entry.labels["level"], entry.time.isoformat(timespec="microseconds")


# ---- The services --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items", "activity"])
def test_the_lines_of_a_request_are_found_by_its_trace_in_both_services(
        name, items, activity, world):
    trace, request = secrets.token_hex(16), f"trail-{secrets.token_hex(8)}"
    made = items.api.post("/items", item(), headers={
        "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "X-Request-Id": request})
    world.await_activities(made.json()["id"], 1)
    service = {"items": items, "activity": activity}[name]

    def found() -> list[log_pipeline.Entry]:
        entries = [collected(line, name) for line in service.out.read_text().splitlines()]
        return [entry for entry in entries if entry.metadata.get("trace_id") == trace]

    for entry in eventually(found):
        line = json.loads(entry.line)
        assert entry.labels == {"service": name, "container": f"{name}-1", "level": "info"}
        assert entry.metadata == {"trace_id": trace, "request_id": request,
                                  "span_id": line["span_id"]}
        assert entry.time.isoformat() == line["timestamp"].replace("Z", "+00:00")


# ---- The platform --------------------------------------------------------------------


@pytest.mark.parametrize("service, text, level, time", [
    ("traefik", '{"level":"info","msg":"","time":"2026-11-23T11:00:00Z"}', "info", "11:00:00.0"),
    ("loki", '{"level":"warn","ts":"2026-11-23T11:00:00.5Z","msg":"x"}', "warn", "11:00:00.5"),
    ("grafana", '{"level":"error","t":"2026-11-23T11:00:00.5Z"}', "error", "11:00:00.5"),
    ("prometheus", '{"time":"2026-11-23T11:00:00.5Z","level":"ERROR"}', "error", "11:00:00.5"),
    ("activity", '{"level":50,"time":"2026-11-23T11:00:00.5Z"}', "error", "11:00:00.5"),
    ("postgres", "2026-11-23 11:00:00.123 UTC [42] ERROR:  duplicate", "error", "11:00:00.123"),
    ("postgres", "2026-11-23 11:00:00.123 UTC [42] LOG:  ready", "info", "11:00:00.123"),
    ("postgres", "2026-11-23 11:00:00.123 UTC [42] items@items FATAL:  no", "fatal",
     "11:00:00.123"),
    ("rabbitmq", "2026-11-23 11:00:00.123456+00:00 [warning] <0.1.0> x", "warn",
     "11:00:00.123456"),
    # A time without a zone could be anywhere's; a line without a time has Docker's.
    ("authentik-server", '{"level":"warning","timestamp":"2026-11-23T11:00:00.5"}', "warn",
     "12:00:00.123456"),
    ("postgres", "2026-11-23 11:00:00.123 CET [42] LOG:  ready", "unknown", "12:00:00.123456"),
    ("rabbitmq", "  ##  ##      RabbitMQ", "unknown", "12:00:00.123456"),
    ("items", '{"level":"info", cut', "unknown", "12:00:00.123456"),
])
def test_level_and_time_are_understood_or_left(service, text, level, time):
    entry = collected(text, service)
    assert said(entry) == (level, f"2026-11-23T{time.ljust(15, '0')}+00:00")
    assert entry.line == text


@pytest.mark.parametrize("folder, service", [("prometheus", "prometheus"),
                                             ("postgres", "postgres-exporter")])
def test_who_would_write_text_without_a_level_to_be_found_writes_json(folder, service):
    model = yaml.safe_load((ROOT / "platform" / folder / "compose.yaml").read_text())
    assert "--log.format=json" in model["services"][service]["command"]


@pytest.mark.parametrize("sent", [{}, {"request_X-Request-Id": "made-by-service"}])
def test_the_proxys_names_are_known(sent):
    """As Traefik 3.7 writes it; the id is its client's, or the one in the service's answer."""
    entry = collected(json.dumps(sent | {
        "ClientHost": "127.0.0.1", "DownstreamStatus": 200, "RequestPath": "/x",
        "SpanId": "4c17f72e1c9b202b", "StartUTC": "2026-11-23T12:02:08.320213581Z",
        "TraceId": TRACE, "downstream_X-Request-Id": "made-by-service", "level": "info",
        "origin_X-Request-Id": "made-by-service", "span_id": "4c17f72e1c9b202b",
        "time": "2026-11-23T12:02:09Z", "trace_id": TRACE}), "traefik")
    assert entry.metadata == {"trace_id": TRACE, "span_id": "4c17f72e1c9b202b",
                              "request_id": "made-by-service"}
    assert said(entry) == ("info", "2026-11-23T12:02:08.320213+00:00")


def test_a_line_without_ids_has_no_metadata():
    assert collected('{"level":"info"}', "traefik").metadata == {}


def test_containers_of_others_are_left_alone():
    assert collected("hello", None).dropped
    assert not collected("hello", "items").dropped


def test_the_labels_are_three_whatever_the_line_says():
    line = json.dumps({"level": "loud", "service": "x", "trace_id": TRACE, "user": "u"})
    assert collected(line, "items").labels == {
        "service": "items", "container": "items-1", "level": "unknown"}


# ---- The other collector -------------------------------------------------------------


def promtails(stages: list[dict]):
    """Each stage's kind and what it holds, in order, those within others too."""
    for stage in stages:
        [(kind, given)] = stage.items()
        kind = kind.replace("labeldrop", "label_drop")
        if kind in ("labels", "structured_metadata"):
            given = {name: source or "" for name, source in given.items()}
        inner = given.pop("stages", []) if isinstance(given, dict) else []
        yield kind, flat(given)
        yield from promtails(inner)


def flat(given) -> set[str]:
    if isinstance(given, dict):
        return set().union(*({f"{key}={one}" for one in flat(value)}
                             for key, value in given.items() if key not in _WRAPPERS),
                           *(flat(given[key]) for key in _WRAPPERS if key in given))
    if isinstance(given, list):
        return set().union(*map(flat, given))
    return {re.sub(r"\s+", " ", given).strip()}


_WRAPPERS = ("expressions", "values")
_VALUE = re.compile(r'(?:"?(\w+)"?\s*=\s*)?(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)')


def alloys(text: str):
    """The same, read from Alloy's syntax: a stage goes on until the next one begins."""
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    text = text[text.index('loki.process "'):text.index('loki.write "')]
    parts = re.split(r"stage\.(\w+) \{", text)
    for kind, body in zip(parts[1::2], parts[2::2]):
        found = set()
        for key, quoted, raw in _VALUE.findall(body):
            value = raw or json.loads(f'"{quoted}"')
            value = re.sub(r"\s+", " ", value).strip()
            found.add(f"{key}={value}" if key and key not in _WRAPPERS else value)
        yield kind, found


def test_alloy_does_what_promtail_does():
    assert list(alloys(ALLOY.read_text())) == list(promtails(log_pipeline.stages_of(PROMTAIL)))


def test_both_read_the_same_files_and_write_to_the_same_place():
    promtail, alloy = PROMTAIL.read_text(), ALLOY.read_text()
    for place in ("/var/lib/docker/containers/*/*-json.log", "http://loki:3100/loki/api/v1/push"):
        assert place in promtail and place in alloy
