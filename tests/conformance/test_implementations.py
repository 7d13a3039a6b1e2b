"""Which implementation a run is about: what the environment may say, and what is refused."""

import pytest
from support import implementations
from support.implementations import UnknownImplementation, command


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """The environment says nothing, whatever this run is about."""
    for name in ("ITEMS", "ACTIVITY", "ITEMS_COMMAND", "ACTIVITY_COMMAND"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def peers(monkeypatch, tmp_path):
    """A checkout with both peers in it."""
    for folder in ("items-fastapi", "activity-fastify"):
        (tmp_path / "peers" / folder).mkdir(parents=True)
        (tmp_path / "peers" / folder / "run").touch()
    monkeypatch.setattr(implementations, "ROOT", tmp_path)
    return tmp_path / "peers"


@pytest.mark.parametrize("said", [None, "", "c"])
def test_c_is_what_is_meant_where_nothing_else_is_said(monkeypatch, said):
    if said is not None:
        monkeypatch.setenv("ITEMS", said)
    [program] = command("items")
    assert program.endswith("/services/items/items")


def test_a_peer_is_its_folders_run(monkeypatch, peers):
    monkeypatch.setenv("ITEMS", "fastapi")
    monkeypatch.setenv("ACTIVITY", "fastify")
    assert command("items") == [str(peers / "items-fastapi" / "run")]
    assert command("activity") == [str(peers / "activity-fastify" / "run")]


@pytest.mark.parametrize("name, said", [("items", "fastify"), ("activity", "fastapi"),
                                        ("items", "C"), ("activity", "rust")])
def test_one_that_nobody_knows_is_refused_with_those_that_there_are(monkeypatch, peers, name, said):
    monkeypatch.setenv(name.upper(), said)
    with pytest.raises(UnknownImplementation, match=f"{name.upper()}={said}.* there are: c, fast"):
        command(name)


def test_a_peer_that_is_not_in_the_checkout_is_refused(monkeypatch, peers):
    (peers / "items-fastapi" / "run").unlink()
    monkeypatch.setenv("ITEMS", "fastapi")
    with pytest.raises(UnknownImplementation, match="there is no .*peers/items-fastapi/run"):
        command("items")


def test_a_command_line_is_taken_as_a_shell_takes_it(monkeypatch):
    monkeypatch.setenv("ITEMS_COMMAND", "node 'my items.js'")
    assert command("items") == ["node", "my items.js"]


def test_a_command_line_and_a_peer_cannot_both_be_meant(monkeypatch, peers):
    monkeypatch.setenv("ITEMS", "fastapi")
    monkeypatch.setenv("ITEMS_COMMAND", "node items.js")
    with pytest.raises(UnknownImplementation, match="only one"):
        command("items")


def test_what_the_checkout_holds_is_known(peers):
    assert implementations.present("items") == ["c", "fastapi"]
    (peers / "activity-fastify" / "run").unlink()
    assert implementations.present("activity") == ["c"]
