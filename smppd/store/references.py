"""Concatenation references: which number joins the segments of a long message.

A phone joins segments by sender, reference and count (3GPP TS 23.040 s9.2.3.24.1), so two long
messages on their way to one number must differ. Each destination counts up by itself, on disk,
and so comes back to a number after 65,536 long messages, or after 256 where a carrier's form has
room for eight bits: the one used longest ago. There is one count for both, so the low octets of
two references in a row differ too, whatever a centre makes of them.
"""

from __future__ import annotations

import struct
from typing import Final

from smppd.store.environment import Table

REFERENCE_MILLISECONDS: Final = 8 * 86_400_000
"""How long a destination is remembered: longer than any carrier keeps a segment."""

_ROW: Final = struct.Struct(">HQ")
_NARROW_ROW: Final = struct.Struct(">BQ")  # as written while a count had 8 bits


class References:
    """``next`` inside a commit only; a row a destination that was sent a long message."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._swept_to = b""

    def next(self, to: str, now: int, wide: bool = False) -> int:
        """The reference for the next long message to ``to`` (E.164 digits): 8 bits, or 16 where
        the carrier's form is ``wide`` (udh16, sar)."""
        key = to.encode()
        row = self._table.get(key)
        count = 0 if row is None else (_read_row(row)[0] + 1) % 0x10000
        self._table.put(key, _ROW.pack(count, now))
        return count if wide else count % 0x100

    def sweep(self, now: int, rows_max: int) -> bool:
        """Forgets destinations of long ago, ``rows_max`` looked at a call, round and round; whether
        there may be more of them close by."""
        before = now - REFERENCE_MILLISECONDS
        has_deleted = False
        for looked, (key, row) in enumerate(self._table.rows_from(self._swept_to)):
            if looked == rows_max:
                self._swept_to = key
                return has_deleted
            if _read_row(row)[1] < before and key not in self._table.pending:
                self._table.delete(key)
                has_deleted = True
        self._swept_to = b""
        return False


def _read_row(row: bytes) -> tuple[int, int]:
    """The last count, and when it was given."""
    layout = _ROW if len(row) == _ROW.size else _NARROW_ROW
    count, at = layout.unpack(row)
    return count, at
