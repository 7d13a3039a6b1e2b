"""Creating, showing and removing items: the paths on which all goes well, and 404 and 409."""

import re
from datetime import datetime, timedelta, timezone

import pytest
from support.broker import uuid7
from support.load import item, side_by_side, sku
from support.problems import assert_problem

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def age(text: str) -> timedelta:
    return datetime.now(timezone.utc) - datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_a_created_item_is_answered_whole(items):
    wanted = item()
    reply = items.api.post("/items", wanted)
    assert reply.status_code == 201
    made = reply.json()
    assert {name: made[name] for name in wanted} == wanted
    assert set(made) == {*wanted, "id", "version", "created_at", "updated_at"}
    assert UUID7.fullmatch(made["id"]) and made["version"] == 1
    assert TIME.fullmatch(made["created_at"]) and made["updated_at"] == made["created_at"]
    assert abs(age(made["created_at"])) < timedelta(seconds=30)


def test_a_created_item_has_a_location_and_an_etag(items):
    reply = items.api.post("/items", item())
    assert reply.headers["Location"] == f"/api/v1/items/{reply.json()['id']}"
    assert reply.headers["ETag"] == '"1"'
    assert reply.headers["Content-Type"] == "application/json"


def test_a_created_item_is_found_under_its_location(items):
    reply = items.api.post("/items", item())
    shown = items.http.get(reply.headers["Location"])
    assert shown.status_code == 200 and shown.json() == reply.json()
    assert shown.headers["ETag"] == '"1"'


def test_an_id_is_found_in_upper_case_too(items):
    made = items.api.post("/items", item()).json()
    assert items.api.get(f"/items/{made['id'].upper()}").json() == made


def test_a_description_may_be_left_out_and_is_then_absent(items):
    reply = items.api.post("/items", item(description=None))
    assert reply.status_code == 201 and "description" not in reply.json()
    assert "description" not in items.http.get(reply.headers["Location"]).json()


def test_an_empty_description_is_kept_apart_from_none(items):
    assert items.api.post("/items", item(description="")).json()["description"] == ""


@pytest.mark.parametrize("name", [
    "x", "n" * 120, "ü" * 120, "🔩" * 120, 'quote " backslash \\ slash /', "tab\tnew line\n",
    "\u0001\u001f\u007f", "'; DROP TABLE items; --", "{1,2,NULL}", "\\x41",
    "\ufffd \u2028 \u2029", " "])
def test_a_name_comes_back_as_it_was_given(items, name):
    reply = items.api.post("/items", item(name=name))
    assert reply.status_code == 201, reply.text
    assert items.http.get(reply.headers["Location"]).json()["name"] == name


@pytest.mark.parametrize("member, value", [
    ("price_cents", 0), ("price_cents", 100000000), ("description", "d" * 2000)])
def test_a_value_at_its_bound_is_accepted(items, member, value):
    assert items.api.post("/items", item(**{member: value})).json()[member] == value


@pytest.mark.parametrize("length", [3, 32])
def test_a_sku_as_short_or_long_as_may_be_is_accepted(items, length):
    wanted = (sku()[::-1] * 3)[:length]
    assert items.api.post("/items", item(sku=wanted)).json()["sku"] == wanted


def test_a_taken_sku_is_409_and_makes_nothing(items, world):
    first = item()
    items.api.post("/items", first)
    reply = items.api.post("/items", item(sku=first["sku"]))
    problem = assert_problem(reply, 409, "sku-taken")
    assert problem["title"] == "An item with this SKU exists."
    assert world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", first["sku"]) == [(1,)]


def test_of_those_who_want_the_same_sku_at_once_one_gets_it(items, world):
    wanted = sku()
    replies = side_by_side(8, lambda i: items.api.post("/items", item(sku=wanted, name=f"n{i}")))
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 7
    for reply in replies:
        if reply.status_code == 409:
            assert_problem(reply, 409, "sku-taken")
    assert world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted) == [(1,)]


def test_a_conflict_among_many_writes_fails_nobody_else(items):
    """Writes in flight together share a commit; the one that fails goes alone."""
    taken = items.api.post("/items", item()).json()["sku"]
    replies = side_by_side(24, lambda i: items.api.post(
        "/items", item(sku=taken) if i % 6 == 0 else item()))
    assert [reply.status_code for reply in replies] == [409 if i % 6 == 0 else 201
                                                       for i in range(24)]


def test_replicas_that_want_the_same_skus_in_crossed_orders_all_get_an_answer(items, start, world):
    """Their commits hold many rows each, and wait for one another's: a deadlock is taken apart."""
    other, wanted = start("items"), [sku() for _ in range(30)]

    def post(i: int):
        service, order = ((items, 1), (other, -1))[i % 2]
        return service.api.post("/items", item(sku=wanted[::order][i // 2]), timeout=60)

    replies = side_by_side(60, post)
    assert sorted(reply.status_code for reply in replies) == [201] * 30 + [409] * 30
    found = world.sql("items", "SELECT sku FROM items WHERE sku = ANY(%s)", wanted)
    assert sorted(row[0] for row in found) == sorted(wanted)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
def test_an_item_that_is_not_there_is_404(items, method):
    options = {"json": {"name": "x"}} if method == "PATCH" else {}
    reply = items.api.request(method, f"/items/{uuid7()}", **options)
    assert_problem(reply, 404, "not-found")


def test_a_removed_item_is_gone(items):
    made = items.api.post("/items", item()).json()
    reply = items.api.delete(f"/items/{made['id']}")
    assert reply.status_code == 204 and reply.content == b""
    assert "Content-Type" not in reply.headers
    assert_problem(items.api.get(f"/items/{made['id']}"), 404, "not-found")
    assert_problem(items.api.delete(f"/items/{made['id']}"), 404, "not-found")


def test_a_removed_item_frees_its_sku(items):
    made = items.api.post("/items", item()).json()
    items.api.delete(f"/items/{made['id']}")
    assert items.api.post("/items", item(sku=made["sku"])).status_code == 201
