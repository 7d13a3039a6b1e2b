"""platform/kubernetes as kubectl builds it, and what Kubernetes' own schemas say of it."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import yaml
from kit.paths import ROOT, STATE

FOLDER = ROOT / "platform" / "kubernetes"
TOOLS = ROOT / "tools" / "kubernetes"
PROGRAMS = STATE / "kubernetes" / "venv" / "bin"
# The oldest release that is still maintained and has all that is used here, and the newest.
RELEASES = ("1.34", "1.37")


@cache
def _made() -> None:
    subprocess.run([TOOLS / "make"], check=True)


@cache
def build(folder: Path) -> list[dict]:
    """What `kubectl apply -k` would apply; not to be changed."""
    _made()
    ran = subprocess.run([PROGRAMS / "kubectl", "kustomize", folder], text=True,
                         capture_output=True)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def overlay(at: Path, **more) -> list[dict]:
    """Builds an overlay of the base that is made for it; a component is named by its folder."""
    base = Path(os.path.relpath(FOLDER, at.resolve()))
    more["components"] = [str(base / "components" / name) for name in more.get("components", ())]
    (at / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [str(base / "base")], **more}))
    return build(at)


def is_builtin(resource: dict) -> bool:
    """Of Kubernetes itself, and so known to its schemas; else it is an operator's."""
    group = resource["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def faults(resources: list[dict], release: str, at: Path) -> list[str]:
    """What the schemas of a release of Kubernetes say against them; a name that no schema has is a
    fault too."""
    _made()
    file = at / "resources.yaml"
    file.write_text(yaml.safe_dump_all(resources))
    ran = subprocess.run([PROGRAMS / "kubernetes-validate", "--strict", "--kubernetes-version",
                          release, file], text=True, capture_output=True)
    said = (ran.stdout + ran.stderr).splitlines()
    passed = sum(" passed for resource " in line for line in said)
    found = [line for line in said if " passed for resource " not in line]
    assert passed + len(found) >= len(resources), said
    assert (ran.returncode == 0) == (not found), said
    return found


# ---- Reading --------------------------------------------------------------------------


def of_kind(resources: list[dict], kind: str) -> dict[str, dict]:
    return {each["metadata"]["name"]: each for each in resources if each["kind"] == kind}


def selects(selector: dict, labels: dict[str, str]) -> bool:
    """A label selector; only the operators that are used here, so that another one is noticed."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    for each in selector.get("matchExpressions", ()):
        assert each["operator"] == "In"
        if labels.get(each["key"]) not in each["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def lets_in(policy: dict, port: int, namespace: str | None, labels: dict[str, str]) -> bool:
    """Whether a NetworkPolicy lets a pod reach its pods; namespace None is their own."""
    for rule in policy["spec"]["ingress"]:
        assert rule["from"] and rule["ports"], "a rule for everybody, or for every port"
        if port in [each["port"] for each in rule["ports"]]:
            for peer in rule["from"]:
                where = peer.get("namespaceSelector", {}).get("matchLabels", {}).get(
                    "kubernetes.io/metadata.name")
                if where == namespace and selects(peer["podSelector"], labels):
                    return True
    return False


def container(deployment: dict) -> dict:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def mebibytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]
