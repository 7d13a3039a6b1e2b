"""Logs, traces and Grafana: the configurations agree with themselves and with each other.

That the programs take them, and what a request looks like in them, is in docs/verification.md.
"""

import configparser
import copy
import json
import re

import pytest
import yaml
from kit.paths import ROOT
from kit.services import read_env

PLATFORM = ROOT / "platform"
GRAFANA = PLATFORM / "grafana"
COLLECTOR = PLATFORM / "otel-collector"
TRACES = sorted(path.stem.removeprefix("traces-") for path in COLLECTOR.glob("traces-*.yaml"))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
IDS = {"trace_id", "span_id", "request_id"}


def load(path) -> dict:
    return yaml.safe_load(path.read_text())


def merged(base: dict, more: dict) -> dict:
    """As the collector merges its files: tables are joined, everything else is replaced."""
    made = copy.deepcopy(base)
    for key, value in more.items():
        both = isinstance(made.get(key), dict) and isinstance(value, dict)
        made[key] = merged(made[key], value) if both else value
    return made


def collector(traces: str) -> dict:
    return merged(load(COLLECTOR / "collector.yaml"), load(COLLECTOR / f"traces-{traces}.yaml"))


def port(address) -> int:
    return int(str(address).rsplit(":", 1)[1].split("/")[0])


LOKI = load(PLATFORM / "loki" / "loki.yaml")
TEMPO = load(PLATFORM / "tempo" / "tempo.yaml")
PROMTAIL = load(PLATFORM / "promtail" / "promtail.yaml")
PROMETHEUS = load(PLATFORM / "prometheus" / "prometheus.yaml")
SOURCES = {one["uid"]: one for one in
           load(GRAFANA / "provisioning" / "datasources" / "datasources.yaml")["datasources"]}
INI = configparser.ConfigParser(interpolation=None)
INI.read_string((GRAFANA / "grafana.ini").read_text())


# ---- The collector -------------------------------------------------------------------


def test_both_choices_of_traces_are_there():
    assert TRACES == ["all", "sampled"]


@pytest.mark.parametrize("traces", TRACES)
@pytest.mark.parametrize("kind", ["receivers", "processors", "exporters"])
def test_what_a_pipeline_names_is_defined_and_what_is_defined_is_used(traces, kind):
    config = collector(traces)
    used = [name for pipeline in config["service"]["pipelines"].values()
            for name in pipeline[kind]]
    assert set(used) == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])


@pytest.mark.parametrize("traces", TRACES)
def test_memory_is_looked_at_first_and_batches_are_made_last(traces):
    processors = collector(traces)["service"]["pipelines"]["traces"]["processors"]
    assert (processors[0], processors[-1]) == ("memory_limiter", "batch")


def test_the_collectors_limit_lies_within_its_containers():
    memory = load(COLLECTOR / "compose.yaml")["services"]["otel-collector"]["deploy"]["resources"][
        "limits"]["memory"]
    assert collector("all")["processors"]["memory_limiter"]["limit_mib"] < int(memory.rstrip("M"))


