"""The SMSC of a bench run where no other is named: ``bench.centre`` on sockets, in one thread.

At SIGTERM it writes its ledger to a file, as any SMSC that stands in for it does: a JSON object
with ``accepted``, and as much of ``bench.ledgers.SinkLedger`` as it knows.
"""

from __future__ import annotations

import gc
import select
import signal
import socket
import sys
import time
from array import array
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.centre import Centre, IdFormat, Link, Options

BACKLOG: Final = 1_024
"""Binds that come up at once."""


class Server:
    """Listens on ``ports`` of this host, and serves ``centre``'s links until it is stopped."""

    def __init__(self, centre: Centre, ports: list[int]) -> None:
        self._centre = centre
        self._poll = select.epoll()
        self._links: dict[int, Link] = {}
        self._listeners = {one.fileno(): one for one in map(_listen, ports)}
        self._stopped, self._wake = socket.socketpair()
        for descriptor in (*self._listeners, self._stopped.fileno()):
            self._poll.register(descriptor, select.EPOLLIN)

    def run_until(self, *signals: int) -> None:
        """Serves until one of ``signals`` comes."""
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        for number in signals:
            signal.signal(number, lambda *_: None)
        while self._serve_once():
            pass

    def _serve_once(self) -> bool:
        for descriptor, events in self._poll.poll(self._timeout()):
            if descriptor == self._stopped.fileno():
                return False
            if descriptor in self._listeners:
                self._accept(self._listeners[descriptor])
                continue
            link = self._links[descriptor]
            if events & ~select.EPOLLOUT:
                link.receive()
            else:
                link.send()
            self._watch(descriptor, link)
        self._send_what_waits()
        return True

    def _timeout(self) -> float | None:
        due = self._centre.next_due()
        return None if due is None else max(due - time.monotonic(), 0.0)

    def _send_what_waits(self) -> None:
        """Receipts whose time has come; and those whose link is gone, on all the others."""
        links = self._centre.take_due(time.monotonic())
        if not links and not self._centre.homeless:
            return
        for descriptor, link in list(self._links.items()):
            if link in links or self._centre.homeless:
                link.send()
                self._watch(descriptor, link)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links[connection.fileno()] = Link(connection, self._centre)
        self._poll.register(connection, select.EPOLLIN)

    def _watch(self, descriptor: int, link: Link) -> None:
        """Waits for room in its socket as long as there is something to send."""
        if not link.is_open:
            del self._links[descriptor]  # closed, and so no longer polled
        elif link.is_watched_for_room != bool(link.output):
            link.is_watched_for_room = bool(link.output)
            also = select.EPOLLOUT if link.output else 0
            self._poll.modify(descriptor, select.EPOLLIN | also)


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    port: Annotated[list[int], typer.Option(help="Where to listen, on 127.0.0.1. Repeatable.")],
    report: Annotated[Path, typer.Option(help="The file for the counts.")],
    id_format: Annotated[str, typer.Option(help="message_id: hex, dec or uuid.")] = "hex",
    receipt_delay: Annotated[float, typer.Option(min=0, help="Seconds, from the response.")] = 0.0,
    receipt_window: Annotated[
        int, typer.Option(min=1, help="Unacknowledged deliver_sm a bind.")
    ] = 100,
    receipt_loss: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the receipts that are never sent.")
    ] = 0.0,
    stamps: Annotated[
        Path | None,
        typer.Option(
            help="A file for when each message was read: by index, doubles, CLOCK_MONOTONIC."
        ),
    ] = None,
) -> None:
    """A fast SMSC for benches: accepts everything, and sends every receipt but the lost ones."""
    try:
        spelling = msgspec.convert(id_format, IdFormat)
    except msgspec.ValidationError as error:
        print(f"bench.sink: --id-format: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    gc.disable()  # nothing here refers in circles
    times = array("d") if stamps is not None else None
    centre = Centre(Options(spelling, receipt_delay, receipt_window, receipt_loss), times)
    try:
        server = Server(centre, port)
    except OSError as error:
        print(f"bench.sink: cannot listen on {port}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    server.run_until(signal.SIGTERM, signal.SIGINT)
    if stamps is not None and times is not None:
        stamps.write_bytes(times.tobytes())
    report.write_bytes(msgspec.json.encode(centre.ledger()))


if __name__ == "__main__":
    app()
