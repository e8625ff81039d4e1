"""The socket itself: who is let in, how many, and what becomes of its name."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from smppd.api.server import ServerStatistics, listening
from tests.api.house import Client, connect, open_house, open_rooms

STRANGER_UID = 65_534


def bind_unnamed() -> socket.socket:
    """A listening socket that no directory's mode keeps a stranger from (unix(7), autobind)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("")
    listener.listen()
    return listener


def connect_as_stranger(address: str | bytes) -> trio.SocketStream:
    """A connection by a uid that is neither root's nor the daemon's, with a line already sent."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    own = os.geteuid()
    if own == 0:
        os.seteuid(STRANGER_UID)
    try:
        stream.connect(address)
    finally:
        os.seteuid(own)
    stream.sendall(b'{"type":"submit","ref":"a","to":"+8613800138000","from":"A","text":"hi"}\n')
    return trio.SocketStream(trio.socket.from_stdlib_socket(stream))


async def test_stranger_is_told_so_and_not_heard(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house, trio.open_nursery() as nursery:
        if os.geteuid() != 0:
            house.daemon_uid = os.geteuid() + 1
        server = house.make_server()
        listener = bind_unnamed()
        trio_listener = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        stranger = Client(connect_as_stranger(listener.getsockname()))
        nursery.start_soon(server.serve, [trio_listener])
        refusal = await stranger.receive()
        assert (refusal["type"], refusal["code"]) == ("error", "not_allowed")
        assert await stranger.receive() == {}
        assert house.store.query("default", ref="a") is None
        assert server.statistics() == ServerStatistics(0, 0, 1, 0)
        await stranger.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_connection_above_the_limit_is_told_busy_and_later_let_in(tmp_path: Path) -> None:
    async with open_house(tmp_path, connections_max=1) as house:
        async with connect(house) as first:
            await first.ask({"type": "ping"})
            async with connect(house) as second:
                assert (await second.receive())["code"] == "busy"
                assert await second.receive() == {}
        with trio.fail_after(5):
            while True:
                async with connect(house) as third:
                    await third.send({"type": "ping"})
                    if (await third.receive())["type"] == "pong":
                        break


async def test_statistics_count_connections_lines_and_subscriptions(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.ask({"type": "ping"})
        await client.ask({"type": "subscribe"})
        assert house.server.statistics() == ServerStatistics(1, 1, 0, 2)


async def test_name_of_the_socket_is_open_to_all_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "smppd.sock"
    with listening(path) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        await listener.aclose()
    assert not path.exists()


async def test_name_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "smppd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(path))
        killed.listen()
    with listening(path) as listener:
        async with await trio.open_unix_socket(path):
            pass
        await listener.aclose()


async def test_socket_of_a_living_daemon_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "smppd.sock"
    with listening(path) as listener:
        with pytest.raises(OSError, match="another process listens") as caught, listening(path):
            pass
        assert caught.value.errno == errno.EADDRINUSE
        async with await trio.open_unix_socket(path):
            pass
        await listener.aclose()


def test_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "smppd.sock"
    path.write_text("precious")
    with pytest.raises(FileExistsError), listening(path):
        pass
    assert path.read_text() == "precious"


async def test_name_that_became_another_daemons_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "smppd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as successor:
        with listening(path) as listener:
            await listener.aclose()
            path.unlink()
            successor.bind(str(path))
        assert path.exists()
