"""Lines about what may happen a thousand times a second: one of them says how often it was.

For the first of a kind a line is due at once, and for the next ones at most one in so many seconds,
which counts those in between. The clock is an argument.
"""

from __future__ import annotations


class Notices:
    """At most one line in ``seconds``."""

    __slots__ = ("_count", "_next_at", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_at = float("-inf")
        self._count = 0

    def count(self, now: float) -> int:
        """It has happened again, at ``now`` (monotonic seconds): for how many times a line is due;
        0: none is."""
        self._count += 1
        if now < self._next_at:
            return 0
        self._next_at = now + self._seconds
        count, self._count = self._count, 0
        return count
