"""Sorted, immutable runs of an index's entries, on disk, and who looks into them.

A run is a generation of entries, or several runs of the tier below merged into one, so the runs of
a tier are all younger than those of the tiers above it. Its entries follow the CRC-32 of their
keys, which spreads any keys evenly, and lie packed in blocks of a page, so that writing a run is
writing its octets once, and finding a key is reading one page of it.

The rows of the table: a ``catalogue`` of the runs and of the work that is under way; the blocks,
by run and first key; the rows of each tier's ``sieve``. Numbered invariants:

1. The newest run that has a key has its value; younger runs have higher numbers. A merged run has
   the number of its youngest part: rows alone tell which run is the younger one.
2. A run is looked into when the catalogue says that it is whole, and it says so in the very
   transaction that ends its parts.
3. A block's key is not beyond its first entry's, and beyond all entries of the block before it.
4. A run that has ended is deleted a few rows a commit; its number and tier never come again.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, repeat
from operator import add
from typing import Final, Protocol
from zlib import crc32

import msgspec

from smppd.store.blocks import (
    BLOCK_OCTETS,
    CRC_OCTETS,
    HEAD_OCTETS,
    check_block,
    crcs_of,
    find_in_block,
    pack_block,
    pack_crc,
    sizes_of,
    unpack_block,
)
from smppd.store.sieve import COLUMNS, CRC_BITS, ENTRIES_A_ROW, Rows, Sieve

GENERATION: Final = 8_192
"""Entries of a generation, the runs of the lowest tier: below 2 MB in memory, and a start that
replays two of them in a hundredth of a second."""

FANOUT: Final = 12
"""Runs merged into one of the next tier: up to fourteen million entries there are three tiers, of
which each writes an entry once more, and each costs a miss one row of its sieve. The other columns
are for the runs that come while a merge lasts."""

KEPT_TIERS: Final = 2
"""Whose sieves are kept in memory as far as they are there: 4.5 MB at most."""

BUCKETS: Final = 16
"""Parts in which a generation is written: a part is one step of work."""

CLEAR_BLOCKS: Final = 4
"""Deleted in a commit beyond as many as it writes."""

CATALOGUE: Final = b"C"
BLOCK: Final = b"B"
"""What the keys of each kind of row begin with; ``sieve`` has the third."""

BUILDING: Final = 0
WHOLE: Final = 1
ENDED: Final = 2

_PREFIX: Final = struct.Struct(">cIB")
_NO_ID: Final = (1 << 64) - 1
_BEYOND: Final = b"\xff" * 512
"""Above every name: LMDB has keys of up to 511 octets."""


class RunRows(Rows, Protocol):
    """The table of the runs inside the open transaction. The range reads see what is on disk."""

    def delete(self, key: bytes) -> None: ...
    def rows_from(self, start: bytes) -> Iterator[tuple[bytes, bytes]]: ...
    def last_until(self, key: bytes) -> tuple[bytes, bytes] | None: ...


class Run(msgspec.Struct, array_like=True):
    """``column`` is its bit in the sieve; ``lowest`` and ``highest`` bound the message ids that
    its entries name."""

    number: int
    tier: int
    column: int
    state: int = BUILDING
    entries: int = 0
    lowest: int = _NO_ID
    highest: int = 0

    def prefix(self) -> bytes:
        """What the keys of its blocks begin with."""
        return _PREFIX.pack(BLOCK, self.number, self.tier)


class Merge(msgspec.Struct, array_like=True):
    """All whole runs of ``tier`` up to ``number`` become one; ``row`` of its sieve comes next."""

    tier: int
    number: int
    row: int = 0


class Catalogue(msgspec.Struct, array_like=True):
    """``following`` is the next run's number; ``rows`` of the lowest sieve and ``fanout`` are those
    that the sieves were written with, whatever is usual by now."""

    following: int = 1
    runs: list[Run] = []
    merges: list[Merge] = []
    rows: int = 0
    fanout: int = 0


encode_catalogue = msgspec.msgpack.Encoder().encode
decode_catalogue = msgspec.msgpack.Decoder(Catalogue).decode


def read_block(key: bytes, block: bytes) -> tuple[int, int, dict[bytes, bytes]]:
    """Number and tier of a block's run, and its entries by their names; raises ValueError where the
    row is none."""
    _, number, tier = _PREFIX.unpack_from(key)
    return number, tier, check_block(key[_PREFIX.size :], block)


class Tier:
    """The whole runs of one tier: ``live`` as bit of the column and prefix, newest first."""

    def __init__(self, sieve: Sieve) -> None:
        self.sieve = sieve
        self.runs: list[Run] = []
        self.live: list[tuple[int, bytes]] = []
        self.mask = 0


class Runs:
    """The runs of one index, found by key. Changes inside a commit only."""

    def __init__(self, table: RunRows, generation: int, fanout: int) -> None:
        self.table = table
        self.fanout = fanout
        self._rows = BUCKETS * -(-generation // (ENTRIES_A_ROW * BUCKETS))
        self.catalogue = Catalogue()
        self.tiers: list[Tier] = []
        self._looked: list[Tier] = []
        self._ended: list[Run] = []
        self._fullest = 0
        self._floor = 0
        self.blocks_written = 0
        self.excess = 0
        """How many runs the fullest tier has beyond those of a merge."""
        self._is_changed = False

    def load(self) -> None:
        """Takes up what the last commit left."""
        kept = self.table.get(CATALOGUE)
        self.catalogue = catalogue = Catalogue() if kept is None else decode_catalogue(kept)
        self._rows = catalogue.rows = catalogue.rows or self._rows
        self.fanout = catalogue.fanout = catalogue.fanout or self.fanout
        outputs = {(merge.number, merge.tier + 1) for merge in self.catalogue.merges}
        for run in self.catalogue.runs:
            if run.state == BUILDING and (run.number, run.tier) not in outputs:
                run.state = ENDED  # its generation is in the journal still
        self._arrange()

    def save(self) -> None:
        """Writes the catalogue where it has changed."""
        if self._is_changed:
            self.table.put(CATALOGUE, encode_catalogue(self.catalogue))
            self._is_changed = False

    def changed(self) -> None:
        """The catalogue differs from the one on disk."""
        self._is_changed = True

    def get(self, key: bytes) -> bytes | None:
        """The value of the newest entry, or None."""
        crc = crc32(key)
        name = pack_crc(crc) + key
        for tier in self._looked:
            if found := tier.sieve.sift(crc) & tier.mask:
                value = self._look(tier, found, crc, name)
                if value is not None:
                    return value
        return None

    def _look(self, tier: Tier, found: int, crc: int, name: bytes) -> bytes | None:
        """The newest entry in those runs of a tier that may have it."""
        for bit, prefix in tier.live:
            if found & bit:
                row = self.table.last_until(prefix + name)
                if row is not None and row[0].startswith(prefix):
                    value = find_in_block(row[1], crc, name)
                    if value is not None:
                        return value
        return None

    # -- for those who build them ---

    def start(self, tier: int, number: int = 0) -> Run | None:
        """A new run, by default a new generation's; None while its tier has no column free."""
        used = {run.column for run in self.catalogue.runs if run.tier == tier and run.state < ENDED}
        free = [column for column in range(COLUMNS) if column not in used]
        if not free:
            return None
        if not number:
            number = self.catalogue.following
            self.catalogue.following += 1
        run = Run(number, tier, free[0])
        self.catalogue.runs.append(run)
        self._is_changed = True
        return run

    def finish(self, run: Run, parts: Sequence[Run] = ()) -> None:
        """A run is whole, and takes the place of its parts."""
        run.state = WHOLE
        self.end(parts)

    def end(self, runs: Sequence[Run]) -> None:
        """Nobody looks into them any more."""
        for run in runs:
            run.state = ENDED
        self._arrange()
        self._is_changed = True

    def begin_merges(self) -> list[Merge]:
        """Of each tier that has enough runs, its oldest, as far as there is room for the output."""
        begun: list[Merge] = []
        if self._fullest < self.fanout:
            return begun
        merged = {merge.tier for merge in self.catalogue.merges}
        for number, tier in enumerate([*self.tiers]):
            if len(tier.runs) >= self.fanout and number not in merged:
                youngest = tier.runs[self.fanout - 1].number
                if self.start(number + 1, youngest) is not None:
                    begun.append(Merge(number, youngest))
        self.catalogue.merges += begun
        return begun

    def output_of(self, merge: Merge) -> Run:
        """The run that a merge is building."""
        return next(
            run
            for run in self.catalogue.runs
            if (run.number, run.tier, run.state) == (merge.number, merge.tier + 1, BUILDING)
        )

    def expire(self, floor: int) -> None:
        """The oldest runs end, while all that they name is below ``floor``."""
        if floor == self._floor:
            return
        self._floor = floor
        while (run := self._oldest()) is not None and run.highest < floor:
            self.end([run])

    def is_oldest_tier(self, number: int) -> bool:
        """Whether no run is older than those of the tier."""
        return not any(tier.runs for tier in self.tiers[number + 1 :])

    def sieve_of(self, run: Run) -> Sieve:
        """The sieve of its tier."""
        return self._tier(run.tier).sieve

    def clear_away(self) -> None:
        """Deletes as many blocks of runs that have ended as were written, and a few more: a long
        list of free pages is written anew in every commit."""
        blocks, self.blocks_written = self.blocks_written + CLEAR_BLOCKS, 0
        if not self._ended:
            return
        ended = self._ended[0]
        prefix = ended.prefix()
        for looked, (key, _) in enumerate(self.table.rows_from(prefix)):
            if not key.startswith(prefix):
                break
            if looked == blocks:
                return
            self.table.delete(key)
        self._ended.remove(ended)
        self.catalogue.runs.remove(ended)
        self._is_changed = True

    def _oldest(self) -> Run | None:
        """The oldest whole run, unless a merge is reading it."""
        tier = next((tier for tier in reversed(self.tiers) if tier.runs), None)
        if tier is None:
            return None
        run = tier.runs[0]
        merges = self.catalogue.merges
        is_read = any(one.tier == run.tier and run.number <= one.number for one in merges)
        return None if is_read else run

    def _tier(self, number: int) -> Tier:
        while len(self.tiers) <= number:
            tier = len(self.tiers)
            rows = self._rows * self.fanout**tier
            self.tiers.append(Tier(Sieve(self.table, tier, rows, is_kept=tier < KEPT_TIERS)))
        return self.tiers[number]

    def _arrange(self) -> None:
        """The tiers as the catalogue has them."""
        for tier in self.tiers:
            tier.runs = []
        for run in sorted(self.catalogue.runs, key=lambda run: run.number):
            if run.state == WHOLE:
                self._tier(run.tier).runs.append(run)
        for tier in self.tiers:
            tier.live = [(1 << run.column, run.prefix()) for run in reversed(tier.runs)]
            tier.mask = sum(1 << run.column for run in tier.runs)
            tier.sieve.has_high = tier.mask >= 1 << COLUMNS // 2
        self._looked = [tier for tier in self.tiers if tier.mask]
        self._ended = [run for run in self.catalogue.runs if run.state == ENDED]
        self._fullest = max([0, *(len(tier.runs) for tier in self.tiers)])
        self.excess = max(0, self._fullest - self.fanout)


