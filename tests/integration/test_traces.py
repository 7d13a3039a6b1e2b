"""One request, followed everywhere: from the client's POST to the row in activity, in the spans
that both services export, in their logs, their metrics and the message between them.

The receiver decodes with the official definitions of OTLP, and has nothing to object to.
"""

import re
import subprocess
import threading
import time
import urllib.request

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from support.broker import event
from support.client import new_key
from support.load import item, side_by_side
from support.otlp import Receiver
from support.services import SANITIZER_MARKS
from support.traced import CALLER, named, receiver, traced  # noqa: F401 (fixtures)
from support.wait import eventually
from support.world import World

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"}


def one(spans: list[dict], **wanted) -> dict:
    found = [span for span in spans if all(span[key] == value for key, value in wanted.items())]
    assert len(found) == 1, (wanted, [(span["service"], span["kind"], span["name"])
                                      for span in spans])
    return found[0]


def lines_of(service, trace_id: str) -> list[dict]:
    return eventually(lambda: [line for line in service.logs()
                               if line.get("trace_id") == trace_id], what="the log line")


def exemplars(service, family: str) -> dict[str, dict]:
    """The exemplars of a histogram, by trace id; the page is what the standard's parser takes."""
    page = service.http.get("/metrics", headers=OPENMETRICS, check=False)
    assert page.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    found = {}
    for metric in parse_openmetrics(page.text):
        for sample in metric.samples:
            if metric.name == family and sample.exemplar:
                found[sample.exemplar.labels["trace_id"]] = {"value": sample.exemplar.value,
                                                             "span": sample.exemplar.labels[
                                                                 "span_id"], **sample.labels}
    return found


# ---- One trace ---------------------------------------------------------------


def test_one_trace_runs_from_the_post_to_the_row(traced, receiver):
    spans = traced.followed(traced.post())
    server = one(spans, kind="server")
    publish = one(spans, kind="producer")
    process = one(spans, kind="consumer")
    insert = one(spans, kind="client", service="items", name="insert_item")
    record = one(spans, kind="client", service="activity", name="insert_activity")
    assert server["parent_id"] == CALLER and server["parent_is_remote"]
    assert (server["service"], publish["service"], process["service"]) == (
        "items", "items", "activity")
    assert insert["parent_id"] == server["span_id"] and not insert["parent_is_remote"]
    assert publish["parent_id"] == server["span_id"]
    assert process["parent_id"] == publish["span_id"] and process["parent_is_remote"]
    assert record["parent_id"] == process["span_id"]
    assert [link["span_id"] for link in process["links"]] == [publish["span_id"]]
    assert len({span["span_id"] for span in spans}) == len(spans)
    assert not any(span["failed"] for span in spans)


def test_what_causes_comes_before_what_it_causes(traced, receiver):
    spans = traced.followed(traced.post())
    server, publish = one(spans, kind="server"), one(spans, kind="producer")
    process = one(spans, kind="consumer")
    insert = one(spans, name="insert_item")
    record = one(spans, name="insert_activity")
    assert server["start_ns"] <= insert["start_ns"] <= insert["end_ns"] <= server["end_ns"]
    assert insert["end_ns"] <= publish["start_ns"] <= publish["end_ns"]
    slack_ns = 5_000_000  # The clocks of two processes are looked at at different times.
    assert publish["start_ns"] <= process["start_ns"] + slack_ns
    assert process["start_ns"] <= record["start_ns"] <= record["end_ns"] <= process["end_ns"]


def test_the_same_trace_is_in_logs_message_and_exemplar(traced, receiver):
    broker = traced.world.broker()
    tap = broker.tap("#")
    time.sleep(0.1)  # Exemplars are replaced at most so often; no earlier one is in the way.
    made = traced.post()
    message = tap.about(made["id"])
    broker.close()
    spans = traced.followed(made)
    server, publish = one(spans, kind="server"), one(spans, kind="producer")
    process = one(spans, kind="consumer")
    assert message.headers["traceparent"] == f"00-{made['trace_id']}-{publish['span_id']}-01"
    [told] = [line for line in lines_of(traced.activity, made["trace_id"])
              if line["message"] == "message"]
    assert told["span_id"] == process["span_id"] and told["outcome"] == "done"
    assert told["message_id"] == publish["attributes"]["messaging.message.id"]
    access = [line for line in lines_of(traced.items, made["trace_id"])
              if line["message"] == "request"]
    assert [line["span_id"] for line in access] == [server["span_id"]]
    assert access[0]["request_id"] == made["request_id"]
    duration = exemplars(traced.items, "http_server_request_duration_seconds")[made["trace_id"]]
    assert duration["span"] == server["span_id"] and duration["http_request_method"] == "POST"
    took_s = (server["end_ns"] - server["start_ns"]) / 1e9
    assert duration["value"] == pytest.approx(took_s, abs=1e-5)
    processed = exemplars(traced.activity, "messaging_process_duration_seconds")
    assert processed[made["trace_id"]]["span"] == process["span_id"]


