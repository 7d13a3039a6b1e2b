"""What makes roles and databases, run on a real server: databases.sh of platform/postgres.

Who may then connect to what is asked of the server in its container, in test_core.py.
"""

import os
import secrets
import subprocess

import pytest
from kit.paths import ROOT
from kit.ports import LOOPBACK
from kit.throwaway import throw_away_stack

SCRIPT = ROOT / "platform" / "postgres" / "databases.sh"
ROLES = {"items": "items-db", "activity": "activity-db", "authentik": "authentik-db",
         "postgres_exporter": "postgres-exporter"}


@pytest.fixture(scope="module")
def server():
    with throw_away_stack(broker=False) as stack:
        yield stack.postgres


@pytest.fixture
def made(server, tmp_path):
    """The passwords of the roles that it has made, and what the server logged meanwhile."""
    passwords = {role: secrets.token_hex(20) for role in ROLES}
    for role, file in ROLES.items():
        (tmp_path / f"{file}-password").write_text(passwords[role])
    script = tmp_path / "databases.sh"
    script.write_text(SCRIPT.read_text().replace("/run/secrets", str(tmp_path)))
    before = len(server.log.read_text())
    env = {"PATH": os.environ["PATH"], "PGHOST": LOOPBACK, "PGPORT": str(server.port),
           "PGPASSWORD": server.password}
    # As on a machine that is so slow that every statement is told.
    server.psql("ALTER ROLE postgres SET log_min_duration_statement = 0")
    try:
        done = subprocess.run(["bash", script], env=env, capture_output=True, text=True, timeout=60)
    finally:
        server.psql("ALTER ROLE postgres RESET log_min_duration_statement")
    assert done.returncode == 0, done.stderr
    return passwords, server.log.read_text()[before:] + done.stdout + done.stderr


def test_a_password_opens_its_role_again_when_it_has_changed(server, made):
    passwords, _ = made
    for role in passwords.keys() - {"postgres_exporter"}:
        url = server.url(role, role, passwords[role])
        done = subprocess.run(["psql", url, "--tuples-only", "--no-align",
                               "--command=SELECT current_user"], capture_output=True, text=True)
        assert done.stdout.strip() == role, done.stderr


def test_no_password_gets_into_the_log_however_slow_the_server_is(made):
    passwords, log = made
    assert "REVOKE ALL ON DATABASE items" in log, "slow statements are told"
    assert not [role for role, password in passwords.items() if password in log]


@pytest.mark.parametrize("role, told", [("items", True), ("authentik", False)])
def test_a_statement_that_fails_is_told_unless_it_may_hold_secrets(server, made, role, told):
    passwords, _ = made
    word = secrets.token_hex(8)
    before = len(server.log.read_text())
    done = subprocess.run(["psql", server.url(role, role, passwords[role]),
                           f"--command=SELECT '{word}' FROM nowhere"],
                          capture_output=True, text=True)
    assert "does not exist" in done.stderr
    log = server.log.read_text()[before:]
    assert "ERROR:  relation" in log and (word in log) == told
