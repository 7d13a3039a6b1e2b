"""The core of the platform in a real Docker engine, by its own compose files and tools.

The images of the services are built from their real Dockerfiles: first those in C, then the peers,
which take over the same volumes. PostgreSQL and RabbitMQ are Debian's, in images that stand in for
the official ones; see engine.py.
"""

import gzip
import itertools
import json
import os
import subprocess
import uuid

import pika
import pytest
import requests
from kit.paths import ROOT
from kit.secretfiles import SECRETS
from kit.services import read_env
from support.engine import VERSIONS, Engine, run
from support.wait import eventually

CORE = ("postgres", "rabbitmq", "items", "activity")
PROJECT = "trunnion-core-test"
IMAGE_BYTES_MAX = 30_000_000  # Compressed.
ZSTD_LEVEL = 9  # A push at 19, as docs/guides/deploy.md says, takes longer and is smaller.
GZIP_BYTES_MAX = {"activity-fastify": 36_000_000}  # Of Node.js alone 29; see its README.
DATABASES = ("items", "activity", "authentik")
REVISION = "0123456789abcdef0123456789abcdef01234567"


class Core:
    """The running project, as a person with a shell has it in hand."""

    def __init__(self, engine: Engine, **chosen: str):
        self.engine = engine
        files = (ROOT / "compose.yaml", ROOT / "tests" / "platform" / "engine.compose.yaml")
        self.env = {**engine.env, "COMPOSE_PROJECT_NAME": PROJECT,
                    "COMPOSE_FILE": os.pathsep.join(map(str, files)),
                    "COMPOSE_ENV_FILES": os.devnull, "REVISION": REVISION, **chosen}

    def tool(self, *words) -> str:
        return run(ROOT / "tools" / "platform", *words, env=self.env)

    def up(self) -> str:
        return self.tool("up", *CORE)

    def container(self, name: str) -> str:
        return f"{PROJECT}-{name}-1"

    def inspect(self, name: str) -> dict:
        return json.loads(self.engine.docker("inspect", self.container(name)))[0]

    def address(self, name: str, network: str) -> str:
        networks = self.inspect(name)["NetworkSettings"]["Networks"]
        return networks[f"{PROJECT}_{network}"]["IPAddress"]

    def api(self, name: str, path: str) -> str:
        return f"http://{self.address(name, 'web')}:8080/api/v1{path}"

    def psql(self, user: str, database: str, sql: str) -> subprocess.CompletedProcess:
        """Over TCP with the role's own password, as a service connects."""
        name = "postgres-exporter" if user == "postgres_exporter" else f"{user}-db"
        password = (SECRETS / f"{name}-password").read_text()
        return subprocess.run(
            ["docker", "exec", "--env", f"PGPASSWORD={password}", self.container("postgres"),
             "psql", "--host=127.0.0.1", f"--username={user}", f"--dbname={database}",
             "--tuples-only", "--no-align", f"--command={sql}"],
            env=self.env, capture_output=True, text=True)

    def broker(self, user: str, password: str | None = None) -> pika.BlockingConnection:
        word = password or (SECRETS / f"rabbitmq-{user}-password").read_text()
        return pika.BlockingConnection(pika.ConnectionParameters(
            self.address("rabbitmq", "broker"), credentials=pika.PlainCredentials(user, word)))

    def create_item(self) -> dict:
        body = {"sku": f"S-{uuid.uuid4().hex[:12].upper()}", "name": "Bolt", "price_cents": 125}
        made = requests.post(self.api("items", "/items"), json=body, timeout=10,
                             headers={"Idempotency-Key": str(uuid.uuid4())})
        assert made.status_code == 201, made.text
        return made.json()

    def activities_of(self, item: dict) -> list[dict]:
        found = requests.get(self.api("activity", f"/activities?item_id={item['id']}"), timeout=10)
        assert found.status_code == 200, found.text
        return found.json()["items"]


@pytest.fixture(scope="module")
def engine():
    run(ROOT / "tools" / "compose" / "make")
    made = Engine().start()
    try:
        made.clear()  # What a run that was killed has left in the cache.
        made.give_base_images()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def core(engine):
    made = Core(engine, ITEMS="c", ACTIVITY="c")
    made.up()
    return made


@pytest.fixture(scope="module")
def peers(engine):
    """For the last tests: it takes the volumes over."""
    made = Core(engine, ITEMS="fastapi", ACTIVITY="fastify")
    made.up()
    return made


# ---- Up ------------------------------------------------------------------------------


def assert_healthy(core):
    lines = {line.split()[0]: line.split()[1] for line in core.tool("status").splitlines() if line}
    assert lines == {name: "healthy" for name in CORE}


