"""What this implementation shares with the one in C, beyond what the contract suite sees: FastAPI's
own view of the routes, and the rows, keys and cursors that either must understand of the other.
"""

import os
import subprocess
from pathlib import Path

import pytest
from kit.paths import ROOT
from support.client import new_key
from support.load import item

HERE = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".trunnion" / "peers" / "items-fastapi" / "venv" / "bin" / "python"


def test_the_routes_and_models_say_what_the_contract_says():
    subprocess.run([HERE / "make"], check=True, timeout=600)
    done = subprocess.run([PYTHON, "-B", "-m", "items_fastapi.openapi"], cwd=HERE,
                          env={"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE)},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", params=[("c", "fastapi"), ("fastapi", "c")], ids="-then-".join)
def pair(world, request):
    """Two implementations on one database; the first is there before the second."""
    made = [world.service("items", implementation=name).start() for name in request.param]
    yield made
    world.stop(made)


def test_a_key_of_one_is_replayed_by_the_other(pair):
    first, second = pair
    body, key = item(name="ä"), new_key()
    made = first.api.post("/items", body, key=key)
    again = second.api.post("/items", body, key=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.content) == (made.status_code, made.content)
    for name in ("Content-Type", "ETag", "Location"):
        assert again.headers[name] == made.headers[name]
    assert second.api.post("/items", item(), key=key).status_code == 422


def test_a_removal_by_one_is_replayed_by_the_other(pair):
    first, second = pair
    path, key = f"/items/{first.api.post('/items', item()).json()['id']}", new_key()
    assert first.api.delete(path, key=key).status_code == 204
    again = second.api.delete(path, key=key)
    assert again.status_code == 204 and again.headers["Idempotent-Replayed"] == "true"


def test_both_show_an_item_in_the_same_bytes(pair):
    first, second = pair
    made = first.api.post("/items", item(name="🔩 \u2028 ü")).json()
    path = f"/items/{made['id']}"
    assert first.api.get(path).content == second.api.get(path).content
    changed = second.api.patch(path, {"description": None, "price_cents": 7})
    assert first.api.get(path).content == changed.content


def test_a_cursor_of_one_leads_on_at_the_other(pair):
    first, second = pair
    for _ in range(3):
        first.api.post("/items", item())
    one, other = (service.api.get("/items?limit=2") for service in pair)
    assert one.content == other.content and one.headers["Link"] == other.headers["Link"]
    cursor = one.json()["next_cursor"]
    assert (first.api.get(f"/items?cursor={cursor}").content
            == second.api.get(f"/items?cursor={cursor}").content)


@pytest.mark.parametrize("body", [{}, {"sku": "x", "name": "", "price_cents": -1, "more": []},
                                  {"sku": None, "name": 5, "price_cents": True},
                                  {"description": "d" * 2001, "sku": "ABC", "name": "n" * 121}])
def test_both_say_what_is_wrong_in_the_same_words(pair, body):
    key, headers = new_key(), {"X-Request-Id": "same"}
    told = [service.api.post("/items?x=1", body, key=key, headers=headers).json()
            for service in pair]
    for one in told:
        one["errors"].sort(key=lambda error: (error.get("pointer", ""), error["detail"]))
    assert told[0] == told[1]
