"""Prometheus' configuration and rules, judged by promtool and held against the runbook."""

import re
import subprocess

import pytest
import yaml
from kit.paths import ROOT

PROMETHEUS = ROOT / "platform" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
RUNBOOK = ROOT / "docs" / "guides" / "runbook.md"


def promtool(*args) -> str:
    done = subprocess.run(["promtool", *map(str, args)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> dict[str, dict]:
    rules = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"]
             for rule in group["rules"] if "alert" in rule]
    named = {rule["alert"]: rule for rule in rules}
    assert len(named) == len(rules), "two alerts have the same name"
    return named


def sections() -> dict[str, str]:
    """The runbook's sections of alerts, by name."""
    parts = re.split(r"^### (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_promtool_takes_the_configuration_with_all_its_rules():
    said = promtool("check", "config", PROMETHEUS / "prometheus.yaml")
    assert f"{len(RULES)} rule files found" in said


def test_promtool_takes_every_file_of_rules():
    assert promtool("check", "rules", *RULES).count("SUCCESS") == len(RULES) > 0


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_at_no_other_time(path):
    promtool("test", "rules", path)


def test_every_alert_is_seen_firing_and_silent():
    firing, silent = set(), set()
    for path in TESTS:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for check in case["alert_rule_test"]:
                (firing if check["exp_alerts"] else silent).add(check["alertname"])
    assert firing == silent == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_it_is_and_where_to_read_on(name):
    alert = alerts()[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    link = f"{RUNBOOK.relative_to(ROOT)}#{name.lower()}"
    assert alert["annotations"]["runbook_url"] == link
    for part in ("**Means**", "**Look at**", "**Do**"):
        assert part in sections()[name]


def test_what_prometheus_finds_by_name_is_missed_by_name():
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())["scrape_configs"]
    found = {job["job_name"]: {name for dns in job["dns_sd_configs"] for name in dns["names"]}
             for job in jobs if "dns_sd_configs" in job}
    missed = alerts()["TargetMissing"]["expr"]
    assert set(re.findall(r'job="([\w-]+)"', missed)) == set(found)
    assert set(re.findall(r'service="(\w+)"', missed)) == found["services"]


def test_the_runbook_tells_of_no_other_alert():
    assert set(sections()) == set(alerts())