def test_sampling_keeps_what_failed_and_what_was_slow_and_a_part_of_the_rest():
    sampling = collector("sampled")["processors"]["tail_sampling"]
    policies = {policy["type"]: policy for policy in sampling["policies"]}
    assert policies["status_code"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["latency"]["latency"]["threshold_ms"] > 0
    assert 0 < policies["probabilistic"]["probabilistic"]["sampling_percentage"] < 100
    # Spans that come late find the decision only where more are remembered than traces are held.
    assert min(sampling["decision_cache"].values()) > sampling["num_traces"]


# ---- Who speaks to whom --------------------------------------------------------------


def test_spans_arrive_where_tempo_listens():
    exporter = collector("all")["exporters"]["otlp_grpc"]["endpoint"]
    listens = TEMPO["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert exporter.split(":")[0] == "tempo" and port(exporter) == port(listens)


@pytest.mark.parametrize("name", ["items", "activity"])
def test_the_services_send_spans_where_the_collector_listens(name):
    said = load(ROOT / "services" / name / "compose.yaml")["services"][name]["environment"]
    listens = collector("all")["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert said["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://otel-collector:{port(listens)}"


def test_lines_arrive_where_loki_listens():
    [client] = PROMTAIL["clients"]
    assert client["url"] == f"http://loki:{LOKI['server']['http_listen_port']}/loki/api/v1/push"


def test_grafana_reads_where_the_others_listen():
    assert SOURCES["loki"]["url"] == f"http://loki:{LOKI['server']['http_listen_port']}"
    assert SOURCES["tempo"]["url"] == f"http://tempo:{TEMPO['server']['http_listen_port']}"
    assert {uid: source["type"] for uid, source in SOURCES.items()} == {
        "prometheus": "prometheus", "loki": "loki", "tempo": "tempo"}


def test_prometheus_scrapes_where_they_count():
    readers = collector("all")["service"]["telemetry"]["metrics"]["readers"]
    counts = {
        "loki": LOKI["server"]["http_listen_port"],
        "tempo": TEMPO["server"]["http_listen_port"],
        "otel-collector": readers[0]["pull"]["exporter"]["prometheus"]["port"],
        "grafana": INI.getint("server", "http_port"),
    }
    scraped = {job["job_name"]: job["static_configs"][0]["targets"]
               for job in PROMETHEUS["scrape_configs"] if "static_configs" in job}
    assert {name: scraped[name] for name in counts} == {
        name: [f"{name}:{number}"] for name, number in counts.items()}


# ---- What is kept --------------------------------------------------------------------


def test_loki_deletes_what_it_says_it_keeps_no_longer():
    assert LOKI["compactor"]["retention_enabled"] and LOKI["compactor"]["delete_request_store"]
    [schema] = LOKI["schema_config"]["configs"]
    assert (schema["store"], schema["schema"], schema["index"]["period"]) == ("tsdb", "v13", "24h")


def test_lines_and_traces_are_kept_equally_long():
    kept = LOKI["limits_config"]["retention_period"]
    assert kept == TEMPO["backend_worker"]["compaction"]["block_retention"]


def test_no_label_is_guessed_and_ids_go_beside_the_line():
    limits = LOKI["limits_config"]
    assert limits["discover_service_name"] == [] and not limits["discover_log_levels"]
    assert limits["allow_structured_metadata"]
    stages = PROMTAIL["scrape_configs"][0]["pipeline_stages"]
    labels = {name for stage in stages for name in stage.get("labels", {})}
    beside = {name for stage in stages for name in stage.get("structured_metadata", {})}
    assert labels == {"service", "container", "level"} and beside == IDS


@pytest.mark.parametrize("told", [LOKI["analytics"], TEMPO["usage_report"], INI["analytics"]],
                         ids=["loki", "tempo", "grafana"])
def test_nobody_outside_is_told_of_its_use(told):
    assert told["reporting_enabled"] in (False, "false")


# ---- Grafana -------------------------------------------------------------------------


def texts(value) -> list[str]:
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return [text for one in inner for text in texts(one)]
    return [value] if isinstance(value, str) else []


def uids(value, key: str) -> set[str]:
    """What stands under a key, however deep."""
    if isinstance(value, list):
        return set().union(*(uids(one, key) for one in value))
    if not isinstance(value, dict):
        return set()
    own = {value[key]} if isinstance(value.get(key), str) else set()
    return own.union(*(uids(one, key) for one in value.values()))


def test_each_source_leads_to_another_that_is_there():
    leads = {uid: uids(source["jsonData"], "datasourceUid") for uid, source in SOURCES.items()}
    assert leads == {"prometheus": {"tempo"}, "loki": {"tempo"}, "tempo": {"loki", "prometheus"}}


def test_a_line_leads_to_its_trace_by_the_metadata_that_the_collectors_write():
    [derived] = SOURCES["loki"]["jsonData"]["derivedFields"]
    assert derived["matcherType"] == "label"
    pattern = derived["matcherRegex"].replace("$$", "$")
    assert {name for name in IDS if re.search(pattern, name)} == {"trace_id"}


def test_a_span_leads_to_labels_that_lines_and_series_have():
    tempo = SOURCES["tempo"]["jsonData"]
    assert tempo["tracesToLogsV2"]["tags"] == tempo["tracesToMetrics"]["tags"] == [
        {"key": "service.name", "value": "service"}]
    assert '| trace_id="$${__trace.traceId}"' in tempo["tracesToLogsV2"]["query"]
    [services] = [job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "services"]
    assert "service" in {rule.get("target_label") for rule in services["relabel_configs"]}


def test_what_grafana_is_to_fill_in_is_not_taken_for_its_environment():
    loose = [text for source in SOURCES.values() for text in texts(source)
             if re.search(r"(?<!\$)\$(?!\$)", text)]
    assert loose == []


def test_an_exemplar_has_the_label_that_leads_to_its_trace(items):
    [exemplar] = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    items.api.get("/items", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    said = items.http.get("/metrics", headers={"Accept": "application/openmetrics-text"}).text
    assert re.search(rf'http_server_request_duration_seconds_bucket.* # {{.*{exemplar["name"]}="'
                     rf'{TRACE}"', said)


@pytest.mark.parametrize("path", sorted((GRAFANA / "dashboards").glob("*.json")),
                         ids=lambda path: path.stem)
def test_a_dashboard_names_sources_that_are_there(path):
    named = {panel["datasource"]["uid"] for panel in json.loads(path.read_text())["panels"]
             if isinstance(panel.get("datasource"), dict)}
    assert named and named <= set(SOURCES) | {"grafana", "-- Grafana --"}


def test_dashboards_are_read_from_the_folder_that_is_mounted():
    [provider] = load(GRAFANA / "provisioning" / "dashboards" / "dashboards.yaml")["providers"]
    mounts = load(GRAFANA / "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./platform/grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert not provider["allowUiUpdates"]


def test_grafana_has_the_plugins_of_its_image_and_looks_for_no_others():
    """The data sources are plugins in the plain image alone, beside its data; the slim and the
    distroless one have none, and the latter reads no secret from a file."""
    grafana = load(GRAFANA / "compose.yaml")["services"]["grafana"]
    assert grafana["image"] == "docker.io/grafana/grafana:${GRAFANA_VERSION}"
    pinned = read_env(PLATFORM / "versions.env")["GRAFANA_VERSION"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", pinned)
    hidden = [volume.split(":")[1] for volume in grafana["volumes"]] + grafana["tmpfs"]
    assert not [place for place in hidden if place.startswith("/usr/share/grafana")]
    assert INI.getboolean("plugins", "preinstall_disabled")
    assert not INI.has_section("paths")


def test_what_grafana_is_given_hides_no_folder_that_it_reads():
    """It has errors to log at each start where one of the image's own is not to be found."""
    mounts = [volume.split(":")[:2] for volume in
              load(GRAFANA / "compose.yaml")["services"]["grafana"]["volumes"]]
    into = {target: source for source, target in mounts if target.startswith("/etc/grafana/prov")}
    assert into == {f"/etc/grafana/provisioning/{folder.name}":
                    f"./platform/grafana/provisioning/{folder.name}"
                    for folder in (GRAFANA / "provisioning").iterdir()}
    assert "/etc/grafana" not in dict(map(reversed, mounts))


# ---- Grafana's login -----------------------------------------------------------------


def test_what_the_settings_take_from_the_environment_is_given():
    used = set(re.findall(r"\$\{(\w+)\}", (GRAFANA / "grafana.ini").read_text()))
    given = load(GRAFANA / "compose.yaml")["services"]["grafana"]["environment"]
    assert used and used <= set(given)


def test_with_tls_grafana_is_told_that_its_address_is_another():
    tls = load(PLATFORM / "traefik" / "compose.tls.yaml")["services"]["grafana"]["environment"]
    assert tls["SCHEME"] == "https" and "HTTPS_PORT" in tls["PORT_SUFFIX"]
    assert tls["GF_SECURITY_COOKIE_SECURE"] == "true"


def test_every_secret_of_grafana_is_a_file_that_is_declared():
    grafana = load(GRAFANA / "compose.yaml")["services"]["grafana"]
    files = {value.removeprefix("/run/secrets/") for name, value in grafana["environment"].items()
             if name.endswith("__FILE")}
    assert files == set(grafana["secrets"])
    assert files <= set(load(PLATFORM / "compose.yaml")["secrets"])
    assert {"GF_SECURITY_ADMIN_PASSWORD__FILE", "GF_SECURITY_SECRET_KEY__FILE",
            "GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET__FILE"} <= set(grafana["environment"])


def test_people_come_from_authentik_alone():
    oauth = INI["auth.generic_oauth"]
    assert INI.getboolean("auth", "disable_login_form")
    assert not INI.getboolean("users", "allow_sign_up")
    assert oauth.getboolean("enabled") and oauth.getboolean("use_pkce")
    assert oauth.getboolean("role_attribute_strict")


def test_who_has_no_mail_address_is_known_by_name():
    """Grafana refuses a person without one."""
    said = [part.strip() for part in INI["auth.generic_oauth"]["email_attribute_path"].split("||")]
    assert said == ["email", INI["auth.generic_oauth"]["login_attribute_path"]]


def test_the_local_administrator_has_a_name_that_no_person_has():
    """Grafana refuses a person of authentik whose name one of its own has."""
    blueprint = (PLATFORM / "authentik" / "blueprints" / "trunnion.yaml").read_text()
    local = INI["security"]["admin_user"]
    assert local not in ("admin", "akadmin") and local not in blueprint


def test_authentik_knows_the_client_and_the_group_that_grafana_names():
    blueprint = (PLATFORM / "authentik" / "blueprints" / "trunnion.yaml").read_text()
    oauth = INI["auth.generic_oauth"]
    [group] = re.findall(r"contains\(groups\[\*\], '([^']+)'\) && 'Admin' \|\| 'Viewer'",
                         oauth["role_attribute_path"])
    assert re.search(rf"^\s+client_id: {oauth['client_id']}$", blueprint, re.MULTILINE)
    assert re.search(rf"^\s+name: {group}$", blueprint, re.MULTILINE)
    assert "/login/generic_oauth" in blueprint
