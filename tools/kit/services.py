"""The services of this checkout: a folder below services/ with a `service.env` is one.

A service's folder says all that the tools need to run it, so that a new one
touches no shared file. `service.env` holds NAME=value lines: PORT is the port
it likes to have, and any other is put into the service's environment. The
program is build/services/NAME/NAME and the database is called NAME (with _ for -).
"""

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from . import proc
from .paths import ROOT, SERVICES


@dataclass(frozen=True)
class Service:
    name: str
    folder: Path
    env: dict[str, str] = field(hash=False)

    @property
    def database(self) -> str:
        return self.name.replace("-", "_")

    @property
    def port(self) -> int:
        return int(self.env["PORT"])

    def program(self, build: Path) -> Path:
        return build / "services" / self.name / self.name


def discover() -> list[Service]:
    """All services, in the order of their names."""
    found = []
    for fragment in sorted(SERVICES.glob("*/service.env")):
        env = read_env(fragment)
        if "PORT" not in env:
            raise ValueError(f"{fragment}: PORT is missing")
        found.append(Service(fragment.parent.name, fragment.parent, env))
    return found


def settings(service: Service, dotenv: dict[str, str]) -> dict[str, str]:
    """What service.env, .env and the shell say about a service; the later wins.

    In .env a name that has the service in front of it is for that service alone. The shell may
    name DATABASE_URL, PORT and AMQP_URL for something else altogether: those it only gets from
    .env, and the first two only with the service's name.
    """
    prefix = service.name.upper().replace("-", "_") + "_"
    own = {name.removeprefix(prefix): value for name, value in dotenv.items()
           if name.startswith(prefix)}
    for name in ("DATABASE_URL", "PORT"):
        if name in dotenv:
            raise ValueError(f".env: {name} is a service's own: write {prefix}{name}")
    merged = {**service.env, **dotenv, **own}
    shell = {name: os.environ[name] for name in merged if name in os.environ}
    for name in ("DATABASE_URL", "PORT", "AMQP_URL"):
        shell.pop(name, None)
    return {**merged, **shell}


def start(service: Service, build: Path, env: dict[str, str], log: Path) -> proc.Process:
    """Starts a service with `env` on top of the shell's environment; its output goes to `log`."""
    program = service.program(build)
    if not program.exists():
        raise FileNotFoundError(f"{program} was not built")
    inherited = {name: value for name, value in os.environ.items()
                 if name not in ("DATABASE_URL", "AMQP_URL", "PORT", "HOST")}
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.before"))
    return proc.spawn([str(program)], log, str(program), env={**inherited, **env}, cwd=str(ROOT))


def readiness(url: str) -> str:
    """What /readyz says: "ready", "degraded", "unavailable", "draining", or "" for no answer."""
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=2) as answer:
            return json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        try:
            return json.load(error)["status"]
        except (ValueError, KeyError):
            return f"HTTP {error.code}"
    except (OSError, ValueError, KeyError):
        return ""


def wait_ready(process: proc.Process, url: str, seconds: float) -> str:
    """Waits until it says "ready"; returns its last word, which is another if it ended first."""
    deadline = time.monotonic() + seconds
    while True:
        said = readiness(url)
        if said == "ready" or not process.alive() or time.monotonic() > deadline:
            return said
        time.sleep(0.02)


def read_env(path: Path) -> dict[str, str]:
    """NAME=value lines, `#` comments; a value may stand in single or double quotes."""
    values = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{path}:{number}: expected NAME=value, found: {line}")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name.strip()] = value
    return values
