"""The environment of a C service: all faults at once, with what was found and what is allowed."""

import re

import pytest
from support.program import EX_CONFIG, run

GOOD = {"DATABASE_URL": "postgresql://items:hunter2@127.0.0.1:1/items",
        "AMQP_URL": "amqp://trunnion:hunter3@127.0.0.1:1/"}
WRONG = [
    ("PORT", "eighty"), ("PORT", "65536"), ("PORT", "-1"), ("PORT", "80 "), ("PORT", "8080x"),
    ("WORKERS", "0"), ("WORKERS", "65"), ("WORKERS", "1.5"),
    ("LOG_LEVEL", "loud"), ("LOG_LEVEL", "INFO "),
    ("ACCESS_LOG", "perhaps"), ("MIGRATE", "2"),
    ("BODY_BYTES_MAX", "-1"), ("BODY_BYTES_MAX", "1MB"), ("HEADER_BYTES_MAX", "x"),
    ("CONNECTIONS_MAX", "0"), ("REQUESTS_MAX", "0"), ("STREAMS_MAX", "99999999999999999999"),
    ("REQUEST_TIMEOUT_MS", "5s"), ("READ_TIMEOUT_MS", "-5"), ("IDLE_TIMEOUT_MS", "soon"),
    ("DRAIN_TIMEOUT_MS", "x"), ("IDEMPOTENCY_TTL_S", "0"), ("INBOX_TTL_S", "x"),
    ("DATABASE_POOL_MAX", "0"), ("DATABASE_BATCH_MAX", "0"), ("DATABASE_LOCK_TIMEOUT_MS", "x"),
    ("OUTBOX_BATCH_MAX", "0"), ("OUTBOX_POLL_MS", "x"), ("CONSUMER_PREFETCH", "0"),
    ("CONSUMER_RETRIES_MAX", "x"),
    ("DATABASE_URL", "nonsense"), ("DATABASE_URL", "mysql://x/y"), ("AMQP_URL", "http://x/"),
    ("AMQP_URL", "nonsense"),
    ("CORS_ALLOWED_ORIGINS", "shop.example"), ("CORS_ALLOWED_ORIGINS", "https://a.example/path"),
    ("CORS_ALLOWED_ORIGINS", "*, https://a.example"),
    ("EVENT_CONSUMERS", "activity"), ("EVENT_CONSUMERS", "=item.*"),
    ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
]


def check(env: dict[str, str | None]):
    wanted = {name: value for name, value in (GOOD | env).items() if value is not None}
    return run("items", "--check-config", env=wanted)


def line_about(said: str, name: str) -> str:
    found = [line for line in said.splitlines() if re.search(rf"\b{name}\b", line)]
    assert len(found) == 1, said
    return found[0]


def test_a_good_environment_is_told_to_be_good():
    done = check({})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name, value", WRONG)
def test_a_wrong_value_ends_with_78_and_a_line_that_shows_it(name, value):
    done = check({name: value})
    assert done.returncode == EX_CONFIG, (done.stdout, done.stderr)
    line = line_about(done.stderr, name)
    # A word that is no URL may be a password that went astray.
    astray = name.endswith(("_URL", "_ENDPOINT")) and "://" not in value
    assert ("***" if astray else value.strip()) in line


def test_the_line_says_what_is_allowed():
    assert re.search(r"\b1\b.*\b64\b", line_about(check({"WORKERS": "99"}).stderr, "WORKERS"))
    line = line_about(check({"LOG_LEVEL": "loud"}).stderr, "LOG_LEVEL")
    assert all(level in line for level in ("debug", "info", "warn", "error"))


@pytest.mark.parametrize("name", ["DATABASE_URL", "AMQP_URL"])
def test_what_is_missing_is_told(name):
    done = check({name: None})
    assert done.returncode == EX_CONFIG
    assert line_about(done.stderr, name)


def test_all_faults_are_told_at_once_one_a_line():
    env = {"PORT": "x", "WORKERS": "y", "LOG_LEVEL": "z", "DATABASE_URL": None,
           "REQUEST_TIMEOUT_MS": "soon"}
    done = check(env)
    assert done.returncode == EX_CONFIG
    for name in env:
        assert line_about(done.stderr, name)


def test_the_service_itself_refuses_to_start_the_same_way():
    done = run("items", env=GOOD | {"PORT": "x"})
    assert done.returncode == EX_CONFIG and line_about(done.stderr, "PORT")


@pytest.mark.parametrize("name, secret", [
    ("DATABASE_URL", "postgresql://items:hunter2@[bad/items"),
    ("DATABASE_URL", "mysql://items:hunter2@host/items"),
    ("AMQP_URL", "http://items:hunter2@host/")])
def test_a_secret_never_shows(name, secret):
    done = check({name: secret})
    assert done.returncode == EX_CONFIG
    assert "hunter" not in done.stdout + done.stderr


# ---- From files ---------------------------------------------------------------------


@pytest.fixture
def secret_file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "secret"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_may_come_from_a_file(secret_file, end):
    path = secret_file(GOOD["DATABASE_URL"] + end)
    assert check({"DATABASE_URL": None, "DATABASE_URL_FILE": path}).returncode == 0


def test_a_wrong_value_from_a_file_is_told(secret_file):
    done = check({"PORT_FILE": secret_file("eighty")})
    assert done.returncode == EX_CONFIG and "PORT" in done.stderr


def test_a_file_that_is_not_there_is_told():
    done = check({"DATABASE_URL": None, "DATABASE_URL_FILE": "/nonexistent/secret"})
    assert done.returncode == EX_CONFIG
    assert "/nonexistent/secret" in done.stderr


def test_a_value_and_a_file_for_the_same_are_too_much(secret_file):
    done = check({"DATABASE_URL_FILE": secret_file(GOOD["DATABASE_URL"])})
    assert done.returncode == EX_CONFIG and "DATABASE_URL_FILE" in done.stderr


def test_a_value_from_a_file_is_used(start, world, tmp_path):
    path = tmp_path / "url"
    path.write_text(world.database_url("items") + "\n")
    service = start("items", DATABASE_URL=None, DATABASE_URL_FILE=str(path))
    assert service.api.get("/items").status_code == 200
