"""Events on their way to subscribers: who is waiting, and the next lines for one of them.

A subscription is a position in its app's log and nothing else; the events stay on disk until the
connection has room for them. So a reader that does not read costs one small object, and what it
gets at once is never more than it asked the log for. Woken by the committer after each commit.

It does not know sockets: a bell is rung, and whoever wrote last asks for more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import msgspec
import trio

from smppd.store.eventlog import EventBatch, EventBounds

EVENTS_BYTES_MAX: Final = 128 * 1024
"""Read from the log at once for one subscriber: half a thousand events, and less than what a
Unix socket buffers (net.core.wmem_default, 208 KiB), so one batch is one write."""


class EventSource(Protocol):
    """As much of the store as subscribers need."""

    def event_bounds(self, app: str) -> EventBounds:
        """What of the app's log is kept."""

    def events_after(self, app: str, after: int, bytes_max: int) -> EventBatch | None:
        """The app's kept events after ``after``; None: no more."""


class Bell:
    """Wakes the one task that waits for it; a ring before the wait is not lost."""

    __slots__ = ("_lot", "_rung")

    def __init__(self) -> None:
        self._rung = False
        self._lot = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        """There is something to do."""
        self._rung = True
        self._lot.unpark_all()

    async def wait_rung(self) -> None:
        """Returns once there was a ring since the last return."""
        if self._rung:
            await trio.lowlevel.checkpoint()
        else:
            await self._lot.park()
        self._rung = False


class _EventKind(msgspec.Struct, gc=False):
    event: str


_decode_kind = msgspec.json.Decoder(_EventKind).decode


class Subscription:
    """One connection's way through its app's log, from ``after`` on; ``kinds`` None: all."""

    __slots__ = ("_after", "_held", "_kinds", "_source", "app", "bell")

    def __init__(
        self, source: EventSource, app: str, after: int, kinds: frozenset[str] | None, bell: Bell
    ) -> None:
        self._source = source
        self._kinds = kinds
        self._after = after
        self._held: EventBatch | None = None
        self.app = app
        self.bell = bell

    def take_nowait(self, seq_max: int | None) -> bytes | None:
        """The next lines; None when there are none, or none up to ``seq_max`` (None: no limit).

        No octets means: some were read and none was of the kinds, ask again (after others had
        their turn). A batch that reaches above ``seq_max`` is held back whole; that starves
        nobody, as it was on disk when it was read: the next limit set is not below it.
        """
        batch = self._held or self._source.events_after(self.app, self._after, EVENTS_BYTES_MAX)
        if batch is None:
            return None
        if seq_max is not None and batch.last > seq_max:
            self._held = batch
            return None
        self._held = None
        self._after = batch.last
        return batch.lines if self._kinds is None else _select(batch.lines, self._kinds)


def _select(lines: bytes, kinds: frozenset[str]) -> bytes:
    """Those of ``lines`` whose ``event`` is one of ``kinds``."""
    wanted = [line for line in lines.split(b"\n") if line and _decode_kind(line).event in kinds]
    return b"\n".join((*wanted, b"")) if wanted else b""


class Outbox:
    """Who is subscribed, by app."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """From now on ``wake`` rings for it."""
        self._subscriptions.setdefault(subscription.app, set()).add(subscription)

    def discard(self, subscription: Subscription) -> None:
        """It is over."""
        remaining = self._subscriptions.get(subscription.app, set())
        remaining.discard(subscription)
        if not remaining:
            self._subscriptions.pop(subscription.app, None)

    def wake(self, apps: Iterable[str]) -> None:
        """These apps have new events: for the committer to call after a commit."""
        for app in apps:
            for subscription in self._subscriptions.get(app, ()):
                subscription.bell.ring()

    @property
    def subscriptions(self) -> int:
        """How many there are now."""
        return sum(map(len, self._subscriptions.values()))
