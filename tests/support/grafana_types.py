"""Asks the types that Grafana publishes of itself whether a dashboard is one.

Grafana passes over what it doesn't know: an option with a wrong name is no error there, only a
panel that looks other than meant. So the dashboard is written as TypeScript and compiled.
"""

import json
import subprocess
import tempfile
from pathlib import Path

from kit.paths import ROOT

FOLDER = ROOT / ".trunnion" / "grafana-types"
# How Grafana's package calls the types of a kind of panel, and which one its own fields have.
KINDS = {"timeseries": "TimeSeries", "stat": "Stat", "heatmap": "Heatmap", "table": "Table"}
FIELDS = {"timeseries": "timeseries.FieldConfig", "heatmap": "heatmap.FieldConfig"}
TYPES = "@grafana/schema/dist/esm/raw/composable"
# Grafana fills in what is left out, and JSON has no enumerations but their values.
PARTLY = """type Partly<T> = unknown extends T ? any : T extends string ? `${T}`
  : T extends (infer U)[] ? Partly<U>[]
  : T extends object ? {[K in keyof T]?: Partly<T[K]>} : T;
"""


def version() -> str:
    """Which Grafana's types they are."""
    make()
    package = FOLDER / "node_modules" / "@grafana" / "schema" / "package.json"
    return json.loads(package.read_text())["version"]


def faults(dashboard: dict) -> list[str]:
    """What the compiler says; nothing where it takes the dashboard."""
    make()
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="judged-") as folder:
        file = Path(folder) / "dashboard.ts"
        file.write_text(as_typescript(dashboard))
        done = subprocess.run(
            [FOLDER / "node_modules" / ".bin" / "tsc", "--noEmit", "--strict", "--skipLibCheck",
             "--lib", "es2022,dom", "--target", "es2022", "--module", "esnext",
             "--moduleResolution", "bundler", file], capture_output=True, text=True, timeout=300)
    said = done.stdout.splitlines()
    assert bool(said) == bool(done.returncode), done.stderr
    return said


def make() -> None:
    subprocess.run([ROOT / "tools" / "grafana-types" / "make"], check=True)


def as_typescript(dashboard: dict) -> str:
    """A constant for each part that has a type of its own."""
    lines = ["import type {Dashboard, Panel} from '@grafana/schema';", PARTLY]
    for kind, name in KINDS.items():
        where = f"{TYPES}/{kind}/panelcfg/x/{name}PanelCfg_types.gen"
        lines.append(f"import type * as {kind} from '{where}';")
    rest = {name: value for name, value in dashboard.items() if name != "panels"}
    lines.append(constant("dashboard", "Dashboard", rest))
    for panel in dashboard["panels"]:
        lines += panel_lines(json.loads(json.dumps(panel)))
    return "\n".join(lines)


def panel_lines(panel: dict) -> list[str]:
    """A row is typed by the panel that it is; the others by their kinds too."""
    name, kind = f"panel{panel['id']}", panel["type"]
    if kind == "row":
        return [constant(name, "Dashboard['panels']", [panel])]
    options = panel.pop("options")
    fields = panel["fieldConfig"]["defaults"].pop("custom", None)
    panel.pop("targets")  # Of these a source's own types would tell; the queries run in Prometheus.
    lines = [constant(name, "Panel", panel), constant(f"{name}Options", f"{kind}.Options", options)]
    return lines + ([constant(f"{name}Fields", FIELDS[kind], fields)] if fields else [])


def constant(name: str, kind: str, value) -> str:
    return f"export const {name}: Partly<NonNullable<{kind}>> = {json.dumps(value)};"
