"""What platform/kubernetes promises, read from what kubectl builds of it: that Kubernetes' schemas
take it, that the services run as they do in the Compose model, and who may reach whom.

What a real API server and the operators' own schemas said of it is in docs/verification.md.
"""

import copy
import json
import os
import re
import subprocess

import pytest
import yaml
from kit.paths import ROOT
from kit.secretfiles import PERMISSIONS
from support import kubernetes as k8s
from support import traefik

PEERS = {"items": "items-fastapi", "activity": "activity-fastify"}
SERVICES = sorted(PEERS)
VERSIONS = dict(line.split("=", 1) for line
                in (ROOT / "platform" / "versions.env").read_text().splitlines()
                if re.match(r"\w+=", line))
PROXY = ("traefik", {"app.kubernetes.io/name": "traefik"})
PROMETHEUS = ("monitoring", {"app.kubernetes.io/name": "prometheus"})


# Built when a test asks, so that a registry that is away fails these tests and no others.
def base() -> list[dict]:
    return k8s.build(k8s.FOLDER / "base")


def example() -> list[dict]:
    return k8s.build(k8s.FOLDER / "overlays" / "example")


def deployments() -> dict[str, dict]:
    return k8s.of_kind(base(), "Deployment")


def settings() -> dict[str, str]:
    (only,) = k8s.of_kind(base(), "ConfigMap").values()
    return only["data"]


@pytest.fixture(scope="module")
def peers(tmp_path_factory) -> list[dict]:
    return k8s.overlay(tmp_path_factory.mktemp("peers"), components=sorted(PEERS.values()))


def variables(deployment: dict) -> dict[str, str]:
    """A pod's environment; what Kubernetes itself fills in stands for itself."""
    container = k8s.container(deployment)
    assert [each["configMapRef"]["name"] for each in container["envFrom"]] == list(
        k8s.of_kind(base(), "ConfigMap"))
    return settings() | {each["name"]: each.get("value", "") for each in container["env"]}


def default(service: str, variable: str) -> int:
    """As the program says it itself."""
    said = subprocess.run([program(service), "--help"], check=True, text=True, capture_output=True)
    return int(re.search(rf"^  {variable} \((\d+)\)$", said.stdout, re.MULTILINE).group(1))


def program(service: str):
    return ROOT / os.environ.get("BUILD_DIR", "build") / "services" / service / service


# ---- What Kubernetes takes --------------------------------------------------------------


@pytest.mark.parametrize("release", k8s.RELEASES)
def test_every_resource_of_kubernetes_own_kinds_is_as_its_schemas_want_it(release, peers, tmp_path):
    for resources in (base(), example(), peers):
        own = [each for each in resources if k8s.is_builtin(each)]
        assert len(own) >= 14
        assert not k8s.faults(own, release, tmp_path)


@pytest.mark.parametrize("kind,path,value", [
    ("Deployment", "spec.template.spec.readOnlyRootFilesystem", True),
    ("PodDisruptionBudget", "spec.maxUnavailible", 1),
    ("HorizontalPodAutoscaler", "spec.minReplicas", "two"),
    ("NetworkPolicy", "spec.ingres", [])])
def test_the_schemas_refuse_a_wrong_name_and_a_wrong_type(kind, path, value, tmp_path):
    wrong = copy.deepcopy(next(each for each in base() if each["kind"] == kind))
    *parents, last = path.split(".")
    at = wrong
    for name in parents:
        at = at[name]
    at[last] = value
    assert len(k8s.faults([wrong], k8s.RELEASES[-1], tmp_path)) == 1


def test_what_is_made_of_other_files_is_as_they_make_it():
    ran = subprocess.run([k8s.TOOLS / "generate", "--check"], text=True, capture_output=True)
    assert ran.returncode == 0, ran.stderr


def test_versions_are_those_of_the_platform():
    images = [k8s.container(each)["image"] for each in deployments().values()]
    assert sorted(images) == [f"trunnion/{name}-c:{VERSIONS['TRUNNION_VERSION']}"
                              for name in SERVICES]
    for cluster in k8s.of_kind(base(), "Cluster").values():
        assert f":{VERSIONS['POSTGRES_VERSION']}-" in cluster["spec"]["imageName"]
    for cluster in k8s.of_kind(base(), "RabbitmqCluster").values():
        assert f":{VERSIONS['RABBITMQ_VERSION']}-" in cluster["spec"]["image"]


