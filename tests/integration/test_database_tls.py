"""TLS to the database, by the variables of its client library (PostgreSQL, "libpq Environment
Variables"), which an operator of a cluster gives to every service alike."""

import os
import shutil

import pytest
from support.tls_front import make_certificate
from support.wait import eventually

SERVICES = [("items", "/items"), ("activity", "/activities")]


class Vouched:
    """The server with TLS, and the file in which its clients find who vouches for it."""

    def __init__(self, postgres, folder):
        self.postgres, self.folder = postgres, folder
        self.authority = folder / "authority.pem"
        self.begin("first")

    def begin(self, name: str) -> None:
        """From now on the server shows another certificate."""
        self.certificate = make_certificate(self.folder, name)
        for made, place in zip(self.certificate, ("server.crt", "server.key"), strict=True):
            path = self.postgres.data / place
            shutil.copy(made, path)
            path.chmod(0o600)
            if self.postgres.user:
                os.chown(path, self.postgres.user.uid, self.postgres.user.gid)
        self.postgres.psql("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")

    def tell(self) -> None:
        """The clients' file names who vouches for it now."""
        fresh = self.folder / "authority.new"
        shutil.copy(self.certificate[0], fresh)
        fresh.rename(self.authority)

    def end(self) -> None:
        self.postgres.psql("ALTER SYSTEM RESET ssl", "SELECT pg_reload_conf()")
        for place in ("server.crt", "server.key"):
            (self.postgres.data / place).unlink()


@pytest.fixture
def vouched(stack, tmp_path):
    made = Vouched(stack.postgres, tmp_path)
    yield made
    made.end()


@pytest.fixture
def start_tls(start, world, vouched):
    def one(name: str, **how):
        url = world.database_url(name).replace("@127.0.0.1:", "@localhost:")
        return start(name, DATABASE_URL=url, PGSSLMODE="verify-full",
                     PGSSLROOTCERT=vouched.authority, **how)

    return one


def sessions(stack, url: str) -> list[str]:
    """Of a database: t or f for each, as it is encrypted or not."""
    return stack.postgres.psql(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        f" WHERE datname = '{url.rsplit('/', 1)[1]}'").split()


@pytest.mark.parametrize("name, path", SERVICES)
def test_the_authority_may_change_while_a_service_runs(start_tls, stack, vouched, name, path):
    vouched.tell()
    service = start_tls(name)
    url = service.env["DATABASE_URL"]
    assert "t" in sessions(stack, url)

    vouched.begin("second")
    vouched.tell()
    stack.postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        f" WHERE datname = '{url.rsplit('/', 1)[1]}'")
    eventually(lambda: service.api.get(path).status_code == 200)
    service.wait_whole()
    assert "t" in sessions(stack, url)


@pytest.mark.parametrize("name, path", SERVICES)
def test_a_database_that_nobody_vouches_for_is_not_talked_to(start_tls, stack, vouched, name, path):
    vouched.tell()
    vouched.begin("unknown")
    service = start_tls(name, ready=False)
    eventually(lambda: any("certificate" in str(line) for line in service.logs()), 30,
               what="a line that says why")
    assert service.running() and service.http.get("/readyz").status_code == 503
    vouched.tell()
    service.wait_ready()
    assert service.api.get(path).status_code == 200
