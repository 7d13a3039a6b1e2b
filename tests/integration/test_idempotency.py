"""Idempotency-Key: a request that is sent again has its effect once and gets the same answer."""

import json
import threading
import time

import pytest
from support.broker import uuid7
from support.client import new_key
from support.load import item, side_by_side
from support.problems import assert_problem
from support.raw import Raw, head
from support.wait import eventually

# Those that tell of one exchange rather than of the answer.
_OF_THE_EXCHANGE = {"date", "x-request-id", "idempotent-replayed", "connection", "keep-alive"}


def answer(reply) -> dict:
    """The headers of an answer, without those that may differ from one exchange to the next."""
    return {name.lower(): value for name, value in reply.headers.items()
            if name.lower() not in _OF_THE_EXCHANGE}


def assert_replayed(first, second) -> None:
    assert second.headers.get("Idempotent-Replayed") == "true", second.text
    assert "Idempotent-Replayed" not in first.headers
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert answer(second) == answer(first)


def rows(world, wanted: dict) -> int:
    return world.sql("items", "SELECT count(*) FROM items WHERE sku = %s", wanted["sku"])[0][0]


def heard_of(tap, item_id: str, n: int) -> list[str]:
    """The events about this item: so many, and whatever more there are."""
    first = [tap.about(item_id) for _ in range(n)]
    more = [message for message in tap.drain() if message.json["id"] == item_id]
    return [message.routing_key for message in first + more]


# ---- The key ------------------------------------------------------------------


def test_a_post_without_a_key_is_400(items, world):
    wanted = item()
    assert_problem(items.api.post("/items", wanted, key=None), 400, "idempotency-key-missing")
    assert rows(world, wanted) == 0


@pytest.mark.parametrize("key", [
    "", '""', "k" * 256, "a b", "a\tb", "a,b c", '"unfinished', "ключ".encode(),
    "é".encode("latin-1"), '"a b"', '"' + "k" * 256 + '"'])
def test_a_key_that_is_none_is_400(items, world, key):
    wanted = item()
    reply = items.api.post("/items", wanted, key=None, headers={"Idempotency-Key": key})
    assert reply.status_code == 400
    slug = reply.json()["type"].removeprefix("/problems/")
    assert_problem(reply, 400, slug)
    # Nothing between the colon and the end of the line may be called missing as well.
    assert slug == "idempotency-key-invalid" or (slug == "idempotency-key-missing"
                                                 and not key.strip())
    assert rows(world, wanted) == 0


@pytest.mark.parametrize("prefix", ["", "!#$%&'()*+-./:;<=>?@[]^_`{|}~", "k" * 219])
def test_a_key_is_1_to_255_visible_characters(items, prefix):
    key = prefix + new_key()
    first = items.api.post("/items", body := item(), key=key)
    assert first.status_code == 201, first.text
    assert_replayed(first, items.api.post("/items", body, key=key))


def test_a_key_means_the_same_quoted_and_bare(items):
    key, body = new_key(), item()
    first = items.api.post("/items", body, key=f'"{key}"')
    assert_replayed(first, items.api.post("/items", body, key=key))


def test_a_key_given_twice_is_400(items):
    body = json.dumps(item())
    with Raw(items.url) as raw:
        raw.send(head("POST", "/api/v1/items", "Content-Type: application/json",
                      "Idempotency-Key: a-" + new_key(), "Idempotency-Key: b-" + new_key(),
                      f"Content-Length: {len(body)}") + body)
        reply = raw.response("POST", "/api/v1/items")
    assert_problem(reply, 400, "idempotency-key-invalid")


# ---- Again --------------------------------------------------------------------


def test_the_same_request_again_gets_the_same_bytes_and_headers(items):
    key, body = new_key(), item()
    first = items.api.post("/items", body, key=key)
    assert first.status_code == 201
    for _ in range(3):
        assert_replayed(first, items.api.post("/items", body, key=key))


