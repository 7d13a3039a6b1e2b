"""The compose model, as Docker Compose itself merges it, in every combination that .env can choose.

What platform/README.md promises must hold for each container of each.
"""

import functools
import itertools
import json
import os
import re
import subprocess

import pytest
from kit import compose, secretfiles
from kit.paths import ROOT
from kit.services import read_env

SWITCHES = {
    "ITEMS": ("c", "fastapi"),
    "ACTIVITY": ("c", "fastify"),
    "LOGS": ("promtail", "alloy"),
    "TLS": ("", "on"),
}
COMBINATIONS = [dict(zip(SWITCHES, choice, strict=True))
                for choice in itertools.product(*SWITCHES.values())]
VERSIONS = ROOT / "platform" / "versions.env"
FRAGMENTS = sorted([ROOT / "compose.yaml", *ROOT.glob("platform/**/compose*.yaml"),
                    *ROOT.glob("services/*/compose*.yaml")])

# Run once and end: nobody asks how they are, and they are not started again.
ONCE = {"authentik-provision", "traefik-acme"}
# Docker's log files belong to root, who reads them here without any capability; and a new volume
# is root's until traefik-acme has given it away.
ROOTS = {"promtail", "alloy", "traefik-acme"}
# Its image holds nothing that could ask it; Prometheus watches it instead.
UNASKED = {"otel-collector"}
OWNERS = {
    "items-db": {"items"},
    "activity-db": {"activity"},
    "authentik-db": {"authentik-server", "authentik-worker", "authentik-provision"},
    "exporter-db": {"postgres-exporter"},
}


@pytest.fixture(scope="module", autouse=True)
def compose_is_there():
    subprocess.run([ROOT / "tools" / "compose" / "make"], check=True)


