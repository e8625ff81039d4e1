"""The committer: one ordered group commit for everything.

``commit`` adds changes to the batch that is gathering and waits for *that* batch: one wait a
caller and list. The task woken by the first of them commits all that came in the same scheduler
pass. The commit runs on the loop itself: measured best at low load and equal at high load.
Nothing is told before it returns: callers' waits, links' new grants, subscribers' events.

Where the disk has no room for a batch, nothing of it has happened. Then submits are answered
``storage_full``, and everybody else's changes move to the next batch, which is tried without new
grants, at once and then every second, until it goes: their callers wait, and so does what they
would have told. What a carrier has delivered is given back to it after a while (``waits_until``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import msgspec
import structlog
import trio

from smppd import faults
from smppd.errors import CommitterEnded, StorageFull
from smppd.store.changes import (
    Change,
    InboundArrived,
    Propose,
    Quarantined,
    ReceiptArrived,
    Rejection,
    Result,
)
from smppd.store.store import Store
from smppd.traffic.dispatch import Dispatch
from smppd.traffic.wall import WallWatch

log = structlog.get_logger("smppd.commit")

IDLE_SECONDS_MAX: Final = 1.0
"""A commit is tried at least this often, so that deadlines kept in wall time follow a clock that
was set, and what ages out does so without traffic."""

RETRY_SECONDS: Final = 1.0
"""Between two tries of a batch the disk had no room for: room is made by people."""


_DELIVERED: Final = (ReceiptArrived, InboundArrived, Quarantined)
_NO_ROOM: Final = Rejection("storage_full", "the disk has no room for it")


class Wakes(Protocol):
    """Who is to know that apps have new events (``api/outbox.py``)."""

    def wake(self, apps: Iterable[str]) -> None: ...


class CommitterStatistics(msgspec.Struct, frozen=True):
    """Commits, and the changes in them; ``largest`` is the most changes of one commit, ``seconds``
    what all commits took together; ``failures`` are tries the disk had no room for."""

    commits: int
    changes: int
    largest: int
    seconds: float = 0.0
    failures: int = 0


class _Caller:
    """Somebody who waits for ``changes``, which begin at ``start`` in ``batch``; ``results`` are
    set where they were answered without being stored. ``waits_until`` (monotonic seconds): how
    long for room, where the peer would send them again."""

    __slots__ = ("batch", "changes", "results", "start", "waits_until")

    def __init__(self, batch: _Batch, changes: list[Change], waits_until: float) -> None:
        self.changes = changes
        self.waits_until = waits_until
        self.results: list[Result] | None = None
        self.join(batch)

    def join(self, batch: _Batch) -> None:
        self.batch = batch
        self.start = len(batch.changes)
        batch.changes += self.changes
        batch.callers.append(self)

    async def wait(self) -> list[Result]:
        while True:
            batch = self.batch
            await batch.done.wait()
            if batch.is_committed:
                return batch.results[self.start : self.start + len(self.changes)]
            if self.results is not None:
                return self.results
            if self.batch is batch:
                raise CommitterEnded


class _Batch:
    """One generation of changes, and those who wait for it."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.callers: list[_Caller] = []
        self.results: list[Result] = []
        self.done = trio.Event()
        self.is_committed = False

    def end(self) -> None:
        """Rouses who waits. They know the batch: did it go on knowing them, only the collector,
        which comes rarely, would free either."""
        self.callers.clear()
        self.done.set()


def _are_delivered(changes: list[Change]) -> bool:
    """Whether the carrier has all of it, and sends it again unless we have acknowledged it."""
    return all(isinstance(one, _DELIVERED) for one in changes)