def test_a_request_sent_again_has_one_row_one_event_and_one_activity(items, activity, world, tap):
    key, body = new_key(), item()
    made = [items.api.post("/items", body, key=key).json() for _ in range(4)]
    item_id = made[0]["id"]
    assert made == [made[0]] * 4 and rows(world, body) == 1
    world.await_activities(item_id, 1)
    assert [message.json["id"] for message in tap.drain()].count(item_id) == 1
    assert len(world.activities(item_id)) == 1


def test_a_replay_has_a_request_id_of_its_own(items):
    key, body = new_key(), item()
    first = items.api.post("/items", body, key=key, headers={"X-Request-Id": "one"})
    again = items.api.post("/items", body, key=key, headers={"X-Request-Id": "two"})
    assert_replayed(first, again)
    assert (first.headers["X-Request-Id"], again.headers["X-Request-Id"]) == ("one", "two")


def test_any_worker_and_any_replica_replays(items, start):
    other = start("items", WORKERS=2)
    key, body = new_key(), item()
    first = items.api.post("/items", body, key=key)
    for _ in range(6):  # Each over a connection of its own, so all workers have their turn.
        assert_replayed(first, other.api.post("/items", body, key=key))
        assert_replayed(first, items.api.post("/items", body, key=key))


def test_a_replay_outlives_the_process(start, items):
    key, body = new_key(), item()
    mortal = start("items")
    first = mortal.api.post("/items", body, key=key)
    mortal.kill9()
    assert_replayed(first, items.api.post("/items", body, key=key))


def test_an_item_that_was_changed_since_is_replayed_as_it_was(items):
    key, body = new_key(), item()
    first = items.api.post("/items", body, key=key)
    items.api.patch(f"/items/{first.json()['id']}", {"name": "changed"})
    items.api.delete(f"/items/{first.json()['id']}")
    assert_replayed(first, items.api.post("/items", body, key=key))


# ---- Another request ------------------------------------------------------------


@pytest.mark.parametrize("change", [
    {"name": "other"}, {"price_cents": 126}, {"description": "other"}, {"sku": "OTHER-1"}])
def test_the_key_of_another_request_is_422(items, world, change):
    key, body = new_key(), item()
    first = items.api.post("/items", body, key=key)
    problem = assert_problem(items.api.post("/items", body | change, key=key), 422,
                             "idempotency-key-reused")
    assert "errors" not in problem
    assert rows(world, body) == 1
    assert_replayed(first, items.api.post("/items", body, key=key))


def test_another_path_is_another_scope(items):
    key = new_key()
    one, two = (items.api.post("/items", item()).json()["id"] for _ in range(2))
    for item_id in (one, two):
        reply = items.api.patch(f"/items/{item_id}", {"price_cents": 1}, key=key)
        assert reply.status_code == 200 and "Idempotent-Replayed" not in reply.headers


def test_another_method_is_another_scope(items):
    key = new_key()
    path = f"/items/{items.api.post('/items', item(), key=key).json()['id']}"
    assert items.api.patch(path, {"price_cents": 1}, key=key).status_code == 200
    assert items.api.delete(path, key=key).status_code == 204


@pytest.mark.parametrize("header", ["X-authentik-uid", "X-authentik-username"])
def test_another_principal_is_another_scope(items, header):
    key = new_key()
    made = [items.api.post("/items", item(), key=key, headers=headers)
            for headers in ({}, {header: "alice-" + key}, {header: "bob-" + key})]
    assert [reply.status_code for reply in made] == [201, 201, 201]
    assert len({reply.json()["id"] for reply in made}) == 3


def test_the_uid_goes_before_the_name_as_the_principal(items):
    key, body, uid = new_key(), item(), "uid-" + new_key()
    first = items.api.post("/items", body, key=key, headers={
        "X-authentik-uid": uid, "X-authentik-username": "before the marriage"})
    again = items.api.post("/items", body, key=key, headers={
        "X-authentik-uid": uid, "X-authentik-username": "after"})
    assert_replayed(first, again)


# ---- What is kept ----------------------------------------------------------------


