"""The OpenAPI documents of one service's implementations: no client can tell them apart. And what
tells them apart does: a difference that was planted is found, a mere other spelling is not.
"""

import copy
import json
import subprocess

import pytest
from kit.paths import ROOT, SERVICES

ITEMS = json.loads((SERVICES / "items" / "contract" / "openapi.json").read_text())


def compare(tmp_path, one: dict, other: dict) -> list[str]:
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file, document in zip(files, (one, other)):
        file.write_text(json.dumps(document))
    done = subprocess.run([ROOT / "tools" / "conformance" / "compare", *files],
                          capture_output=True, text=True, timeout=20)
    assert done.stderr == ""
    assert done.returncode == (0 if done.stdout == "no difference\n" else 1)
    return [] if done.returncode == 0 else done.stdout.splitlines()


@pytest.mark.each_once
@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_pairings_document_is_that_of_the_contract(pairing, tmp_path, name):
    served = getattr(pairing, name).http.get("/openapi.json").json()
    contract = json.loads((SERVICES / name / "contract" / "openapi.json").read_text())
    assert compare(tmp_path, served, contract) == []


def remove(*path):
    def change(document):
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]
    return change


def put(value, *path):
    def change(document):
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value
    return change


SCHEMAS = ("components", "schemas")
NEW = (*SCHEMAS, "ItemNew")
POST = ("paths", "/items", "post")
PLANTED = {
    "a path that is missing": remove("paths", "/items/{id}"),
    "a method that is missing": remove("paths", "/items/{id}", "delete"),
    "a status that is missing": remove(*POST, "responses", "409"),
    "a header that is missing": remove(*POST, "responses", "201", "headers", "ETag"),
    "a parameter that is missing": lambda document: document["paths"]["/items"]["post"][
        "parameters"].pop(0),
    "a media type that is missing": remove("paths", "/items/{id}", "patch", "requestBody",
                                           "content", "application/json"),
    "a parameter that may be left out": remove("components", "parameters", "IdempotencyKey",
                                               "required"),
    "a body that may be left out": put(False, *POST, "requestBody", "required"),
    "a member that may be left out": put(["sku", "name"], *NEW, "required"),
    "another bound": put(119, *NEW, "properties", "name", "maxLength"),
    "another pattern": put("^[A-Z0-9]{3,32}$", *NEW, "properties", "sku", "pattern"),
    "another type": put("number", *NEW, "properties", "price_cents", "type"),
    "what may not be null": put("string", *NEW, "properties", "description", "type"),
    "members that nobody knows": remove(*NEW, "additionalProperties"),
    "another default": put(50, "components", "parameters", "Limit", "schema", "default"),
    "another operation id": put("create_item", *POST, "operationId"),
    "another server": put([{"url": "/api/v2"}], "servers"),
    "another member called title": put({"type": "string"}, *NEW, "properties", "title"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_difference_that_was_planted_is_found(tmp_path, planted):
    changed = copy.deepcopy(ITEMS)
    PLANTED[planted](changed)
    assert compare(tmp_path, ITEMS, changed) != []


def without_references(document: dict) -> None:
    """As other tools write it: the schema of a body in its place."""
    schema = document["components"]["schemas"]["ItemNew"]
    document["paths"]["/items"]["post"]["requestBody"]["content"]["application/json"][
        "schema"] = copy.deepcopy(schema)


def by_another_name(document: dict) -> None:
    text = json.dumps(document).replace("schemas/ItemNew\"", "schemas/NewItem\"")
    document |= json.loads(text)
    document["components"]["schemas"]["NewItem"] = document["components"]["schemas"].pop("ItemNew")


def null_as_a_branch(document: dict) -> None:
    description = document["components"]["schemas"]["ItemNew"]["properties"]["description"]
    description["anyOf"] = [{"type": "string", "maxLength": description.pop("maxLength")},
                            {"type": "null"}]
    del description["type"]


SPELLINGS = {
    "a type without a name": without_references,
    "a type by another name": by_another_name,
    "null as a branch of its own": null_as_a_branch,
    "another order": lambda document: document["components"]["schemas"]["ItemNew"][
        "required"].reverse(),
    "another summary": put("Make an item", *POST, "summary"),
    "a default that is written out": put(False, "components", "parameters", "Limit", "required"),
    "a title": put("Item", *NEW, "title"),
    "a header in small letters": lambda document: put(
        document["paths"]["/items"]["post"]["responses"]["201"]["headers"].pop("ETag"),
        *POST, "responses", "201", "headers", "etag")(document),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_is_no_difference(tmp_path, spelling):
    changed = copy.deepcopy(ITEMS)
    SPELLINGS[spelling](changed)
    assert changed != ITEMS
    assert compare(tmp_path, ITEMS, changed) == []
