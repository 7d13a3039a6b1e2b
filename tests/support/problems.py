"""What every error looks like (RFC 9457, and our contract). All tests ask here."""

import json
import re
from urllib.parse import unquote, urlsplit

MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TITLES: dict[str, str] = {}
_WITH_RETRY_AFTER = {429, 503}


def assert_problem(reply, status: int, slug: str, *, retry: bool = False,
                   detail: str = "", body: bool = True) -> dict:
    """Asserts the whole shape of a problem and returns it. `detail` is a pattern that is in it."""
    said = f"{reply.request.method} {reply.request.url} -> {reply.status_code} {reply.text}"
    assert reply.status_code == status, said
    assert reply.headers["Content-Type"] == "application/problem+json", said
    assert "no-store" in reply.headers["Cache-Control"], said
    assert REQUEST_ID.fullmatch(reply.headers["X-Request-Id"]), said
    if retry or status in _WITH_RETRY_AFTER:
        assert re.fullmatch(r"[1-9]\d*", reply.headers["Retry-After"]), said
    if reply.request.method == "HEAD" or not body:
        return {}
    path = urlsplit(reply.request.url).path
    return check_problem(json.loads(reply.content), status, slug, path,
                         reply.headers["X-Request-Id"], detail)


def check_problem(problem: dict, status: int, slug: str, path: str | None, request_id: str,
                  detail: str = "") -> dict:
    """The same for a problem that came another way; `path` None: the server can't know it."""
    allowed = MEMBERS | ({"errors"} if slug == "validation-failed" else set())
    missing = {"instance"} - set(problem) if path is None else set()
    assert set(problem) == allowed - missing, problem
    assert problem["type"] == f"/problems/{slug}", problem
    assert problem["status"] == status, problem
    assert problem["request_id"] == request_id, problem
    assert isinstance(problem["title"], str) and problem["title"], problem
    assert isinstance(problem["detail"], str) and problem["detail"], problem
    # "A short summary of the problem type: it doesn't change from occurrence to occurrence."
    assert _TITLES.setdefault(slug, problem["title"]) == problem["title"], problem
    if path is not None:
        assert unquote(problem["instance"]) == unquote(path), problem
    if detail:
        assert re.search(detail, problem["detail"]), problem
    if slug == "validation-failed":
        assert problem["errors"], problem
        for error in problem["errors"]:
            check_error(error)
    return problem


def check_error(error: dict) -> None:
    assert isinstance(error["detail"], str) and error["detail"], error
    if "pointer" in error:
        assert set(error) == {"pointer", "detail"}, error
        assert error["pointer"] == "" or error["pointer"].startswith("/"), error
    else:
        assert set(error) == {"parameter", "in", "detail"}, error
        assert error["in"] in ("query", "path", "header"), error


def assert_invalid(reply, *places: str) -> dict:
    """A 422 with errors at exactly these places: JSON Pointers, or `query:limit`, `path:id`."""
    problem = assert_problem(reply, 422, "validation-failed")
    found = sorted(place(error) for error in problem["errors"])
    assert found == sorted(places), problem
    return problem


def place(error: dict) -> str:
    return error["pointer"] if "pointer" in error else f"{error['in']}:{error['parameter']}"