@functools.cache
def config(chosen: tuple[tuple[str, str], ...]) -> dict:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **dict(chosen)}
    done = subprocess.run([*compose.program(), "--project-directory", str(ROOT), "--env-file",
                           os.devnull, "config", "--format=json"], env=env, cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


def model(**chosen: str) -> dict:
    return config(tuple(sorted(chosen.items())))


@pytest.fixture(params=COMBINATIONS, ids=lambda one: "-".join(filter(None, one.values())))
def merged(request) -> dict:
    return model(**request.param)


def each(merged: dict, *, without: set[str] = frozenset()):
    return [(name, one) for name, one in merged["services"].items() if name not in without]


# ---- The whole ---------------------------------------------------------------------------


def test_every_component_is_in_every_combination(merged):
    expected = {"items", "activity", "postgres", "postgres-exporter", "rabbitmq", "traefik",
                "authentik-server", "authentik-worker", "prometheus", "loki", "tempo",
                "otel-collector", "grafana"}
    assert expected <= set(merged["services"])
    assert len({"promtail", "alloy"} & set(merged["services"])) == 1


def test_the_switches_choose_who_serves():
    for switch, service in (("ITEMS", "items"), ("ACTIVITY", "activity")):
        images = [model(**{switch: who})["services"][service]["image"] for who in SWITCHES[switch]]
        assert [who in image for who, image in zip(SWITCHES[switch], images, strict=True)] == \
            [True, True], images


def test_only_traefik_publishes_ports_and_on_loopback_unless_told(merged):
    ports = {name: one["ports"] for name, one in each(merged) if one.get("ports")}
    assert set(ports) == {"traefik"}
    assert {port["host_ip"] for port in ports["traefik"]} == {"127.0.0.1"}


def test_every_network_but_the_edge_is_internal_and_only_traefik_is_on_that(merged):
    inside = {name for name, one in merged["networks"].items() if (one or {}).get("internal")}
    assert set(merged["networks"]) - inside == {"edge"}
    assert [name for name, one in each(merged) if "edge" in one.get("networks", {})] == ["traefik"]
    assert not [name for name, one in each(merged) if "default" in one.get("networks", {})]


def test_a_database_is_reached_by_its_owner_alone(merged):
    for network, owners in OWNERS.items():
        members = {name for name, one in each(merged) if network in one.get("networks", {})}
        assert members == {"postgres"} | owners, network
    assert not {"web", "broker", "telemetry", "edge"} & \
        set(merged["services"]["postgres"]["networks"])


# ---- Each container ----------------------------------------------------------------------


def test_no_container_can_gain_rights_or_write_to_its_image(merged):
    for name, one in each(merged):
        assert one.get("read_only") is True, name
        assert one.get("cap_drop") == ["ALL"], name
        assert set(one.get("cap_add") or []) <= ({"CHOWN"} if name in ONCE else set()), name
        assert "no-new-privileges:true" in one.get("security_opt", []), name
        assert not one.get("privileged") and not one.get("devices"), name
        assert not {"pid", "ipc", "userns_mode", "uts"} & set(one), name
        assert one.get("network_mode", "none") == "none", name


def test_no_container_is_root_unless_said(merged):
    for name, one in each(merged):
        user = str(one.get("user", "0"))
        assert re.fullmatch(r"\d+:\d+", user), f"{name}: a number, for names are the image's"
        assert (user.split(":")[0] == "0") == (name in ROOTS), name


def test_every_container_has_its_limits_and_its_log_is_rotated(merged):
    for name, one in each(merged):
        limits = one["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) <= 2 * 1024 ** 3 and 0 < limits["cpus"] <= 2, name
        assert one["logging"]["driver"] == "json-file", name
        assert {"max-size", "max-file"} <= set(one["logging"]["options"]), name


def test_a_log_line_says_whose_it_is(merged):
    """The collectors read it from these labels; without it a line would be nobody's."""
    for name, one in each(merged, without=ONCE):
        assert "com.docker.compose.service" in one["logging"]["options"].get("labels", ""), name


def test_every_container_is_started_again_and_asked_how_it_is(merged):
    for name, one in each(merged, without=ONCE):
        assert one.get("restart") == "unless-stopped", name
        asked = one.get("healthcheck", {})
        assert bool(asked.get("test")) == (name not in UNASKED), name
    for name in ONCE & set(merged["services"]):
        assert merged["services"][name].get("restart") in ("no", "on-failure"), name


def test_make_up_can_wait_for_every_container(merged):
    """`up --wait` is content with a container that runs when nothing is said of its health; a check
    that is switched off it takes for one that can't be waited for."""
    for name, one in each(merged):
        asked = one.get("healthcheck", {})
        assert not asked.get("disable") and asked.get("test") != ["NONE"], name


def test_what_is_waited_for_is_there_and_can_be_waited_for(merged):
    for name, one in each(merged):
        for other, wait in (one.get("depends_on") or {}).items():
            if wait["condition"] == "service_healthy":
                assert merged["services"][other].get("healthcheck", {}).get("test"), (name, other)
            if wait["condition"] == "service_completed_successfully":
                assert other in ONCE, (name, other)


def test_what_is_mounted_is_in_the_repository_and_read_only(merged):
    """But for Docker's logs and a certificate of one's own, which are read only too."""
    for name, one in each(merged):
        for mount in one.get("volumes", []):
            if mount["type"] != "bind":
                continue
            source = mount["source"]
            assert mount.get("read_only"), (name, source)
            assert "docker.sock" not in source
            outside = ("/var/lib/docker/containers", str(ROOT / ".trunnion" / "tls"))
            assert source in outside or (source.startswith(str(ROOT)) and os.path.exists(source)), \
                (name, source)


def test_the_brokers_image_is_the_one_whose_console_shows_numbers(merged):
    """The plain one holds `management_agent.disable_metrics_collector = true` in a folder that is
    read after rabbitmq.conf, so no setting of ours could take it back."""
    assert merged["services"]["rabbitmq"]["image"].endswith("-management")


def test_what_the_brokers_log_holds_in_memory_fits_below_its_alarm():
    """Three times the size of one file, as RabbitMQ advises: a full one is still being sorted into
    the queues' own files while the next ones fill. Otherwise a queue that nobody reads for a while
    stops all publishers, and they stay stopped."""
    said = model()["services"]["rabbitmq"]["environment"]["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]
    size = int(re.fullmatch(r"-rabbit quorum_wal_max_size_bytes (\d+)", said)[1])
    conf = (ROOT / "platform" / "rabbitmq" / "rabbitmq.conf").read_text()
    alarm = int(re.search(r"vm_memory_high_watermark.absolute = (\d+)MiB", conf)[1]) * 2**20
    assert 3 * size <= alarm
    cluster = (ROOT / "platform" / "kubernetes" / "base" / "rabbitmq.yaml").read_text()
    assert f"quorum_queue.wal_max_size_bytes = {size}\n" in cluster


def test_root_without_capabilities_is_given_a_volume_it_can_write_to(merged):
    """A new volume takes over the owner of the folder that it covers. Alloy's image closes
    /var/lib/alloy to all but its user 473, and so to a root that may not override that."""
    alloy = merged["services"].get("alloy", {"volumes": []})
    assert not [one for one in alloy["volumes"]
                if one["type"] == "volume" and one["target"].startswith("/var/lib/alloy")]


def test_authentik_can_write_what_is_uploaded(merged):
    """Its image holds /data/media as a link to /media: a volume at /data alone leads to the
    read-only root."""
    for name in ("authentik-server", "authentik-worker"):
        volumes = {one["target"] for one in merged["services"][name]["volumes"]
                   if one["type"] == "volume"}
        assert {"/data", "/media"} <= volumes, name


# ---- Versions ----------------------------------------------------------------------------


def test_every_image_takes_its_version_from_versions_env(merged):
    pins = {name: f"pin.{name.lower()}" for name in read_env(VERSIONS)}
    switches = next(one for one in COMBINATIONS if model(**one) == merged)
    for name, one in each(model(**switches, **pins)):
        _, colon, version = one["image"].rpartition(":")
        assert colon and "pin." in version, (name, one["image"])


def test_versions_are_whole_and_each_is_used():
    text = "\n".join(path.read_text() for path in FRAGMENTS)
    for name, version in read_env(VERSIONS).items():
        assert "${" + name in text, f"{name} is used by nothing"
        assert re.fullmatch(r"\d+(\.\d+)+|[a-z]+-slim", version), f"{name}={version}"


def test_the_services_version_is_that_of_the_build():
    built = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text())[1]
    assert read_env(VERSIONS)["TRUNNION_VERSION"] == built


# ---- Secrets and variables ---------------------------------------------------------------


def test_every_secret_is_one_that_is_made(tmp_path, merged):
    secretfiles.make(tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    for name, one in merged.get("secrets", {}).items():
        assert one["file"] == str(secretfiles.SECRETS / name), name
        assert name in made, name


def test_a_secret_reaches_only_who_needs_it(merged):
    for name, one in each(merged):
        for secret in (entry["source"] for entry in one.get("secrets", [])):
            owner = secret.split("-")[0]
            shared = {"postgres": {"items-db-password", "activity-db-password",
                                   "authentik-db-password"},
                      "authentik-provision": {"grafana-oauth-secret"}}
            assert name.split("-")[0] == owner or secret in shared.get(name, ()), (name, secret)


def test_no_variable_holds_a_secret(merged):
    """Only where it lies: in a file that the container alone is given."""
    for name, one in each(merged):
        for variable, value in (one.get("environment") or {}).items():
            if re.search(r"PASS(WORD)?\b|PASSWORD|SECRET|TOKEN|_KEY\b|DATABASE_URL|AMQP_URL",
                         variable) and value:
                assert re.match(r"(file://)?/run/secrets/", value), (name, variable)
            assert not re.search(r"://[^/@\s]+:[^/@\s]+@", value or ""), (name, variable)


def test_every_variable_is_explained_and_every_explained_one_is_used():
    used = set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)",
                          "\n".join(path.read_text() for path in FRAGMENTS)))
    lines = (ROOT / ".env.example").read_text().splitlines()
    explained = {found[1] for line in lines if (found := re.match(r"#?([A-Z][A-Z0-9_]*)=", line))}
    assert explained == used - set(read_env(VERSIONS))


