"""The spans that the library exports, decoded with the official definitions of OTLP."""

import os
import subprocess

import pytest
from support.implementations import build_dir
from support.otlp import Receiver
from support.services import SANITIZER_MARKS

KEPT = ("PATH", "HOME", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


@pytest.fixture(scope="module")
def _receiver():
    made = Receiver().start()
    yield made
    made.stop()


@pytest.fixture
def receiver(_receiver):
    _receiver.forget()
    yield _receiver
    assert _receiver.told()["faults"] == []


def export(receiver, encoding: str = "none", n: int = 0, path: str = "/v1/traces", **env) -> dict:
    """Runs the program of known spans; returns what it counted."""
    program = build_dir() / "tests" / "unit" / "telemetry" / "export_spans"
    base = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = subprocess.run([program, receiver.endpoint + path, encoding, str(n)], env=base | env,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not any(mark in done.stderr for mark in SANITIZER_MARKS), done
    export.said = done.stderr
    return {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}


def by_name(receiver) -> dict:
    return {span["name"]: span for span in receiver.spans()}


@pytest.mark.parametrize("encoding", ["none", "gzip"])
def test_spans_arrive_as_they_were_recorded(receiver, encoding):
    counts = export(receiver, encoding)
    spans = by_name(receiver)
    assert set(spans) == {"POST /api/v1/items", "insert_item", "x", "large"}
    assert counts["trunnion_spans_exported_total"] == 4
    server, client = spans["POST /api/v1/items"], spans["insert_item"]
    assert server["trace_id"] == client["trace_id"] == "11" * 16
    assert (server["span_id"], server["parent_id"]) == ("22" * 8, "33" * 8)
    assert (client["span_id"], client["parent_id"]) == ("44" * 8, "22" * 8)
    assert (server["kind"], client["kind"]) == ("server", "client")
    assert server["parent_is_remote"] and not client["parent_is_remote"]
    assert server["tracestate"] == "rojo=00f067aa0ba902b7" and client["tracestate"] == ""
    assert server["end_ns"] - server["start_ns"] == 1_500_000
    assert client["start_ns"] - server["start_ns"] == 100_000
    assert (server["failed"], server["why"]) == (False, "")
    assert (client["failed"], client["why"]) == (True, "no room")
    assert server["trace_flags"] == 1
    [request] = receiver.told()["requests"]
    assert request["headers"]["Content-Type"] == "application/x-protobuf"
    assert request["headers"].get("Content-Encoding") == (None if encoding == "none" else "gzip")


def test_attributes_of_every_kind_arrive(receiver):
    export(receiver)
    assert by_name(receiver)["POST /api/v1/items"]["attributes"] == {
        "http.request.method": "POST", "http.response.status_code": 201, "below.zero": -2**63,
        "ratio": 0.125, "yes": True, "no": False, "empty": "", "umlaut": "schön",
        "broken": "a?b??"}


def test_the_smallest_span_has_no_parent_and_no_attributes(receiver):
    export(receiver)
    span = by_name(receiver)["x"]
    assert span["parent_id"] is None and span["attributes"] == {} and span["links"] == []


def test_a_value_is_cut_at_a_character_and_links_are_counted(receiver):
    export(receiver)
    span = by_name(receiver)["large"]
    assert set(span["attributes"].values()) == {"y" * 1023}
    assert len(span["attributes"]) == 16
    assert [link["span_id"] for link in span["links"]] == [f"{i:02x}" * 8 for i in range(1, 129)]
    assert span["dropped_links"] == 2


def test_the_resource_says_who_it_is(receiver):
    export(receiver)
    resource = by_name(receiver)["x"]["resource"]
    assert resource["service.name"] == "items" and resource["service.version"] == "1.2.3"
    assert resource["telemetry.sdk.name"] == "trunnion"
    assert resource["telemetry.sdk.language"] == "c" and resource["telemetry.sdk.version"]
    assert resource["host.name"] == os.uname().nodename and resource["os.type"] == "linux"
    assert resource["process.pid"] > 0 and len(resource["service.instance.id"]) == 36
    scope = by_name(receiver)["x"]["scope"]
    assert scope["name"] == "trunnion"
    assert scope["schema_url"].startswith("https://opentelemetry.io/schemas/")


def test_the_environment_adds_to_the_resource(receiver):
    export(receiver, OTEL_RESOURCE_ATTRIBUTES="service.name=other, deployment.environment.name="
           "a%20b%2Cc ,service.instance.id=i-1,=x,novalue,empty=", OTEL_SERVICE_NAME="mine")
    resource = by_name(receiver)["x"]["resource"]
    assert resource["service.name"] == "mine"
    assert resource["deployment.environment.name"] == "a b,c"
    assert resource["service.instance.id"] == "i-1" and resource["empty"] == ""


def test_headers_of_the_environment_are_sent(receiver):
    export(receiver, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20abc,x-tenant=t1,"
           "x-evil=a%0d%0aInjected: 1")
    [request] = receiver.told()["requests"]
    assert request["headers"]["authorization"] == "Bearer abc"
    assert request["headers"]["x-tenant"] == "t1"
    assert "Injected" not in request["headers"] and "x-evil" not in request["headers"]
    assert request["headers"]["User-Agent"].startswith("OTel-OTLP-Exporter-")


def test_many_spans_come_in_batches(receiver):
    counts = export(receiver, "gzip", n=3000)
    assert len(receiver.spans(name="alike")) == counts["trunnion_spans_exported_total"] - 4 == 3000
    assert len(receiver.told()["requests"]) >= 6
    assert len({span["span_id"] for span in receiver.spans(name="alike")}) == 3000


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_not_taken_now_is_sent_again(receiver, status):
    receiver.answer({"status": status}, {"status": status})
    counts = export(receiver)
    assert [one["status"] for one in receiver.told()["requests"]] == [status, status, 200]
    assert len(receiver.spans()) == counts["trunnion_spans_exported_total"] == 4
    assert "spans can't be exported" in export.said and "exported again" in export.said


@pytest.mark.parametrize("status", [400, 401, 404, 500, 501])
def test_what_is_refused_is_dropped_and_counted(receiver, status):
    receiver.answer({"status": status, "message": "not like this"})
    counts = export(receiver)
    assert [one["status"] for one in receiver.told()["requests"]] == [status]
    assert counts['trunnion_spans_dropped_total{reason="export_failed"}'] == 4
    assert f"HTTP status {status}: not like this" in export.said


def test_retry_after_is_honoured(receiver):
    receiver.answer({"status": 503, "retry_after": "1"})
    export(receiver)
    first, second = receiver.told()["requests"]
    assert second["at"] - first["at"] >= 1.0  # By itself it waits a fifth of that at most.


def test_a_partial_success_is_counted_and_told_of(receiver):
    receiver.answer({"rejected": 3, "message": "too old"})
    counts = export(receiver)
    assert len(receiver.told()["requests"]) == 1
    assert counts["trunnion_spans_exported_total"] == 1
    assert counts['trunnion_spans_dropped_total{reason="rejected"}'] == 3
    assert "too old" in export.said


def test_an_attempt_that_takes_too_long_is_made_again(receiver):
    receiver.answer({"hang_s": 2.5, "status": 503})
    counts = export(receiver)
    assert counts["trunnion_spans_exported_total"] == 4


def test_nobody_at_the_other_end_costs_the_time_to_say_so_and_no_more(receiver):
    away = Receiver()  # Not started.
    counts = export(away)
    assert counts['trunnion_spans_dropped_total{reason="export_failed"}'] == 4
