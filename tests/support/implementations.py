"""The implementations of each service, and which of them a run of the tests is about.

The environment says it by name: ITEMS=c or fastapi, ACTIVITY=c or fastify; c when it says nothing.
C is the program in BUILD_DIR (default: build), a peer is its folder's `run`. A program from
elsewhere is given as a command line, in ITEMS_COMMAND or ACTIVITY_COMMAND.
"""

import itertools
import os
import shlex
from pathlib import Path

from kit.paths import ROOT

C = "c"
PEERS = {"items": {"fastapi": "items-fastapi"}, "activity": {"fastify": "activity-fastify"}}


class UnknownImplementation(ValueError):
    """The environment, or a test, asks for one that is not here."""


def build_dir() -> Path:
    return (ROOT / os.environ.get("BUILD_DIR", "build")).resolve()


def present(name: str) -> list[str]:
    """The implementations of a service that this checkout holds, C first."""
    return [C, *(peer for peer in PEERS.get(name, {}) if runner(name, peer).exists())]


def each_once() -> list[tuple[str, str]]:
    """Pairings of items and activity in which each implementation is once; first C with C."""
    return list(itertools.zip_longest(*map(present, PEERS), fillvalue=C))


def chosen(name: str) -> str:
    """The implementation that this run is about; "" for a command line of the caller's own."""
    said = checked(name, os.environ.get(name.upper()) or C)
    own = os.environ.get(f"{name.upper()}_COMMAND")
    if own and said != C:
        raise UnknownImplementation(f"{name.upper()}={said} and {name.upper()}_COMMAND={own}: "
                                    "only one of them can be meant")
    return "" if own else said


def checked(name: str, implementation: str) -> str:
    known = [C, *PEERS.get(name, {})]
    if implementation not in known:
        raise UnknownImplementation(f"{name.upper()}={implementation}: there is no such "
                                    f"implementation of {name}; there are: {', '.join(known)}")
    return implementation


def runner(name: str, peer: str) -> Path:
    return ROOT / "peers" / PEERS[name][peer] / "run"


def command(name: str, implementation: str | None = None) -> list[str]:
    """How an implementation is started; by default the one that this run is about."""
    which = chosen(name) if implementation is None else checked(name, implementation)
    if not which:
        return shlex.split(os.environ[f"{name.upper()}_COMMAND"])
    if which == C:
        return [str(build_dir() / "services" / name / name)]
    program = runner(name, which)
    if not program.exists():
        raise UnknownImplementation(f"{name.upper()}={which}: there is no {program}")
    return [str(program)]
