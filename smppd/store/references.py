"""Concatenation references: which 8-bit number joins the segments of a long message.

A phone joins segments by sender, reference and count (3GPP TS 23.040 s9.2.3.24.1), so two long
messages on their way to one number must differ. Each destination counts up by itself, on disk,
and so comes back to a number after 256 long messages: the one used longest ago.
"""

from __future__ import annotations

import struct
from typing import Final

from smppd.store.environment import Table

REFERENCE_MILLISECONDS: Final = 8 * 86_400_000
"""How long a destination is remembered: longer than any carrier keeps a segment."""

_ROW: Final = struct.Struct(">BQ")


class References:
    """``next`` inside a commit only; a row a destination that was sent a long message."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._swept_to = b""

    def next(self, to: str, now: int) -> int:
        """The reference for the next long message to ``to`` (E.164 digits)."""
        key = to.encode()
        row = self._table.get(key)
        reference = 0 if row is None else (_ROW.unpack(row)[0] + 1) % 256
        self._table.put(key, _ROW.pack(reference, now))
        return reference

    def sweep(self, now: int, rows_max: int) -> None:
        """Forgets destinations of long ago, ``rows_max`` looked at a call, round and round."""
        before = now - REFERENCE_MILLISECONDS
        for looked, (key, row) in enumerate(self._table.rows_from(self._swept_to)):
            if looked == rows_max:
                self._swept_to = key
                return
            if _ROW.unpack(row)[1] < before and key not in self._table.pending:
                self._table.delete(key)
        self._swept_to = b""
