"""How make test counts: nothing that failed, was skipped, or did not run, passes for a success."""

import json

import pytest
from kit import suites
from kit.suites import Ran


def ran(tmp_path, status, text=""):
    log = tmp_path / "a.log"
    log.write_text(text)
    return Ran(status, log)


@pytest.mark.parametrize("status, text, passed, failed", [
    (0, "x\n7 passed, 0 failed\n", 7, 0),
    (1, "7 passed, 2 failed\n", 7, 2),
    (0, "check: 3 passed, 0 failed, 2 skipped\n", 3, 2),
    (1, "7 passed, 0 failed\n", 7, 1),
    (0, "nothing\n", 0, 1),
    (None, "3 passed, 0 failed\n", 3, 1),
])
def test_counts_are_taken_from_the_last_line_that_has_them(tmp_path, status, text, passed, failed):
    outcome = suites.counted("a", ran(tmp_path, status, text))
    assert (outcome.passed, len(outcome.failures)) == (passed, failed)


REPORT = """<testsuites><testsuite><testcase classname="m" name="good"/>
<testcase classname="m" name="bad"><failure message="assert 1 == 2&#10; +  where"/></testcase>
<testcase classname="m" name="broken"><error/></testcase>
<testcase classname="m" name="left"><skipped/></testcase></testsuite></testsuites>"""


def test_a_skipped_python_test_has_failed(tmp_path):
    report = tmp_path / "a.xml"
    report.write_text(REPORT)
    outcome = suites.junit("a", ran(tmp_path, 1), report)
    assert outcome.passed == 1
    assert outcome.failures == ["a: m::bad (failure: assert 1 == 2 + where)",
                                "a: m::broken (error)", "a: m::left (skipped)"]


@pytest.mark.parametrize("status, text", [
    (0, "<testsuites/>"), (5, "<testsuites/>"), (None, "<testsuites/>"), (2, None),
    (1, "<testsuites><testcase classname='m' name='good'/></testsuites>"),
])
def test_a_python_run_that_counts_no_failure_but_went_wrong_has_failed(tmp_path, status, text):
    report = tmp_path / "a.xml"
    if text:
        report.write_text(text)
    assert len(suites.junit("a", ran(tmp_path, status), report).failures) == 1


def meson(tmp_path, status, *tests):
    (tmp_path / "meson-logs").mkdir()
    (tmp_path / "meson-logs/testlog.json").write_text(
        "\n".join(json.dumps({"name": name, "result": result, "stdout": stdout,
                              "stderr": "".join(stderr)})
                  for name, result, stdout, *stderr in tests))
    return suites.meson("unit", ran(tmp_path, status), tmp_path)


def test_every_case_of_a_unit_test_counts(tmp_path):
    outcome = meson(tmp_path, 1, ("a", "OK", "1..2\nok 1 - x\nok 2 - y\n"),
                    ("b", "FAIL", "1..2\nok 1 - x\nnot ok 2 - y\n# 1 != 2\n# b.c:9: error\n"))
    assert outcome.passed == 3 and outcome.failures == ["unit: b: y: 1 != 2 b.c:9: error"]


def test_a_skipped_case_of_a_unit_test_has_failed(tmp_path):
    outcome = meson(tmp_path, 0, ("a", "OK", "1..2\nok 1 - x\nok 2 - y # SKIP\n"))
    assert outcome.passed == 1 and len(outcome.failures) == 1


def test_what_a_sanitizer_found_is_told(tmp_path):
    outcome = meson(tmp_path, 1, ("a", "FAIL", "1..1\n", "==1==\nSUMMARY: TSan: data race\n"))
    assert outcome.failures == ["unit: a: FAIL; SUMMARY: TSan: data race"]


def test_a_unit_test_that_crashed_after_good_cases_has_failed(tmp_path):
    outcome = meson(tmp_path, 1, ("a", "ERROR", "1..9\nok 1 - x\n"), ("b", "TIMEOUT", ""))
    assert outcome.passed == 1
    assert [failure.split(";")[0] for failure in outcome.failures] == \
        ["unit: a: ERROR", "unit: b: TIMEOUT"]


def test_a_program_without_cases_counts_as_one(tmp_path):
    assert meson(tmp_path, 0, ("a", "OK", "")).passed == 1


def test_unit_tests_that_did_not_run_have_failed(tmp_path):
    assert len(suites.meson("unit", ran(tmp_path, 0), tmp_path).failures) == 1


def test_a_command_that_takes_too_long_is_ended_and_has_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(suites, "LOGS", tmp_path)
    late = suites.execute("late", ["sleep", "60"], minutes=0.005)
    assert late.status is None
    assert suites.one("late", late).failures[0].startswith("late: ran out of time")


PEER_TEST = """#!/bin/sh
[ "$1" = --junit ] && printf '%s' "{report}" >"$2"
exit {status}
"""


def lay_out_peer(tmp_path, monkeypatch, report="", status=0, make_status=0):
    monkeypatch.setitem(suites.NEEDS, "peers", ["peers"])  # There is no C to build here.
    monkeypatch.setattr(suites, "ROOT", tmp_path)
    monkeypatch.setattr(suites, "LOGS", tmp_path / "logs")
    folder = tmp_path / "peers" / "items-x"
    (folder / "tests").mkdir(parents=True)
    for name, text in (("make", f"#!/bin/sh\nexit {make_status}\n"),
                       ("test", PEER_TEST.format(report=report, status=status))):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def peer(*how):
    lay_out_peer(*how)
    return suites.run(["peers"])


def test_a_peers_own_tests_count(tmp_path, monkeypatch):
    outcome = peer(tmp_path, monkeypatch, "<testsuites><testcase name='a'/></testsuites>")
    assert (outcome.passed, outcome.failures) == (2, [])  # With that it was made.


@pytest.mark.parametrize("report, status", [
    ("", 0), ("<testsuites/>", 0), ("<testsuites><testcase name='a'/></testsuites>", 1),
    ("<testsuites><testcase name='a'><failure/></testcase></testsuites>", 1)])
def test_a_peers_own_tests_that_fail_are_told(tmp_path, monkeypatch, report, status):
    assert len(peer(tmp_path, monkeypatch, report, status).failures) == 1


def test_a_peer_that_can_not_be_made_has_failed(tmp_path, monkeypatch):
    lay_out_peer(tmp_path, monkeypatch, make_status=1)
    outcome = suites.build("peers")
    assert outcome.passed == 0 and len(outcome.failures) == 1
    assert suites.run(["peers"]).passed == 0