class RunWriter:
    """Writes a run, a range of checksums after the other."""

    def __init__(self, runs: Runs, run: Run) -> None:
        self._runs = runs
        self.run = run
        self.sieve = runs.sieve_of(run)
        self._prefix = run.prefix()

    def write(self, names: list[bytes], values: list[bytes], first: int, end: int) -> None:
        """All entries that belong to the sieve's rows from ``first`` to before ``end``, in order
        of their names."""
        crcs = crcs_of(names)
        self._runs.changed()
        self.sieve.write(self.run.column, first, end, crcs)
        if not names:
            return
        run = self.run
        run.entries += len(names)
        run.lowest = min(run.lowest, int.from_bytes(min(values)[:8]))
        run.highest = max(run.highest, int.from_bytes(max(values)[:8]))
        self._write_blocks(names, values, crcs)

    def _write_blocks(self, names: list[bytes], values: list[bytes], crcs: list[int]) -> None:
        sizes = sizes_of(names, values)
        ends = [*accumulate(map(add, sizes, repeat(HEAD_OCTETS)))]
        start = 0
        while start < len(names):
            limit = BLOCK_OCTETS + (ends[start - 1] if start else 0)
            end = max(start + 1, bisect_right(ends, limit))
            is_split = start > 0 and crcs[start - 1] == crcs[start]
            fence = names[start] if is_split else names[start][:CRC_OCTETS]
            part = slice(start, end)
            block = pack_block(names[part], values[part], crcs[part], sizes[part])
            self._runs.table.put(self._prefix + fence, block)
            self._runs.blocks_written += 1
            start = end


