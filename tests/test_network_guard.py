import socket

import pytest
from guard import BlockedError


def test_another_machine_can_not_be_reached() -> None:
    with socket.socket() as plug, pytest.raises(BlockedError):
        plug.connect(("192.0.2.1", 80))
    with pytest.raises(BlockedError):
        socket.create_connection(("example.org", 80), timeout=1)


def test_loopback_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
