"""Fixtures for every test: no network except loopback, no change of the scheduling policy, a workspace."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guard import BlockedError

from pipeline.blind.prior import Reader
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.store import Store, opened

# Started first, so that no worker still runs one of them when the others have finished.
_SLOWEST = (
    "test_killed",
    "test_whole_job",
    "test_model_aimock",
    "test_blindness",
    "test_model_kills",
    "test_probe",
    "test_torture",
)

# They need the extra `train`: `make test-train` runs them in an environment that has it.
_WITH_TORCH = "tuning"
collect_ignore = [] if find_spec("torch") else [_WITH_TORCH]


def pytest_report_header() -> list[str]:
    """Say what isn't run here."""
    return [f"tests/{one}: not run here, but by make test-train" for one in collect_ignore]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first, in this order; the Makefile tells xdist to keep it."""
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
    """Block every connection and name look-up in this process except loopback."""
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
    """Fail a test that changes the scheduling policy: a real-time process starves all others."""
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


@pytest.fixture
def unguessable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader knows anything, so that tests of other things get their questions whatever the secret."""
    monkeypatch.setattr(
        Reader, "posteriors", lambda _, pairs, *rest: np.full((len(pairs.cell), 4), 0.25)
    )