class RunReader:
    """Reads a whole run in its order, from a checksum on, over many transactions."""

    def __init__(self, table: RunRows, run: Run, first_crc: int) -> None:
        self._table = table
        self._prefix = run.prefix()
        self._first = pack_crc(first_crc)
        found = table.last_until(self._prefix + self._first)
        has_found = found is not None and found[0].startswith(self._prefix)
        self._next = found[0] if found is not None and has_found else self._prefix
        self._is_at_end = False
        self._names: list[bytes] = []
        self._values: list[bytes] = []

    def take_until(self, end: int) -> dict[bytes, bytes]:
        """The next entries, up to those whose checksum is ``end`` or above."""
        limit = pack_crc(end) if end < 1 << CRC_BITS else _BEYOND
        if not self._is_at_end and not (self._names and self._names[-1] >= limit):
            self._read_until(limit)
        count = bisect_left(self._names, limit)
        taken = dict(zip(self._names[:count], self._values[:count], strict=True))
        del self._names[:count], self._values[:count]
        return taken

    def _read_until(self, limit: bytes) -> None:
        for key, block in self._table.rows_from(self._next):
            if not key.startswith(self._prefix):
                break
            entries = unpack_block(block)
            self._names += entries
            self._values += entries.values()
            self._next = key + b"\0"
            if self._first:
                dropped = bisect_left(self._names, self._first)
                del self._names[:dropped], self._values[:dropped]
            if self._names and self._names[-1] >= limit:
                self._first = b""
                return
        self._first = b""
        self._is_at_end = True
