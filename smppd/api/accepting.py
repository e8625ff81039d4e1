"""Taking connections while descriptors last, and turning them away in words when they do not.

Out of descriptors, a connection that waits keeps its listener readable: whoever simply tries again
spins, and whoever simply waits leaves a client hanging. So one descriptor is kept in reserve. It is
given up for a moment, the peer is accepted on it, told why not, and left; then it is taken back.
Nothing that was open already is touched by any of this, and the next connection after some were
closed is served as ever.

It does not know who may connect, nor what is said to them.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import structlog
import trio

from smppd.log.notices import Notices

SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""accept(2): descriptors of ours, of the system's, or the kernel's memory. All come back."""

AGAIN_SECONDS_MIN: Final = 0.1
"""Before another try where even the reserve was of no use; doubled each time."""

AGAIN_SECONDS_MAX: Final = 1.0
"""Of those waits the longest: a client that waits for us to recover is kept no longer."""

TURNED_AWAY_MAX: Final = 64
"""Peers turned away before the rest of the loop has its turn: a millisecond's work."""

DISCARD_READS_MAX: Final = 16
"""Reads of what a peer sent before it was turned away: more than a socket buffers."""

DISCARD_BYTES_MAX: Final = 64 * 1024
"""One such read."""

NOTICE_SECONDS: Final = 60.0
"""Between two lines about the same shortage, however often it comes and goes."""

_NULL: Final = "/dev/null"

log = structlog.get_logger("smppd.accept")

Stream = TypeVar("Stream", bound=trio.abc.AsyncResource)
Serve = Callable[[Stream], Awaitable[object]]


class Reserve:
    """One descriptor that is kept open for nothing, until there is no other."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._restore()

    def turn_away(self, listener: socket.socket, farewell: bytes) -> int | None:
        """Accepts whoever waits at ``listener``, says ``farewell`` and closes; how many those were.

        Never waits. None where that cannot be done: there is no reserve, another thread was quicker
        with it, or it is the system that has none left.
        """
        if self._descriptor is None:
            self._restore()
            return None
        os.close(self._descriptor)
        try:
            return _turn_away(listener, farewell)
        finally:
            self._restore()

    def close(self) -> None:
        """Gives it back for good."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _restore(self) -> None:
        self._descriptor = None
        with suppress(OSError):
            self._descriptor = os.open(_NULL, os.O_RDONLY | os.O_CLOEXEC)


def _turn_away(listener: socket.socket, farewell: bytes) -> int | None:
    for count in range(TURNED_AWAY_MAX):
        try:
            peer, _ = listener.accept()
        except BlockingIOError:  # that was the last one
            return count
        except OSError:
            return count or None
        with peer:
            _dismiss(peer, farewell)
    return TURNED_AWAY_MAX


def _dismiss(peer: socket.socket, farewell: bytes) -> None:
    peer.setblocking(False)
    with suppress(OSError):
        peer.send(farewell)
        peer.shutdown(socket.SHUT_RDWR)  # what it says from here on is refused, not left unread
        discard_received(peer.fileno())


def discard_received(descriptor: int) -> None:
    """Reads over what is in a socket's buffer now, for a close on unread octets is a reset; raises
    BlockingIOError once there is nothing more."""
    for _ in range(DISCARD_READS_MAX):
        if not os.read(descriptor, DISCARD_BYTES_MAX):
            return


class Acceptor:
    """Serves every connection of its listeners in a task of its own. ``place`` names them in logs;
    ``farewell`` is said to those for whom there is no descriptor, and ``count`` told how many."""

    def __init__(
        self,
        place: str,
        farewell: bytes = b"",
        count: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._place = place
        self._farewell = farewell
        self._count = count
        self._notices = Notices(NOTICE_SECONDS)
        self._turned_away = 0

    async def serve(
        self,
        serve: Serve[Stream],
        listeners: Sequence[trio.abc.Listener[Stream]],
        *,
        task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accepts until cancelled; the listeners are closed at the end."""
        async with trio.open_nursery() as nursery:
            for listener in listeners:
                nursery.start_soon(self._accept, listener, serve, nursery)
            task_status.started(listeners)

    async def _accept(
        self, listener: trio.abc.Listener[Stream], serve: Serve[Stream], nursery: trio.Nursery
    ) -> None:
        reserve = Reserve()
        try:
            async with listener:
                while True:
                    stream = await self._accept_next(listener, reserve)
                    nursery.start_soon(_serve_and_close, serve, stream)
        finally:
            reserve.close()

    async def _accept_next(self, listener: trio.abc.Listener[Stream], reserve: Reserve) -> Stream:
        """The next connection there is a descriptor for."""
        wait = AGAIN_SECONDS_MIN
        while True:
            try:
                return await listener.accept()
            except OSError as error:
                if error.errno not in SHORT_OF:
                    raise
                turned_away = self._turn_away(listener, reserve, error)
            if turned_away is None:
                await trio.sleep(wait)
                wait = min(wait * 2, AGAIN_SECONDS_MAX)
            else:
                await _wait_for_peer(listener)
                wait = AGAIN_SECONDS_MIN

    def _turn_away(
        self, listener: trio.abc.Listener[Stream], reserve: Reserve, error: OSError
    ) -> int | None:
        count = None
        if isinstance(listener, trio.SocketListener):
            with _borrowed(listener.socket.fileno()) as own:
                count = reserve.turn_away(own, self._farewell)
        if count == 0:
            return 0
        self._turned_away += count or 0
        self._count(count or 0)
        if self._notices.count(trio.current_time()):
            log.error(
                "descriptors_exhausted",
                place=self._place,
                reason=error.strerror,
                turned_away=self._turned_away,
            )
        return count


async def _wait_for_peer(listener: trio.abc.Listener[Stream]) -> None:
    """Returns when somebody waits at it. Linux looks for a descriptor before it looks for a peer,
    so accept(2) has an error to report though there is nobody to report it about."""
    assert isinstance(listener, trio.SocketListener), "only a socket runs out of descriptors"
    await trio.lowlevel.wait_readable(listener.socket)


async def _serve_and_close(serve: Serve[Stream], stream: Stream) -> None:
    try:
        await serve(stream)
    finally:
        await trio.aclose_forcefully(stream)


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A plain socket over a descriptor that stays its owner's."""
    own = socket.socket(fileno=descriptor)
    try:
        yield own
    finally:
        own.detach()
