"""The command line of a C service."""

import json
import re
import subprocess

import psycopg
import pytest
from kit.paths import SERVICES
from support.program import run

NAMES = ["items", "activity"]


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_every_variable_with_its_default(name):
    done = run(name, "--help")
    assert done.returncode == 0 and done.stderr == ""
    for variable, default in (("PORT", "8080"), ("DATABASE_URL", ""), ("AMQP_URL", ""),
                              ("BODY_BYTES_MAX", "1048576"), ("REQUEST_TIMEOUT_MS", "5000"),
                              ("IDEMPOTENCY_TTL_S", "86400"), ("LOG_LEVEL", "info"),
                              ("DRAIN_TIMEOUT_MS", "15000"), ("OTEL_SERVICE_NAME", "")):
        assert re.search(rf"^\s*{variable}\b.*{default}", done.stdout, re.MULTILINE), variable
    for flag in ("--help", "--version", "--openapi", "--asyncapi", "--migrate", "--check-config",
                 "--health"):
        assert flag in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_version_is_name_and_number(name):
    done = run(name, "--version")
    assert done.returncode == 0
    assert re.match(rf"{name} \d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["openapi", "asyncapi"])
def test_a_document_is_printed_as_it_is_committed_byte_by_byte(name, kind):
    """So that a plain redirect renews the committed one."""
    done = run(name, f"--{kind}")
    assert done.returncode == 0 and json.loads(done.stdout)[kind]
    assert done.stdout == (SERVICES / name / "contract" / f"{kind}.json").read_text()


@pytest.mark.parametrize("args", [["--nonsense"], ["items"], ["--help", "--nonsense"], ["-x"]])
def test_an_argument_that_nobody_knows_is_refused(args):
    done = run("items", *args)
    assert done.returncode == 64 and "--help" in done.stderr  # EX_USAGE, sysexits.h.


def test_migrate_makes_the_tables_and_ends(world, database):
    url = database("items")
    env = {"DATABASE_URL": url, "AMQP_URL": world.amqp_url()}
    for _ in range(2):  # The second time there is nothing to do.
        done = run("items", "--migrate", env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM trunnion_outbox").fetchone() == (0,)


def test_a_service_told_not_to_migrate_does_not(world, database):
    """It can't start on an empty database, and says why."""
    env = {"DATABASE_URL": database("items"), "AMQP_URL": world.amqp_url(), "MIGRATE": "false",
           "HOST": "127.0.0.1", "PORT": "0"}
    try:
        done = run("items", env=env, seconds=5)
        assert done.returncode == 70  # EX_SOFTWARE
    except subprocess.TimeoutExpired:
        pass  # It may also wait for somebody else to migrate.
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT to_regclass('items')").fetchone() == (None,)


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(world, database):
    url = database("items")
    env = {"DATABASE_URL": url, "AMQP_URL": world.amqp_url()}
    assert run("items", "--migrate", env=env).returncode == 0
    with psycopg.connect(url) as connection:
        changed = connection.execute(
            "UPDATE trunnion_migrations SET checksum = repeat('0', length(checksum))"
            " WHERE set_name = 'items' RETURNING 1").rowcount
    assert changed >= 1
    done = run("items", "--migrate", env=env)
    assert done.returncode == 70
    assert "0001_items.sql" in done.stdout + done.stderr
