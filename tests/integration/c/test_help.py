"""What a C service says of its configuration: --help, the guide and the faults agree, and no secret
is told."""

import re

import pytest
from kit.paths import ROOT
from support.program import EX_CONFIG, run

DATABASE_URL = "postgresql://items:h1dden@127.0.0.1:1/items"
AMQP_URL = "amqp://guest:s3cret@127.0.0.1:1/"
GUIDE = ROOT / "docs" / "guides" / "configuration.md"
VARIABLE = re.compile(r"^  (?P<name>[A-Z_]+) \((?P<default>.+)\)\n      (?P<help>.+)\n"
                      r"      Allowed: (?P<allowed>.+)\.$", re.MULTILINE)


def check(**env: str):
    return run("items", "--check-config",
               env={"DATABASE_URL": DATABASE_URL, "AMQP_URL": AMQP_URL} | env)


# ---- What it says ------------------------------------------------------------


def test_help_lists_every_variable_with_what_is_allowed_and_the_default():
    told = run("items", "--help")
    assert told.returncode == 0 and told.stderr == ""
    variables = {found["name"]: found for found in VARIABLE.finditer(told.stdout)}
    assert len(variables) > 30
    assert variables["PORT"]["default"] == "8080"
    assert variables["PORT"]["allowed"] == "a whole number from 0 to 65535"
    assert variables["DATABASE_URL"]["default"] == "must be set"


def section(title: str, lines: str) -> str:
    rows = [f"| `{found['name']}` | {shown(found['default'])} | {found['allowed']} "
            f"| {found['help']} |" for found in VARIABLE.finditer(lines)]
    head = ["| variable | default | allowed | |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", *head, *rows])


def shown(default: str) -> str:
    return default if default.startswith(("none", "the ", "must ")) else f"`{default}`"


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
    fragments = [ROOT / "compose.yaml", *ROOT.glob("*/*/compose*.yaml")]
    composed = "".join(fragment.read_text() for fragment in fragments)
    known |= set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", composed))
    assert own <= known, own - known


def test_version_names_the_service_and_the_chassis():
    told = run("items", "--version")
    assert told.returncode == 0
    assert re.fullmatch(r"items \d+\.\d+\.\d+ \(trunnion \d+\.\d+\.\d+\)\n", told.stdout)


# ---- What it refuses ---------------------------------------------------------


def test_every_fault_is_told_at_once_one_a_line_with_status_78():
    told = run("items", env={"PORT": "99999", "LOG_LEVEL": "loud", "DRAIN_TIMEOUT_MS": "12s"})
    assert told.returncode == EX_CONFIG and told.stdout == ""
    assert told.stderr.splitlines() == [
        'items: PORT: found "99999"; allowed: a whole number from 0 to 65535',
        "items: DATABASE_URL: not set; allowed: postgresql://user:password@host:port/database",
        "items: AMQP_URL: not set; allowed: amqp://user:password@host:port/vhost, or amqps://",
        'items: DRAIN_TIMEOUT_MS: found "12s"; allowed: a whole number from 100 to 600000',
        'items: LOG_LEVEL: found "loud"; allowed: debug, info, warn or error',
    ]


@pytest.mark.parametrize("url", ["mysql://u:h1dden@h/d", "u:h1dden@h", "postgresql://u:h1 dden@h/d",
                                 "postgresql://u:h1dden@h:port/d", "h1dden"])
def test_a_wrong_url_is_told_without_its_password(url):
    told = check(DATABASE_URL=url)
    assert told.returncode == EX_CONFIG and "DATABASE_URL" in told.stderr
    assert "dden" not in told.stderr


def test_the_broker_is_needed_to_run_but_not_to_migrate():
    assert "AMQP_URL: not set" in run("items", "--check-config", env={"PORT": "x"}).stderr
    told = run("items", "--migrate", env={"PORT": "x"})
    assert told.returncode == EX_CONFIG
    assert [line.split(": ")[1] for line in told.stderr.splitlines()] == ["PORT", "DATABASE_URL"]


# ---- Secrets -----------------------------------------------------------------


def test_header_fields_for_the_collector_are_never_shown():
    told = check(OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20t0ken")
    assert told.returncode == 0 and "OTEL_EXPORTER_OTLP_HEADERS=***" in told.stdout.splitlines()
    assert "t0ken" not in told.stdout
    wrong = check(OTEL_EXPORTER_OTLP_HEADERS="http://t0ken")
    assert wrong.returncode == EX_CONFIG
    assert 'OTEL_EXPORTER_OTLP_HEADERS: found "***"' in wrong.stderr and "t0ken" not in wrong.stderr


def test_a_protocol_that_is_not_spoken_is_refused_at_the_start():
    told = check(OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert told.returncode == EX_CONFIG and 'found "grpc"; allowed: http/protobuf' in told.stderr


def test_the_configuration_is_shown_without_passwords():
    told = check(PORT="81", OTEL_EXPORTER_OTLP_ENDPOINT="http://u:t0ken@collector:4318")
    assert told.returncode == 0 and told.stderr == ""
    lines = told.stdout.splitlines()
    assert "PORT=81" in lines
    assert "DATABASE_URL=postgresql://items:***@127.0.0.1:1/items" in lines
    assert "AMQP_URL=amqp://guest:***@127.0.0.1:1/" in lines
    assert not any(secret in told.stdout for secret in ("h1dden", "s3cret", "t0ken"))
