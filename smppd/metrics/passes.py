"""How long the loop is busy at a time: every pass, by the clock and by our own CPU time.

A pass is all that happens between two waits for I/O. Nobody's line is read before its end, so a
long one is a pause for everybody, whoever made it: a commit, a large batch, the garbage collector.
By the clock it is what apps and carriers wait; in CPU time of the loop's thread it is what of that
is our own work. The rest is the disk, and a machine that had given its cores to others.

The clock is read twice a pass. CPU time takes a system call, ten times as dear, so it is read only
once the passes since the last reading come to SHORT_SECONDS together: a pass is never given too
little of it, and at most so much too much.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import trio

BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds in seconds: from a small commit to what a person notices."""

SHORT_SECONDS: Final = BUCKETS[0]
"""Of a busy loop that is a thousand readings of CPU time a second, which are half a millisecond;
and what is not measured by itself belongs into the first bucket."""


class PassCounts(msgspec.Struct, frozen=True):
    """Passes as a Prometheus histogram has them: ``counts`` a bucket each and one for all above,
    not yet cumulated; ``seconds`` their sum; ``longest`` since the last ``take``."""

    counts: tuple[int, ...]
    seconds: float
    longest: float


class _Spread:
    """Of one of the two clocks."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.longest = max(self.longest, seconds)

    def take(self, short: int) -> PassCounts:
        first, *others = self.counts
        taken = PassCounts((first + short, *others), self.seconds, self.longest)
        self.longest = 0.0
        return taken


class LoopPasses(trio.abc.Instrument):
    """Counts while ``recording``. Its clocks give seconds: the one that never stops, and the CPU
    time of the thread that asks."""

    def __init__(
        self,
        read_clock: Callable[[], float] = time.perf_counter,
        read_cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._read_clock = read_clock
        self._read_cpu = read_cpu
        self._wall = _Spread()
        self._cpu = _Spread()
        self._short = 0  # passes that were not worth a reading of CPU time
        self._unread = 0.0  # by the clock, since the last reading of it
        self._began = self._cpu_read = 0.0

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Every pass of this loop counts while the context lasts."""
        self._began, self._cpu_read = self._read_clock(), self._read_cpu()
        trio.lowlevel.add_instrument(self)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self)

    def after_io_wait(self, timeout: float) -> None:
        """A pass begins."""
        self._began = self._read_clock()

    def before_io_wait(self, timeout: float) -> None:
        """A pass has ended."""
        seconds = self._read_clock() - self._began
        self._unread += seconds
        if self._unread < SHORT_SECONDS:
            self._short += 1
        else:
            self._measure(seconds)

    def take(self) -> tuple[PassCounts, PassCounts]:
        """What was counted since the start, by the clock and in CPU time; ``longest`` begins
        anew."""
        return self._wall.take(self._short), self._cpu.take(self._short)

    def _measure(self, seconds: float) -> None:
        now = self._read_cpu()
        used = now - self._cpu_read
        self._wall.add(seconds)
        self._wall.seconds += self._unread
        self._cpu.add(min(used, seconds))
        self._cpu.seconds += used
        self._cpu_read, self._unread = now, 0.0
