"""Pages over HTTP, on real sockets: what is asked, what is not HTTP, and who does not read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.metrics.server import (
    CONNECTIONS_MAX,
    REQUEST_BYTES_MAX,
    REQUEST_SECONDS_MAX,
    Page,
    answer,
    listening_on,
    serve_pages,
)

PAGES = {
    "/metrics": lambda: Page([b"smppd_ready 1.0\n"]),
    "/healthz": lambda: Page([b"draining\n"], is_well=False),
}


@asynccontextmanager
async def serving(address: Path | tuple[str, int]) -> AsyncIterator[list[trio.SocketListener]]:
    async with listening_on(address) as listeners, trio.open_nursery() as nursery:
        await nursery.start(serve_pages, PAGES, listeners)
        yield listeners
        nursery.cancel_scope.cancel()


async def ask(request: bytes) -> bytes:
    """All that is answered to the octets of a request."""
    client, server = trio.testing.memory_stream_pair()
    await client.send_all(request)
    await answer(server, PAGES)
    await server.aclose()
    return await read_all(client)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    async for part in stream:
        data += part
    return data


async def test_metrics_are_shown_over_tcp() -> None:
    async with serving(("127.0.0.1", 0)) as (listener,):
        port = listener.socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = (await read_all(stream)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"text/plain; version=0.0.4" in head
    assert body == b"smppd_ready 1.0\n"


async def test_metrics_are_shown_on_a_unix_socket_that_is_removed_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    async with serving(path), await trio.open_unix_socket(path) as stream:
        await stream.send_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert (await read_all(stream)).endswith(b"smppd_ready 1.0\n")
    assert not path.exists()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /metrics?name=x HTTP/1.1", b"200 OK"),
        (b"HEAD /metrics HTTP/1.1", b"200 OK"),
        (b"GET /healthz HTTP/1.1", b"503 Service Unavailable"),
        (b"GET / HTTP/1.1", b"404 Not Found"),
        (b"GET /metrics/ HTTP/1.1", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed"),
        (b"GET /\xff HTTP/1.1", b"400 Bad Request"),
        (b"\x00\x01\x02", b"400 Bad Request"),
        (b'{"type":"submit"}', b"400 Bad Request"),
    ],
)
async def test_request_is_answered_with_its_status(request_line: bytes, status: bytes) -> None:
    said = await ask(request_line + b"\r\nHost: x\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 " + status + b"\r\n"), said


async def test_others_have_their_turns_while_a_page_is_made() -> None:
    turns = 0
    seen: list[int] = []

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    def make_parts() -> Iterator[bytes]:
        for number in range(10):
            seen.append(turns)
            yield b"%d\n" % number

    client, server = trio.testing.memory_stream_pair()
    await client.send_all(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await answer(server, {"/long": lambda: Page(make_parts())})
        nursery.cancel_scope.cancel()
    await server.aclose()
    assert (await read_all(client)).endswith(b"\r\n\r\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
    assert seen[-1] - seen[0] >= len(seen) - 2  # in each pass the one or the other comes first


async def test_head_has_the_length_and_no_body() -> None:
    said = await ask(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert said.endswith(b"\r\n\r\n")
    assert b"Content-Length: 16\r\n" in said


async def test_headers_without_an_end_are_cut_off() -> None:
    said = await ask(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * REQUEST_BYTES_MAX * 2)
    assert said.startswith(b"HTTP/1.1 431 ")


async def test_peer_that_leaves_without_a_word_gets_none() -> None:
    client, server = trio.testing.memory_stream_pair()
    await client.aclose()
    await answer(server, PAGES)


async def test_peer_that_says_nothing_is_cut_off(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "metrics.sock"
    async with serving(path), await trio.open_unix_socket(path) as stream:
        with trio.fail_after(2 * REQUEST_SECONDS_MAX):
            assert await read_all(stream) == b""


async def test_one_visitor_too_many_is_closed_on_and_the_next_ones_are_served(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.sock"
    async with serving(path):
        visitors = [await trio.open_unix_socket(path) for _ in range(CONNECTIONS_MAX)]
        await trio.testing.wait_all_tasks_blocked()
        async with await trio.open_unix_socket(path) as late:
            assert await read_all(late) == b""
        for visitor in visitors:
            await visitor.aclose()
        await trio.testing.wait_all_tasks_blocked()
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert b"smppd_ready" in await read_all(stream)


async def test_an_address_that_is_taken_is_named() -> None:
    async with listening_on(("127.0.0.1", 0)) as (taken,):
        port = taken.socket.getsockname()[1]
        with pytest.raises(OSError, match=f"metrics on 127.0.0.1:{port}: Address already in use"):
            async with listening_on(("127.0.0.1", port)):
                pytest.fail("it was taken")


async def test_head_of_a_page_that_is_not_there_is_answered_and_ends_nothing() -> None:
    """It had a body, which h11 refuses to send: the daemon ended of it."""
    answered = await ask(b"HEAD /elsewhere HTTP/1.0\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 404 ")
    assert answered.endswith(b"\r\n\r\n")