def test_a_poison_message_is_logged_and_traced_as_what_the_post_caused(traced, receiver):
    """The log of the consumer names the trace too."""
    trace_id = new_key().replace("-", "")
    broker = traced.world.broker()
    broker.publish(event(headers=named(trace_id), body={}))
    broker.close()
    [process] = receiver.await_spans(trace_id=trace_id, kind="consumer")
    assert process["failed"] and process["attributes"]["error.type"] == "dead"
    assert "expected" in process["why"] and process["parent_id"] == CALLER
    said = lines_of(traced.activity, trace_id)
    assert {line["span_id"] for line in said} == {process["span_id"]}
    assert [line["outcome"] for line in said if line["message"] == "message"] == ["dead"]


# ---- What the spans say -------------------------------------------------------


def test_spans_follow_the_conventions(traced, receiver):
    made = traced.post(**{"User-Agent": "trace-test/1.0"})
    spans = traced.followed(made)
    port = int(traced.items.url.rsplit(":", 1)[1])
    assert one(spans, kind="server")["name"] == "POST /api/v1/items"
    assert one(spans, kind="server")["attributes"] == {
        "http.request.method": "POST", "http.route": "/api/v1/items",
        "http.response.status_code": 201, "url.path": "/api/v1/items", "url.scheme": "http",
        "server.address": "127.0.0.1", "server.port": port, "network.protocol.version": "1.1",
        "user_agent.original": "trace-test/1.0"}
    insert = one(spans, name="insert_item")["attributes"]
    database = traced.world.database_url("items").rsplit("/", 1)[1]
    assert insert["db.system.name"] == "postgresql" and insert["db.namespace"] == database
    assert insert["db.query.summary"] == insert["db.operation.name"] == "insert_item"
    assert insert["server.address"] == "127.0.0.1" and insert["server.port"] > 0
    publish = one(spans, kind="producer")
    assert publish["name"] == "publish events:item.created"
    message_id = publish["attributes"].pop("messaging.message.id")
    common = {"messaging.system": "rabbitmq",
              "messaging.rabbitmq.destination.routing_key": "item.created",
              "messaging.message.conversation_id": made["request_id"]}
    assert publish["attributes"] == common | {
        "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": "events:item.created"}
    process = one(spans, kind="consumer")
    assert process["name"] == "process events:item.created:activity.events"
    assert process["attributes"].pop("messaging.rabbitmq.message.delivery_tag") > 0
    assert process["attributes"] == common | {
        "messaging.operation.name": "process", "messaging.operation.type": "process",
        "messaging.destination.name": "events:item.created:activity.events",
        "messaging.message.id": message_id}


