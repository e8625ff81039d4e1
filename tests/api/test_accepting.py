"""A listener that runs out of descriptors: it turns peers away or waits, and never spins.

The listeners that run dry here are the kernel's part, played: a real process that is out of
descriptors is in ``tests/test_overload``.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from smppd.api.accepting import AGAIN_SECONDS_MAX, NOTICE_SECONDS, Acceptor, Reserve
from smppd.api.server import listening

Clock = trio.testing.MockClock


class DryListener(trio.abc.Listener[trio.SocketStream]):
    """accept(2) fails ``failures`` times, whoever waits; then nobody comes any more."""

    def __init__(self, number: int, failures: int) -> None:
        self._number = number
        self._left = failures
        self.attempts = 0

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        self.attempts += 1
        if self.attempts > self._left:
            await trio.sleep_forever()
        raise OSError(self._number, os.strerror(self._number))

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def unused(_stream: trio.SocketStream) -> None:
    raise AssertionError("nobody connects")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_shortage_that_stays_is_looked_at_once_a_second(
    autojump_clock: Clock, number: int
) -> None:
    listener = DryListener(number, 10_000)
    with trio.move_on_after(100):
        await Acceptor("apps").serve(unused, [listener])
    assert 100 / AGAIN_SECONDS_MAX <= listener.attempts <= 100 / AGAIN_SECONDS_MAX + 4


async def test_shortage_is_told_once_a_minute(autojump_clock: Clock) -> None:
    listener = DryListener(errno.ENFILE, 10_000)
    with structlog.testing.capture_logs() as lines, trio.move_on_after(3 * NOTICE_SECONDS - 1):
        await Acceptor("apps").serve(unused, [listener])
    assert [line["event"] for line in lines] == ["descriptors_exhausted"] * 3
    assert lines[0]["place"] == "apps"


async def test_any_other_error_of_a_listener_ends_the_serving() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await Acceptor("apps").serve(unused, [DryListener(errno.EINVAL, 1)])
    assert caught.group_contains(OSError, match="Invalid argument")


def test_reserve_turns_away_whoever_waits_with_a_word(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(8)
        listener.setblocking(False)
        reserve = Reserve()
        before = len(os.listdir("/proc/self/fd"))
        assert reserve.turn_away(listener, b"busy\n") == 0
        peers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        for peer in peers:
            peer.connect(str(tmp_path / "socket"))
            peer.sendall(b"never read\n")
        assert reserve.turn_away(listener, b"busy\n") == 3
        assert len(os.listdir("/proc/self/fd")) == before + 3
        for peer in peers:
            with peer:
                assert peer.recv(100) == b"busy\n"
                assert peer.recv(100) == b""
        reserve.close()
        assert reserve.turn_away(listener, b"busy\n") is None, "it has none to give"
        reserve.close()


async def test_streams_are_closed_when_their_service_ends(tmp_path: Path) -> None:
    async def say(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello\n")

    with listening(tmp_path / "socket") as listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(Acceptor("apps").serve, say, [listener])
            async with await trio.open_unix_socket(tmp_path / "socket") as stream:
                assert await stream.receive_some() == b"hello\n"
                assert await stream.receive_some() == b""
            nursery.cancel_scope.cancel()
