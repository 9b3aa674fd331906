"""The guard of the tests: nothing leaves this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.conftest import NetworkIsOff


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1"])
def test_no_other_machine_is_connected_to(address: str) -> None:
    """It is refused for a socket and through asyncio."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(NetworkIsOff):
        sock.connect((address, 9))
    with socket.socket(family) as sock, pytest.raises(NetworkIsOff):
        sock.connect_ex((address, 9))
    with pytest.raises(NetworkIsOff):
        asyncio.run(asyncio.wait_for(asyncio.open_connection(address, 9), 60))


def test_no_name_is_looked_up() -> None:
    """A look-up is a packet too; names below .invalid fail as they do everywhere."""
    with pytest.raises(NetworkIsOff):
        socket.getaddrinfo("www.plugchat.com.br", 443)
    with pytest.raises(NetworkIsOff):
        asyncio.run(asyncio.open_connection("www.plugchat.com.br", 443))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("hooks.invalid", 443)


def test_loopback_and_unix_sockets_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox and asyncio need them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
    monkeypatch.chdir(tmp_path)  # a Unix socket's path is short
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")


def test_none_of_our_variables_is_set() -> None:
    """A developer's own token or setting changes no test."""
    assert [name for name in os.environ if name.startswith(("RECONCILER_", "PLUG_", "GITHUB_"))] == []
