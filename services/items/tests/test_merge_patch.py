"""PATCH is a merge patch (RFC 7396): what it names is replaced, null removes, the rest stays."""

import pytest
from support.load import item, side_by_side
from support.problems import assert_invalid, assert_problem


@pytest.fixture
def made(items):
    return items.api.post("/items", item()).json()


def patched(items, made, patch, **options):
    return items.api.patch(f"/items/{made['id']}", patch, **options)


@pytest.mark.parametrize("patch", [
    {"name": "New name"}, {"price_cents": 7}, {"description": "New"},
    {"name": "Both", "price_cents": 0}, {"description": ""}])
def test_what_it_names_is_replaced_and_the_rest_stays(items, made, patch):
    reply = patched(items, made, patch)
    assert reply.status_code == 200
    now = reply.json()
    assert now["updated_at"] >= made["updated_at"]
    assert now == made | patch | {"version": 2, "updated_at": now["updated_at"]}
    assert items.api.get(f"/items/{made['id']}").json() == now


def test_it_replaces_the_sku(items, made):
    fresh = item()["sku"]
    assert patched(items, made, {"sku": fresh}).json()["sku"] == fresh


def test_null_removes_what_is_optional(items, made):
    reply = patched(items, made, {"description": None})
    assert reply.status_code == 200 and "description" not in reply.json()
    again = patched(items, made, {"description": None})  # Removing what is absent changes nothing.
    assert again.status_code == 200 and "description" not in again.json()


@pytest.mark.parametrize("member", ["sku", "name", "price_cents"])
def test_null_can_not_remove_what_is_required(items, made, member):
    assert_invalid(patched(items, made, {member: None}), f"/{member}")


def test_a_patch_without_a_change_makes_a_new_version_all_the_same(items, made):
    for patch, version in (({}, 2), ({"name": made["name"]}, 3)):
        reply = patched(items, made, patch)
        assert reply.status_code == 200 and reply.json()["version"] == version
        assert reply.headers["ETag"] == f'"{version}"'


def test_both_media_types_are_understood(items, made):
    for media_type in ("application/merge-patch+json", "application/json",
                       "application/merge-patch+json; charset=utf-8"):
        reply = patched(items, made, {"price_cents": 3}, headers={"Content-Type": media_type})
        assert reply.status_code == 200, media_type


def test_all_faults_of_a_patch_are_told_at_once_and_change_nothing(items, made):
    reply = patched(items, made, {"sku": "no", "name": "", "price_cents": -1, "description": 5,
                                  "colour": "red"})
    assert_invalid(reply, "/sku", "/name", "/price_cents", "/description", "/colour")
    assert items.api.get(f"/items/{made['id']}").json() == made


@pytest.mark.parametrize("member", ["id", "version", "created_at", "updated_at"])
def test_what_the_service_makes_can_not_be_patched(items, made, member):
    assert_invalid(patched(items, made, {member: made[member]}), f"/{member}")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"true", b"null"])
def test_a_patch_is_an_object(items, made, body):
    assert_invalid(items.api.patch(f"/items/{made['id']}", body=body), "")


def test_a_patch_to_a_taken_sku_is_409_and_changes_nothing(items, made):
    other = items.api.post("/items", item()).json()
    assert_problem(patched(items, made, {"sku": other["sku"], "price_cents": 1}), 409, "sku-taken")
    assert items.api.get(f"/items/{made['id']}").json() == made


def test_a_patch_to_its_own_sku_is_fine(items, made):
    assert patched(items, made, {"sku": made["sku"]}).status_code == 200


def test_patches_side_by_side_lose_no_change(items, made):
    """Each one reads, merges and writes under the row's lock."""
    names = ["name", "price_cents", "description"]
    values = {"name": "side", "price_cents": 99, "description": "by side"}
    replies = side_by_side(9, lambda i: patched(items, made, {names[i % 3]: values[names[i % 3]]}))
    assert {reply.status_code for reply in replies} == {200}
    assert sorted(reply.json()["version"] for reply in replies) == list(range(2, 11))
    now = items.api.get(f"/items/{made['id']}").json()
    assert {name: now[name] for name in names} == values and now["version"] == 10