def test_the_resource_is_the_service(traced, receiver):
    spans = traced.followed(traced.post())
    resources = {span["service"]: span["resource"] for span in spans}
    assert resources["items"]["service.name"] == "items"
    assert resources["items"]["process.pid"] == traced.items.process.pid
    assert resources["activity"]["process.pid"] == traced.activity.process.pid
    assert resources["items"]["service.instance.id"] != resources["activity"][
        "service.instance.id"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", resources["items"]["service.version"])


@pytest.mark.parametrize("method, path, status, name", [
    ("GET", "/items/00000000-0000-7000-8000-000000000000", 404, "GET /api/v1/items/{id}"),
    ("GET", "/nowhere", 404, "GET"),
    ("PUT", "/items", 405, "PUT /api/v1/items"),
    ("BREW", "/items", 405, "HTTP /api/v1/items"),
    ("POST", "/items", 415, "POST /api/v1/items")])
def test_what_is_refused_has_a_span_that_did_not_fail(traced, receiver, method, path, status, name):
    trace_id = new_key().replace("-", "")
    reply = traced.items.api.request(method, path, headers=named(trace_id), check=False)
    assert reply.status_code == status
    [span] = receiver.await_spans(trace_id=trace_id, kind="server")
    assert span["name"] == name and not span["failed"]
    assert span["attributes"]["http.response.status_code"] == status
    assert "error.type" not in span["attributes"]
    assert span["attributes"]["http.request.method"] == ("_OTHER" if method == "BREW" else method)


def test_a_failure_of_the_database_is_told_by_both_spans(traced, receiver):
    trace_id = new_key().replace("-", "")
    world = traced.world
    world.sql("items", "ALTER TABLE items RENAME COLUMN sku TO was_sku")
    try:
        reply = traced.items.api.post("/items", item(), headers=named(trace_id), check=False)
        assert reply.status_code == 500
    finally:
        world.sql("items", "ALTER TABLE items RENAME COLUMN was_sku TO sku")
    [server] = receiver.await_spans(trace_id=trace_id, kind="server")
    assert server["failed"] and server["attributes"]["error.type"] == "500"
    failed = [span for span in receiver.await_spans(trace_id=trace_id, name="insert_item")
              if span["failed"]]
    assert failed and failed[0]["attributes"]["db.response.status_code"] == "42703"
    assert failed[0]["attributes"]["error.type"] == "42703"


def test_a_statement_whose_connection_is_lost_has_a_span(traced, receiver):
    made, done = {}, threading.Event()

    def post():
        made.update(traced.post())
        done.set()

    with traced.world.transaction("items") as db:
        db.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        threading.Thread(target=post, daemon=True).start()

        def cut():
            return traced.world.sql(
                "items", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                " current_database() AND wait_event_type = 'Lock'"
                " AND query LIKE '%%INSERT INTO items%%'")

        eventually(cut, what="a statement that waits")
    assert done.wait(20)
    statements = receiver.await_spans(2, trace_id=made["trace_id"], name="insert_item")
    failed = [span for span in statements if span["failed"]]
    assert failed[0]["attributes"]["error.type"] in ("connection_lost", "57P01")
    assert not statements[-1]["failed"]


def test_an_event_that_nobody_hears_has_a_span_that_failed(stack, tmp_path, receiver):
    world = World(stack, tmp_path, vhost="unheard")
    try:
        service = world.start("items", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
                              OTEL_BSP_SCHEDULE_DELAY=20, EVENT_CONSUMERS=None)
        trace_id = new_key().replace("-", "")
        assert service.api.post("/items", item(), headers=named(trace_id)).status_code == 201
        publish = receiver.await_spans(trace_id=trace_id, kind="producer")[0]
        assert publish["failed"] and publish["attributes"]["error.type"] == "unroutable"
    finally:
        world.close()


def test_a_stream_that_its_client_ends_has_a_span_that_did_not_fail(traced, receiver):
    trace_id = new_key().replace("-", "")
    reply = requests.get(traced.activity.url + "/api/v1/activities/stream", stream=True,
                         headers=named(trace_id), params={"from": "now"}, timeout=10)
    came = reply.iter_content(1)  # Its end would be that of the connection.
    assert reply.status_code == 200 and next(came)
    time.sleep(0.2)
    assert receiver.spans(trace_id=trace_id, kind="server") == []
    reply.close()
    [span] = receiver.await_spans(trace_id=trace_id, kind="server")
    assert span["name"] == "GET /api/v1/activities/stream" and not span["failed"]
    assert span["attributes"]["http.response.status_code"] == 200
    assert span["end_ns"] - span["start_ns"] > 200_000_000


def test_probes_and_scrapes_have_no_spans(traced, receiver):
    trace_id = new_key().replace("-", "")
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
        traced.items.http.get(path, headers=named(trace_id), check=False)
    traced.items.api.get("/items", headers=named(trace_id))
    spans = receiver.await_spans(trace_id=trace_id, kind="server")
    time.sleep(0.2)
    assert [span["name"] for span in receiver.spans(trace_id=trace_id, kind="server")] == [
        "GET /api/v1/items"] == [span["name"] for span in spans]


# ---- Many at once ---------------------------------------------------------------


def test_every_request_of_a_burst_is_followed_to_its_row(traced, receiver):
    made = side_by_side(20, lambda _: traced.post())
    for one_made in made:
        traced.world.await_activities(one_made["id"], 1)
    wanted = {one_made["trace_id"] for one_made in made}

    def complete():
        found = {}
        for span in receiver.spans():
            if span["trace_id"] in wanted:
                found.setdefault(span["trace_id"], set()).add(span["kind"])
        return found.keys() == wanted and all(
            kinds == {"server", "client", "producer", "consumer"} for kinds in found.values())

    eventually(complete, 20, what="all the spans")


# ---- Samplers -----------------------------------------------------------------


def test_a_trace_that_is_not_sampled_has_no_spans_in_either_service(traced, receiver):
    made = traced.post(sampled=False)
    traced.world.await_activities(made["id"], 1)
    traced.followed(traced.post())  # What comes later is there.
    assert receiver.spans(trace_id=made["trace_id"]) == []
    assert lines_of(traced.items, made["trace_id"])


@pytest.mark.parametrize("sampler, argument, sampled, kept", [
    ("always_on", "1", False, True), ("always_off", "1", True, False),
    ("traceidratio", "0", True, False), ("traceidratio", "1", False, True),
    ("parentbased_always_off", "1", True, True), ("parentbased_traceidratio", "0", True, True)])
def test_the_sampler_of_the_environment_decides(traced, receiver, sampler, argument, sampled, kept):
    other = traced.world.start("items", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
                               OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=argument)
    trace_id = new_key().replace("-", "")
    headers = {"traceparent": f"00-{trace_id}-{CALLER}-0{int(sampled)}"}
    assert other.api.get("/items", headers=headers).status_code == 200
    traced.world.stop([other])  # Which sends what it has.
    assert bool(receiver.spans(trace_id=trace_id, kind="server")) == kept


# ---- The metrics page -----------------------------------------------------------


@pytest.mark.parametrize("name", ["items", "activity"])
def test_openmetrics_is_what_the_standard_says(traced, name):
    traced.followed(traced.post())
    service = {"items": traced.items, "activity": traced.activity}[name]
    page = service.http.get("/metrics", headers=OPENMETRICS, check=False)
    families = {family.name: family for family in parse_openmetrics(page.text)}
    duration = families["http_server_request_duration_seconds"]
    assert duration.type == "histogram" and duration.unit == "seconds"
    assert families["trunnion_spans_exported"].type == "counter"
    assert all(family.documentation for family in families.values())
    plain = service.http.get("/metrics", check=False)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "# EOF" not in plain.text and "trace_id" not in plain.text


@pytest.mark.parametrize("name", ["items", "activity"])
def test_promtool_has_nothing_to_object_to(traced, name):
    traced.followed(traced.post())
    service = {"items": traced.items, "activity": traced.activity}[name]
    page = service.http.get("/metrics", check=False).text
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- When the receiver is not well -----------------------------------------------


def test_killing_the_receiver_under_load_changes_no_answer(stack, tmp_path_factory):
    receiver = Receiver().start()
    world = World(stack, tmp_path_factory.mktemp("killed"), vhost="killed")
    try:
        service = world.start("items", WORKERS=2, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
                              OTEL_BSP_SCHEDULE_DELAY=20, OTEL_BSP_EXPORT_TIMEOUT=1000,
                              OTEL_BSP_MAX_QUEUE_SIZE=256, OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64)
        statuses, stop = [], threading.Event()

        def load():
            while not stop.is_set():
                statuses.append(service.api.post("/items", item(), check=False).status_code)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(statuses) > 50 and receiver.spans(), 20)
        receiver.kill()
        before = len(statuses)
        eventually(lambda: len(statuses) > before + 200, 30)
        dropped = eventually(lambda: counted(service, "trunnion_spans_dropped_total"), 20)
        eventually(lambda: outages_told(service), 20, what="a line about the outage")
        receiver.start()
        back = eventually(lambda: receiver.spans(kind="server"), 20)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {201} and dropped > 0 and back
        # Each outage is told once, not each message that is lost, and so is its end. There may be
        # one more of them on a slow machine.
        told = outages_told(service)
        assert told == [OUTAGE[i % 2] for i in range(len(told))]
        assert not any(mark in service.err.read_text() for mark in SANITIZER_MARKS)
        assert receiver.told()["faults"] == []
    finally:
        receiver.stop()
        world.close()


