"""Two clocks: a monotonic one that jumps to whatever is due next, and a wall clock set by hand.

Monotonic time is Trio's ``MockClock``: it stands while anybody has something to do, and jumps when
all wait. So an hour in which nothing happens costs nothing, and nothing is ever late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from trio.testing import MockClock

START_MILLISECONDS: Final = 1_795_292_101_000
"""The wall time at which every world begins: November 2026."""

PASSES_MAX: Final = 20_000
"""Of the loop at one moment; the busiest one takes some hundred."""


def make_clock() -> MockClock:
    """Begins at 0 and never runs by itself."""
    return MockClock(rate=0.0, autojump_threshold=0.0)


class Stillstand(trio.abc.Instrument):
    """Tells ``find`` when the loop has turned PASSES_MAX times at one moment: somebody spins."""

    def __init__(self, find: Callable[[], None]) -> None:
        self._find = find
        self._passes = 0
        self._at = -1.0

    def before_io_wait(self, timeout: float) -> None:
        """One pass of the loop has ended."""
        now = trio.current_time()
        self._passes = self._passes + 1 if now == self._at else 0
        self._at = now
        if self._passes == PASSES_MAX:
            self._find()


class Wall:
    """The time of day as the daemon's host believes it. ``true`` is what it is.

    ``latest`` is the latest it ever said, ``jumps`` are when it was set.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._drift = 0.0
        self._drifts_since = 0.0
        self.latest = START_MILLISECONDS
        self.jumps: list[float] = []

    def read(self) -> int:
        """Unix milliseconds."""
        now = trio.current_time()
        drifted = (now - self._drifts_since) * self._drift
        said = START_MILLISECONDS + int((now + self._offset + drifted) * 1000)
        self.latest = max(self.latest, said)
        return said

    def true(self) -> float:
        """Unix seconds, by a clock nobody sets."""
        return START_MILLISECONDS / 1000 + trio.current_time()

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.jumps.append(trio.current_time())
        self._offset += seconds

    def slew(self, drift: float) -> None:
        """From now on it gains ``drift`` seconds a second (loses, where that is negative)."""
        now = trio.current_time()
        self._offset += (now - self._drifts_since) * self._drift
        self._drift, self._drifts_since = drift, now
