"""Conditional requests (RFC 9110 13): ETag, If-None-Match, If-Match."""

import pytest
from support.broker import uuid7
from support.load import item, side_by_side
from support.problems import assert_problem


@pytest.fixture
def made(items):
    return items.api.post("/items", item()).json()


@pytest.fixture
def path(made):
    return f"/items/{made['id']}"


def test_the_etag_follows_the_version(items, path):
    assert items.api.get(path).headers["ETag"] == '"1"'
    assert items.api.patch(path, {"name": "2"}).headers["ETag"] == '"2"'
    assert items.api.get(path).headers["ETag"] == '"2"'
    assert items.api.head(path).headers["ETag"] == '"2"'


@pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"9", "1"', '"9" ,W/"1","10"', "*", '"a,b", "1"'])
def test_a_reader_who_has_it_gets_304_without_a_body(items, path, tags):
    for method in ("GET", "HEAD"):
        reply = items.api.request(method, path, headers={"If-None-Match": tags})
        assert reply.status_code == 304 and reply.content == b""
        assert reply.headers["ETag"] == '"1"'
        assert "X-Request-Id" in reply.headers


@pytest.mark.parametrize("tags", ['"2"', 'W/"11"', '"0", "3"', "1", '"a,1"'])
def test_a_reader_who_has_another_one_gets_it_whole(items, path, made, tags):
    reply = items.api.get(path, headers={"If-None-Match": tags})
    assert reply.status_code == 200 and reply.json() == made


def test_if_none_match_on_what_is_not_there_is_404(items):
    reply = items.api.get(f"/items/{uuid7()}", headers={"If-None-Match": "*"})
    assert_problem(reply, 404, "not-found")


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*"])
def test_a_change_goes_through_when_the_version_is_the_expected_one(items, path, tags):
    reply = items.api.patch(path, {"name": "expected"}, headers={"If-Match": tags})
    assert reply.status_code == 200 and reply.headers["ETag"] == '"2"'


# Weak tags never match here: RFC 9110 13.1.1 asks for the strong comparison.
@pytest.mark.parametrize("tags", ['"2"', '"0", "3"', 'W/"1"', "1", '"01"'])
def test_a_change_of_another_version_is_412_and_changes_nothing(items, path, made, tags):
    reply = items.api.patch(path, {"name": "late"}, headers={"If-Match": tags})
    assert_problem(reply, 412, "precondition-failed")
    assert items.api.get(path).json() == made


def test_a_removal_honours_if_match_too(items, path):
    assert_problem(items.api.delete(path, headers={"If-Match": '"2"'}), 412, "precondition-failed")
    assert items.api.get(path).status_code == 200
    assert items.api.delete(path, headers={"If-Match": '"1"'}).status_code == 204


def test_if_match_on_what_is_not_there_is_404_or_412(items):
    """RFC 9110 13.1.1 allows 412; 404 says more. Never a success."""
    reply = items.api.patch(f"/items/{uuid7()}", {"name": "x"}, headers={"If-Match": "*"})
    assert reply.status_code in (404, 412)


def test_of_many_who_saw_the_same_version_one_wins(items, path):
    replies = side_by_side(6, lambda i: items.api.patch(
        path, {"name": f"from {i}"}, headers={"If-Match": '"1"'}))
    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 5
    winner = next(reply for reply in replies if reply.status_code == 200)
    assert items.api.get(path).json() == winner.json()


def test_a_412_sends_no_event(items, path, tap, made):
    items.api.patch(path, {"name": "late"}, headers={"If-Match": '"5"'})
    items.api.patch(path, {"name": "in time"}, headers={"If-Match": '"1"'})
    heard = []
    while "item.updated" not in heard:
        heard.append(tap.about(made["id"]).routing_key)
    heard += [message.routing_key for message in tap.drain() if message.json["id"] == made["id"]]
    assert [key for key in heard if key != "item.created"] == ["item.updated"]
