"""The work on an index's runs, a bounded step at a time: generations written, runs merged.

A step is a sixteenth of a generation, half a millisecond, and a commit makes as many as it has
earned: each entry that is put earns WORK entries' worth of it, which is what it causes itself. It
earns more where a tier has more runs than a merge takes: so the work goes on evenly, and does not
fall behind. The lowest tier comes first, for it fills first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final
from zlib import crc32

from smppd.store.blocks import pack_crc
from smppd.store.runs import BUCKETS, Merge, Run, RunReader, Runs, RunWriter

WORK: Final = 4
"""Entries worked on for each that is put: two to write it, and one for each tier it is merged into,
with fourteen million entries two."""

MORE_WORK: Final = 3
"""The same for each run that a tier has too many: with the last column 16 in all, and there are no
stores of twelve tiers."""


class Spilling:
    """A generation becomes a run: its names are put into buckets by their checksums, then bucket
    by bucket sorted and written. Begun anew after a restart, from the journal."""

    def __init__(self, runs: Runs, run: Run, entries: Mapping[bytes, bytes], step: int) -> None:
        self._runs = runs
        self._writer = RunWriter(runs, run)
        self._undivided = len(entries)
        self._left: Iterator[tuple[bytes, bytes]] | None = iter(entries.items())
        self._buckets: list[dict[bytes, bytes]] = [{} for _ in range(BUCKETS)]
        self._step = step
        self._written = 0

    def work(self) -> bool:
        """One step; whether it was the last."""
        if self._left is not None:
            self._divide(self._left)
            return False
        return self._write()

    def _divide(self, left: Iterator[tuple[bytes, bytes]]) -> None:
        buckets, crc, pack = self._buckets, crc32, pack_crc
        for key, value in islice(left, self._step):
            name = pack(crc(key)) + key
            buckets[name[0] * BUCKETS >> 8][name] = value
        self._undivided -= self._step
        if self._undivided <= 0:
            self._left = None

    def _write(self) -> bool:
        number = self._written
        bucket, self._buckets[number] = self._buckets[number], {}
        names = sorted(bucket)
        values = [*map(bucket.__getitem__, names)]
        rows = self._writer.sieve.rows // BUCKETS
        self._writer.write(names, values, number * rows, (number + 1) * rows)
        self._written += 1
        if self._written < BUCKETS:
            return False
        self._runs.finish(self._writer.run)
        return True


class Merging:
    """The runs of a tier become one of the next. After a restart it goes on where it was."""

    def __init__(self, runs: Runs, merge: Merge, step: int) -> None:
        self._runs = runs
        self._merge = merge
        self.tier = merge.tier
        self._writer = RunWriter(runs, runs.output_of(merge))
        self._parts = [run for run in runs.tiers[merge.tier].runs if run.number <= merge.number]
        first = self._writer.sieve.first_crc(merge.row)
        self._readers = [RunReader(runs.table, run, first) for run in self._parts]
        entries = sum(run.entries for run in self._parts)
        self._rows = max(1, step * self._writer.sieve.rows // max(entries, 1))
        self._lowest = min((run.lowest for run in self._parts), default=0)

    def work(self, floor: int) -> bool:
        """One step; whether it was the last. What is below ``floor`` is left out where there is
        nothing older that it could hide."""
        merge, sieve = self._merge, self._writer.sieve
        end = min(merge.row + self._rows, sieve.rows)
        entries = self._take_until(sieve.first_crc(end))
        if self._lowest < floor and self._runs.is_oldest_tier(merge.tier):
            least = floor.to_bytes(8)
            entries = {name: value for name, value in entries.items() if value >= least}
        names = sorted(entries)
        values = [*map(entries.__getitem__, names)]
        self._writer.write(names, values, merge.row, end)
        merge.row = end
        if end < sieve.rows:
            return False
        self._runs.catalogue.merges.remove(merge)
        self._runs.finish(self._writer.run, self._parts)
        return True

    def _take_until(self, crc: int) -> dict[bytes, bytes]:
        entries: dict[bytes, bytes] = {}
        for reader in self._readers:  # the oldest first
            entries.update(reader.take_until(crc))
        return entries
