"""Holds the entries of a blueprint against authentik's own definitions; runs in the environment
that tools/authentik-client/make makes.

Standard input: [{"model": "authentik_core.group", "fields": {...}, "partial": false}, ...]
Standard output: {"version": of the definitions, "faults": a list of sentences for each entry}.

A definition refuses wrong values, but not unknown names, so those are looked for here.
"""

import json
import sys

import authentik_client
from authentik_client import models
from pydantic import ValidationError

DEFINITIONS = {
    "authentik_core.application": "ApplicationRequest",
    "authentik_core.group": "GroupRequest",
    "authentik_core.token": "TokenRequest",
    "authentik_core.user": "UserRequest",
    "authentik_outposts.outpost": "OutpostRequest",
    "authentik_policies.policybinding": "PolicyBindingRequest",
    "authentik_providers_oauth2.oauth2provider": "OAuth2ProviderRequest",
    "authentik_providers_proxy.proxyprovider": "ProxyProviderRequest",
}
# What only blueprints may say.
BLUEPRINTS_ONLY = {"authentik_core.token": {"key"}, "authentik_core.user": {"password"}}


def faults_of(entry: dict) -> list[str]:
    model, fields = entry["model"], dict(entry["fields"])
    if model not in DEFINITIONS:
        return [f"{model}: not a model that this judge knows"]
    for name in BLUEPRINTS_ONLY.get(model, ()):
        fields.pop(name, None)
    definition = getattr(models, ("Patched" if entry["partial"] else "") + DEFINITIONS[model])
    known = {field.alias or name for name, field in definition.model_fields.items()}
    faults = [f"{model}: no field '{name}'" for name in sorted(set(fields) - known)]
    try:
        definition.model_validate(fields)
    except ValidationError as error:
        faults += [f"{model}: {'.'.join(map(str, one['loc']))}: {one['msg']}"
                   for one in error.errors()]
    return faults


def main() -> None:
    faults = [faults_of(entry) for entry in json.load(sys.stdin)]
    json.dump({"version": authentik_client.__version__, "faults": faults}, sys.stdout)


main()
