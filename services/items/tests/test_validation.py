"""What an item may be: every rule, all faults at once, each at its JSON Pointer (RFC 6901)."""

import random

import pytest
from support.load import item
from support.problems import assert_invalid

WRONG_TYPES = [None, True, False, 5, 1.5, "text", [], {}, ["x"], {"a": 1}]


def fits(member: str, value) -> bool:
    if member == "price_cents":
        return type(value) is int
    return isinstance(value, str) or (value is None and member == "description")


@pytest.mark.parametrize("member, value", [
    (member, value) for member in ("sku", "name", "price_cents", "description")
    for value in WRONG_TYPES if not fits(member, value)])
def test_a_value_of_another_type_is_told_at_its_place(items, member, value):
    assert_invalid(items.api.post("/items", item() | {member: value}), f"/{member}")


def test_null_for_what_is_optional_means_that_it_is_absent(items):
    reply = items.api.post("/items", item() | {"description": None})
    assert reply.status_code == 201 and "description" not in reply.json()


@pytest.mark.parametrize("sku", ["", "AB", "A" * 33, "abc", "A B", "ABC\n", "\nABC", "ABC_1", "ÄBC",
                                 "A.C", "^ABC$", "АВС"])  # The last one is Cyrillic.
def test_a_sku_that_does_not_fit_its_pattern_is_refused(items, sku):
    assert_invalid(items.api.post("/items", item(sku=sku)), "/sku")


@pytest.mark.parametrize("name", ["", "n" * 121, "ü" * 121, "🔩" * 121])
def test_a_name_has_1_to_120_code_points(items, name):
    assert_invalid(items.api.post("/items", item(name=name)), "/name")


@pytest.mark.parametrize("price", [-1, 100000001, -(2**53), 2**53, 2**63 - 1, -(2**63)])
def test_a_price_out_of_its_range_is_refused(items, price):
    assert_invalid(items.api.post("/items", item(price_cents=price)), "/price_cents")


@pytest.mark.parametrize("description", ["d" * 2001, "ü" * 2001])
def test_a_description_has_at_most_2000_code_points(items, description):
    assert_invalid(items.api.post("/items", item(description=description)), "/description")


@pytest.mark.parametrize("member", ["sku", "name", "price_cents"])
def test_a_required_member_that_is_missing_is_told_at_its_place(items, member):
    wanted = item()
    del wanted[member]
    assert_invalid(items.api.post("/items", wanted), f"/{member}")


@pytest.mark.parametrize("member, pointer", [
    ("colour", "/colour"), ("Name", "/Name"), ("", "/"), ("a/b", "/a~1b"), ("a~b", "/a~0b"),
    ("name ", "/name "), ("ü", "/ü"), ("id", "/id"), ("version", "/version"),
    ("created_at", "/created_at")])
def test_a_member_that_nobody_knows_is_refused(items, member, pointer):
    assert_invalid(items.api.post("/items", item() | {member: "x"}), pointer)


def test_all_faults_are_told_at_once(items):
    reply = items.api.post("/items", {"sku": "lower", "name": "n" * 121, "price_cents": "12",
                                      "description": "d" * 2001, "colour": 1, "size": 2})
    assert_invalid(reply, "/sku", "/name", "/price_cents", "/description", "/colour", "/size")


def test_an_empty_object_lacks_all_that_is_required(items):
    assert_invalid(items.api.post("/items", {}), "/sku", "/name", "/price_cents")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"true", b"null", b"[{}]"])
def test_what_is_no_object_is_refused_as_a_whole(items, body):
    assert_invalid(items.api.post("/items", body=body), "")


def test_a_detail_says_what_is_allowed(items):
    problem = assert_invalid(
        items.api.post("/items", item(sku="lower", name="", price_cents=100000001)),
        "/sku", "/name", "/price_cents")
    details = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert "[A-Z0-9-]" in details["/sku"]
    assert "100000000" in details["/price_cents"]
    assert "1" in details["/name"]


def test_faults_of_a_large_number_have_an_end(items):
    """A body of nothing but faults makes an answer of bounded size, and harms nobody."""
    reply = items.api.post("/items", {f"unknown_{i}": i for i in range(5000)})
    assert reply.status_code == 422 and len(reply.content) < 65536


@pytest.mark.parametrize("wrong", ["not-a-uuid", "123", "0" * 36, "{}", "%7B%7D",
                                   "01890a5d-ac96-774b-bcce-b302099a805",
                                   "01890a5d-ac96-774b-bcce-b302099a80577",
                                   "01890a5dac96774bbcceb302099a8057",
                                   "g1890a5d-ac96-774b-bcce-b302099a8057"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_id_that_is_no_uuid_is_422(items, method, wrong):
    options = {"json": {"name": "x"}} if method == "PATCH" else {}
    assert_invalid(items.api.request(method, f"/items/{wrong}", **options), "path:id")


def test_faults_in_path_and_body_are_told_together(items):
    assert_invalid(items.api.patch("/items/nobody", {"price_cents": -1}),
                   "path:id", "/price_cents")


def test_a_query_parameter_that_nobody_knows_is_refused_where_none_is_taken(items):
    assert_invalid(items.api.post("/items?dry_run=1", item()), "query:dry_run")


def test_the_document_and_the_service_agree_on_what_is_valid(items):
    """Bodies drawn at random are refused exactly when the published schema refuses them."""
    document = items.document()
    schema = document.request_schema("POST", "/api/v1/items")
    draw = random.Random(7)
    for _ in range(150):
        body = _drawn(draw)
        faults = document.faults(schema, body)
        reply = items.api.post("/items", body)
        assert reply.status_code == (422 if faults else 201), (body, faults, reply.text)


def _drawn(draw: random.Random):
    """A new item, some of whose members are missing, extra, of another type, or at a bound."""
    body = item()
    choices = {
        "name": ["", "x", "n" * 120, "n" * 121, "é" * 120, "🔩" * 121],
        "sku": ["ab", "lower", body["sku"], body["sku"].lower(), body["sku"] + "!"],
        "price_cents": [0, -1, 1, 100000000, 100000001, 0.5],
        "description": ["", "d" * 2000, "d" * 2001],
    }
    for member, values in choices.items():
        dice = draw.random()
        if dice < 0.25:
            body[member] = draw.choice(values)
        elif dice < 0.3:
            body[member] = draw.choice(WRONG_TYPES)
        elif dice < 0.35:
            del body[member]
    if draw.random() < 0.1:
        body[draw.choice(["extra", "Name", "id"])] = draw.choice(WRONG_TYPES)
    return body