# ---- How a service runs -----------------------------------------------------------------


def test_the_services_differ_in_nothing_but_their_names_and_known_consumers():
    # `items:` is also what Kubernetes calls a volume's files.
    items, activity = (json.loads(re.sub(rf'{name}(?!": )', "SERVICE",
                                         json.dumps(deployments()[name])))
                       for name in ("items", "activity"))
    k8s.container(items)["env"] = [each for each in k8s.container(items)["env"]
                                   if each["name"] != "EVENT_CONSUMERS"]
    assert items == activity


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_more_than_it_needs_and_a_limit_to_it(name):
    pod = deployments()[name]["spec"]["template"]["spec"]
    container = k8s.container(deployments()[name])
    compose = yaml.safe_load((ROOT / "services" / name / "compose.yaml").read_text())
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert user == compose["services"][name]["user"] != "0:0"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]}}
    for limits in (container["resources"]["limits"], container["resources"]["requests"]):
        assert set(limits) == {"cpu", "memory"}


@pytest.mark.parametrize("name", SERVICES)
def test_memory_is_what_the_compose_model_gives(name, peers):
    for resources, choice in ((base(), "c"), (peers, PEERS[name].split("-")[1])):
        file = ROOT / "services" / name / f"compose.{choice}.yaml"
        limits = yaml.safe_load(file.read_text())["services"][name]["deploy"]["resources"]
        given = k8s.container(k8s.of_kind(resources, "Deployment")[name])["resources"]["limits"]
        assert k8s.mebibytes(given["memory"]) == int(limits["limits"]["memory"].removesuffix("M"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_one_that_the_program_knows(name):
    said = subprocess.run([program(name), "--help"], check=True, text=True, capture_output=True)
    known = set(re.findall(r"^  ([A-Z_]+) \(", said.stdout, re.MULTILINE))
    # Of libpq, and one that others are made of.
    others = {"PGSSLMODE", "PGSSLROOTCERT", "POD_NAME"}
    unknown = {each for each in variables(deployments()[name])
               if each not in known and each.removesuffix("_FILE") not in known}
    assert unknown == others
    assert "$(POD_NAME)" in variables(deployments()[name])["OTEL_RESOURCE_ATTRIBUTES"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_program_takes_the_environment_with_the_files_that_are_mounted(name, tmp_path):
    """The URLs as the operators make them; everything else as it is."""
    content = {"database-url": f"postgresql://{name}:word@{name}-db-rw.shop:5432/{name}",
               "amqp-url": f"amqp://{name}:word@rabbitmq:5672/%2F", "database-ca.crt": ""}
    pod = deployments()[name]["spec"]["template"]["spec"]
    volume = next(each for each in pod["volumes"] if each["name"] == "secrets")
    mounted = [item["path"] for source in volume["projected"]["sources"]
               for item in source["secret"]["items"]]
    assert sorted(mounted) == sorted(content)
    (mount,) = (each for each in k8s.container(deployments()[name])["volumeMounts"]
                if each["name"] == "secrets")
    for path in mounted:
        (tmp_path / path).write_text(content[path])
    env = {key: value.replace(mount["mountPath"], str(tmp_path))
           for key, value in variables(deployments()[name]).items()} | {"WORKERS": "1"}
    ran = subprocess.run([program(name), "--check-config"], env=env, text=True,
                         capture_output=True)
    assert ran.returncode == 0, ran.stderr
    assert f"{name}-db-rw.shop" in ran.stdout and "word" not in ran.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_what_the_compose_model_sets_is_set_here_too(name):
    model = yaml.safe_load((ROOT / "services" / name / "compose.yaml").read_text())
    wanted, ours = model["services"][name]["environment"], variables(deployments()[name])
    # Empty in both unless somebody names origins.
    assert set(wanted) - set(ours) == {"CORS_ALLOWED_ORIGINS"}
    for key in ("PORT", "EVENT_CONSUMERS", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"):
        assert ours.get(key) == wanted.get(key)


@pytest.mark.parametrize("name", SERVICES)
def test_a_loop_runs_for_each_core_of_the_limit(name):
    (workers,) = (each for each in k8s.container(deployments()[name])["env"]
                  if each["name"] == "WORKERS")
    assert workers["valueFrom"]["resourceFieldRef"] == {"resource": "limits.cpu", "divisor": "1"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_is_asked_whether_it_is_alive_and_whether_it_is_ready(name):
    container = k8s.container(deployments()[name])
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in (
        "startup", "readiness", "liveness")}
    assert asked == {"startup": {"path": "/livez", "port": "http"},
                     "readiness": {"path": "/readyz", "port": "http"},
                     "liveness": {"path": "/livez", "port": "http"}}
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert variables(deployments()[name])["PORT"] == "8080"


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_that_is_told_to_stop_has_the_time_to(name):
    given = deployments()[name]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] * 1000
    delay, drain = (int(settings()[key]) for key in ("READINESS_DELAY_MS", "DRAIN_TIMEOUT_MS"))
    assert given >= delay + drain + 5000
    # Longer than a request may take, and than the kubelet needs to see that it is not ready.
    assert drain > default(name, "REQUEST_TIMEOUT_MS")
    ready = k8s.container(deployments()[name])["readinessProbe"]
    assert delay >= ready["periodSeconds"] * 1000


# ---- How many run -----------------------------------------------------------------------


@pytest.mark.parametrize("overlay", [base, example])
@pytest.mark.parametrize("name", SERVICES)
def test_a_budget_leaves_at_least_one(overlay, name):
    resources = overlay()
    budget = k8s.of_kind(resources, "PodDisruptionBudget")[name]["spec"]
    scaler = k8s.of_kind(resources, "HorizontalPodAutoscaler")[name]["spec"]
    deployment = k8s.of_kind(resources, "Deployment")[name]
    assert 1 <= scaler["minReplicas"] - budget["maxUnavailable"]
    assert scaler["minReplicas"] < scaler["maxReplicas"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment",
                                        "name": name}
    assert "replicas" not in deployment["spec"], "each apply would undo what the scaler did"
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert k8s.selects(budget["selector"], deployment["spec"]["template"]["metadata"]["labels"])


def test_a_quorum_of_the_broker_is_left_too():
    (cluster,) = k8s.of_kind(base(), "RabbitmqCluster").values()
    budget = k8s.of_kind(base(), "PodDisruptionBudget")["rabbitmq"]["spec"]
    assert cluster["spec"]["replicas"] - budget["maxUnavailable"] > cluster["spec"]["replicas"] / 2
    target = re.search(r"target_group_size = (\d+)", cluster["spec"]["rabbitmq"][
        "additionalConfig"]).group(1)
    assert int(target) == cluster["spec"]["replicas"]


@pytest.mark.parametrize("overlay", [base, example])
@pytest.mark.parametrize("name", SERVICES)
def test_the_database_has_a_connection_for_every_replica(overlay, name):
    """A worker has two lanes, a listener and its pool, the consumer the same; the relay and the
    migrations have one each. While a version rolls, there is a pod more."""
    resources = overlay()
    deployment = k8s.of_kind(resources, "Deployment")[name]
    scaler = k8s.of_kind(resources, "HorizontalPodAutoscaler")[name]["spec"]
    database = k8s.of_kind(resources, "Cluster")[f"{name}-db"]["spec"]["postgresql"]
    workers = int(k8s.container(deployment)["resources"]["limits"]["cpu"])
    each = (workers + 1) * (3 + default(name, "DATABASE_POOL_MAX")) + 2
    pods = scaler["maxReplicas"] + deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    kept = 15  # For the superuser, the copies and the operator.
    assert pods * each + kept <= int(database["parameters"]["max_connections"])


# ---- Databases and broker ---------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_a_database_is_its_owners_alone_and_what_it_acknowledged_survives_a_node(name):
    spec = k8s.of_kind(base(), "Cluster")[f"{name}-db"]["spec"]
    assert (spec["bootstrap"]["initdb"]["database"], spec["bootstrap"]["initdb"]["owner"]) == (
        name, name)
    *reached, last = spec["postgresql"]["pg_hba"]
    assert reached == [f"hostssl {name} {name} all scram-sha-256"]
    assert last == "host all all all reject"
    synchronous = spec["postgresql"]["synchronous"]
    assert synchronous["number"] >= 1 and synchronous["dataDurability"] == "required"
    assert spec["instances"] > synchronous["number"] + 1, "one could not be away"
    assert spec["affinity"]["podAntiAffinityType"] == "required"


def settings_of(path: str) -> dict[str, str]:
    """name = value, as PostgreSQL and RabbitMQ have it."""
    found = re.findall(r"^([\w.]+) *= *'?(.*?)'?$", (ROOT / path).read_text(), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("name", SERVICES)
def test_a_databases_settings_are_the_platforms(name):
    ours = k8s.of_kind(base(), "Cluster")[f"{name}-db"]["spec"]["postgresql"]["parameters"]
    theirs = settings_of("platform/postgres/postgresql.conf")
    # CloudNativePG sets these itself, and refuses them.
    theirs = {key: value for key, value in theirs.items() if key not in (
        "listen_addresses", "unix_socket_directories", "log_line_prefix", "password_encryption")}
    assert set(ours) == set(theirs)
    assert {key for key in ours if ours[key] != theirs[key]} == {"max_connections"}


def test_the_brokers_settings_are_the_platforms():
    (cluster,) = k8s.of_kind(base(), "RabbitmqCluster").values()
    ours = dict(line.split(" = ") for line
                in cluster["spec"]["rabbitmq"]["additionalConfig"].splitlines() if "=" in line)
    theirs = settings_of("platform/rabbitmq/rabbitmq.conf")
    more = {key for key in ours if key not in theirs}
    assert all(key.startswith("quorum_queue.") or key == "queue_leader_locator" for key in more)
    assert all(ours[key] == theirs[key] for key in set(ours) - more)
    assert ours["default_queue_type"] == "quorum"


@pytest.mark.parametrize("name", SERVICES)
def test_a_user_may_do_at_the_broker_what_it_may_on_one_machine(name):
    permission = k8s.of_kind(base(), "Permission")[name]["spec"]
    configure, write, read = PERMISSIONS[name]
    assert permission["permissions"] == {"configure": configure, "write": write, "read": read}
    assert permission["userReference"] == {"name": name} and permission["vhost"] == "/"
    user = k8s.of_kind(base(), "User")[name]["spec"]
    assert user["importCredentialsSecret"] == {"name": f"{name}-amqp"} and "tags" not in user


@pytest.mark.parametrize("name", SERVICES)
def test_the_secrets_that_are_drawn_are_those_that_are_mounted(name):
    drawn = [list(yaml.safe_load_all(subprocess.run(
        [k8s.TOOLS / "secrets", "--namespace", "shop"], check=True, text=True,
        capture_output=True).stdout)) for _ in range(2)]
    secret, again = (k8s.of_kind(each, "Secret")[f"{name}-amqp"] for each in drawn)
    word = secret["stringData"]["password"]
    assert secret["metadata"]["namespace"] == "shop"
    # Without the label the topology operator may not read it.
    assert secret["metadata"]["labels"] == {"rabbitmq.com/topology-operator": "true"}
    assert secret["stringData"] == {"username": name, "password": word,
                                    "url": f"amqp://{name}:{word}@rabbitmq:5672/%2F"}
    assert len(word) == 48 and word != again["stringData"]["password"]
    volumes = deployments()[name]["spec"]["template"]["spec"]["volumes"]
    sources = {each["secret"]["name"]: [item["key"] for item in each["secret"]["items"]]
               for volume in volumes for each in volume.get("projected", {}).get("sources", ())}
    # Of the database's authority not its key.
    assert sources == {f"{name}-db-app": ["uri"], f"{name}-db-ca": ["ca.crt"],
                       f"{name}-amqp": ["url"]}


# ---- Who reaches whom -------------------------------------------------------------------


def labels_of(name: str) -> dict[str, str]:
    return deployments()[name]["spec"]["template"]["metadata"]["labels"]


CALLERS = {
    "proxy": PROXY, "prometheus": PROMETHEUS,
    "items": (None, {"app.kubernetes.io/name": "items"}),
    "activity": (None, {"app.kubernetes.io/name": "activity"}),
    "items-db": (None, {"cnpg.io/cluster": "items-db"}),
    "activity-db": (None, {"cnpg.io/cluster": "activity-db"}),
    "rabbitmq": (None, {"app.kubernetes.io/name": "rabbitmq"}),
    "another": (None, {"app.kubernetes.io/name": "another"}),
    "another in monitoring": ("monitoring", {"app.kubernetes.io/name": "another"}),
    "named like the proxy": ("elsewhere", PROXY[1]),
    "postgres operator": ("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"}),
    "rabbitmq operator": ("rabbitmq-system", {"app.kubernetes.io/component": "rabbitmq-operator"}),
}
REACHED = [
    ("items", 8080, {"proxy", "prometheus"}), ("activity", 8080, {"proxy", "prometheus"}),
    ("items-db", 5432, {"items", "items-db", "postgres operator"}),
    ("activity-db", 5432, {"activity", "activity-db", "postgres operator"}),
    ("items-db", 9187, {"prometheus"}), ("activity-db", 9187, {"prometheus"}),
    ("rabbitmq", 5672, {"items", "activity"}), ("rabbitmq", 15672, {"rabbitmq operator"}),
    ("rabbitmq", 15692, {"prometheus"}), ("rabbitmq", 25672, {"rabbitmq"})]


@pytest.mark.parametrize("name,port,callers", REACHED, ids=lambda value: str(value))
def test_a_pod_is_reached_by_those_that_need_it(name, port, callers):
    policies = k8s.of_kind(base(), "NetworkPolicy")
    labels = CALLERS[name][1]
    (policy,) = (each for each in policies.values()
                 if k8s.selects(each["spec"]["podSelector"], labels))
    assert "Ingress" in policy["spec"]["policyTypes"]
    assert {who for who, (namespace, caller) in CALLERS.items()
            if k8s.lets_in(policy, port, namespace, caller)} == callers


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_goes_nowhere_but_to_what_it_uses(name):
    policy = k8s.of_kind(base(), "NetworkPolicy")[name]["spec"]
    assert "Egress" in policy["policyTypes"]
    peers = [(port["port"], peer) for rule in policy["egress"] for port in rule["ports"]
             for peer in rule["to"]]
    assert sorted({port for port, _ in peers}) == [53, 4318, 5432, 5672]
    for port, labels in ((5432, {"cnpg.io/cluster": f"{name}-db"}),
                         (5672, {"app.kubernetes.io/name": "rabbitmq"})):
        (peer,) = (peer for at, peer in peers if at == port)
        assert set(peer) == {"podSelector"} and k8s.selects(peer["podSelector"], labels)
    assert settings()["OTEL_EXPORTER_OTLP_ENDPOINT"].endswith(".monitoring:4318")


# ---- Routes -----------------------------------------------------------------------------


def headers_told(middleware: dict) -> list[str]:
    return middleware["spec"]["forwardAuth"]["authResponseHeaders"]


def test_identity_is_deleted_first_and_then_taken_from_authentik_alone():
    ours = k8s.of_kind(base(), "Middleware")
    theirs = traefik.dynamic("dynamic/middlewares.yaml")["http"]["middlewares"]
    for name in ("auth-page", "auth-api"):
        assert headers_told(ours[name]) == theirs[name]["forwardAuth"]["authResponseHeaders"]
        assert len(headers_told(ours[name])) >= 12
    for route in k8s.of_kind(base(), "IngressRoute").values():
        for each in route["spec"]["routes"]:
            names = [middleware["name"] for middleware in each["middlewares"]]
            assert "strip-identity" in names[:3]
    assert ours["strip-identity"]["spec"] == theirs["strip-identity"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_route_is_the_platforms_with_the_same_steps(name):
    routers = traefik.dynamic("dynamic/routes.yaml")["http"]["routers"]
    theirs = {each["priority"]: each for each in routers.values() if each["service"] == name}
    theirs[500] = routers["outpost"]
    always = [each.removesuffix("@file") for each in traefik.static("compose.yaml")[
        "TRAEFIK_ENTRYPOINTS_WEB_HTTP_MIDDLEWARES"].split(",")]
    ours = k8s.of_kind(base(), "IngressRoute")[name]["spec"]["routes"]
    assert sorted(each["priority"] for each in ours) == sorted(theirs)
    for each in ours:
        names = [middleware["name"] for middleware in each["middlewares"]]
        assert names == always + theirs[each["priority"]]["middlewares"]
        assert each["services"][0]["name"] in (name, "authentik-server")
        # After the host, which an overlay puts in, the same conditions.
        conditions = re.findall(r"\w+\(`[^)]*\)", theirs[each["priority"]]["rule"])
        assert re.findall(r"\w+\(`[^)]*\)", each["match"])[1:] == [
            condition for condition in conditions if not condition.startswith("Host(")]


def test_what_a_route_names_is_there():
    for resources in (base(), example()):
        middlewares = k8s.of_kind(resources, "Middleware")
        transports = k8s.of_kind(resources, "ServersTransport")
        services = k8s.of_kind(resources, "Service")
        for route in k8s.of_kind(resources, "IngressRoute").values():
            for each in route["spec"]["routes"]:
                assert {step["name"] for step in each["middlewares"]} <= set(middlewares)
                (target,) = each["services"]
                assert target["serversTransport"] in transports
                if target["name"] != "authentik-server":
                    assert target["port"] in [port["port"] for port in
                                              services[target["name"]]["spec"]["ports"]]
        for middleware in middlewares.values():
            named = middleware["spec"].get("chain", {}).get("middlewares", ())
            assert {each["name"] for each in named} <= set(middlewares)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_selects_its_pods(name):
    service = k8s.of_kind(base(), "Service")[name]["spec"]
    assert k8s.selects({"matchLabels": service["selector"]}, labels_of(name))
    assert [port["targetPort"] for port in service["ports"]] == ["http"]


def test_an_overlay_puts_its_own_names_everywhere():
    text = yaml.safe_dump_all(example())
    assert "trunnion.example" not in text and "authentik-server.trunnion" not in text
    for name in SERVICES:
        for route in k8s.of_kind(example(), "IngressRoute")[name]["spec"]["routes"]:
            assert route["match"].startswith(f"Host(`{name}.shop.example.com`) && ")
        told = k8s.of_kind(example(), "Middleware")[f"{name}-address"]["spec"]["headers"]
        assert told["customRequestHeaders"]["X-Original-URL"] == (
            f"https://{name}.shop.example.com/")
        image = k8s.container(k8s.of_kind(example(), "Deployment")[name])["image"]
        assert image.startswith("registry.example.com/shop/")
    assert {each["metadata"]["namespace"] for each in example() if each["kind"] != "Namespace"} == {
        "shop"}
    assert list(k8s.of_kind(example(), "Namespace")) == ["shop"]
    # The hosts are read, not applied.
    assert not any(name.startswith("hosts") for name in k8s.of_kind(example(), "ConfigMap"))


@pytest.mark.parametrize("name", SERVICES)
def test_another_implementation_is_another_image_and_the_same_pod(name, peers):
    ours = copy.deepcopy(deployments()[name])
    theirs = copy.deepcopy(k8s.of_kind(peers, "Deployment")[name])
    assert k8s.container(theirs)["image"] == (
        f"trunnion/{PEERS[name]}:{VERSIONS['TRUNNION_VERSION']}")
    for deployment in (ours, theirs):
        container = k8s.container(deployment)
        container["image"] = ""
        for limits in container["resources"].values():
            limits["memory"] = ""
    assert ours == theirs


# ---- Numbers ----------------------------------------------------------------------------


def test_promtool_takes_the_rules_and_none_of_the_services_is_missing(tmp_path):
    (made,) = k8s.of_kind(base(), "PrometheusRule").values()
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(made["spec"]))
    said = subprocess.run(["promtool", "check", "rules", file], text=True, capture_output=True)
    assert said.returncode == 0, said.stderr
    ours = [rule for group in made["spec"]["groups"] for rule in group["rules"]]
    for name in ("recording.yaml", "services.yaml"):
        text = (ROOT / "platform" / "prometheus" / "rules" / name).read_text()
        theirs = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
        assert theirs and all(rule in ours for rule in theirs)


def test_what_is_scraped_bears_the_names_that_the_rules_go_by():
    config = yaml.safe_load((ROOT / "platform" / "prometheus" / "prometheus.yaml").read_text())
    jobs = {each["job_name"]: each for each in config["scrape_configs"]}
    endpoints = {}
    for monitor in k8s.of_kind(base(), "PodMonitor").values():
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            named = {each["targetLabel"]: each.get("replacement")
                     for each in endpoint.get("relabelings", ())}
            endpoints[named.get("job")] = (monitor["spec"]["selector"], endpoint, named)
    assert {"services", "rabbitmq", "rabbitmq-queues"} <= set(endpoints) & set(jobs)
    selector, endpoint, named = endpoints["services"]
    assert "service" in named and endpoint["port"] == "http" and endpoint["path"] == "/metrics"
    assert all(k8s.selects(selector, labels_of(name)) for name in SERVICES)
    assert endpoints["rabbitmq-queues"][1]["params"] == jobs["rabbitmq-queues"]["params"]
    assert endpoints["rabbitmq-queues"][1]["path"] == jobs["rabbitmq-queues"]["metrics_path"]