def assert_heard(core):
    item = core.create_item()
    told = eventually(lambda: core.activities_of(item), seconds=20, what="the item's activity")
    assert [one["type"] for one in told] == ["item.created"]


def assert_runs_as_its_fragment_says(core, name):
    one = core.inspect(name)
    host = one["HostConfig"]
    assert one["Config"]["User"].split(":")[0] not in ("", "0", "root")
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["NanoCpus"] > 0
    assert host["LogConfig"]["Config"]["max-size"] == "10m"
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert not host["PortBindings"]
    assert one["State"]["Health"]["Status"] == "healthy"


def test_everything_is_healthy_and_status_says_so(core):
    assert_healthy(core)


def test_what_is_sent_to_items_is_heard_by_activity(core):
    assert_heard(core)


def test_what_another_choice_has_left_behind_is_removed(core):
    """As Promtail is, once LOGS says alloy."""
    labels = {"project": PROJECT, "service": "reader", "oneoff": "False", "config-hash": "0"}
    words = [f"--label=com.docker.compose.{name}={text}" for name, text in labels.items()]
    left = core.engine.docker("create", *words, core.inspect("items")["Config"]["Image"]).strip()
    core.up()
    assert left not in core.engine.docker("ps", "--all", "--quiet", "--no-trunc").split()


@pytest.mark.parametrize("name", CORE)
def test_a_container_runs_as_its_fragment_says(core, name):
    assert_runs_as_its_fragment_says(core, name)


# ---- The images ------------------------------------------------------------------------


def assert_small_and_without_a_shell(core, name, title):
    image = core.inspect(name)["Config"]["Image"]
    saved = subprocess.run(["docker", "image", "save", image], env=core.env, check=True,
                           capture_output=True).stdout
    zstd = subprocess.run(["zstd", f"-{ZSTD_LEVEL}", "--stdout"], input=saved, check=True,
                          capture_output=True).stdout
    assert len(zstd) < IMAGE_BYTES_MAX
    gzipped = gzip.compress(saved, compresslevel=6)
    assert len(gzipped) < GZIP_BYTES_MAX.get(title, IMAGE_BYTES_MAX)
    done = subprocess.run(["docker", "exec", core.container(name), "/bin/sh", "-c", "true"],
                          env=core.env, capture_output=True, text=True)
    assert done.returncode != 0 and "no such file" in (done.stdout + done.stderr).lower()


def assert_says_what_it_is(core, name, title):
    labels = core.inspect(name)["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    said = {key.removeprefix(prefix): text for key, text in labels.items()
            if key.startswith(prefix)}
    assert said["title"] == f"trunnion {title}" and said["licenses"] == "Apache-2.0"
    assert said["version"] == read_env(VERSIONS)["TRUNNION_VERSION"]
    assert said["revision"] == REVISION


@pytest.mark.parametrize("name", ["items", "activity"])
def test_an_image_is_small_and_holds_no_shell(core, name):
    assert_small_and_without_a_shell(core, name, name)


@pytest.mark.parametrize("name", ["items", "activity"])
def test_an_image_says_what_it_is(core, name):
    assert_says_what_it_is(core, name, name)


# ---- Who may do what -------------------------------------------------------------------


def assert_roles_keep_to_themselves(core):
    for user, database in itertools.product(DATABASES, (*DATABASES, "postgres", "template1")):
        done = core.psql(user, database, "SELECT 1")
        if user == database:
            assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
        else:
            assert done.returncode != 0 and "permission denied for database" in done.stderr, \
                (user, database, done.stdout, done.stderr)


def test_a_role_cannot_even_connect_to_anothers_database(core):
    assert_roles_keep_to_themselves(core)


@pytest.mark.parametrize("user, time", [("items", "1min"), ("activity", "1min"),
                                        ("authentik", "0")])
def test_only_authentik_may_be_idle_in_a_transaction(core, user, time):
    """Its migrations are done under a lock in such a transaction."""
    done = core.psql(user, user, "SHOW idle_in_transaction_session_timeout")
    assert done.stdout.strip() == time, done.stderr


def test_a_role_can_neither_make_roles_nor_databases(core):
    for sql in ("CREATE ROLE spy", "CREATE DATABASE spy", "COPY (SELECT 1) TO PROGRAM 'true'"):
        assert "permission denied" in core.psql("items", "items", sql).stderr, sql


def test_who_counts_sees_numbers_and_no_rows(core):
    counted = core.psql("postgres_exporter", "items", "SELECT count(*) FROM pg_stat_activity")
    assert counted.returncode == 0 and int(counted.stdout) > 0
    assert "permission denied" in core.psql("postgres_exporter", "items",
                                            "SELECT * FROM public.items").stderr


