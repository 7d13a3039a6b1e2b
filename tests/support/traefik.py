"""Traefik's configuration as a reader of it: which route a request would take, and through what.

It knows the matchers that our routes use and no other, so that a new one is noticed.
"""

import re
from dataclasses import dataclass, field
from functools import cache

import yaml
from kit.paths import ROOT

FOLDER = ROOT / "platform" / "traefik"
VARIABLES = {"DOMAIN": "example.test", "SCHEME": "http", "PORT_SUFFIX": "", "RATE_LIMIT": "100",
             "RATE_BURST": "300", "LOGIN_RATE_LIMIT": "20", "LOGIN_RATE_BURST": "150",
             "BODY_BYTES_MAX": "2097152",
             "CORS_ALLOWED_ORIGINS": "https://shop.example,https://desk.example"}
_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|(\w+)\(((?:`[^`]*`(?:\s*,\s*)?)+)\))")


def rendered(text: str, variables: dict[str, str]) -> str:
    """The only template that our files use: {{ env "NAME" }}."""
    text = re.sub(r'{{ env "(\w+)" }}', lambda found: variables[found.group(1)], text)
    assert "{{" not in text, "a template that this reader doesn't know"
    return text


@cache
def dynamic(name: str) -> dict:
    return yaml.safe_load(rendered((FOLDER / name).read_text(), VARIABLES))


def compose(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text())["services"]["traefik"]


def static(name: str) -> dict[str, str]:
    """The static configuration: the environment of the container that is Traefik's own."""
    return {key: value for key, value in compose(name)["environment"].items()
            if key.startswith("TRAEFIK_")}


@dataclass
class Request:
    host: str
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)

    def matches(self, matcher: str, arguments: list[str]) -> bool:
        first = arguments[0]
        match matcher:
            case "Host":
                return self.host == first
            case "Path":
                return self.path == first
            case "PathPrefix":
                return self.path.startswith(first)
            case "Method":
                return self.method == first
            case "HeaderRegexp":
                return re.search(arguments[1], self.headers.get(first, "")) is not None
        raise AssertionError(f"a matcher that this reader doesn't know: {matcher}")


def holds(rule: str, request: Request) -> bool:
    """Evaluates a rule; && binds closer than ||, as in Traefik."""
    tokens, at = [], 0
    while rule[at:].strip():
        found = _TOKEN.match(rule, at)
        assert found, f"cannot read the rule at: {rule[at:]}"
        if found.group(2):
            arguments = re.findall(r"`([^`]*)`", found.group(3))
            tokens.append(str(request.matches(found.group(2), arguments)))
        else:
            tokens.append({"&&": "and", "||": "or", "!": "not"}.get(found.group(1), found.group(1)))
        at = found.end()
    return eval(" ".join(tokens), {"__builtins__": {}})  # Nothing but True, False and operators.


def route(request: Request) -> str | None:
    """The name of the router that takes the request; None is Traefik's own 404."""
    routers = dynamic("dynamic/routes.yaml")["http"]["routers"]
    taken = [(router["priority"], name) for name, router in routers.items()
             if holds(router["rule"], request)]
    return max(taken)[1] if taken else None


def middlewares_of(router: dict) -> list[tuple[str, dict]]:
    """Those of a route in their order, chains opened: (name, definition)."""
    defined = dynamic("dynamic/middlewares.yaml")["http"]["middlewares"]

    def opened(names):
        for name in names:
            if "chain" in defined[name]:
                yield from opened(defined[name]["chain"]["middlewares"])
            else:
                yield name, defined[name]

    return list(opened(router.get("middlewares", [])))
