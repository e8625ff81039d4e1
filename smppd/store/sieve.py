"""Which runs may hold a key: a Bloom filter (Bloom, 1970) for sixteen runs at once.

Without it a key that is nowhere, as every new ref, would be looked for in every run. Each cell has
a bit for each of a tier's runs, so three cells say of all of them whether they may hold a key. The
cells of one key lie in one row, the rows follow the keys' checksums, and so does whoever writes
them: a run's bits are written a row at a time, each row once.

Rows are read where they are, on disk, and kept in memory only of the lower tiers, which are small
and asked first. A row that is missing, as in a damaged store, says that any run may hold the key.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import Final, Protocol

COLUMNS: Final = 16
"""Runs of one tier: a bit for each in the two octets of a cell."""

ENTRIES_A_ROW: Final = 24
"""Of one run, so that a cell is set in one of seven: one run in 350 is looked at in vain."""

CELLS: Final = 480
"""Of a row: with its checksum four rows fill a page. The first octets of all, then the others."""

_A: Final = 479
_B: Final = 467
_C: Final = 463
"""Primes, so that the remainders by them say nothing about each other."""

SIEVE: Final = b"S"
"""What the keys of its rows begin with."""

CRC_BITS: Final = 32

_ALL: Final = (1 << COLUMNS) - 1
_ANY: Final = b"\xff" * (2 * CELLS)
"""A row that is not there: it says nothing of any run, and a run's own bits are cleared first."""
_KEY: Final = struct.Struct(">cBI").pack
_KEY_OCTETS: Final = 6
_WITHOUT: Final = tuple(bytes(octet & ~(1 << bit) for octet in range(256)) for bit in range(8))


class Rows(Protocol):
    """The rows of one LMDB table inside the open transaction, as far as they are asked for."""

    def get(self, key: bytes) -> bytes | None: ...
    def put(self, key: bytes, value: bytes) -> None: ...


class Sieve:
    """The filter of one tier. ``rows`` are as many as its largest run needs."""

    def __init__(self, table: Rows, tier: int, rows: int, *, is_kept: bool) -> None:
        self.rows = rows
        self._table = table
        self._tier = tier
        self._is_kept = is_kept
        self._kept: dict[int, bytes] = {}
        self.has_high = True
        """Whether a column above the eighth has a run that is looked for."""

    def sift(self, crc: int) -> int:
        """The columns, as bits, whose runs may hold a key with this checksum."""
        number = crc * self.rows >> CRC_BITS
        row = self._kept.get(number) or self._row(number)
        if row is None:
            return _ALL
        a, b, c = crc % _A, crc % _B, crc % _C
        low = row[a] & row[b] & row[c]
        if not self.has_high:
            return low
        return low | (row[CELLS + a] & row[CELLS + b] & row[CELLS + c]) << 8

    def first_crc(self, row: int) -> int:
        """The lowest checksum of a row's keys."""
        return -(-(row << CRC_BITS) // self.rows)

    def write(self, column: int, first: int, end: int, crcs: list[int]) -> None:
        """Sets the bits of one run in the rows from ``first`` to before ``end``, to which all keys
        with these checksums (ascending) belong; what was there of an earlier run goes."""
        start, bit, without = CELLS * (column >> 3), 1 << (column & 7), _WITHOUT[column & 7]
        plane = slice(start, start + CELLS)
        done = 0
        for number in range(first, end):
            row = bytearray(self._row(number) or _ANY)
            cells = bytearray(row[plane].translate(without))
            until = bisect_left(crcs, self.first_crc(number + 1), done)
            for crc in crcs[done:until]:
                cells[crc % _A] |= bit
                cells[crc % _B] |= bit
                cells[crc % _C] |= bit
            row[plane] = cells
            self._put(number, bytes(row))
            done = until

    def _row(self, number: int) -> bytes | None:
        row = self._kept.get(number)
        if row is None:
            row = self._table.get(_KEY(SIEVE, self._tier, number))
            if self._is_kept and row is not None:
                self._kept[number] = row
        return row

    def _put(self, number: int, row: bytes) -> None:
        self._table.put(_KEY(SIEVE, self._tier, number), row)
        if self._is_kept:
            self._kept[number] = row


def is_sieve_row(key: bytes, value: bytes) -> bool:
    """Whether a row looks as those of a sieve do."""
    return len(key) == _KEY_OCTETS and len(value) == 2 * CELLS
