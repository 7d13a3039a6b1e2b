"""Lists are pages: newest first, stable while others insert, and searchable."""

import base64

import pytest
from support.load import assert_links_to_next, item, pages, sku
from support.problems import assert_invalid, assert_problem
from support.raw import Raw, head


@pytest.fixture
def word():
    """A word that only the items of this test have in their names."""
    return sku("W")


@pytest.fixture
def make(items, word):
    def some(n: int) -> list[str]:
        """Makes n items; their ids, newest first."""
        return [items.api.post("/items", item(name=f"{word} {i}")).json()["id"]
                for i in range(n)][::-1]

    return some


def ids(listing) -> list[str]:
    return [one["id"] for page in listing for one in page["items"]]


def test_the_list_is_newest_first_and_whole(items, make, word):
    made = make(7)
    assert ids(pages(items.api, "/items", q=word, limit=3)) == made


def test_an_item_in_a_list_is_the_item_as_it_is_shown(items, make, word):
    make(1)
    [page] = pages(items.api, "/items", q=word)
    shown = items.api.get(f"/items/{page['items'][0]['id']}").json()
    assert page["items"] == [shown]


@pytest.mark.parametrize("n, limit, sizes", [
    (0, 5, [0]), (4, 5, [4]), (5, 5, [5]), (6, 5, [5, 1]), (3, 1, [1, 1, 1])])
def test_pages_are_full_and_the_last_one_has_no_cursor(items, make, word, n, limit, sizes):
    make(n)
    assert [len(page["items"]) for page in pages(items.api, "/items", q=word, limit=limit)] == sizes


def test_a_page_has_20_unless_another_limit_is_given(items, make, word):
    make(21)
    assert len(items.api.get("/items", params={"q": word}).json()["items"]) == 20
    assert len(items.api.get("/items", params={"q": word, "limit": 100}).json()["items"]) == 21


def test_the_link_to_the_next_page_keeps_the_search_and_the_limit(items, make, word):
    made = make(5)
    reply = items.api.get("/items", params={"q": word, "limit": 2})
    assert_links_to_next(reply, reply.json()["next_cursor"])
    target = reply.headers["Link"].partition(">")[0][1:]
    url = target if target.startswith("http") else items.url + target
    path = url.removeprefix(items.url)
    assert [one["id"] for one in items.http.get(path).json()["items"]] == made[2:4]


def test_pages_are_stable_while_others_insert(items, make, word):
    made = make(6)
    listing = pages(items.api, "/items", q=word, limit=2)
    first = next(listing)
    newer = make(3)
    seen = ids([first]) + ids(listing)
    assert seen == made
    assert ids(pages(items.api, "/items", q=word)) == newer + made


def test_pages_are_stable_while_what_was_seen_is_removed(items, make, word):
    made = make(6)
    listing = pages(items.api, "/items", q=word, limit=2)
    first = next(listing)
    for one in first["items"] + [{"id": made[3]}]:
        items.api.delete(f"/items/{one['id']}")
    assert ids([first]) + ids(listing) == made[:3] + made[4:]


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_a_search_does_not_mind_the_case(items, make, word, change):
    made = make(2)
    assert ids(pages(items.api, "/items", q=change(word))) == made


def test_a_search_finds_names_and_skus_by_any_part(items):
    unique = sku("Q")
    by_sku = items.api.post("/items", item(sku=unique)).json()["id"]
    by_name = items.api.post("/items", item(name=f"with {unique.lower()} inside")).json()["id"]
    assert ids(pages(items.api, "/items", q=unique[2:])) == [by_name, by_sku]


@pytest.mark.parametrize("text", ["100%", "a_b", "a\\b", "it's", "ä ö", "a+b", "a&b", "50 %_"])
def test_what_is_searched_for_is_taken_literally(items, word, text):
    hit = items.api.post("/items", item(name=f"{word} {text}")).json()["id"]
    items.api.post("/items", item(name=f"{word} 100x aXb a/b its a b ab"))
    assert ids(pages(items.api, "/items", q=f"{word} {text}")) == [hit]


@pytest.mark.parametrize("cursor", [
    "x", "!!!!", "AAAA", "a" * 400, "%20", "=", "MQ==", "bnVsbA", "-1", "1", "\u00e9", "../../etc",
    base64.urlsafe_b64encode(b"\x01" + b"\xff" * 40).decode()])
def test_a_cursor_that_is_not_ours_is_422(items, cursor):
    assert_invalid(items.api.get("/items", params={"cursor": cursor}), "query:cursor")


def test_a_cursor_with_an_end_cut_off_or_added_is_422(items, make, word):
    make(2)
    cursor = items.api.get("/items", params={"q": word, "limit": 1}).json()["next_cursor"]
    for wrong in (cursor[:-1], cursor[:-3], cursor[1:], cursor + "A", cursor + "AAAA",
                  cursor + "="):
        assert_invalid(items.api.get("/items", params={"cursor": wrong}), "query:cursor")


def test_an_empty_cursor_is_422(items):
    assert_invalid(items.api.get("/items?cursor="), "query:cursor")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "abc", "", "1.5", "1e1", " 5", "5 ", "0x10",
                                   "99999999999999999999", "+5", "５"])
def test_a_limit_out_of_its_range_is_422(items, limit):
    assert_invalid(items.api.get("/items", params={"limit": limit}), "query:limit")


@pytest.mark.parametrize("limit", ["1", "100"])
def test_a_limit_at_its_bound_is_fine(items, limit):
    assert items.api.get("/items", params={"limit": limit}).status_code == 200


@pytest.mark.parametrize("q", ["", "x" * 121, "ü" * 121])
def test_a_search_has_1_to_120_code_points(items, q):
    assert_invalid(items.api.get("/items", params={"q": q}), "query:q")
    assert items.api.get("/items", params={"q": "ü" * 120}).status_code == 200


def test_all_faults_of_a_query_are_told_at_once(items):
    reply = items.api.get("/items", params={"limit": "x", "cursor": "!", "q": "", "colour": "red"})
    assert_invalid(reply, "query:limit", "query:cursor", "query:q", "query:colour")


def test_a_parameter_given_twice_is_422(items):
    assert_invalid(items.api.get("/items?limit=1&limit=2"), "query:limit")


@pytest.mark.parametrize("query", ["q=%ff", "q=%00", "q=a%00b", "q=%zz", "q=%", "q=%c3%28"])
def test_a_query_that_is_no_text_is_refused(items, query):
    path = "/api/v1/items?" + query
    with Raw(items.url) as raw:  # A library would mend it.
        reply = raw.send(head("GET", path)).response("GET", path)
    if reply.status_code == 422:
        assert_invalid(reply, "query:q")
    else:
        assert_problem(reply, 400, "bad-request")