class Committer:
    """Owns the store's writing; ``wall`` gives the time of day in Unix milliseconds."""

    def __init__(
        self,
        store: Store,
        dispatch: Dispatch,
        outbox: Wakes,
        wall: Callable[[], int],
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._outbox = outbox
        self._wall = wall
        self._watch = WallWatch()
        self._batch = _Batch()
        self._work = trio.Event()
        self._commits = 0
        self._changes = 0
        self._largest = 0
        self._seconds = 0.0
        self._failures = 0
        self._is_stuck = False
        self._retry_at = 0.0
        self._end_at = math.inf
        self.has_ended = False
        self._idle: trio.Event | None = None
        self._idle_carriers: dict[str, trio.Event] = {}

    async def commit(self, changes: list[Change], *, waits_until: float = math.inf) -> list[Result]:
        """Stores the changes; returns their results once they are on disk, or once the disk had
        no room for what are proposals alone, or what phones and carriers deliver alone and there
        was none by ``waits_until`` (monotonic seconds): then each result is a ``Rejection``.

        Raises CommitterEnded when it ended first: nothing may be told then.
        """
        if self.has_ended:
            raise CommitterEnded
        caller = _Caller(self._batch, changes, waits_until)
        self._work.set()
        return await caller.wait()

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

    def end_by(self, at: float) -> None:
        """The daemon is ending: a disk that has no room by then (monotonic seconds) is waited for
        no longer, and StorageFull ends it. What was on a wire is doubt at the next start."""
        self._end_at = at
        self._work.set()

    async def run(self) -> None:
        """Commits until cancelled. StoreError ends the daemon: the start path recovers."""
        try:
            while True:
                with trio.move_on_at(self._next_at()):
                    await self._work.wait()
                if self._is_stuck:
                    await trio.sleep_until(min(self._retry_at, self._end_at))
                # One pass more: whoever woke beside us has added its changes by then (measured at
                # full load: 4 % more messages a second).
                await trio.lowlevel.checkpoint()
                self.commit_now()
        finally:
            # Links end behind a shield and would wait for ever.
            self.has_ended = True
            self._batch.end()

    def commit_now(self) -> None:
        """Commits what has gathered; synchronous, so that nothing comes between.

        Where there is no room it is tried again without grants, and then left for the next time;
        raises StorageFull when there will be none (``end_by``).
        """
        self._look_at_clock()
        was_stuck = self._is_stuck
        self._is_stuck = not (self._try_to_commit() or (not was_stuck and self._try_to_commit()))
        self._retry_at = trio.current_time() + RETRY_SECONDS

    def _look_at_clock(self) -> None:
        now = self._wall()
        moved = self._watch.look(now, trio.current_time())
        if moved:
            log.warning("clock_set", seconds=moved / 1000)
            self._store.clock_was_set(now)

    def _try_to_commit(self) -> bool:
        self._work = trio.Event()
        batch, self._batch = self._batch, _Batch()
        faults.reach("commit.before")
        started = time.perf_counter()
        try:
            committed = self._store.commit(batch.changes, self._dispatch, self._wall())
        except StorageFull:
            self._failures += 1
            if trio.current_time() >= self._end_at:
                batch.end()
                raise
            self._move(batch)
            return False
        except BaseException:
            batch.end()
            raise
        faults.reach("commit.after")
        batch.results = committed.results
        batch.is_committed = True
        batch.end()
        self._seconds += time.perf_counter() - started
        self._commits += 1
        self._changes += len(batch.changes)
        self._largest = max(self._largest, len(batch.changes))
        self._dispatch.wake_granted()
        if committed.apps:
            self._outbox.wake(committed.apps)
        self._tell_idle()
        return True

    def _move(self, batch: _Batch) -> None:
        """Nothing of ``batch`` happened: submits are refused, and what was delivered and has waited
        long enough; all else is in the next one, in its order and before what comes."""
        try:
            for caller in batch.callers:
                proposals = [one for one in caller.changes if isinstance(one, Propose)]
                if proposals and len(proposals) == len(caller.changes):
                    caller.results = self._store.refuse(proposals)
                elif trio.current_time() >= caller.waits_until and _are_delivered(caller.changes):
                    caller.results = [_NO_ROOM] * len(caller.changes)
                else:
                    caller.join(self._batch)
        finally:
            batch.end()

    def statistics(self) -> CommitterStatistics:
        """Counts since start."""
        return CommitterStatistics(
            self._commits, self._changes, self._largest, self._seconds, self._failures
        )

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
