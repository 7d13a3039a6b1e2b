"""What the blueprint promises, and that authentik's own definitions take each of its entries.

What authentik's importer said of it is in docs/verification.md.
"""

import copy
import re

import pytest
import yaml
from kit.paths import ROOT
from support.blueprint import META, Blueprint, judged

FOLDER = ROOT / "platform" / "authentik"
FILE = FOLDER / "blueprints" / "trunnion.yaml"
VARIABLES = {"TRUNNION_SCHEME": "https", "TRUNNION_DOMAIN": "example.test",
             "TRUNNION_PORT_SUFFIX": ":8443"}
BLUEPRINT = Blueprint(FILE, VARIABLES)
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
PROXY = "authentik_providers_proxy.proxyprovider"
OAUTH2 = "authentik_providers_oauth2.oauth2provider"
APPLICATION, BINDING = "authentik_core.application", "authentik_policies.policybinding"


def judgeable() -> list[dict]:
    return [{**entry, "partial": entry.get("identifiers") == {"username": "akadmin"}}
            for entry in BLUEPRINT.entries if entry["model"] != META]


def bindings() -> dict[str, set[str]]:
    """The groups of each application."""
    found: dict[str, set[str]] = {}
    for entry in BLUEPRINT.raw:
        if entry["model"] == BINDING:
            which = entry["identifiers"]
            found.setdefault(which["target"].value, set()).add(which["group"].value)
    return found


# ---- What authentik takes --------------------------------------------------------------


WRONG = [
    (PROXY, "mode", "forward_simple"), (PROXY, "external_hosts", "x"),
    (OAUTH2, "grant_types", ["code"]), ("authentik_core.token", "intent", "password"),
    (APPLICATION, "slug", ""), ("authentik_outposts.outpost", "providers", ["x"])]


@pytest.fixture(scope="module")
def verdict() -> dict:
    """Of all our entries, and of one made wrong for each of WRONG."""
    wrong = []
    for model, field, value in WRONG:
        entry = next(entry for entry in judgeable() if entry["model"] == model)
        wrong.append(copy.deepcopy(entry))
        wrong[-1]["attrs"][field] = value
    told = judged(judgeable() + wrong)
    return told | {"ours": told["faults"][:-len(WRONG)], "wrong": told["faults"][-len(WRONG):]}


def test_each_entry_is_one_that_the_pinned_authentik_defines(verdict):
    assert len(verdict["ours"]) == len(judgeable()) and not any(verdict["ours"]), verdict["ours"]
    versions = (ROOT / "platform" / "versions.env").read_text()
    assert f"AUTHENTIK_VERSION={verdict['version']}\n" in versions


def test_the_judge_refuses_what_authentik_does_not_define(verdict):
    assert [len(faults) for faults in verdict["wrong"]] == [1] * len(WRONG), verdict["wrong"]


def test_what_is_made_by_another_blueprint_is_applied_before():
    applied = {entry["attrs"]["identifiers"]["name"] for entry in BLUEPRINT.raw
               if entry["model"] == META}
    models = [entry["model"] for entry in BLUEPRINT.raw]
    assert models[:len(applied)] == [META] * len(applied)
    needed = {"authentik_providers_oauth2.scopemapping": {
                  "System - OAuth2 Provider - Scopes", "System - Proxy Provider - Scopes"},
              "authentik_flows.flow": {
                  "Default - Provider authorization flow (implicit consent)",
                  "Default - Provider invalidation flow"}}
    for model, *_ in BLUEPRINT.sought:
        assert needed.get(model, set()) <= applied


# ---- Addresses ----------------------------------------------------------------------------


def test_every_application_behind_the_proxy_has_a_provider_of_its_own_host():
    providers = {made["name"]: made for made in BLUEPRINT.of(PROXY)}
    assert {name: made["external_host"] for name, made in providers.items()} == {
        "items": "https://items.example.test:8443",
        "activity": "https://activity.example.test:8443",
        "grafana-proxy": "https://grafana.example.test:8443",
        "rabbitmq": "https://rabbitmq.example.test:8443"}
    for made in providers.values():
        assert made["mode"] == "forward_single" and made["intercept_header_auth"] is True
        assert len(made["property_mappings"]) == 5


