"""Docker Compose, as the tools call it: the plugin of the machine, or the one in .trunnion."""

import functools
import json
import os
import re
import subprocess
from pathlib import Path

from .paths import ROOT, STATE
from .say import fail

OWN = STATE / "compose" / "docker-compose"
_OLDEST = (2, 24)  # The first that merges several files of one include as these need it.


@functools.cache
def program() -> tuple[str, ...]:
    for words in (("docker", "compose"), (str(OWN),)):
        if _version(words) >= _OLDEST:
            return words
    return fail("this needs Docker Compose 2.24 or later. On Debian 13: apt-get install "
                "docker-compose. On Debian 12: tools/compose/make fetches it for this checkout.")


def _version(words: tuple[str, ...]) -> tuple[int, int]:
    try:
        said = subprocess.run([*words, "version", "--short"], capture_output=True, text=True)
    except FileNotFoundError:
        return (0, 0)
    found = re.match(r"v?(\d+)\.(\d+)", said.stdout)
    return (int(found[1]), int(found[2])) if said.returncode == 0 and found else (0, 0)


class Compose:
    """One project. `files` are laid over compose.yaml; `env` goes before .env."""

    def __init__(self, files: list[Path] | None = None, env: dict[str, str] | None = None):
        self.env = {**os.environ, **(env or {})}
        laid = [f"--file={path}" for path in [ROOT / "compose.yaml", *files]] if files else []
        self.words = [*program(), "--project-directory", str(ROOT), *laid]

    def run(self, *args: str, **how) -> subprocess.CompletedProcess:
        """Shows what it says, unless `how` catches it."""
        return subprocess.run([*self.words, *args], cwd=ROOT, env=self.env, **how)

    def must(self, *args: str, **how) -> subprocess.CompletedProcess:
        done = self.run(*args, **how)
        if done.returncode != 0:
            said = done.stderr if isinstance(done.stderr, str) else ""
            fail(f"docker compose {' '.join(args[:3])} failed {said.strip()[-500:]}".rstrip())
        return done

    def read(self, *args: str, **how) -> str:
        return self.must(*args, capture_output=True, text=True, **how).stdout

    def model(self) -> dict:
        """The whole merged model, as compose understands it."""
        return json.loads(self.read("config", "--format=json"))

    def containers(self) -> list[dict]:
        """Newer versions print an object a line, older ones a list."""
        text = self.read("ps", "--all", "--format=json").strip()
        if text.startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines()]
