"""A blueprint of authentik, read as authentik reads it: its YAML tags are resolved.

What only a running authentik knows (keys of objects) becomes a value of the right kind.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kit.paths import ROOT

FOLDER = ROOT / ".trunnion" / "authentik-client"
JUDGE = Path(__file__).with_name("authentik_judge.py")
A_UUID = "00000000-0000-4000-8000-000000000000"
# Their keys are numbers; everybody else's are UUIDs.
NUMBERED = {"authentik_core.user", "authentik_providers_oauth2.oauth2provider",
            "authentik_providers_proxy.proxyprovider"}
META = "authentik_blueprints.metaapplyblueprint"


@dataclass(frozen=True)
class Tag:
    name: str
    value: Any


class _Loader(yaml.SafeLoader):
    pass


def _tag(loader, suffix, node):
    value = (loader.construct_sequence(node, deep=True)
             if isinstance(node, yaml.SequenceNode) else node.value)
    return Tag(suffix, tuple(value) if isinstance(value, list) else value)


_Loader.add_multi_constructor("!", _tag)


class Blueprint:
    def __init__(self, path: Path, variables: dict[str, str]):
        self.variables = variables
        self.document = yaml.load(path.read_text(), _Loader)
        self.raw = self.document["entries"]
        self.models = {entry["id"]: entry["model"] for entry in self.raw if "id" in entry}
        self.files: set[str] = set()
        self.sought: set[tuple] = set()
        self.entries = [self._resolved(entry) for entry in self.raw]

    def of(self, model: str) -> list[dict]:
        """The fields of all entries of a model: identifiers and attributes."""
        return [{**entry.get("identifiers", {}), **entry.get("attrs", {})}
                for entry in self.entries if entry["model"] == model]

    def _key(self, model: str):
        return 1 if model in NUMBERED else A_UUID

    def _resolved(self, value):
        match value:
            case Tag("KeyOf", name):
                return self._key(self.models[name])
            case Tag("Find", (model, *conditions)):
                self.sought.add((model, *[tuple(pair) for pair in conditions]))
                return self._key(model)
            case Tag("Env", (name, default)):
                return self.variables.get(name) or default
            case Tag("Env", name):
                return self.variables[name]
            case Tag("File", path):
                self.files.add(path)
                return "a secret"
            case Tag("Format", (text, *arguments)):
                return text % tuple(self._resolved(argument) for argument in arguments)
            case Tag():
                raise AssertionError(f"a tag that this reader doesn't know: {value.name}")
            case dict():
                return {name: self._resolved(inner) for name, inner in value.items()}
            case list():
                return [self._resolved(inner) for inner in value]
        return value


def judged(entries: list[dict]) -> dict:
    """What authentik's own definitions say: their version, and the faults of each entry.

    Reading the definitions takes seconds, so all that a run asks is asked at once.
    """
    subprocess.run([ROOT / "tools" / "authentik-client" / "make"], check=True)
    asked = [{"model": entry["model"], "partial": entry.get("partial", False),
              "fields": {**entry.get("identifiers", {}), **entry.get("attrs", {})}}
             for entry in entries]
    done = subprocess.run([FOLDER / "venv" / "bin" / "python", "-B", JUDGE], check=True,
                          input=json.dumps(asked), capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout)
