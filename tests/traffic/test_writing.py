"""One write, over real sockets where it is about the kernel's buffers."""

from __future__ import annotations

import trio
import trio.testing

from smppd.traffic.metered import MeteredStream
from smppd.traffic.writing import write
from tests.traffic.test_metered import socket_streams

Clock = trio.testing.MockClock
MANY = bytes(range(256)) * 20_000
"""More than a socket's buffers hold."""


async def read_all(stream: trio.SocketStream) -> bytes:
    async with stream:
        return b"".join([bytes(data) async for data in stream])


async def test_what_the_socket_takes_at_once_and_the_rest_arrive_in_order() -> None:
    plain, peer = socket_streams()
    meter = MeteredStream(plain)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, meter, meter, MANY, 30.0)
        received = b""
        with trio.fail_after(20):
            while len(received) < len(MANY):
                received += await peer.receive_some()
    assert await write(meter, meter, b"and more", 30.0) is None
    await meter.aclose()
    assert received + await read_all(peer) == MANY + b"and more"


async def test_peer_that_reads_nothing_is_told_of_in_time(autojump_clock: Clock) -> None:
    plain, peer = socket_streams()
    meter = MeteredStream(plain)
    async with plain, peer:
        assert await write(meter, meter, MANY, 30.0) == "the SMSC read nothing for 30 s"
        assert trio.current_time() == 30.0


async def test_peer_that_has_left_and_a_stream_of_ours_that_is_closed_are_reasons() -> None:
    plain, peer = socket_streams()
    meter = MeteredStream(plain)
    await peer.aclose()
    assert "Broken pipe" in (await write(meter, meter, b"x", 30.0) or "")
    await plain.aclose()
    assert (await write(meter, meter, b"x", 30.0) or "").startswith("the stream broke: ")


async def test_what_stands_between_us_and_the_socket_is_not_passed_by() -> None:
    plain, peer = socket_streams()
    between, other = trio.testing.memory_stream_pair()
    assert await write(between, MeteredStream(plain), b"secret", 30.0) is None
    with trio.fail_after(20):
        assert await other.receive_some() == b"secret"
    await plain.aclose()
    assert await read_all(peer) == b""
