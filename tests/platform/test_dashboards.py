"""The dashboards: what Grafana gets is what their descriptions make, and holds together."""

import json
import re
import subprocess

import pytest
import yaml
from kit.paths import ROOT
from kit.services import read_env
from support import grafana_types

GRAFANA = ROOT / "platform" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
TOOL = ROOT / "tools" / "dashboards"
each = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def panels(path) -> list[dict]:
    return json.loads(path.read_text())["panels"]


def overlap(one: dict, other: dict) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def sources(value) -> set[str]:
    """The uids of all data sources that are named anywhere."""
    if isinstance(value, list):
        return {uid for part in value for uid in sources(part)}
    if not isinstance(value, dict):
        return set()
    own = value.get("datasource")
    return sources(list(value.values())) | ({own["uid"]} if isinstance(own, dict) else set())


def test_what_is_committed_is_what_the_descriptions_make():
    done = subprocess.run([TOOL, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in DASHBOARDS} == {"services", "platform"}


def test_a_dashboard_that_was_edited_by_hand_is_told(tmp_path):
    for path in DASHBOARDS[0], DASHBOARDS[0].with_suffix(".yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    assert subprocess.run([TOOL, "--check", "--folder", tmp_path]).returncode == 0
    edited = tmp_path / DASHBOARDS[0].name
    edited.write_text(edited.read_text().replace('"unit": "short"', '"unit": "long"', 1))
    done = subprocess.run([TOOL, "--check", "--folder", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and edited.name in done.stderr


@each
def test_panels_have_places_of_their_own(path):
    shown = panels(path)
    assert len({panel["id"] for panel in shown}) == len(shown) > 10
    titles = [panel["title"] for panel in shown if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)
    for i, panel in enumerate(shown):
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert not [other["title"] for other in shown[:i] if overlap(panel, other)]


@each
def test_every_panel_asks_for_something(path):
    for panel in panels(path):
        if panel["type"] != "row":
            assert panel["targets"] and all(target["expr"] for target in panel["targets"])


@each
def test_every_variable_that_is_named_is_there(path):
    text = path.read_text()
    known = {each["name"] for each in json.loads(text)["templating"]["list"]}
    named = set(re.findall(r"\$\{?(\w+)", text))
    assert {name for name in named if not name.startswith("__")} == known


@each
def test_data_sources_are_the_ones_that_grafana_is_given(path):
    given = yaml.safe_load((GRAFANA / "provisioning/datasources/datasources.yaml").read_text())
    uids = {source["uid"] for source in given["datasources"]}
    dashboard = json.loads(path.read_text())
    named = sources(dashboard) - {"grafana"}
    named |= set(re.findall(r'%22datasource%22:%22(\w+)%22', json.dumps(dashboard)))
    assert "prometheus" in named and named <= uids


def test_the_dashboard_of_services_leads_to_traces_and_logs():
    services = json.loads((GRAFANA / "dashboards/services.json").read_text())
    led = {link["title"]: link["url"] for link in services["links"] if "url" in link}
    assert "tempo" in led["Traces"] and "loki" in led["Logs"]
    assert all("${service:regex}" in url for url in led.values())
    exemplars = {panel["title"] for panel in services["panels"] for target in
                 panel.get("targets", ()) if target["exemplar"]}
    assert {"Duration by route", "Duration, quantiles", "Duration, all requests"} <= exemplars


def test_uids_are_unlike():
    uids = [json.loads(path.read_text())["uid"] for path in DASHBOARDS]
    assert len(set(uids)) == len(uids)


# ---- What Grafana says of them ----------------------------------------------------------


@each
def test_grafanas_own_types_take_the_dashboard(path):
    assert grafana_types.faults(json.loads(path.read_text())) == []


def test_grafanas_types_are_those_of_the_release_that_runs():
    pinned = read_env(ROOT / "platform" / "versions.env")["GRAFANA_VERSION"]
    assert grafana_types.version() == pinned


def test_grafanas_types_tell_what_is_wrong():
    """One fault in each part that is judged by a type of its own."""
    dashboard = json.loads((GRAFANA / "dashboards/services.json").read_text())
    kinds = {panel["type"]: panel for panel in dashboard["panels"]}
    dashboard |= {"graphTooltip": 7, "panels": list(kinds.values())}
    kinds["row"]["colapsed"] = True
    kinds["stat"]["options"]["colorMode"] = "loud"
    kinds["heatmap"]["fieldConfig"]["defaults"]["units"] = "s"
    kinds["timeseries"]["fieldConfig"]["defaults"]["custom"]["linewidth"] = 1
    told = grafana_types.faults(dashboard)
    assert len(told) == 5
    for said in ("7", "colapsed", "loud", "units", "linewidth"):
        assert any(f"'{said}'" in one or f"'\"{said}\"'" in one for one in told), said
