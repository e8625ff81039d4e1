"""The Unix socket: who may connect, and how many. What is then said is ``connection``'s matter.

The listener is made here too, and its name in the file system: a stale one is replaced, a living
one never. It is open to everybody on purpose, as the kernel says who it is that came.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import trio

from smppd.api.answers import ErrorAnswer
from smppd.api.connection import (
    LINGER_SECONDS_MAX,
    RECEIVE_BYTES_MAX,
    Committer,
    Connection,
    MessageSource,
    Services,
)
from smppd.api.controls import Controls
from smppd.api.intake import Intake
from smppd.api.outbox import Outbox
from smppd.api.peers import PeerTable, read_credentials
from smppd.api.protocol import AppProtocol

CONNECTIONS_MAX: Final = 1000
"""Connections of apps at once, just below the usual limit of 1,024 descriptors."""

BACKLOG_MAX: Final = 1024
"""Connections the kernel may hold for us to accept: as many as there may be."""

DISCARD_READS_MAX: Final = 16
"""Reads of what a peer sent before it was turned away: more than a socket buffers."""

SOCKET_MODE: Final = 0o666
"""Anybody may connect: the kernel's credentials decide, and a refusal with a reason is kinder
than EACCES. Whoever wants less closes the directory."""


class ServerStatistics(msgspec.Struct, frozen=True):
    """Connections and subscriptions now; since start, those refused, and lines read."""

    connections: int
    subscriptions: int
    refused: int
    lines: int


def read_wall_clock() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class Server:
    """Serves apps on the listeners it is given.

    ``controls`` serves the control verbs; ``read_clock`` gives the wall time in milliseconds.
    ``peers`` may be exchanged at reload, for those who connect from then on.
    """

    def __init__(
        self,
        *,
        intake: Intake,
        peers: PeerTable,
        store: MessageSource,
        committer: Committer,
        outbox: Outbox,
        controls: Controls,
        read_clock: Callable[[], int] = read_wall_clock,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._services = Services(intake, store, committer, outbox, controls, read_clock)
        self.peers = peers
        self._connections_max = connections_max
        self._connections = 0
        self._refused = 0

    async def serve(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accepts connections until cancelled; out of descriptors, it backs off and goes on."""
        await trio.serve_listeners(self._serve_peer, listeners, task_status=task_status)

    def statistics(self) -> ServerStatistics:
        """Counts for ``status``."""
        return ServerStatistics(
            self._connections,
            self._services.outbox.subscriptions,
            self._refused,
            self._services.lines,
        )

    async def _serve_peer(self, stream: trio.SocketStream) -> None:
        async with stream:
            rights = self.peers.rights_of(read_credentials(stream.socket))
            if rights is None:
                reason = "neither your uid nor your groups are an app's in smppd.toml"
                await self._turn_away(stream, ErrorAnswer("not_allowed", reason))
            elif self._connections >= self._connections_max:
                reason = f"{self._connections} connections are open already; try again later"
                await self._turn_away(stream, ErrorAnswer("busy", reason))
            else:
                self._connections += 1
                try:
                    await Connection(self._services, stream, rights).run()
                finally:
                    self._connections -= 1

    async def _turn_away(self, stream: trio.SocketStream, answer: ErrorAnswer) -> None:
        """One line and the end, at once: this peer has no claim to our descriptors."""
        self._refused += 1
        with trio.move_on_after(LINGER_SECONDS_MAX), suppress(trio.BrokenResourceError):
            await stream.send_all(AppProtocol().encode_answers([answer]))
            await stream.send_eof()
        with suppress(OSError):
            _discard_received(stream.socket.fileno())


@contextmanager
def listening(path: Path) -> Iterator[trio.SocketListener]:
    """A listener on the Unix socket ``path``, whose name is removed again at the end.

    The directory is made where it is missing, and a name nobody listens on any more is replaced.
    Raises OSError: EADDRINUSE where somebody does, EEXIST where ``path`` is no socket.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as own:
        own.bind(str(path))
        path.chmod(SOCKET_MODE)
        own.listen(BACKLOG_MAX)
        name = path.stat()
        try:
            yield trio.SocketListener(trio.socket.from_stdlib_socket(own.dup()))
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(name, path.stat()):
                    path.unlink()


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "is no socket and is in the socket's place", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another process listens on this socket", str(path))


def _discard_received(descriptor: int) -> None:
    """Read over what is in the socket's buffer now, without waiting."""
    for _ in range(DISCARD_READS_MAX):
        if not os.read(descriptor, RECEIVE_BYTES_MAX):
            return
