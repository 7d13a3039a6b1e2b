"""The collection of requests, run by Bruno and, as its export, by newman; directly and behind a
proxy.
"""

import json
import os
import subprocess

import pytest
from kit.paths import ROOT
from support.front_proxy import FrontProxy

BRUNO, POSTMAN = ROOT / "contract" / "bruno", ROOT / "contract" / "postman"
USERNAME, PASSWORD = "trunnion-client", "an app password"
REQUESTS_MIN = 110  # Far fewer, and something was not run.


def variables(pairing, **changed) -> list[str]:
    wanted = {"items_url": pairing.items.url, "activity_url": pairing.activity.url,
              "allowed_origin": pairing.origin, "dead_letter": "true"} | changed
    return [word for name, value in wanted.items() for word in ("--env-var", f"{name}={value}")]


def node(tools, name: str) -> list:
    """A program of npm's, run by the Node.js that is pinned beside it."""
    programs = tools / "node_modules" / ".bin"
    return [programs / "node", programs / name]


def bruno(tools, report, environment: str, words: list[str]) -> tuple[int, list[str]]:
    """Runs the collection; gives how many requests there were, and what failed."""
    done = subprocess.run(
        [*node(tools, "bru"), "run", "-r", "--sandbox", "developer", "--noproxy",
         "--env", environment, "--reporter-json", report, *words],
        cwd=BRUNO, capture_output=True, text=True, timeout=120, env=os.environ | {
            "NODE_OPTIONS": f"--require {ROOT / 'tools' / 'conformance' / 'localhost.cjs'}"})
    assert report.exists(), done.stdout + done.stderr
    [run] = json.loads(report.read_text())
    failed = [f"{one['path']}: {test.get('description')}: {test.get('error')}"
              for one in run["results"] for test in one.get("testResults", [])
              if test["status"] != "pass"]
    failed += [f"{one['path']}: {one['error']}" for one in run["results"] if one.get("error")]
    assert (done.returncode == 0) == (not failed), done.stdout[-4000:] + done.stderr
    return len(run["results"]), failed


def newman(tools, report, environment: str, words: list[str]) -> tuple[int, list[str]]:
    done = subprocess.run(
        [*node(tools, "newman"), "run",
         POSTMAN / "trunnion.postman_collection.json", "--environment",
         POSTMAN / f"{environment}.postman_environment.json", "--reporters", "json",
         "--reporter-json-export", report, *words],
        capture_output=True, text=True, timeout=120)
    assert report.exists(), done.stdout + done.stderr
    run = json.loads(report.read_text())["run"]
    failed = [f"{one['source'].get('name')}: {one['error'].get('test')}: {one['error']['message']}"
              for one in run["failures"]]
    assert (done.returncode == 0) == (not failed), done.stdout[-4000:] + done.stderr
    return run["stats"]["requests"]["total"], failed


RUNNERS = pytest.mark.parametrize("run", [bruno, newman])


@RUNNERS
def test_the_collection_holds(pairing, tools, tmp_path, run):
    requests, failed = run(tools, tmp_path / "report.json", "direct", variables(pairing))
    assert failed == []
    assert requests >= REQUESTS_MIN


@RUNNERS
@pytest.mark.each_once
def test_the_collection_holds_behind_a_proxy(pairing, tools, tmp_path, run):
    proxy = FrontProxy(pairing.items, pairing.activity, USERNAME, PASSWORD, pairing.origin)
    try:
        words = variables(pairing, items_url=proxy.url("items"),
                          activity_url=proxy.url("activity"), username=USERNAME, password=PASSWORD)
        requests, failed = run(tools, tmp_path / "report.json", "traefik", words)
    finally:
        proxy.stop()
    assert failed == []
    assert requests >= REQUESTS_MIN


@RUNNERS
@pytest.mark.c_alone
@pytest.mark.parametrize("changed, named", [
    ({"allowed_origin": "https://other.example"}, "may read the answer"),
    ({"activity_url": "http://127.0.0.1:9"}, "")], ids=["origin", "activity"])
def test_the_collection_can_fail(pairing, tools, tmp_path, run, changed, named):
    words = variables(pairing, **changed)
    _, failed = run(tools, tmp_path / "report.json", "direct", words)
    assert any(named in fault for fault in failed), failed


def test_the_export_is_what_the_tool_makes(installed, tmp_path):
    subprocess.run([ROOT / "tools" / "conformance" / "export", tmp_path], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made and made == {path.name: path.read_text() for path in POSTMAN.iterdir()}
