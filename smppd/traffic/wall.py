"""Whether the wall clock was set: by an operator, by NTP, or by a machine that slept.

Two clocks that run alike are looked at together. Time by which one of them alone has moved on is
not time that has passed.
"""

from __future__ import annotations

from typing import Final

SET_MILLISECONDS_MIN: Final = 1_000
"""What counts as set. A clock that is slewed (0.05 %) moves by half a millisecond between two
looks, which are a second apart at most."""


class WallWatch:
    """``look`` at every commit."""

    def __init__(self) -> None:
        self._ahead: int | None = None

    def look(self, wall_ms: int, monotonic: float) -> int:
        """By how many milliseconds the wall clock was set since the last look; 0: it ran on.
        ``monotonic`` in seconds, of the same moment."""
        before, self._ahead = self._ahead, wall_ms - int(monotonic * 1000)
        moved = 0 if before is None else self._ahead - before
        return moved if abs(moved) >= SET_MILLISECONDS_MIN else 0
