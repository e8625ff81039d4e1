"""Long work in a thread, by turns with the loop: both need the interpreter, and one has its lock.

A thread that computes gives the lock up when another asks for it, but not before the interpreter's
switch interval is over (5 ms), and the loop asks at every read, write and row of LMDB's. On a core
that is busy too the thread may be put aside while it has the lock, and the loop waits for both. So
whoever loads a table of 200,000 prices beside a loop rests every part of a millisecond, and has the
lock for a third of the time at most. The work is the same; it only takes longer.

``in_turns`` stands around the rows of every long loop, and is nothing where nobody is ``resting``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, TypeVar

TURN_SECONDS: Final = 0.0003
"""Of work, then a rest: what the loop waits for the lock at most, while the cores are free."""

REST_SECONDS: Final = 0.0007
"""Long enough for a pass of the loop at common load."""

ROWS: Final = 50
"""Between two looks at the clock: some 30 us of work, and a hundredth of that for the look."""

_Row = TypeVar("_Row")

_own = threading.local()


@contextmanager
def resting() -> Iterator[None]:
    """While it lasts this thread rests in its long loops."""
    _own.rests = True
    try:
        yield
    finally:
        _own.rests = False


def in_turns(rows: Iterable[_Row]) -> Iterable[_Row]:
    """``rows``, with rests between them where this thread is ``resting``."""
    return _take_turns(rows) if getattr(_own, "rests", False) else rows


def _take_turns(rows: Iterable[_Row]) -> Iterator[_Row]:
    left = iter(rows)
    end = time.perf_counter() + TURN_SECONDS
    while part := [*islice(left, ROWS)]:
        yield from part
        if time.perf_counter() >= end:
            time.sleep(REST_SECONDS)
            end = time.perf_counter() + TURN_SECONDS
