"""The configuration from outside: what a service says of it, and what it refuses."""

import os
import re
import subprocess

import pytest
from kit.paths import ROOT
from support.services import command

EX_USAGE, EX_CONFIG = 64, 78
DATABASE_URL = "postgresql://items:h1dden@127.0.0.1:1/items"
AMQP_URL = "amqp://guest:s3cret@127.0.0.1:1/"
GUIDE = ROOT / "docs" / "guides" / "configuration.md"
VARIABLE = re.compile(r"^  (?P<name>[A-Z_]+)\n      (?P<help>.+)\n"
                      r"      Allowed: (?P<allowed>.+)\. Default: (?P<default>.+)\.$", re.MULTILINE)


def run(name: str, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    """Runs a service with nothing in its environment but this."""
    inherited = {key: value for key, value in os.environ.items() if key.endswith("SAN_OPTIONS")}
    return subprocess.run([*command(name), *arguments], env=inherited | env, timeout=20,
                          capture_output=True, text=True)


def check(name: str = "items", **env: str) -> subprocess.CompletedProcess:
    return run(name, "--check-config", **({"DATABASE_URL": DATABASE_URL, "AMQP_URL": AMQP_URL} | env))


# ---- What it says ------------------------------------------------------------


def test_help_lists_every_variable_with_what_is_allowed_and_the_default():
    told = run("items", "--help")
    assert told.returncode == 0 and told.stderr == ""
    variables = {found["name"]: found for found in VARIABLE.finditer(told.stdout)}
    assert len(variables) > 30
    assert variables["PORT"]["default"] == "8080"
    assert variables["PORT"]["allowed"] == "a whole number from 0 to 65535"
    assert variables["DATABASE_URL"]["default"] == "none, it must be set"


def section(title: str, lines: str) -> str:
    rows = [f"| `{found['name']}` | {shown(found['default'])} | {found['allowed']} "
            f"| {found['help']} |" for found in VARIABLE.finditer(lines)]
    return "\n".join([f"## {title}", "| variable | default | allowed | |", "| --- | --- | --- | --- |",
                      *rows])


def shown(default: str) -> str:
    return default if default.startswith(("none", "the ")) else f"`{default}`"


def test_the_guide_says_what_help_says():
    """Each group of --help is a section of the guide, word for word."""
    told = run("items", "--help").stdout
    parts = re.split(r"\n\n(.+):\n(?=  [A-Z])", told)
    groups = list(zip(parts[1::2], parts[2::2]))
    assert len(groups) == 5
    guide = GUIDE.read_text()
    for title, lines in groups:
        assert section(title, lines) in guide, f"{GUIDE}: write\n\n{section(title, lines)}"


def test_the_example_settings_name_only_variables_that_there_are():
    known = {found["name"] for found in VARIABLE.finditer(run("items", "--help").stdout)}
    named = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    own = {name.removeprefix("ITEMS_").removeprefix("ACTIVITY_") for name in named}
    assert own <= known, own - known


def test_version_names_the_service_and_the_chassis():
    told = run("items", "--version")
    assert told.returncode == 0
    assert re.fullmatch(r"items \d+\.\d+\.\d+ \(trunnion \d+\.\d+\.\d+\)\n", told.stdout)


@pytest.mark.parametrize("arguments", [["--nope"], ["help"], ["--help", "--version"], [""]])
def test_a_wrong_argument_is_told_with_the_right_ones(arguments):
    told = run("items", *arguments)
    assert told.returncode == EX_USAGE
    assert told.stdout == "" and "--check-config" in told.stderr


# ---- What it refuses ---------------------------------------------------------


def test_every_fault_is_told_at_once_one_a_line_with_status_78():
    told = run("items", PORT="99999", LOG_LEVEL="loud", DRAIN_TIMEOUT_MS="12s")
    assert told.returncode == EX_CONFIG and told.stdout == ""
    assert told.stderr.splitlines() == [
        'items: PORT: found "99999"; allowed: a whole number from 0 to 65535',
        "items: DATABASE_URL: not set; allowed: postgresql://user:password@host:port/database",
        "items: AMQP_URL: not set; allowed: amqp://user:password@host:port/vhost, or amqps://",
        'items: DRAIN_TIMEOUT_MS: found "12s"; allowed: a whole number from 100 to 600000',
        'items: LOG_LEVEL: found "loud"; allowed: debug, info, warn or error',
    ]


@pytest.mark.parametrize("variable, value", [
    ("PORT", "-1"), ("PORT", "8080 "), ("PORT", "0x50"), ("PORT", "8e3"), ("WORKERS", "0"),
    ("WORKERS", "65"), ("ACCESS_LOG", "yes"), ("MIGRATE", "maybe"), ("LOG_LEVEL", "INFO"),
    ("BODY_BYTES_MAX", "99999999999999999999"), ("HOST", "a b"), ("OTEL_TRACES_SAMPLER", "some"),
    ("OTEL_TRACES_SAMPLER_ARG", "2"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ("CORS_ALLOWED_ORIGINS", "https://a.example/"), ("CORS_ALLOWED_ORIGINS", "*,https://a.example"),
    ("EVENT_CONSUMERS", "activity"), ("EVENT_CONSUMERS", "activity=item..x"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a"), ("PORT_FILE", "/nowhere"), ("OTEL_SERVICE_NAME", "a\udcffb"),
])
def test_a_wrong_value_is_told_with_what_is_allowed(variable, value):
    told = check(**{variable: value})
    assert told.returncode == EX_CONFIG
    line, = told.stderr.splitlines()
    assert line.startswith(f"items: {variable}: found ") and "allowed: " in line


@pytest.mark.parametrize("url", ["mysql://u:h1dden@h/d", "u:h1dden@h", "postgresql://u:h1 dden@h/d",
                                 "postgresql://u:h1dden@h:port/d", "h1dden"])
def test_a_wrong_url_is_told_without_its_password(url):
    told = check(DATABASE_URL=url)
    assert told.returncode == EX_CONFIG and "DATABASE_URL" in told.stderr
    assert "dden" not in told.stderr


def test_the_broker_is_needed_to_run_but_not_to_migrate():
    assert "AMQP_URL: not set" in run("items", "--check-config", PORT="x").stderr
    told = run("items", "--migrate", PORT="x")
    assert told.returncode == EX_CONFIG
    assert [line.split(": ")[1] for line in told.stderr.splitlines()] == ["PORT", "DATABASE_URL"]


# ---- Secrets -----------------------------------------------------------------


def test_the_configuration_is_shown_without_passwords():
    told = check(PORT="81", OTEL_EXPORTER_OTLP_ENDPOINT="http://u:t0ken@collector:4318")
    assert told.returncode == 0 and told.stderr == ""
    lines = told.stdout.splitlines()
    assert "PORT=81" in lines
    assert "DATABASE_URL=postgresql://items:***@127.0.0.1:1/items" in lines
    assert "AMQP_URL=amqp://guest:***@127.0.0.1:1/" in lines
    assert not any(secret in told.stdout for secret in ("h1dden", "s3cret", "t0ken"))


def test_a_value_may_come_from_a_file(tmp_path):
    secret = tmp_path / "url"
    secret.write_text(DATABASE_URL + "\n")
    told = run("items", "--check-config", DATABASE_URL_FILE=str(secret), AMQP_URL=AMQP_URL)
    assert told.returncode == 0
    assert "DATABASE_URL=postgresql://items:***@127.0.0.1:1/items" in told.stdout.splitlines()


def test_a_value_and_its_file_together_are_a_fault(tmp_path):
    told = check(DATABASE_URL_FILE=str(tmp_path / "url"))
    assert told.returncode == EX_CONFIG
    assert "found both DATABASE_URL and DATABASE_URL_FILE" in told.stderr
