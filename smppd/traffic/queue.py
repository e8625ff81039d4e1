"""A bounded window on one lane's queue: the rest waits on disk.

The rows of the ``queue`` table are the truth; this holds the first of them, so that the grant
step need not read the disk for every message. Pure: the store hands over rows when asked.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Callable
from typing import Final

from smppd.store.keys import time_of_id

ROWS_MAX: Final = 1_000
"""Rows held of one lane of one app: several windows' worth, some 60 KB."""

REFILL_ROWS: Final = 500
"""Rows read from disk at a time: under a millisecond, and one read for hundreds of grants."""

Refill = Callable[[bytes, int], list[tuple[int, int]]]


class QueueWindow:
    """Waiting messages of one lane of one app, by ``(due, message id)``.

    Invariant: unless ``more``, every row on disk below ``prefix`` is in ``_rows``; with ``more``,
    those up to the last in ``_rows`` are. A row may be stale: whoever pops asks the message.
    """

    def __init__(self, prefix: bytes, *, more: bool = False) -> None:
        self.prefix = prefix
        self._rows: deque[tuple[int, int]] = deque()
        self._more = more

    def push(self, due: int, message_id: int) -> None:
        """A row was added on disk."""
        row = (due, message_id)
        rows = self._rows
        if not rows or row > rows[-1]:
            if self._more:
                return
            rows.append(row)
        else:
            rows.insert(bisect(rows, row), row)
        if len(rows) > ROWS_MAX:
            rows.pop()
            self._more = True

    def pop(self, now: int, refill: Refill) -> int | None:
        """The id of the first row that is due at ``now`` (ms), or None.

        A row whose due is its message's acceptance is due whatever a clock set back may say.
        """
        if not self._rows and not self._refill(refill):
            return None
        due, message_id = self._rows[0]
        if due > now and due > time_of_id(message_id):
            return None
        self._rows.popleft()
        return message_id

    def next_due(self) -> int | None:
        """When the first row is due; None where no row is in memory."""
        return self._rows[0][0] if self._rows else None

    def __len__(self) -> int:
        """Rows in memory."""
        return len(self._rows)

    def is_empty(self) -> bool:
        """Whether nothing waits, in memory or on disk."""
        return not self._rows and not self._more

    def _refill(self, refill: Refill) -> bool:
        if not self._more:
            return False
        rows = refill(self.prefix, REFILL_ROWS)
        self._rows.extend(rows)
        self._more = len(rows) == REFILL_ROWS
        return bool(rows)
