"""--health: what a container's health check calls, where there is no shell and no client."""

import json
import socket

import pytest
from kit.ports import LOOPBACK, free_port
from support.program import run
from support.wait import eventually

NOBODY = {"DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:9/nowhere",
          "AMQP_URL": "amqp://nobody:nothing@127.0.0.1:9"}


def probe(name: str, port: int, **env: str):
    return run(name, "--health", env={**NOBODY, "PORT": str(port), "HOST": LOOPBACK, **env})


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0


@pytest.mark.parametrize("name", ["items", "activity"])
def test_a_ready_service_is_healthy_and_says_its_checks(start, name):
    service = start(name)
    service.wait_whole()
    done = probe(name, service.port)
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["status"] == "ready"


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_who_listens_everywhere_is_asked_on_loopback(items, host):
    assert probe("items", items.port, HOST=host).returncode == 0


def test_a_proxy_of_the_environment_is_not_asked(items):
    assert probe("items", items.port, http_proxy="http://127.0.0.1:9").returncode == 0


def test_a_service_that_is_not_there_is_unhealthy():
    done = probe("items", free_port(set()))
    assert done.returncode == 1 and "/readyz" in done.stderr and done.stdout == ""


def test_a_service_without_its_database_is_unhealthy_and_says_why(start):
    service = start("items", ready=False, **NOBODY)
    eventually(lambda: is_listening(service.port), what="a service that listens")
    done = probe("items", service.port)
    assert done.returncode == 1
    assert json.loads(done.stderr)["checks"]["database"]["status"] == "down"


def test_one_that_never_answers_is_given_up():
    with socket.create_server((LOOPBACK, 0)) as deaf:
        assert probe("items", deaf.getsockname()[1]).returncode == 1


def test_a_configuration_with_faults_is_told():
    assert run("items", "--health", env={"PORT": "x"}).returncode == 78  # EX_CONFIG
