"""What holds for every test: the network ends at loopback, and no test takes the machine for itself."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guard import BlockedError

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.store import Store, opened

# Begun first, so that no worker has one of them left when the others are done.
_SLOWEST = (
    "test_killed",
    "test_whole_job",
    "test_model_aimock",
    "test_blindness",
    "test_model_kills",
    "test_probe",
    "test_torture",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first, in this order; the Makefile has xdist keep it."""
    rank = {name: index for index, name in enumerate(_SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "")


def _guarded(name: str) -> Any:
    original = getattr(socket.socket, name)

    def call(self: socket.socket, *arguments: Any) -> Any:
        if not _is_local(arguments[-1]):
            raise BlockedError(f"{name} to {arguments[-1]}")
        return original(self, *arguments)

    return call


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Let no test of this process connect to, send to or look up anything but loopback."""
    look_up = socket.getaddrinfo

    def look_up_local(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local((name,)):
            raise BlockedError(f"look-up of {name}")
        return look_up(host, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guarded(name))
        patch.setattr(socket, "getaddrinfo", look_up_local)
        yield


@pytest.fixture(autouse=True)
def same_priority() -> Iterator[None]:
    """Let no test leave this process with another scheduling policy: in real time it starves all others."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0)
    yield
    assert os.sched_getscheduler(0) == before


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    """An empty workspace."""
    root = tmp_path / "workspace"
    root.mkdir()
    return WorkspaceFolder(root)


@pytest.fixture
def store(folder: WorkspaceFolder) -> Iterator[Store]:
    """The open store of `folder`."""
    with opened(folder) as store:
        yield store
