"""OpenAPI and AsyncAPI: served, equal to the committed contract, and true of what happens."""

import json

import pytest
from kit.paths import SERVICES
from support.broker import event, uuid7
from support.contract import Schemas
from support.load import item

NAMES = ["items", "activity"]
DOCUMENTS = {"openapi": "3.1", "asyncapi": "3.0"}
OPERATIONS = {
    "items": {("GET", "/api/v1/items"), ("POST", "/api/v1/items"), ("GET", "/api/v1/items/{id}"),
              ("PATCH", "/api/v1/items/{id}"), ("DELETE", "/api/v1/items/{id}")},
    "activity": {("GET", "/api/v1/activities"), ("GET", "/api/v1/activities/{event_id}"),
                 ("GET", "/api/v1/activities/stream"), ("GET", "/api/v1/dead-letters"),
                 ("GET", "/api/v1/dead-letters/{id}"),
                 ("POST", "/api/v1/dead-letters/{id}/replay")},
}


@pytest.fixture(params=NAMES)
def service(request, items, activity):
    return {"items": items, "activity": activity}[request.param]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_is_served_as_the_contract_says_it(service, kind):
    reply = service.http.get(f"/{kind}.json")
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "application/json"
    assert reply.json()[kind].startswith(DOCUMENTS[kind] + ".")
    committed = SERVICES / service.name / "contract" / f"{kind}.json"
    assert reply.json() == json.loads(committed.read_text())


def test_the_document_knows_every_operation_of_the_contract(service):
    document = service.document()
    found = {(method, path) for method, path, _ in document.operations()
             if path.startswith("/api/v1")}
    assert found - {("HEAD", path) for _, path in found} == OPERATIONS[service.name]


def test_every_operation_names_the_problem_type(service):
    document = service.document()
    for method, path, operation in document.operations():
        if not path.startswith("/api/v1"):
            continue
        answers = [document.resolve(answer) for status, answer in operation["responses"].items()
                   if status[0] in "45d"]
        assert answers, (method, path)
        for answer in answers:
            assert set(answer["content"]) == {"application/problem+json"}, (method, path)


def test_every_operation_has_an_id_and_a_summary_of_its_own(service):
    operations = [operation for _, _, operation in service.document().operations()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for operation in operations)


def test_the_key_is_a_parameter_of_every_post(service):
    document = service.document()
    for method, path, operation in document.operations():
        if method != "POST":
            continue
        [key] = [parameter for parameter in map(document.resolve, operation["parameters"])
                 if parameter["name"] == "Idempotency-Key"]
        assert key["in"] == "header" and key["required"] is True, path


@pytest.mark.parametrize("schema", ["item", "item_new", "problem"])
def test_a_schema_refuses_what_it_does_not_know(items, schema):
    """The judge of all our tests must itself be able to say no."""
    document = items.document()
    operation = document.operation("POST", "/api/v1/items")
    found = {
        "item_new": document.request_schema("POST", "/api/v1/items"),
        "item": document.resolve(operation["responses"]["201"])["content"]["application/json"][
            "schema"],
        "problem": document.resolve(operation["responses"]["422"])["content"][
            "application/problem+json"]["schema"],
    }[schema]
    for wrong in ({}, {"a": 1}, []):
        assert document.faults(found, wrong)


@pytest.mark.parametrize("broken", [
    {"id": "x"}, {"version": "1"}, {"price_cents": 1.5}, {"created_at": "yesterday"},
    {"name": None}])
def test_the_judge_sees_a_broken_item(items, broken):
    reply = items.api.post("/items", item())
    schema = items.document().resolve(items.document().operation("POST", "/api/v1/items")[
        "responses"]["201"])["content"]["application/json"]["schema"]
    assert items.document().faults(schema, reply.json()) == []
    assert items.document().faults(schema, reply.json() | broken)


def test_the_messages_of_asyncapi_are_those_on_the_wire(items, tap):
    """Body and headers of real events fit the schemas that the document gives for them."""
    document = Schemas(items.http.get("/asyncapi.json").json())
    item_id = items.api.post("/items", item()).json()["id"]
    items.api.patch(f"/items/{item_id}", {"price_cents": 1})
    items.api.delete(f"/items/{item_id}")
    known = {message["name"]: message
             for message in document.document["components"]["messages"].values()}
    for name in ("item.created", "item.updated", "item.deleted"):
        heard, message = tap.about(item_id), known[name]
        assert heard.routing_key == name
        assert document.faults(message["payload"], heard.json) == []
        assert document.faults(message["headers"], heard.headers) == []
        assert document.faults(message["payload"], {"id": 1})


def test_what_activity_takes_is_what_items_sends(items, activity):
    """Consumer and producer describe the same channel."""
    sent = items.http.get("/asyncapi.json").json()
    taken = activity.http.get("/asyncapi.json").json()
    assert {operation["action"] for operation in sent["operations"].values()} == {"send"}
    assert {operation["action"] for operation in taken["operations"].values()} == {"receive"}
    schemas = Schemas(taken)
    message = next(iter(taken["components"]["messages"].values()))
    assert schemas.faults(message["payload"], event().json) == []
    assert schemas.faults(message["payload"], {"id": uuid7()})
