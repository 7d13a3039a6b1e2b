"""The proxy's promises, read from its configuration: who is asked, what is believed, what may pass.

That Traefik itself takes these files, and does what they say, is in docs/verification.md.
"""

import re

import pytest
import yaml
from kit.paths import ROOT
from support import traefik
from support.traefik import Request

ROUTERS = traefik.dynamic("dynamic/routes.yaml")["http"]["routers"]
MIDDLEWARES = traefik.dynamic("dynamic/middlewares.yaml")["http"]["middlewares"]
SERVICES = traefik.dynamic("dynamic/services.yaml")["http"]["services"]
STATIC = traefik.static("compose.yaml")
TLS = STATIC | traefik.static("compose.tls.yaml")

LOGIN = {"login", "login-write", "outpost"}
PREFLIGHTS = {"items-preflight", "activity-preflight"}
ASK_NOBODY = LOGIN | PREFLIGHTS
HOSTS = [f"{name}.example.test" for name in ("items", "activity", "grafana", "rabbitmq", "auth")]
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PREFLIGHT = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
# What authentik's outpost says of a person (internal/outpost/proxyv2 of authentik 2026.8).
IDENTITY = {f"X-authentik-{name}" for name in (
    "username", "uid", "email", "name", "groups", "entitlements", "jwt", "meta-jwks",
    "meta-outpost", "meta-provider", "meta-app", "meta-version")}


def used(router: str, kind: str) -> list[str]:
    """The names of a route's middlewares of one kind, in their order."""
    return [name for name, made in traefik.middlewares_of(ROUTERS[router]) if kind in made]


# ---- Who is asked --------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(ROUTERS) - ASK_NOBODY))
def test_a_route_asks_authentik_before_anything_is_read_repeated_or_rewritten(name):
    kinds = [next(iter(made)) for _, made in traefik.middlewares_of(ROUTERS[name])]
    assert kinds.count("forwardAuth") == 1
    before = kinds[:kinds.index("forwardAuth")]
    assert set(before) <= {"encodedCharacters", "headers"}


@pytest.mark.parametrize("name", sorted(LOGIN))
def test_a_route_of_the_login_leads_to_the_login_and_nowhere_else(name):
    assert ROUTERS[name]["service"] == "authentik"


def test_every_route_asks_but_those_of_the_login_and_of_preflights():
    asking = {name for name in ROUTERS if used(name, "forwardAuth")}
    assert asking == set(ROUTERS) - ASK_NOBODY


@pytest.mark.parametrize("host", HOSTS[:4])
@pytest.mark.parametrize("method", METHODS)
def test_no_request_to_an_application_gets_past_the_question(host, method):
    for path in ("/", "/api/v1/items", "/docs", "/api/overview", "/login", "/public/a.js"):
        for headers in ({}, BROWSER, {"Accept": "application/json"}):
            taken = traefik.route(Request(host, path, method, headers))
            assert taken is None or used(taken, "forwardAuth"), (path, headers)


@pytest.mark.parametrize("host", HOSTS[:4])
def test_who_navigates_is_sent_to_the_login_and_who_calls_an_api_is_told_401(host):
    path = "/docs" if host < "b" or host.startswith("items") else "/"
    page = traefik.route(Request(host, path, "GET", BROWSER))
    assert used(page, "forwardAuth") == ["auth-page"]
    for method, headers in (("GET", {"Accept": "*/*"}), ("GET", {}), ("POST", BROWSER)):
        path = "/api/v1/items"
        assert used(traefik.route(Request(host, path, method, headers)), "forwardAuth") == [
            "auth-api"]
    assert MIDDLEWARES["auth-page"]["forwardAuth"]["address"].endswith("/auth/traefik")
    assert MIDDLEWARES["auth-api"]["forwardAuth"]["address"].endswith("/auth/nginx")


@pytest.mark.parametrize("app", ["items", "activity", "grafana", "rabbitmq"])
def test_the_question_of_an_api_client_names_the_host_that_was_asked(app):
    headers = [made["headers"].get("customRequestHeaders", {}).get("X-Original-URL")
               for _, made in traefik.middlewares_of(ROUTERS[f"{app}-write"]) if "headers" in made]
    assert [value for value in headers if value] == [f"http://{app}.example.test/"]


# ---- Pages of other origins ------------------------------------------------------------


