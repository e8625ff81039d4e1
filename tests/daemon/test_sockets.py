"""Sockets that systemd has passed are used and left; without any there is one of our own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from smppd.daemon.sockets import listening_sockets


def listen_on(path: Path) -> int:
    """A descriptor as systemd would pass it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as own:
        own.bind(str(path))
        own.listen(1)
        return own.detach()


async def test_without_a_passed_socket_the_configured_one_is_made_and_removed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "own.sock"
    with listening_sockets(path, {}) as listeners:
        async with await trio.open_unix_socket(path):
            await (await listeners[0].accept()).aclose()
    assert not path.exists()


async def test_passed_sockets_are_listened_on_and_their_names_stay(tmp_path: Path) -> None:
    paths = [tmp_path / "a.sock", tmp_path / "b.sock"]
    passed = {"smppd": [listen_on(paths[0])], "unknown": [listen_on(paths[1])]}
    with listening_sockets(tmp_path / "own.sock", passed) as listeners:
        for path, listener in zip(paths, listeners, strict=True):
            async with await trio.open_unix_socket(path):
                await (await listener.accept()).aclose()
    assert all(path.exists() for path in paths)
    assert not (tmp_path / "own.sock").exists()


def test_passed_socket_of_the_network_is_refused(tmp_path: Path) -> None:
    own = socket.create_server(("127.0.0.1", 0)).detach()
    with (
        pytest.raises(OSError, match="'smppd' is no listening Unix stream socket"),
        listening_sockets(tmp_path / "own.sock", {"smppd": [own]}),
    ):
        pass


def test_passed_socket_that_does_not_listen_is_refused(tmp_path: Path) -> None:
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach()
    with (
        pytest.raises(OSError, match="no listening"),
        listening_sockets(tmp_path / "own.sock", {"smppd": [own]}),
    ):
        pass