def test_a_conflict_is_not_kept_so_the_key_works_once_the_cause_is_gone(items):
    taken = items.api.post("/items", item()).json()
    key, body = new_key(), item(sku=taken["sku"])
    for _ in range(2):
        assert_problem(items.api.post("/items", body, key=key), 409, "sku-taken")
    items.api.delete(f"/items/{taken['id']}")
    reply = items.api.post("/items", body, key=key)
    assert reply.status_code == 201 and "Idempotent-Replayed" not in reply.headers


def test_a_refused_body_is_not_kept_so_the_key_works_for_the_right_one(items):
    key = new_key()
    assert items.api.post("/items", item(name=""), key=key).status_code == 422
    assert items.api.post("/items", item(), key=key).status_code == 201


def test_a_412_is_not_kept(items):
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    key, headers = new_key(), {"If-Match": '"2"'}
    patch = {"price_cents": 9}
    assert items.api.patch(path, patch, key=key, headers=headers).status_code == 412
    items.api.patch(path, {"price_cents": 8})
    reply = items.api.patch(path, patch, key=key, headers=headers)
    assert reply.status_code == 200 and reply.json()["version"] == 3


def test_a_patch_with_a_key_changes_once(items, tap):
    item_id = items.api.post("/items", item()).json()["id"]
    key = new_key()
    first = items.api.patch(f"/items/{item_id}", {"price_cents": 1}, key=key)
    assert_replayed(first, items.api.patch(f"/items/{item_id}", {"price_cents": 1}, key=key))
    assert items.api.get(f"/items/{item_id}").json()["version"] == 2
    assert heard_of(tap, item_id, 2) == ["item.created", "item.updated"]


def test_a_delete_with_a_key_is_204_again(items, tap):
    item_id = items.api.post("/items", item()).json()["id"]
    key = new_key()
    first = items.api.delete(f"/items/{item_id}", key=key)
    assert first.status_code == 204
    assert_replayed(first, items.api.delete(f"/items/{item_id}", key=key))
    assert_problem(items.api.delete(f"/items/{item_id}"), 404, "not-found")
    assert heard_of(tap, item_id, 2) == ["item.created", "item.deleted"]


def test_patch_and_delete_without_a_key_are_served(items):
    item_id = items.api.post("/items", item()).json()["id"]
    assert items.api.patch(f"/items/{item_id}", {"price_cents": 1}).status_code == 200
    assert items.api.delete(f"/items/{item_id}").status_code == 204


def test_a_key_on_a_read_means_nothing(items):
    key = new_key()
    path = f"/items/{items.api.post('/items', item()).json()['id']}"
    before = items.api.get(path, headers={"Idempotency-Key": key}).json()
    items.api.patch(path, {"price_cents": 1})
    after = items.api.get(path, headers={"Idempotency-Key": key})
    assert "Idempotent-Replayed" not in after.headers and after.json() != before


def test_a_key_expires(start, world):
    service = start("items", IDEMPOTENCY_TTL_S=4)
    key, body = new_key(), item()
    first = service.api.post("/items", body, key=key)
    assert_replayed(first, service.api.post("/items", body, key=key))

    def forgotten():
        """The same request is a new one now; its SKU is taken by the first."""
        reply = service.api.post("/items", body, key=key)
        return reply.status_code == 409 and assert_problem(reply, 409, "sku-taken")

    eventually(forgotten, seconds=20, every=0.2)
    reply = service.api.post("/items", item(), key=key)
    assert reply.status_code == 201 and "Idempotent-Replayed" not in reply.headers


# ---- Side by side -----------------------------------------------------------------