@pytest.mark.parametrize("app", ["items", "activity"])
def test_a_preflight_reaches_the_service_without_credentials_and_without_a_body(app):
    for path in ("/api/v1/items", "/api/v1/dead-letters/x/replay"):
        for headers in (PREFLIGHT, PREFLIGHT | BROWSER):
            taken = traefik.route(Request(f"{app}.example.test", path, "OPTIONS", headers))
            assert taken == f"{app}-preflight"
    assert ROUTERS[taken]["service"] == app
    assert ROUTERS[taken]["middlewares"] == ["plain-path", "end-credentials", "no-body"]
    assert MIDDLEWARES["no-body"]["buffering"]["maxRequestBodyBytes"] == 1


@pytest.mark.parametrize("host", HOSTS[:4])
def test_nothing_but_a_preflight_of_an_api_passes_as_one(host):
    lacking = [{name: PREFLIGHT[name]} for name in PREFLIGHT] + [
        PREFLIGHT | {name: ""} for name in PREFLIGHT]
    for path in ("/api/v1/items", "/", "/docs", "/openapi.json", "/api/overview", "/api/v1"):
        wrong = [(method, PREFLIGHT) for method in METHODS if method != "OPTIONS"]
        wrong += [("OPTIONS", headers) for headers in lacking]
        if not path.startswith("/api/v1/") or not host.startswith(("items", "activity")):
            wrong.append(("OPTIONS", PREFLIGHT))
        for method, headers in wrong:
            taken = traefik.route(Request(host, path, method, headers))
            assert taken is None or used(taken, "forwardAuth"), (path, method, headers)


@pytest.mark.parametrize("name", [name for name in ROUTERS if name.startswith(("items", "act"))
                                  and name.endswith(("-read", "-write", "-stream"))])
def test_a_page_that_may_read_answers_may_read_the_proxys_own(name):
    names = [middleware for middleware, _ in traefik.middlewares_of(ROUTERS[name])]
    assert names.index("tell-origin") < names.index("auth-api")


def test_the_proxy_and_the_services_are_told_the_same_origins():
    told = [traefik.compose("compose.yaml")["environment"]["CORS_ALLOWED_ORIGINS"]]
    for name in ("items", "activity"):
        model = yaml.safe_load((ROOT / "services" / name / "compose.yaml").read_text())
        told.append(model["services"][name]["environment"]["CORS_ALLOWED_ORIGINS"])
    assert told == ["${CORS_ALLOWED_ORIGINS:-}"] * 3
    origins = MIDDLEWARES["tell-origin"]["headers"]["accessControlAllowOriginList"]
    assert origins == traefik.VARIABLES["CORS_ALLOWED_ORIGINS"]


def test_a_page_of_another_origin_cannot_use_the_session_of_who_looks_at_it():
    allowing = "access-control-allow-credentials"
    for made in MIDDLEWARES.values():
        assert "accessControlAllowCredentials" not in made.get("headers", {})
    for source in (ROOT / "src").rglob("*.[ch]"):
        assert allowing not in source.read_text().lower(), source


# ---- What is believed ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["auth-page", "auth-api"])
def test_every_header_of_identity_is_taken_from_authentik(name):
    asked = MIDDLEWARES[name]["forwardAuth"]
    assert set(asked["authResponseHeaders"]) == IDENTITY
    assert asked["trustForwardHeader"] is False
    assert asked["headerField"] == "X-authentik-username"
    assert not IDENTITY & set(asked["authRequestHeaders"])


def test_what_a_client_says_of_itself_is_deleted_before_any_route():
    deleted = MIDDLEWARES["strip-identity"]["headers"]["customRequestHeaders"]
    assert IDENTITY <= set(deleted) and set(deleted.values()) == {""}
    for point, settings in (("WEB", STATIC), ("WEBSECURE", TLS)):
        prefix = f"TRAEFIK_ENTRYPOINTS_{point}_"
        assert "strip-identity@file" in settings[prefix + "HTTP_MIDDLEWARES"].split(",")
        assert settings[prefix + "HTTP_ALIASHEADERSSTRATEGY"] == "delete"
        assert settings[prefix + "FORWARDEDHEADERS_INSECURE"] == "false"


def test_nobody_says_by_a_header_where_it_comes_from_or_that_a_method_is_another():
    deleted = MIDDLEWARES["strip-identity"]["headers"]["customRequestHeaders"]
    assert {"Forwarded", "X-Original-URL", "X-Original-URI", "X-HTTP-Method",
            "X-HTTP-Method-Override", "X-Method-Override"} <= set(deleted)


def test_the_services_read_no_header_that_could_be_forged():
    told = set()
    for source in (ROOT / "src").rglob("*.c"):
        text = source.read_text().lower()
        told |= {name for name in text.replace('"', " ").split() if name.startswith("x-authentik")}
    assert told and told <= {name.lower() for name in IDENTITY}


