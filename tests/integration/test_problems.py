"""Every error is a problem (RFC 9457), and every type of problem has a page that explains it."""

import json
import re

import pytest
from support.broker import uuid7
from support.load import item
from support.problems import assert_problem
from support.raw import Raw, head

CHASSIS = {
    "bad-request": 400, "idempotency-key-missing": 400, "idempotency-key-invalid": 400,
    "not-found": 404, "method-not-allowed": 405, "not-acceptable": 406, "request-timeout": 408,
    "idempotency-key-in-use": 409, "conflict": 409, "precondition-failed": 412,
    "content-too-large": 413, "uri-too-long": 414, "unsupported-media-type": 415,
    "idempotency-key-reused": 422, "validation-failed": 422, "header-fields-too-large": 431,
    "internal-error": 500, "service-unavailable": 503, "gateway-timeout": 504,
}


@pytest.mark.parametrize("path", [
    "/", "/nothing", "/api", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/items/",
    "/api/v2/items",    "//api/v1/items", "/api//v1/items", "/API/V1/ITEMS", "/api/v1/items/a/b",
    "/api/v1/items%2Fx/y",
    "/openapi.json/", "/livez/x", "/docs/../nothing", "/%00", "/%ff", "/%",
    "/..%2f..%2fetc/passwd"])
def test_a_path_that_leads_nowhere_is_404(items, path):
    with Raw(items.url) as raw:  # A library would tidy the path up.
        reply = raw.send(head("GET", path)).response("GET", path)
    if reply.status_code == 400:  # A broken escape may be called bad syntax too.
        assert "%" in path
        assert_problem(reply, 400, "bad-request")
        return
    problem = json.loads(reply.content)
    assert problem["type"] == "/problems/not-found"
    assert reply.status_code == 404


def test_a_segment_is_decoded_before_it_is_matched(items):
    made = items.api.post("/items", item()).json()
    escaped = made["id"].replace("-", "%2D")
    with Raw(items.url) as raw:
        reply = raw.send(head("GET", f"/api/v1/%69tems/{escaped}")).response()
    assert reply.status_code == 200 and json.loads(reply.content) == made


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", f"/api/v1/items/{uuid7()}"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_404_is_a_problem(items, method, path):
    assert_problem(items.http.request(method, path), 404, "not-found")


def test_a_problem_names_the_path_and_not_the_query(items):
    reply = items.http.get("/api/v1/nothing?password=secret")
    assert assert_problem(reply, 404, "not-found")["instance"] == "/api/v1/nothing"
    assert "secret" not in reply.text


@pytest.mark.parametrize("slug", CHASSIS)
@pytest.mark.parametrize("service_name", ["items", "activity"])
def test_a_problem_type_has_a_page_for_people_and_for_programs(items, activity, service_name, slug):
    service = {"items": items, "activity": activity}[service_name]
    page = service.http.get(f"/problems/{slug}", headers={"Accept": "text/html,*/*;q=0.1"})
    assert page.status_code == 200
    assert page.headers["Content-Type"].split(";")[0] == "text/html"
    assert slug in page.text or str(CHASSIS[slug]) in page.text
    told = service.http.get(f"/problems/{slug}", headers={"Accept": "application/json"})
    assert told.status_code == 200
    assert told.headers["Content-Type"].split(";")[0] == "application/json"
    assert told.json()["type"] == f"/problems/{slug}" and told.json()["status"] == CHASSIS[slug]
    assert told.json()["title"]


def test_the_services_own_problem_has_a_page_too(items):
    told = items.http.get("/problems/sku-taken", headers={"Accept": "application/json"}).json()
    assert told["status"] == 409 and told["title"] == "An item with this SKU exists."


def test_a_problem_type_that_does_not_exist_is_404(items):
    assert_problem(items.http.get("/problems/bad-luck"), 404, "not-found")


def test_the_title_of_a_problem_is_the_title_of_its_page(items):
    problem = assert_problem(items.api.get(f"/items/{uuid7()}"), 404, "not-found")
    told = items.http.get(problem["type"], headers={"Accept": "application/json"}).json()
    assert told["title"] == problem["title"]


def test_an_error_tells_nothing_of_the_inside(items):
    """No SQL, no file name, no name of a constraint."""
    made = items.api.post("/items", item()).json()
    for reply in (items.api.post("/items", item(sku=made["sku"])),
                  items.api.post("/items", item(name="")),
                  items.api.get(f"/items/{uuid7()}")):
        assert not re.search(r"items_sku_key|INSERT|SELECT|\.c\b|SQLSTATE|23505", reply.text)


def test_a_failure_of_the_database_is_500_and_says_no_more(start, world):
    service = start("items")
    world.sql("items", "ALTER TABLE items RENAME COLUMN name TO renamed")
    try:
        reply = service.api.get(f"/items/{uuid7()}")
        assert_problem(reply, 500, "internal-error")
        assert "renamed" not in reply.text and "column" not in reply.text
        assert_problem(service.api.post("/items", item()), 500, "internal-error")
    finally:
        world.sql("items", "ALTER TABLE items RENAME COLUMN renamed TO name")
    assert service.api.post("/items", item()).status_code == 201


def test_a_rule_of_the_database_that_nobody_named_is_409(items, world):
    world.sql("items", "CREATE UNIQUE INDEX nobody_named ON items (name) WHERE name = 'only one'")
    try:
        assert items.api.post("/items", item(name="only one")).status_code == 201
        reply = items.api.post("/items", item(name="only one"))
        assert_problem(reply, 409, "conflict")
        assert "nobody_named" not in reply.text
        assert items.api.post("/items", item()).status_code == 201
    finally:
        world.sql("items", "DROP INDEX nobody_named")
