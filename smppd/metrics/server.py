"""The pages a monitoring system asks for, over HTTP on localhost or a Unix socket.

h11 speaks the protocol, one request a connection: scrapers come every fifteen seconds. Made to be
asked by anybody on the host: connections, octets and seconds are bounded, a request that is no
HTTP gets an answer of one line and the end, and a reader who does not read is cut off. It does not
know what is on the pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

import h11
import msgspec
import trio
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from smppd.api.accepting import Acceptor
from smppd.api.server import listening

CONNECTIONS_MAX: Final = 8
"""At once: some scrapers and a person. One more is closed without a word."""

REQUEST_BYTES_MAX: Final = 8 * 1024
"""Of request line and headers; Prometheus sends some 300."""

REQUEST_SECONDS_MAX: Final = 10.0
"""From the connect to the last octet of the answer: Prometheus's own scrape_timeout."""

RECEIVE_BYTES_MAX: Final = 4 * 1024
"""One read."""

PLAIN: Final = "text/plain; charset=utf-8"


class Page(msgspec.Struct, frozen=True):
    """An answer: what is shown, and whether all is well (200, else 503). ``parts`` that are made
    when asked for have everybody else served between two of them."""

    parts: Iterable[bytes]
    is_well: bool = True
    content_type: str = CONTENT_TYPE_PLAIN_0_0_4


class Answer(NamedTuple):
    """A page with its status; HEAD asks for no body."""

    status: HTTPStatus
    page: Page
    has_body: bool = True


Pages = Mapping[str, Callable[[], Page]]
"""By path, such as ``/metrics``; made when asked."""


@asynccontextmanager
async def listening_on(
    address: Path | tuple[str, int],
) -> AsyncIterator[list[trio.SocketListener]]:
    """Listeners on a TCP host and port, or on a Unix socket that is removed at the end.

    Raises OSError where somebody listens there already.
    """
    if isinstance(address, Path):
        with listening(address) as listener:
            yield [listener]
        return
    host, port = address
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        reason = f"metrics on {host}:{port}: {error.strerror or error}"
        raise OSError(error.errno, reason) from error
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.socket.close()


async def serve_pages(
    pages: Pages,
    listeners: list[trio.SocketListener],
    *,
    task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled."""
    visitors = trio.CapacityLimiter(CONNECTIONS_MAX)

    async def serve_visitor(stream: trio.SocketStream) -> None:
        try:
            visitors.acquire_on_behalf_of_nowait(stream)
        except trio.WouldBlock:
            return
        try:
            with trio.move_on_after(REQUEST_SECONDS_MAX), suppress(trio.BrokenResourceError):
                await answer(stream, pages)
        finally:
            visitors.release_on_behalf_of(stream)

    await Acceptor("metrics").serve(serve_visitor, listeners, task_status=task_status)


async def answer(stream: trio.abc.Stream, pages: Pages) -> None:
    """One request and its answer."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES_MAX)
    try:
        request = await _read_request(stream, connection)
    except h11.RemoteProtocolError as error:
        found = Answer(HTTPStatus(error.error_status_hint), _say("this is no HTTP"))
    else:
        if request is None:
            return
        found = _find_page(request, pages)
    await stream.send_all(_encode(connection, found, await _join(found.page)))


async def _read_request(stream: trio.abc.Stream, connection: h11.Connection) -> h11.Request | None:
    """The head of the request, whose body nobody reads; None where the peer has gone."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.receive_data(bytes(await stream.receive_some(RECEIVE_BYTES_MAX)))


def _find_page(request: h11.Request, pages: Pages) -> Answer:
    has_body = request.method != b"HEAD"  # on a page that is not there either: h11 insists
    path = request.target.partition(b"?")[0].decode("ascii", "replace")
    make = pages.get(path)
    if make is None:
        return Answer(HTTPStatus.NOT_FOUND, _say(f"there is {', '.join(pages)}"), has_body)
    if request.method not in (b"GET", b"HEAD"):
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED, _say("GET it"))
    page = make()
    status = HTTPStatus.OK if page.is_well else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, page, has_body)


def _say(text: str) -> Page:
    return Page([f"{text}\n".encode()], content_type=PLAIN)


async def _join(page: Page) -> bytes:
    parts = []
    for part in page.parts:
        parts.append(part)
        await trio.lowlevel.checkpoint()
    return b"".join(parts)


def _encode(connection: h11.Connection, answer: Answer, body: bytes) -> bytes:
    page = answer.page
    headers = [
        ("Content-Type", page.content_type),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    response = h11.Response(
        status_code=answer.status, reason=answer.status.phrase.encode(), headers=headers
    )
    parts: list[h11.Event] = [response, h11.EndOfMessage()]
    if answer.has_body:
        parts.insert(1, h11.Data(data=body))
    return b"".join(connection.send(part) or b"" for part in parts)