@pytest.mark.parametrize("name", [name for name in sorted(set(ROUTERS) - ASK_NOBODY)
                                  if name.startswith(("items", "act"))])
def test_a_service_learns_who_it_is_and_gets_nothing_to_be_that_person(name):
    kinds = [made for _, made in traefik.middlewares_of(ROUTERS[name])]
    asked = next(at for at, made in enumerate(kinds) if "forwardAuth" in made)
    ended = [made["headers"]["customRequestHeaders"] for made in kinds[asked:] if "headers" in made]
    for header in ("Authorization", "Cookie", "X-authentik-jwt", "X-Original-URL"):
        assert any(made.get(header) == "" for made in ended) or (
            header == "X-Original-URL" and name.endswith("-page"))


# ---- What may pass -------------------------------------------------------------------


@pytest.mark.parametrize("host", HOSTS[:3])
@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_numbers_and_health_are_not_routed(host, headers):
    for path in ("/metrics", "/metrics/", "/livez", "/readyz", "/healthz"):
        if host.startswith("grafana") and path in ("/livez", "/readyz"):
            continue  # Grafana has none; it is asked like any other path.
        for method in METHODS:
            assert traefik.route(Request(host, path, method, headers)) is None, (path, method)


def test_authentiks_own_numbers_and_what_traefik_asks_are_not_routed():
    for path in ("/-/metrics/", "/-/health/live/", "/outpost.goauthentik.io/auth/nginx"):
        for method in METHODS:
            assert traefik.route(Request("auth.example.test", path, method)) is None
    for host in HOSTS[:2]:
        for path in ("/outpost.goauthentik.io/auth/nginx", "/outpost.goauthentik.io/auth/traefik"):
            assert traefik.route(Request(host, path)) is None
        assert traefik.route(Request(host, "/outpost.goauthentik.io/start")) == "outpost"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_reads_are_repeated(method):
    for host in HOSTS:
        for path in ("/", "/api/v1/items", "/api/v1/dead-letters/x/replay", "/docs", "/login"):
            for headers in ({}, BROWSER):
                taken = traefik.route(Request(host, path, method, headers))
                assert taken is None or not used(taken, "retry"), (host, path)
    assert not MIDDLEWARES["retry-reads"]["retry"].get("retryNonIdempotentMethod", False)


def test_a_body_has_a_limit_above_the_one_of_the_services():
    for name in ROUTERS:
        if name.endswith("-write"):
            assert used(name, "buffering") == ["body-limit"]
    limit = MIDDLEWARES["body-limit"]["buffering"]["maxRequestBodyBytes"]
    assert limit > 1048576  # BODY_BYTES_MAX of the services.


def test_many_bodies_at_once_do_not_take_all_memory():
    """Beyond the first part of each they lie in /tmp, which is memory too, and is full one day."""
    container = traefik.compose("compose.yaml")
    memory = int(container["deploy"]["resources"]["limits"]["memory"].removesuffix("M"))
    [tmp] = container["tmpfs"]
    assert tmp.startswith("/tmp:")
    assert int(re.search(r"\bsize=(\d+)m\b", tmp)[1]) <= memory / 4
    at_once = int(traefik.VARIABLES["LOGIN_RATE_BURST"])
    in_memory = MIDDLEWARES["body-limit"]["buffering"]["memRequestBodyBytes"]
    assert at_once * in_memory <= memory * 2**20 / 4


def test_a_network_of_ipv6_is_one_client():
    for name in ("rate-limit", "login-rate-limit"):
        source = MIDDLEWARES[name]["rateLimit"]["sourceCriterion"]
        assert source == {"ipStrategy": {"ipv6Subnet": 64}}


def test_a_stream_is_neither_held_back_nor_cut_off():
    for headers in ({"Accept": "text/event-stream"}, {}, BROWSER):
        taken = traefik.route(Request("activity.example.test", "/api/v1/activities/stream", "GET",
                                      headers))
        assert taken == "activity-stream"
    assert not used("activity-stream", "buffering") + used("activity-stream", "retry")
    prefix = "TRAEFIK_ENTRYPOINTS_WEB_TRANSPORT_RESPONDINGTIMEOUTS_"
    assert STATIC[prefix + "WRITETIMEOUT"] == "0s" and STATIC[prefix + "READTIMEOUT"] == "60s"


def test_every_name_leads_to_something_and_everything_is_used():
    named = {name for router in ROUTERS.values() for name in router["middlewares"]}
    named |= {name for made in MIDDLEWARES.values() for name in
              made.get("chain", {}).get("middlewares", [])}
    points = STATIC["TRAEFIK_ENTRYPOINTS_WEB_HTTP_MIDDLEWARES"].split(",")
    assert named | {name.removesuffix("@file") for name in points} == set(MIDDLEWARES)
    assert {router["service"] for router in ROUTERS.values()} == set(SERVICES)