def test_the_example_says_the_defaults_that_hold():
    """Copied and switched on, it changes nothing."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    said = dict(found.groups() for line in lines
                if (found := re.match(r"#([A-Z][A-Z0-9_]*)=(.*)", line)))
    ports = {"HTTP_PORT": "", "HTTPS_PORT": ""}  # Written out, a usual port stands in addresses.
    assert model(**(said | ports)) == model()


# ---- The secrets themselves ----------------------------------------------------------------


def test_secrets_are_made_once_and_nobody_else_gets_at_them(tmp_path):
    folder = tmp_path / "secrets"
    assert set(secretfiles.make(folder)) == {path.name for path in folder.iterdir()}
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert secretfiles.make(folder) == []
    assert before == {path.name: path.read_text() for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_secrets_are_long_and_no_two_are_alike(tmp_path):
    secretfiles.make(tmp_path)
    words = [(tmp_path / name).read_text() for name in secretfiles.WORDS]
    assert len(set(words)) == len(words) and min(map(len, words)) >= 50


def test_what_follows_from_a_changed_password_is_made_anew(tmp_path):
    secretfiles.make(tmp_path)
    (tmp_path / "items-db-password").unlink()
    assert set(secretfiles.make(tmp_path)) == {"items-db-password", "items-database-url"}
    url = (tmp_path / "items-database-url").read_text()
    assert (tmp_path / "items-db-password").read_text() in url
