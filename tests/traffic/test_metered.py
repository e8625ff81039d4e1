"""When a stream has been read empty: over real sockets, for it is about the kernel's buffers."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing

from smppd.traffic.metered import MeteredStream

Clock = trio.testing.MockClock


def socket_streams() -> tuple[trio.SocketStream, trio.SocketStream]:
    ours, theirs = (trio.socket.from_stdlib_socket(one) for one in socket.socketpair())
    return trio.SocketStream(ours), trio.SocketStream(theirs)


class Torrent(trio.abc.ReceiveStream):
    """It has something to read at every pass, without end."""

    def __init__(self, sizes: list[int]) -> None:
        self._sizes = sizes

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"x" * (self._sizes.pop(0) if len(self._sizes) > 1 else self._sizes[0])

    async def aclose(self) -> None:
        pass


def never() -> bool:
    return False


async def test_a_reader_that_waits_has_read_all(autojump_clock: Clock) -> None:
    ours, theirs = socket_streams()
    meter = MeteredStream(ours)
    async with ours, theirs, trio.open_nursery() as nursery:
        nursery.start_soon(meter.receive_some)
        assert await meter.wait_read_empty(never)
        nursery.cancel_scope.cancel()


async def test_what_lies_ready_is_read_and_used_first(autojump_clock: Clock) -> None:
    ours, theirs = socket_streams()
    meter = MeteredStream(ours)
    used: list[bytes | bytearray] = []

    async def read() -> None:
        while True:
            data = await meter.receive_some(2)
            for _ in range(10):  # a commit, in between
                await trio.lowlevel.checkpoint()
            used.append(data)

    await theirs.send_all(b"abcdef")
    async with ours, theirs, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert await meter.wait_read_empty(never)
        assert b"".join(used) == b"abcdef"
        nursery.cancel_scope.cancel()


async def test_a_peer_that_never_pauses_is_read_empty_by_the_second_short_read(
    autojump_clock: Clock,
) -> None:
    torrent = Torrent([10, 9, 10, 9, 10])
    meter = MeteredStream(trio.StapledStream(trio.testing.MemorySendStream(), torrent))
    used: list[int] = []

    async def read() -> None:
        while True:
            used.append(len(await meter.receive_some(10)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert await meter.wait_read_empty(never)
        assert used[:4] == [10, 9, 10, 9]
        nursery.cancel_scope.cancel()


async def test_a_question_that_has_become_moot_is_dropped(autojump_clock: Clock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    meter = MeteredStream(ours)
    await theirs.send_all(b"x")
    assert not await meter.wait_read_empty(lambda: True)


async def test_it_is_the_stream_below_in_all_else(autojump_clock: Clock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    meter = MeteredStream(ours)
    await meter.wait_send_all_might_not_block()
    await meter.send_all(b"hello")
    assert await theirs.receive_some() == b"hello"
    await meter.aclose()
    assert await theirs.receive_some() == b""


async def test_nothing_spins_while_what_was_read_waits_for_its_commit(
    autojump_clock: Clock,
) -> None:
    ours, theirs = socket_streams()
    meter = MeteredStream(ours)
    looks = 0

    def is_late() -> bool:
        nonlocal looks
        looks += 1
        assert looks < 1_000, "it looks at every pass of the loop"
        return trio.current_time() >= 10.0

    async with ours, theirs:
        assert not await meter.wait_read_empty(is_late)


async def test_a_socket_takes_at_once_what_it_has_room_for_and_the_rest_by_waiting() -> None:
    plain, peer = socket_streams()
    stream = MeteredStream(plain)
    octets = b"x" * 8_000_000
    received = bytearray()

    async def read() -> None:
        async for data in peer:
            received.extend(data)

    sent = stream.send_nowait(octets)
    assert 0 < sent < len(octets)
    assert stream.send_nowait(octets[sent:]) == 0
    async with peer, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await stream.send_all(octets[sent:])
        await stream.aclose()
    assert len(received) == len(octets)


async def test_what_is_no_plain_socket_takes_nothing_at_once() -> None:
    ours, _ = trio.testing.memory_stream_pair()
    assert MeteredStream(ours).send_nowait(b"x") == 0


async def test_a_socket_whose_peer_has_left_says_so_at_once() -> None:
    plain, peer = socket_streams()
    await peer.aclose()
    async with MeteredStream(plain) as stream:
        with pytest.raises(OSError, match="Broken pipe"):
            stream.send_nowait(b"x")
