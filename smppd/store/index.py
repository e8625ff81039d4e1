"""An index whose keys come in random order: recent ones in memory, older ones in a B-tree.

A key in random order written to a B-tree in every commit costs more than everything else
(measured with uuid message ids: a third of the rate was left). So a commit appends all its new
entries as *one* row to a journal; a dict answers for them. When the dict has grown, it is frozen,
sorted, and moved into the table in key order, a chunk a commit, so that no commit pauses for it;
then its journal rows go. A start reads the journal back: at most two generations of entries.

It does not know what its keys mean, nor who opens transactions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from smppd.store.keys import pack_u64, read_u64

SPILL_AT: Final = 20_000
"""Entries of a generation: some 4 MB in memory, sorted in a few milliseconds, and a start that
replays two of them in a tenth of a second."""

SPILL_CHUNK: Final = 512
"""Entries moved in one commit at least, about a millisecond; twice what the commit adds where
that is more, so that a generation is gone before the next is full."""

_Entries = list[tuple[bytes, bytes]]
_encode = msgspec.msgpack.Encoder().encode
decode_entries = msgspec.msgpack.Decoder(_Entries).decode


class Table(Protocol):
    """One LMDB table inside the open transaction, as the store lends it."""

    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None: ...


class SpilledIndex:
    """``key -> value``: the newest put of a key wins. Numbered invariants:

    1. Every entry not in the table is in ``_young`` or ``_old``, and in the journal.
    2. A key in memory hides the same key in the table.
    3. Journal rows are deleted only after all their entries are in the table.
    """

    def __init__(self, spill_at: int = SPILL_AT) -> None:
        self._spill_at = spill_at
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._spilling: _Entries = []
        self._added: _Entries = []
        self._next_row = 0
        self._first_row = 0
        self._old_until = 0

    def load(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Takes the journal as it stood at the last commit, in key order."""
        for _, value in rows:
            self._young.update(decode_entries(value))
        if rows:
            self._first_row = read_u64(rows[0][0])
            self._next_row = read_u64(rows[-1][0]) + 1

    def get(self, key: bytes, table: Callable[[bytes], bytes | None]) -> bytes | None:
        """The value of ``key``, from memory or by ``table`` (a get in the spilled table)."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
        if value is None:
            return table(key)
        return value or None

    def put(self, key: bytes, value: bytes) -> None:
        """Adds an entry to this commit; ``value`` must not be empty."""
        self._young[key] = value
        self._added.append((key, value))

    def forget(self, key: bytes) -> None:
        """Deletes an entry: an empty value is its tombstone until it reaches the table."""
        self.put(key, b"")

    def write(self, table: Table, journal: Table) -> None:
        """Writes this commit's share: its own entries, and a chunk of the older generation."""
        chunk = max(SPILL_CHUNK, 2 * len(self._added))
        if self._added:
            journal.put(pack_u64(self._next_row), _encode(self._added))
            self._next_row += 1
            self._added.clear()
        if self._old:
            self._spill_chunk(table, journal, chunk)
        elif len(self._young) >= self._spill_at:
            self._old, self._young = self._young, {}
            self._spilling = [(key, self._old[key]) for key in sorted(self._old, reverse=True)]
            self._old_until = self._next_row

    def _spill_chunk(self, table: Table, journal: Table, chunk: int) -> None:
        for _ in range(min(chunk, len(self._spilling))):
            key, value = self._spilling.pop()
            if value:
                table.put(key, value)
            else:
                table.delete(key)
        if self._spilling:
            return
        for _ in range(chunk):
            if self._first_row == self._old_until:
                self._old = {}
                return
            journal.delete(pack_u64(self._first_row))
            self._first_row += 1

    def __len__(self) -> int:
        """Entries in memory."""
        return len(self._young) + len(self._old)
