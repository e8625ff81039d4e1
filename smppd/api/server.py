"""The Unix socket: who may connect, and how many. What is then said is ``connection``'s matter.

The listener is made here too, and its name in the file system: a stale one is replaced, a living
one never. It is open to everybody on purpose, as the kernel says who it is that came.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import structlog
import trio

from smppd.api.accepting import Acceptor, discard_received
from smppd.api.answers import ErrorAnswer
from smppd.api.connection import (
    LINGER_SECONDS_MAX,
    Committer,
    Connection,
    MessageSource,
    Services,
)
from smppd.api.controls import Controls
from smppd.api.intake import Intake
from smppd.api.outbox import Outbox
from smppd.api.peers import Credentials, PeerTable, read_credentials
from smppd.api.protocol import AppProtocol
from smppd.log.notices import Notices

CONNECTIONS_MAX: Final = 16_000
"""Connections of apps at once, where there are descriptors for them: ten thousand idle ones leave
room for others, and an idle one costs some 10 kB."""

BACKLOG_MAX: Final = 4096
"""Connections the kernel may hold for us to accept: as many as it lets us (net.core.somaxconn)."""

REFUSAL_NOTICE_SECONDS: Final = 10.0
"""Between two lines about peers that may not be here: one of them may try without end."""

SOCKET_MODE: Final = 0o666
"""Anybody may connect: the kernel's credentials decide, and a refusal with a reason is kinder
than EACCES. Whoever wants less closes the directory."""


AppStream: TypeAlias = trio.abc.HalfCloseableStream
AppListener: TypeAlias = trio.abc.Listener[AppStream]


log = structlog.get_logger("smppd.api")

_OUT_OF_DESCRIPTORS: Final = ErrorAnswer(
    "busy", "smppd has no descriptor left for another connection; try again later"
)


class ServerStatistics(msgspec.Struct, frozen=True):
    """Connections and subscriptions now; since start, those refused, and lines read."""

    connections: int
    subscriptions: int
    refused: int
    lines: int


def read_peer(stream: AppStream) -> Credentials:
    """The kernel's word on the peer of an accepted Unix stream socket."""
    assert isinstance(stream, trio.SocketStream), "the kernel knows the peers of sockets alone"
    return read_credentials(stream.socket)


class Server:
    """Serves apps on the listeners it is given.

    ``controls`` serves the control verbs; ``read_clock`` gives the wall time in milliseconds,
    ``read_peer`` who is on the other end of a stream. ``peers`` may be exchanged at reload, for
    those who connect from then on.
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
        read_clock: Callable[[], int],
        read_peer: Callable[[AppStream], Credentials] = read_peer,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._services = Services(intake, store, committer, outbox, controls, read_clock)
        self.peers = peers
        self._read_peer = read_peer
        self.connections_max = connections_max
        self._refused = 0
        self._refusals = Notices(REFUSAL_NOTICE_SECONDS)

    async def serve(
        self,
        listeners: Sequence[AppListener],
        *,
        task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accepts connections until cancelled; out of descriptors, it backs off and goes on."""
        farewell = AppProtocol().encode_answers([_OUT_OF_DESCRIPTORS])
        acceptor = Acceptor("apps", farewell, self._count_refused)
        await acceptor.serve(self._serve_peer, listeners, task_status=task_status)

    def statistics(self) -> ServerStatistics:
        """Counts for ``status``."""
        return ServerStatistics(
            self._services.connections,
            self._services.outbox.subscriptions,
            self._refused,
            self._services.lines,
        )

    async def _serve_peer(self, stream: AppStream) -> None:
        async with stream:
            peer = self._read_peer(stream)
            rights = self.peers.rights_of(peer)
            if rights is None:
                self._note_refused(peer)
                reason = "neither your uid nor your groups are an app's in smppd.toml"
                await self._turn_away(stream, ErrorAnswer("not_allowed", reason))
            elif self._services.connections >= self.connections_max:
                reason = (
                    f"{self._services.connections} connections are open already; try again later"
                )
                await self._turn_away(stream, ErrorAnswer("busy", reason))
            else:
                self._services.connections += 1
                try:
                    await Connection(self._services, stream, rights).run()
                finally:
                    self._services.connections -= 1

    async def _turn_away(self, stream: AppStream, answer: ErrorAnswer) -> None:
        """One line and the end, at once: this peer has no claim to our descriptors."""
        self._count_refused(1)
        with trio.move_on_after(LINGER_SECONDS_MAX), suppress(trio.BrokenResourceError):
            await stream.send_all(AppProtocol().encode_answers([answer]))
            await stream.send_eof()
        if isinstance(stream, trio.SocketStream):
            with suppress(OSError):
                discard_received(stream.socket.fileno())

    def _count_refused(self, peers: int) -> None:
        self._refused += peers

    def _note_refused(self, peer: Credentials) -> None:
        if count := self._refusals.count(trio.current_time()):
            log.warning("peer_refused", uid=peer.uid, pid=peer.pid, count=count)


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
