"""The services of this checkout: a folder below services/ with a `service.env` is one.

A service's folder says all that the tools need to run it, so that a new one
touches no shared file. `service.env` holds NAME=value lines: PORT is the port
it likes to have, and any other is put into the service's environment. The
program is build/services/NAME/NAME and the database is called NAME.
"""

from dataclasses import dataclass
from pathlib import Path

from .paths import SERVICES


@dataclass(frozen=True)
class Service:
    name: str
    folder: Path
    env: dict[str, str]

    @property
    def database(self) -> str:
        return self.name

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