def test_the_proxy_routes_the_hosts_that_authentik_knows():
    routes = (ROOT / "platform" / "traefik" / "dynamic" / "routes.yaml").read_text()
    routed = set(re.findall(r'Host\(`(\w+)\.{{', routes))
    known = {made["external_host"].split("//")[1].split(".")[0] for made in BLUEPRINT.of(PROXY)}
    assert routed == known | {"auth"}


def test_the_embedded_outpost_serves_them_all_and_knows_where_the_login_is():
    [outpost] = BLUEPRINT.of("authentik_outposts.outpost")
    assert outpost["managed"] == "goauthentik.io/outposts/embedded"
    assert len(outpost["providers"]) == len(BLUEPRINT.of(PROXY))
    assert outpost["config"]["authentik_host"] == "https://auth.example.test:8443"
    [raw] = [entry for entry in BLUEPRINT.raw if entry["model"] == "authentik_outposts.outpost"]
    assert {BLUEPRINT.models[tag.value] for tag in raw["attrs"]["providers"]} == {PROXY}


def test_grafanas_provider_says_what_it_may_do_and_whom_it_tells_of():
    [made] = BLUEPRINT.of(OAUTH2)
    assert made["client_id"] == "grafana" and made["client_type"] == "confidential"
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert made["redirect_uris"] == [{
        "matching_mode": "strict",
        "url": "https://grafana.example.test:8443/login/generic_oauth"}]
    [raw] = [entry for entry in BLUEPRINT.raw if entry["model"] == OAUTH2]
    mapped = {tag.value[1][1].rsplit("/", 1)[1] for tag in raw["attrs"]["property_mappings"]}
    assert {"scope-openid", "scope-email", "scope-profile"} <= mapped


# ---- Who may ---------------------------------------------------------------------------


def test_no_application_is_everybodys():
    applications = {entry["id"] for entry in BLUEPRINT.raw if entry["model"] == APPLICATION}
    assert set(bindings()) == applications and all(bindings().values())


def test_programs_reach_the_services_and_only_administrators_the_broker():
    allowed = bindings()
    assert {name for name, groups in allowed.items() if "clients" in groups} == {
        "items", "activity"}
    assert allowed["rabbitmq"] == {"admins"}
    assert allowed["grafana"] == allowed["grafana-proxy"]


def test_the_blueprint_leaves_the_members_of_groups_alone():
    assert all("users" not in made for made in BLUEPRINT.of("authentik_core.group"))


def test_the_api_client_has_an_app_password_that_does_not_expire():
    [token] = BLUEPRINT.of("authentik_core.token")
    assert token["intent"] == "app_password" and token["expiring"] is False
    client = next(made for made in BLUEPRINT.of("authentik_core.user")
                  if made["username"] == "trunnion-client")
    assert client["type"] == "service_account" and "password" not in client


# ---- How it gets there -------------------------------------------------------------------


def test_secrets_are_files_that_the_container_has():
    provision = COMPOSE["authentik-provision"]
    mounted = {f"/run/secrets/{name}" for name in provision["secrets"]}
    assert BLUEPRINT.files == {"/run/secrets/authentik-client-password",
                               "/run/secrets/grafana-oauth-secret"}
    read = {value.removeprefix("file://") for value in provision["environment"].values()
            if str(value).startswith("file://")}
    assert BLUEPRINT.files | read == mounted


def test_the_variables_of_the_blueprint_are_the_containers():
    given = {name for name in COMPOSE["authentik-provision"]["environment"]
             if name.startswith("TRUNNION_")}
    used = set(re.findall(r"!Env \[?(\w+)", FILE.read_text()))
    assert used == given == set(VARIABLES)


def test_the_blueprint_is_applied_by_one_program_alone():
    labels = BLUEPRINT.document["metadata"]["labels"]
    assert labels["blueprints.goauthentik.io/instantiate"] == "false"
    provision = COMPOSE["authentik-provision"]
    assert provision["command"] == ["apply_blueprint", f"trunnion/{FILE.name}"]
    assert provision["volumes"] == ["./platform/authentik/blueprints:/blueprints/trunnion:ro"]


def test_no_process_is_root_or_has_dockers_socket():
    for service in COMPOSE.values():
        assert service["user"] == "1000:1000" and service["cap_drop"] == ["ALL"]
        assert not any("docker.sock" in volume for volume in service["volumes"])