def until_done(service, body: dict, key: str):
    """What a client does: tries again while its own request is still at work."""
    deadline = time.monotonic() + 20
    while True:
        reply = service.api.post("/items", body, key=key)
        if reply.status_code != 409 or time.monotonic() > deadline:
            return reply
        assert_problem(reply, 409, "idempotency-key-in-use", retry=True)
        time.sleep(0.02)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_same_request_side_by_side_has_one_effect(items, activity, start, world, tap, replicas):
    services = [items] + [start("items") for _ in range(replicas - 1)]
    for _ in range(4):
        key, body = new_key(), item()
        replies = side_by_side(12, lambda i: until_done(services[i % replicas], body, key))
        assert {reply.status_code for reply in replies} == {201}
        assert len({reply.content for reply in replies}) == 1
        fresh = [reply for reply in replies if "Idempotent-Replayed" not in reply.headers]
        assert len(fresh) <= 1
        item_id = replies[0].json()["id"]
        assert rows(world, body) == 1
        world.await_activities(item_id, 1)
        assert [message.json["id"] for message in tap.drain(0.3)].count(item_id) == 1
        assert len(world.activities(item_id)) == 1


def test_while_the_first_is_at_work_the_second_is_409_and_then_replayed(start, world):
    """One worker, so that both meet there; a lock on the table makes the first one slow."""
    service = start("items", WORKERS=1, DATABASE_LOCK_TIMEOUT_MS=15000, REQUEST_TIMEOUT_MS=15000)
    key, body, got = new_key(), item(), []
    with world.transaction("items") as holder:
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        first = threading.Thread(target=lambda: got.append(
            service.api.post("/items", body, key=key)))
        first.start()
        eventually(lambda: waiting(world) > 0, what="a request that waits")
        assert_problem(service.api.post("/items", body, key=key), 409, "idempotency-key-in-use",
                       retry=True)
    first.join(20)
    assert got[0].status_code == 201
    assert_replayed(got[0], service.api.post("/items", body, key=key))


def test_while_another_replica_is_at_work_the_second_is_409_or_waits(start, world):
    """Two processes know of each other by the database alone. Never two effects."""
    slow = {"DATABASE_LOCK_TIMEOUT_MS": 1000, "REQUEST_TIMEOUT_MS": 15000}
    one, two = start("items", **slow), start("items", **slow)
    key, body = new_key(), item()
    with world.transaction("items") as holder:
        holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        got = []
        threads = [threading.Thread(target=lambda s=service: got.append(until_done(s, body, key)))
                   for service in (one, two)]
        for thread in threads:
            thread.start()
        eventually(lambda: waiting(world) > 0, what="a request that waits")
    for thread in threads:
        thread.join(30)
    final = [until_done(service, body, key) for service in (one, two)]
    assert {reply.status_code for reply in final} == {201}
    assert final[0].content == final[1].content and rows(world, body) == 1


def waiting(world) -> int:
    """The sessions of this database that wait for a lock."""
    return world.sql("items", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                     " AND datname = current_database()")[0][0]


def test_different_payloads_with_one_key_side_by_side_have_one_winner(items, world):
    key = new_key()
    bodies = [item() for _ in range(8)]
    replies = side_by_side(8, lambda i: until_done(items, bodies[i], key))
    assert sorted(reply.status_code for reply in replies) == [201] + [422] * 7
    assert sum(rows(world, body) for body in bodies) == 1


def test_many_keys_side_by_side_do_not_disturb_each_other(items, world):
    """Twins in one batch, among strangers: each key has one effect."""
    keys, bodies = [new_key() for _ in range(8)], [item() for _ in range(8)]
    replies = side_by_side(32, lambda i: until_done(items, bodies[i % 8], keys[i % 8]))
    assert {reply.status_code for reply in replies} == {201}
    for i in range(8):
        assert len({reply.content for reply in replies[i::8]}) == 1
        assert rows(world, bodies[i]) == 1


def test_keys_never_show_in_the_log(items):
    key = "secret-key-" + new_key()
    bodies = [item(), item()]  # A success, and a key used again.
    for body in bodies:
        items.api.post("/items", body, key=key)
    said = items.out.read_text() + items.err.read_text()
    assert key not in said and not any(body["sku"] in said for body in bodies)


def test_a_key_on_a_path_that_is_not_there_is_404(items):
    assert_problem(items.api.post(f"/nothing/{uuid7()}", item(), key=new_key()), 404, "not-found")