def test_a_wrong_password_opens_nothing(core):
    done = subprocess.run(
        ["docker", "exec", "--env", "PGPASSWORD=postgres", core.container("postgres"), "psql",
         "--host=127.0.0.1", "--username=postgres", "--command=SELECT 1"],
        env=core.env, capture_output=True, text=True)
    assert "password authentication failed" in done.stderr
    for user, password in (("guest", "guest"), ("items", "items")):
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            core.broker(user, password)


REFUSED = (
    ("items", lambda channel: channel.queue_declare("spy")),
    ("items", lambda channel: channel.basic_get("activity.events.dead")),
    ("items", lambda channel: channel.exchange_declare("spy")),
    ("items", lambda channel: channel.queue_bind("activity.events", "amq.topic", "#")),
    ("activity", lambda channel: channel.queue_declare("spy")),
    ("activity", lambda channel: publish(channel, "events")),
)


def publish(channel, exchange: str) -> None:
    channel.confirm_delivery()
    channel.basic_publish(exchange, "item.created", b"{}", mandatory=True)


@pytest.mark.parametrize("user, act", REFUSED)
def test_a_service_may_do_no_more_at_the_broker_than_it_must(core, user, act):
    connection = core.broker(user)
    try:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            act(connection.channel())
        assert refused.value.reply_code == 403
    finally:
        connection.close()


def test_the_console_shows_numbers(core):
    password = (SECRETS / "rabbitmq-admin-password").read_text()
    told = requests.get(f"http://{core.address('rabbitmq', 'web')}:15672/api/overview", timeout=10,
                        auth=("admin", password))
    assert told.status_code == 200 and told.json()["disable_stats"] is False


# ---- Losses ----------------------------------------------------------------------------


def test_a_lost_volume_is_restored_from_a_copy(core, tmp_path):
    kept = core.create_item()
    eventually(lambda: core.activities_of(kept), seconds=20, what="the item's activity")
    copy = tmp_path / "copy"
    core.tool("backup", copy)
    assert {path.name for path in copy.iterdir()} == {f"{name}.dump" for name in DATABASES}
    later = core.create_item()

    core.engine.docker("rm", "--force", core.container("postgres"))
    core.engine.docker("volume", "rm", f"{PROJECT}_postgres-data")
    core.tool("restore", copy)
    core.up()

    found = requests.get(core.api("items", f"/items/{kept['id']}"), timeout=10)
    assert found.status_code == 200 and found.json() == kept
    assert requests.get(core.api("items", f"/items/{later['id']}"), timeout=10).status_code == 404
    assert len(core.activities_of(kept)) == 1
    assert_roles_keep_to_themselves(core)
    again = core.create_item()
    eventually(lambda: core.activities_of(again), seconds=30, what="a new item's activity")


def test_half_a_copy_is_refused_before_anything_is_lost(core, tmp_path):
    (tmp_path / "items.dump").write_bytes(b"")
    done = subprocess.run([ROOT / "tools" / "platform", "restore", tmp_path], env=core.env,
                          capture_output=True, text=True)
    assert done.returncode == 1 and "no whole copy" in done.stderr
    assert core.create_item()


def assert_stops_cleanly(core):
    core.engine.docker("stop", "--time=30", core.container("items"), core.container("activity"))
    for name in ("items", "activity"):
        assert core.inspect(name)["State"]["ExitCode"] == 0, name
    core.tool("down")
    assert not core.engine.docker("ps", "--all", "--quiet").strip()
    assert "postgres-data" in core.engine.docker("volume", "ls")


def test_a_service_stops_cleanly_and_everything_is_taken_down(core):
    """The last test of those in C: afterwards nothing runs."""
    assert_stops_cleanly(core)


# ---- The peers -------------------------------------------------------------------------

PEERS = (("items", "items-fastapi"), ("activity", "activity-fastify"))


def test_peers_take_over_what_others_have_written(peers):
    assert_healthy(peers)
    assert_heard(peers)
    listed = requests.get(peers.api("items", "/items?limit=100"), timeout=10).json()["items"]
    heard = [peers.activities_of(item) for item in listed]
    assert len(listed) >= 2 and all(heard), "the first of them were made before"


@pytest.mark.parametrize("name, title", PEERS)
def test_a_peers_container_runs_as_its_fragment_says(peers, name, title):
    assert_runs_as_its_fragment_says(peers, name)
    assert_says_what_it_is(peers, name, title)


@pytest.mark.parametrize("name, title", PEERS)
def test_a_peers_image_is_small_and_holds_no_shell(peers, name, title):
    assert_small_and_without_a_shell(peers, name, title)


def test_peers_stop_cleanly(peers):
    """The last test here."""
    assert_stops_cleanly(peers)
