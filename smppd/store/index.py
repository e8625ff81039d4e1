"""An index whose keys come in random order: recent ones in memory, older ones in sorted runs.

A key in random order that is written into a B-tree changes a page of its own: measured with ten
million uuid keys, 7,000 octets handed to the kernel and ten times as many to the disk, for every
put, and as much again for its deletion. Here it is 900, and none (``bench.correlation``). A commit
appends all its new entries as *one* row to a journal, and a dict answers for them; a dict that has
grown becomes a sorted run on disk (``runs``), and runs are merged into larger ones, a step a commit
(``merging``). It is the log-structured merge tree of O'Neil and others (1996), with a merge for
every FANOUT runs of a size. A start reads the journal back: two generations, and what of another
was not deleted yet.

A value begins with a message id, and entries are not deleted but age out: below ``floor`` an entry
is there no more. Runs are as old as their messages, so they go whole, and cost nothing for it.
What an entry names above the floor may be gone too: who asks must look.

Stores of before there were runs have a table of single rows, oldest of all. It is asked last, and a
few of its rows a commit are put as if they were new, until it is empty.

It does not know what its keys mean, nor who opens transactions.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, Protocol

import msgspec

from smppd.store.keys import pack_u64, read_u64
from smppd.store.merging import MORE_WORK, WORK, Merging, Spilling
from smppd.store.runs import BUCKETS, FANOUT, GENERATION, Merge, RunRows, Runs

PLAIN_ROWS: Final = 32
"""Rows of single entries that a commit turns into entries at least: a fifth of a millisecond."""

CLEAR_ROWS: Final = 16
"""Rows of the journal that a commit deletes at least."""

JOURNALED_MAX: Final = 4
"""Generations in the journal before entries of few keys, as of a carrier whose ids come again, are
written anew as one row."""

OWED_STEPS: Final = 8
"""Of work left over by the last start, made in a commit: one after StorageFull must stay small."""

_Entries = list[tuple[bytes, bytes]]
_encode = msgspec.msgpack.Encoder().encode
decode_entries = msgspec.msgpack.Decoder(_Entries).decode


class PlainRows(RunRows, Protocol):
    """A table inside the open transaction, as the store lends it."""

    def count(self) -> int: ...


class SpilledIndex:
    """``key -> value``: the newest put of a key wins. Numbered invariants:

    1. Every entry that is in no whole run is in ``_young`` or ``_old``, and in the journal.
    2. Memory is younger than all runs, and runs are younger than plain rows: whoever is asked
       first and has the key is right.
    3. Journal rows are deleted only after the run with all their entries is whole, in their order:
       what is left of a generation is its end, so reading it again changes nothing.
    4. An entry below the floor is left out only where nothing older can have its key.
    """

    def __init__(
        self,
        plain: PlainRows,
        journal: RunRows,
        runs: RunRows,
        *,
        generation: int = 0,
        fanout: int = FANOUT,
    ) -> None:
        generation = generation or GENERATION
        self._plain = plain
        self._journal = journal
        self._generation = generation
        self._step = max(1, generation // BUCKETS)
        self._runs = Runs(runs, generation, fanout)
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._added: _Entries = []
        self._spilling: Spilling | None = None
        self._merging: list[Merging] = []
        self._earned = 0
        self._owed = 0
        self._journaled = 0
        self._has_plain = False
        self._next_row = self._first_row = 0
        self._frozen_row = self._spilled_row = 0
        self._floor = 0
        self._least = bytes(8)

    def load(self) -> None:
        """Takes up what the last commit left; inside a transaction."""
        self._runs.load()
        rows = [*self._journal.rows_from(b"")]
        for _, value in rows:
            entries = decode_entries(value)
            self._journaled += len(entries)
            self._young.update(entries)
        if rows:
            self._first_row = self._spilled_row = read_u64(rows[0][0])
            self._next_row = read_u64(rows[-1][0]) + 1
        self._has_plain = self._plain.count() > 0
        self._merging = [self._resume(merge) for merge in self._runs.catalogue.merges]
        if len(self._young) >= self._generation:
            # Were it left to what is put, a daemon that never lasts would never come to its end.
            self._owed = 3 * len(self._young)

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``, unless what it names has aged out."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is None:
                value = self._find_on_disk(key)
                if value is None:
                    return None
        return value if value >= self._least else None

    def put(self, key: bytes, value: bytes) -> bytes | None:
        """Adds an entry to this commit; ``value`` begins with a message id and has fewer than 256
        octets. The value it had, where it was put lately enough to be in memory."""
        self._added.append((key, value))
        before = self._young.setdefault(key, value)
        if before is value:
            return None
        self._young[key] = value
        return before

    def age(self, floor: int) -> None:
        """From now on there is nothing that names a message with an id below ``floor``."""
        if floor > self._floor:
            self._floor, self._least = floor, pack_u64(floor)

    def write(self) -> None:
        """Writes this commit's share: its own entries, and some of the work on the runs."""
        if self._has_plain:
            self._take_over()
        added = len(self._added)
        if added:
            self._journal.put(pack_u64(self._next_row), _encode(self._added))
            self._next_row += 1
            self._journaled += added
            self._added.clear()
        self._clear_away(CLEAR_ROWS + added)
        # Range reads do not see what this very commit writes: all that reads runs begins here.
        self._merging += [self._resume(merge) for merge in self._runs.begin_merges()]
        if self._spilling is None:
            if len(self._young) >= self._generation:
                self._freeze()
            elif self._journaled >= JOURNALED_MAX * self._generation:
                self._condense()
        owed = min(self._owed, OWED_STEPS * self._step)
        self._owed -= owed
        self._work((WORK + MORE_WORK * self._runs.excess) * added + owed)
        self._runs.save()

    def __len__(self) -> int:
        """Entries in memory."""
        return len(self._young) + len(self._old)

    def _find_on_disk(self, key: bytes) -> bytes | None:
        value = self._runs.get(key)
        if value is None and self._has_plain:
            value = self._plain.get(key)
        return value

    def _take_over(self) -> None:
        """A few of the rows of before there were runs."""
        rows = [*islice(self._plain.rows_from(b""), PLAIN_ROWS + len(self._added) // 2)]
        for key, value in rows:
            is_hidden = key in self._young or key in self._old or self._runs.get(key) is not None
            if not is_hidden and value >= self._least:
                self.put(key, value)
            self._plain.delete(key)
        self._has_plain = bool(rows)

    def _freeze(self) -> None:
        """The generation in memory is to be written."""
        run = self._runs.start(0)
        if run is None:
            return  # the merge that frees a column comes before more of this
        self._old, self._young = self._young, {}
        self._frozen_row = self._next_row
        self._journaled = 0
        self._spilling = Spilling(self._runs, run, self._old, self._step)

    def _condense(self) -> None:
        """The same few keys again and again are no generation: one row takes the place of all."""
        self._spilled_row = self._next_row
        self._journal.put(pack_u64(self._next_row), _encode([*self._young.items()]))
        self._next_row += 1
        self._journaled = len(self._young)

    def _work(self, earned: int) -> None:
        self._earned += earned
        while self._earned >= self._step:
            if self._spilling is not None:
                self._spill(self._spilling)
            elif self._merging:
                self._merge()
            else:
                self._earned = 0
                return
            self._earned -= self._step

    def _spill(self, spilling: Spilling) -> None:
        if spilling.work():
            self._spilling, self._old = None, {}
            self._spilled_row = self._frozen_row

    def _merge(self) -> None:
        merging = min(self._merging, key=lambda one: one.tier)
        if merging.work(0 if self._has_plain else self._floor):
            self._merging.remove(merging)

    def _resume(self, merge: Merge) -> Merging:
        return Merging(self._runs, merge, self._step)

    def _clear_away(self, rows: int) -> None:
        """Runs that have aged out end, those that have ended are deleted, and the journal of what
        is in a run."""
        if not self._has_plain:
            self._runs.expire(self._floor)
        self._runs.clear_away()
        for _ in range(min(rows, self._spilled_row - self._first_row)):
            self._journal.delete(pack_u64(self._first_row))
            self._first_row += 1