OUTAGE = ("spans can't be exported", "spans are exported again")


def outages_told(service) -> list[str]:
    return [line["message"] for line in service.logs() if line["message"] in OUTAGE]


def counted(service, family: str) -> float:
    with urllib.request.urlopen(service.url + "/metrics", timeout=5) as page:
        return sum(float(line.split()[-1]) for line in page.read().decode().splitlines()
                   if line.startswith(family))


def test_a_receiver_that_hangs_delays_neither_answers_nor_the_end(stack, tmp_path_factory):
    receiver = Receiver().start()
    world = World(stack, tmp_path_factory.mktemp("hung"), vhost="hung")
    try:
        receiver.answer(*[{"hang_s": 30}] * 4)
        service = world.start("items", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
                              OTEL_BSP_SCHEDULE_DELAY=10)
        for _ in range(30):
            began = time.monotonic()
            assert service.api.post("/items", item()).status_code == 201
            assert time.monotonic() - began < 5
        began = time.monotonic()
        world.stop([service])
        assert time.monotonic() - began < 10
        assert [line for line in service.logs() if line["message"] == "stopped"]
    finally:
        receiver.stop()
        world.close()


# ---- The access log ---------------------------------------------------------------


def test_a_part_of_the_requests_is_logged_by_their_trace_ids(traced):
    service = traced.world.start("items", ACCESS_LOG_RATIO="0.5")
    low, high = "0" * 15 + "1" + "3" + "0" * 15, "0" * 15 + "1" + "c" + "0" * 15
    for trace_id in (low, high):
        service.api.get("/items", headers=named(trace_id))
    eventually(lambda: [line for line in service.logs() if line.get("trace_id") == low])
    traced.world.stop([service])
    assert not [line for line in service.logs() if line.get("trace_id") == high]
