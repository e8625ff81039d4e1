"""The committer: one ordered group commit for everything.

``commit`` adds changes to the batch that is gathering and waits for *that* batch: one wait a
caller and list. The task woken by the first of them commits all that came in the same scheduler
pass. The commit runs on the loop itself: measured best at low load and equal at high load.
Nothing is told before it returns: callers' waits, links' new grants, subscribers' events.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

import msgspec
import trio

from smppd import faults
from smppd.errors import CommitterEnded
from smppd.store.changes import Change, Result
from smppd.store.store import Store
from smppd.traffic.dispatch import Dispatch

IDLE_SECONDS_MAX: Final = 1.0
"""A commit is tried at least this often, so that deadlines kept in wall time follow a clock that
was set, and what ages out does so without traffic."""


FREE_MILLISECONDS: Final = 1_000
"""Between two looks at the disk's free space: in that time we ourselves write some ten megabytes,
a part of any reserve."""


class Wakes(Protocol):
    """Who is to know that apps have new events (``api/outbox.py``)."""

    def wake(self, apps: Iterable[str]) -> None: ...


class CommitterStatistics(msgspec.Struct, frozen=True):
    """Commits, and the changes in them; ``largest`` is the most changes of one commit, ``seconds``
    what all commits took together."""

    commits: int
    changes: int
    largest: int
    seconds: float = 0.0


class _Batch:
    """One generation of changes, and those who wait for it."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.results: list[Result] = []
        self.done = trio.Event()
        self.is_committed = False


class Committer:
    """Owns the store's writing; ``wall`` gives the time of day in Unix milliseconds, ``read_free``
    the octets that are free on the store's disk (see ``free_octets``)."""

    def __init__(
        self,
        store: Store,
        dispatch: Dispatch,
        outbox: Wakes,
        wall: Callable[[], int],
        read_free: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._outbox = outbox
        self._wall = wall
        self._read_free = read_free
        self._free_read_at = 0
        self._batch = _Batch()
        self._work = trio.Event()
        self._commits = 0
        self._changes = 0
        self._largest = 0
        self._seconds = 0.0
        self.has_ended = False
        self._idle: trio.Event | None = None
        self._idle_carriers: dict[str, trio.Event] = {}

    async def commit(self, changes: list[Change]) -> list[Result]:
        """Stores the changes; returns their results once they are on disk.

        Raises CommitterEnded when it ended first: nothing may be told then.
        """
        if self.has_ended:
            raise CommitterEnded
        batch = self._batch
        start = len(batch.changes)
        batch.changes += changes
        self._work.set()
        await batch.done.wait()
        if not batch.is_committed:
            raise CommitterEnded
        return batch.results[start : start + len(changes)]

    def wake(self) -> None:
        """Asks for a commit though there is no change: something may be granted now."""
        self._work.set()

    async def wait_idle(self) -> None:
        """Returns once no grant is open and no message half-sent; for a drain."""
        self._idle = trio.Event()
        self.wake()
        await self._idle.wait()

    async def wait_carrier_idle(self, name: str) -> None:
        """The same for one carrier, before its binds are ended."""
        idle = self._idle_carriers.setdefault(name, trio.Event())
        self.wake()
        await idle.wait()

    async def run(self) -> None:
        """Commits until cancelled. StoreError ends the daemon: the start path recovers."""
        try:
            while True:
                with trio.move_on_at(self._next_at()):
                    await self._work.wait()
                # One pass more: whoever woke beside us has added its changes by then (measured at
                # full load: 4 % more messages a second).
                await trio.lowlevel.checkpoint()
                self.commit_now()
        finally:
            # Links end behind a shield and would wait for ever.
            self.has_ended = True
            self._batch.done.set()

    def commit_now(self) -> None:
        """Commits what has gathered; synchronous, so that nothing comes between."""
        self._work = trio.Event()
        batch, self._batch = self._batch, _Batch()
        now = self._wall()
        self._look_at_disk(now)
        faults.reach("commit.before")
        started = time.perf_counter()
        try:
            committed = self._store.commit(batch.changes, self._dispatch, now)
        except BaseException:
            batch.done.set()
            raise
        faults.reach("commit.after")
        batch.results = committed.results
        batch.is_committed = True
        batch.done.set()
        self._seconds += time.perf_counter() - started
        self._commits += 1
        self._changes += len(batch.changes)
        self._largest = max(self._largest, len(batch.changes))
        self._dispatch.wake_granted()
        if committed.apps:
            self._outbox.wake(committed.apps)
        self._tell_idle()

    def statistics(self) -> CommitterStatistics:
        """Counts since start."""
        return CommitterStatistics(self._commits, self._changes, self._largest, self._seconds)

    def _look_at_disk(self, now: int) -> None:
        if self._read_free is None or abs(now - self._free_read_at) < FREE_MILLISECONDS:
            return
        self._free_read_at = now
        self._store.set_free(self._read_free())

    def _tell_idle(self) -> None:
        if self._idle is not None and self._dispatch.is_idle(self._store):
            self._idle.set()
        for name in list(self._idle_carriers):
            if self._dispatch.is_carrier_idle(self._store, name):
                self._idle_carriers.pop(name).set()

    def _next_at(self) -> float:
        """The monotonic time of the next commit that nobody has asked for."""
        now = trio.current_time()
        paced, due = self._dispatch.next_at()
        next_at = min(now + IDLE_SECONDS_MAX, math.inf if paced is None else paced)
        deadline = self._store.next_deadline()
        for wall in (due, deadline):
            if wall is not None:
                next_at = min(next_at, now + max(wall - self._wall(), 0) / 1000)
        return next_at


def free_octets(directory: Path) -> int:
    """What is free for us on the file system of ``directory`` (statvfs)."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