# ---- What is told ----------------------------------------------------------------------


def test_the_access_log_has_the_requests_id_no_other_header_and_no_query():
    prefix = "TRAEFIK_ACCESSLOG_FIELDS_HEADERS_"
    assert STATIC[prefix + "DEFAULTMODE"] == "drop"
    kept = {key for key in STATIC if key.startswith(prefix + "NAMES_")}
    assert kept == {prefix + "NAMES_X-REQUEST-ID"}
    assert STATIC["TRAEFIK_ACCESSLOG_FIELDS_QUERYPARAMETERS_DEFAULTMODE"] == "drop"
    # A shell between would drop the variable, for its name has dashes.
    assert traefik.compose("compose.yaml")["entrypoint"] == ["traefik"]


def test_a_user_that_the_image_does_not_know_has_a_name_for_traces():
    container = traefik.compose("compose.yaml")
    assert container["user"] == "65532:65532"
    assert container["environment"]["USER"] and container["environment"]["HOME"] == "/tmp"


def test_numbers_and_the_health_check_have_a_port_that_is_not_published():
    assert STATIC["TRAEFIK_METRICS_PROMETHEUS_ENTRYPOINT"] == "metrics"
    assert STATIC["TRAEFIK_PING_ENTRYPOINT"] == "metrics"
    inside = STATIC["TRAEFIK_ENTRYPOINTS_METRICS_ADDRESS"].removeprefix(":")
    published = [port.rsplit(":", 1)[1] for name in ("compose.yaml", "compose.tls.yaml")
                 for port in traefik.compose(name)["ports"]]
    assert published == ["80", "443"] and inside not in published
    assert not any(key.startswith("TRAEFIK_API") for key in TLS)


# ---- TLS -------------------------------------------------------------------------------


def test_the_overlay_promises_over_tls_what_the_plain_entry_point_promises():
    plain, secure = "TRAEFIK_ENTRYPOINTS_WEB_", "TRAEFIK_ENTRYPOINTS_WEBSECURE_"
    promised = {key.removeprefix(plain): value for key, value in STATIC.items()
                if key.startswith(plain)}
    kept = {key.removeprefix(secure): value for key, value in TLS.items()
            if key.startswith(secure)}
    assert kept == promised | {"ADDRESS": ":443", "HTTP_TLS": "true"}


def test_the_overlay_leaves_nothing_on_the_plain_port_but_a_redirect():
    assert TLS["TRAEFIK_ENTRYPOINTS_WEB_ASDEFAULT"] == "false"
    assert TLS["TRAEFIK_ENTRYPOINTS_WEB_HTTP_REDIRECTIONS_ENTRYPOINT_SCHEME"] == "https"
    assert MIDDLEWARES["security-headers"]["headers"]["stsSeconds"] >= 31536000


@pytest.mark.parametrize("choice", ["own", "acme"])
def test_each_kind_of_certificate_is_one_for_all_hosts(choice):
    store = traefik.dynamic(f"tls/{choice}.yaml")["tls"]["stores"]["default"]
    if choice == "acme":
        domain = store["defaultGeneratedCert"]["domain"]
        assert sorted([domain["main"], *domain["sans"]]) == sorted(HOSTS)
    else:
        mounts = [volume.rsplit(":", 2)[-2] if volume.endswith(":ro") else volume
                  for volume in traefik.compose("compose.tls.yaml")["volumes"]]
        assert "/certificates" in mounts
        assert store["defaultCertificate"]["keyFile"].startswith("/certificates/")


def test_an_authority_for_tests_can_be_named_and_a_certificate_outlives_the_container():
    settings = {name.removeprefix("TRAEFIK_CERTIFICATESRESOLVERS_ACME_ACME_"): value
                for name, value in TLS.items() if "_ACME_ACME_" in name}
    assert settings["CASERVER"].startswith("${ACME_SERVER:-https://acme-v02.api.letsencrypt.org/")
    assert settings["TLSCHALLENGE"] == "true"
    volume, inside = traefik.compose("compose.tls.yaml")["volumes"][-1].split(":")
    assert settings["STORAGE"] == f"{inside}/acme.json" and volume == "traefik-acme"


def test_the_names_of_files_that_are_mounted_are_those_that_are_there():
    text = yaml.safe_dump(traefik.compose("compose.yaml")["volumes"])
    for path in (traefik.FOLDER / "dynamic").iterdir():
        assert f"./platform/traefik/dynamic/{path.name}:" in text
