"""A bounded window on one lane's queue: the rest waits on disk.

The rows of the ``queue`` table are the truth; this holds the first of them, so that the grant
step need not read the disk for every message. Pure: the store hands over rows when asked.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Callable
from typing import Final

ROWS_MAX: Final = 1_000
"""Rows held of one lane of one app: several windows' worth, some 60 KB."""

REFILL_ROWS: Final = 500
"""Rows read from disk at a time: under a millisecond, and one read for hundreds of grants."""

Row = tuple[int, int]
"""``(due, message id)``: the order in which a lane is served."""

Refill = Callable[[bytes, Row, int], list[Row]]
"""Up to so many rows below a prefix that come after a row."""

_NOTHING: Final[Row] = (-1, -1)
_EVERYTHING: Final[Row] = (1 << 64, 0)


class QueueWindow:
    """Waiting messages of one lane of one app, by ``(due, message id)``.

    Invariant: rows on disk up to ``_end`` are in ``_rows`` or were popped; those after it are on
    disk only. A row may be stale: whoever pops asks the message.
    """

    def __init__(self, prefix: bytes, *, on_disk: bool = False) -> None:
        self.prefix = prefix
        self._rows: deque[Row] = deque()
        self._end = _NOTHING if on_disk else _EVERYTHING

    def push(self, due: int, message_id: int) -> None:
        """A row was added on disk."""
        row = (due, message_id)
        rows = self._rows
        if row > self._end:
            return
        if not rows or row > rows[-1]:
            rows.append(row)
        else:
            rows.insert(bisect(rows, row), row)
        if len(rows) > ROWS_MAX:
            rows.pop()
            self._end = rows[-1]

    def pop(self, now: int, refill: Refill) -> int | None:
        """The id of the first row that is due at ``now`` (ms), or None."""
        if not self._rows and not self._refill(refill):
            return None
        row = self._rows[0]
        if row[0] > now:
            return None
        self._rows.popleft()
        return row[1]

    def next_due(self) -> int | None:
        """When the first row is due; None where no row is in memory."""
        return self._rows[0][0] if self._rows else None

    def due_at(self, now: int) -> int | None:
        """``now`` where a row is due, or may be that is on disk alone; else when the first will
        be; None where nothing waits."""
        if not self._rows:
            return None if self._end == _EVERYTHING else now
        return max(now, self._rows[0][0])

    def __len__(self) -> int:
        """Rows in memory."""
        return len(self._rows)

    def is_empty(self) -> bool:
        """Whether nothing waits, in memory or on disk."""
        return not self._rows and self._end == _EVERYTHING

    def _refill(self, refill: Refill) -> bool:
        if self._end == _EVERYTHING:
            return False
        rows = refill(self.prefix, self._end, REFILL_ROWS)
        self._rows.extend(rows)
        self._end = rows[-1] if len(rows) == REFILL_ROWS else _EVERYTHING
        return bool(rows)
