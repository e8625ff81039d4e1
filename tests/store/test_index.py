"""The index of random keys against a dict, across runs, merges, crashes and what ages out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.store import sieve
from smppd.store.blocks import crcs_of, find_in_block, pack_block, pack_crc, sizes_of
from smppd.store.environment import Environment
from smppd.store.index import JOURNALED_MAX, PlainRows, SpilledIndex
from smppd.store.keys import pack_u64, read_u64
from smppd.store.rows import Entries, read_runs
from smppd.store.runs import ENDED, GENERATION, WHOLE

GENERATION_OF_TESTS = 5
FANOUT_OF_TESTS = 3


class Disk:
    """A table that survives; ``pending`` is lost by a crash before ``sync``. Range reads see what
    is on disk alone, as LMDB's do before what is pending is handed to it."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._pending: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._pending[key] if key in self._pending else self.rows.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value

    def delete(self, key: bytes) -> None:
        self._pending[key] = None

    def rows_from(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(row for row in self.rows.items() if row[0] >= start))

    def last_until(self, key: bytes) -> tuple[bytes, bytes] | None:
        keys = sorted(self.rows)
        found = bisect_right(keys, key)
        return (keys[found - 1], self.rows[keys[found - 1]]) if found else None

    def count(self) -> int:
        return len(self.rows)

    def sync(self) -> None:
        for key, value in self._pending.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self._pending.clear()

    def crash(self) -> None:
        self._pending.clear()


class Disks:
    """The three tables of an index, and the index as a start finds it."""

    def __init__(self) -> None:
        self.plain, self.journal, self.runs = Disk(), Disk(), Disk()

    def open(self) -> SpilledIndex:
        for disk in (self.plain, self.journal, self.runs):
            disk.crash()
        return open_index(self.plain, self.journal, self.runs)

    def commit(self, index: SpilledIndex) -> None:
        index.write()
        for disk in (self.plain, self.journal, self.runs):
            disk.sync()


def open_index(plain: PlainRows, journal: PlainRows, runs: PlainRows) -> SpilledIndex:
    index = SpilledIndex(
        plain, journal, runs, generation=GENERATION_OF_TESTS, fanout=FANOUT_OF_TESTS
    )
    index.load()
    return index


def value_of(number: int) -> bytes:
    return pack_u64(number) + b"v"


KEYS = 40
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, KEYS - 1)),
        st.tuples(st.just("put many"), st.integers(1, 60)),
        st.tuples(st.just("age"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["commit", "crash", "restart"]), st.just(0)),
    ),
    max_size=150,
)


@given(st.lists(st.integers(0, KEYS - 1)), _STEPS, st.randoms(use_true_random=False))
def test_index_answers_as_a_dict_does_through_merges_crashes_and_aging(
    old: list[int], steps: list[tuple[str, int]], chance: Random
) -> None:
    """``old`` are rows of before there were runs. Message ids grow, but for a few that are late."""
    disks = Disks()
    for number in old:
        disks.plain.put(b"k%d" % number, value_of(1))
    disks.plain.sync()
    index = disks.open()
    model = {b"k%d" % number: value_of(1) for number in old}
    committed, following, floor = dict(model), 10, 0
    for step, number in steps:
        if step.startswith("put"):
            names = [number] if step == "put" else [chance.randrange(KEYS) for _ in range(number)]
            for name in names:
                following += 1
                model[b"k%d" % name] = value_of(max(following - chance.choice((0, 0, 7)), 1))
                index.put(b"k%d" % name, model[b"k%d" % name])
        elif step == "age":
            floor = max(floor, following - number)
            index.age(floor)
        else:
            if step != "crash":
                disks.commit(index)
                committed = dict(model)
            if step != "commit":
                model = dict(committed)
                index = disks.open()
                index.age(floor)
        for name in range(KEYS):
            key = b"k%d" % name
            known = model.get(key, b"")
            assert index.get(key) == (known if known >= pack_u64(floor) else None)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 60))
def test_entry_of_an_old_journal_that_was_forgotten_hides_its_plain_row(
    puts: list[int], commits: int
) -> None:
    disks = Disks()
    disks.plain.put(b"gone", value_of(1))
    disks.plain.sync()
    index = disks.open()
    index.put(b"gone", b"")
    for number in range(commits):
        index.put(b"k%d" % puts[number % len(puts)], value_of(2 + number))
        disks.commit(index)
        index = disks.open()
        index.age(number // 2)
        assert index.get(b"gone") is None


def fill(disks: Disks, index: SpilledIndex, first: int, end: int, a_commit: int = 3) -> None:
    for number in range(first, end):
        index.put(b"k%d" % number, value_of(number))
        if number % a_commit == 0:
            disks.commit(index)
    disks.commit(index)


def runs_of(index: SpilledIndex) -> list[tuple[int, int]]:
    """Tier and entries of the whole runs."""
    catalogue = index._runs.catalogue
    return sorted((run.tier, run.entries) for run in catalogue.runs if run.state == WHOLE)


def blocks_of(disks: Disks) -> list[Entries]:
    rows = [read_runs(key, row) for key, row in disks.runs.rows.items()]
    return [row for row in rows if isinstance(row, Entries)]


def test_generation_becomes_a_run_and_its_journal_goes() -> None:
    disks = Disks()
    index = disks.open()
    fill(disks, index, 1, 6)
    for _ in range(20):
        disks.commit(index)
    assert len(index) == 5, "nothing is put, so nothing is worked for"
    fill(disks, index, 6, 11, a_commit=1)
    assert runs_of(index) == [(0, 5)]
    fill(disks, index, 11, 15, a_commit=1)
    assert len(disks.journal.rows) == len(index)


def test_runs_become_fewer_and_larger_and_memory_stays_small() -> None:
    disks = Disks()
    index = disks.open()
    for number in range(1, 2_000):
        fill(disks, index, number, number + 1)
        assert len(index) <= 3 * GENERATION_OF_TESTS
        assert len(index._runs.catalogue.runs) < 60
    assert max(tier for tier, _ in runs_of(index)) >= 4
    assert all(index.get(b"k%d" % number) == value_of(number) for number in range(1, 2_000))


def test_merge_goes_on_after_a_restart_where_it_was() -> None:
    disks = Disks()
    index = disks.open()
    for number in range(1, 2_000):
        fill(disks, index, number, number + 1)
        if number % 4 == 0:
            index = disks.open()
    assert max(tier for tier, _ in runs_of(index)) >= 3


@pytest.mark.parametrize("seed", range(3))
def test_newest_put_of_a_key_wins_through_merges_and_aging(seed: int) -> None:
    """Keys come again, in other runs, and name older messages than before as often as newer ones:
    what has aged hides what has not."""
    chance = Random(seed)
    disks = Disks()
    index = disks.open()
    model: dict[bytes, bytes] = {}
    for turn in range(900):
        for _ in range(2):
            key = b"k%d" % chance.randrange(150)
            model[key] = value_of(chance.randrange(1, 1_000))
            index.put(key, model[key])
        disks.commit(index)
        floor = turn // 2
        index.age(floor)
        key = b"k%d" % chance.randrange(150)
        known = model.get(key, b"")
        assert index.get(key) == (known if known >= pack_u64(floor) else None), turn
    assert max(tier for tier, _ in runs_of(index)) >= 3


def test_what_has_aged_out_leaves_the_disk_without_being_looked_for() -> None:
    disks = Disks()
    index = disks.open()
    most = 0
    for number in range(1, 3_000):
        index.age(number - 200)
        fill(disks, index, number, number + 1)
        if number > 1_000 and number % 50 == 0:
            most = max(most, sum(len(block.bound) for block in blocks_of(disks)))
    assert most < 3 * 200 + 200
    assert index.get(b"k2700") is None
    assert index.get(b"k2900") == value_of(2_900)


def test_plain_rows_of_an_older_store_are_taken_over_and_still_found() -> None:
    disks = Disks()
    for number in range(1, 500):
        disks.plain.put(b"k%d" % number, value_of(number))
    disks.plain.sync()
    index = disks.open()
    index.age(100)
    for turn in range(30):
        assert [n for n in range(1, 500) if index.get(b"k%d" % n)] == [*range(100, 500)], turn
        disks.commit(index)
        index = disks.open() if turn % 3 == 0 else index
        index.age(100)
    assert disks.plain.rows == {}


def test_work_of_a_commit_is_bounded_by_what_it_puts() -> None:
    """Of the real size: no commit of one entry does more than one step."""
    disks = Disks()
    index = SpilledIndex(disks.plain, disks.journal, disks.runs)
    index.load()
    for number in range(GENERATION):
        index.put(b"k%d" % number, value_of(number))
    disks.commit(index)
    for number in range(1_000):
        index.put(b"one%d" % number, value_of(number))
        index.write()
        written = {key for key, row in disks.runs._pending.items() if row is not None}
        assert len([key for key in written if key[:1] == b"B"]) <= 16
        for disk in (disks.plain, disks.journal, disks.runs):
            disk.sync()
    assert disks.runs.rows, "nothing was written; the test tests nothing"


def test_missing_row_of_a_sieve_hides_no_entry() -> None:
    disks = Disks()
    fill(disks, disks.open(), 1, 100)
    lost = [key for key in disks.runs.rows if key[:1] == sieve.SIEVE]
    assert lost
    for key in lost:
        del disks.runs.rows[key]
    index = disks.open()
    assert all(index.get(b"k%d" % number) == value_of(number) for number in range(1, 100))


def pack(names: list[bytes], values: list[bytes]) -> bytes:
    return pack_block(names, values, crcs_of(names), sizes_of(names, values))


def test_key_that_is_part_of_another_is_not_taken_for_it() -> None:
    """Keys and values that hold each other's octets, headers and all."""
    inner = b"\0\0\0\1inner"
    longer = inner + b"\xc4\x01y"
    outer = b"\0\0\0\2" + b"\xc4\x09" + inner + b"\xc4\x01x"
    names, values = [longer, outer], [b"\xc4\x09" + inner + b"\xc4\x01z", b"w" * 20]
    block = pack(names, values)
    assert find_in_block(block, 1, inner) is None
    assert [find_in_block(block, one, name) for one, name in enumerate(names, 1)] == values
    names, values = [inner, *names], [b"right", *values]
    block = pack(names, values)
    assert find_in_block(block, 1, inner) == b"right"
    assert find_in_block(block, 1, longer) == values[1]


@pytest.mark.parametrize("octets", [1, 250, 251, 252, 300])
def test_block_finds_keys_of_all_lengths(octets: int) -> None:
    names = [pack_crc(number // 3) + b"%02d" % number + b"k" * octets for number in range(20)]
    values = [b"v" * number for number in range(20)]
    block = pack(names, values)
    found = [find_in_block(block, number // 3, name) for number, name in enumerate(names)]
    assert found == values
    assert find_in_block(block, 1, names[5] + b"k") is None
    assert find_in_block(block, 9, pack_crc(9) + b"k") is None


def test_keys_of_one_checksum_are_all_found() -> None:
    """An app may choose its refs so: more of them than a block has room for."""
    disks = Disks()
    index = SpilledIndex(disks.plain, disks.journal, disks.runs, generation=400, fanout=3)
    index.load()
    keys = colliding(900)
    for number, key in enumerate(keys):
        index.put(key, value_of(number))
        disks.commit(index)
    assert any(tier == 0 for tier, _ in runs_of(index))
    assert [read_u64(index.get(key) or bytes(8)) for key in keys] == [*range(900)]


def colliding(count: int) -> list[bytes]:
    """Keys with one CRC-32."""
    return [_with_checksum(b"%064d" % number, 0x12345678) for number in range(count)]


def _with_checksum(data: bytes, wanted: int) -> bytes:
    """``data`` and the four octets after which its CRC-32 is ``wanted``: the checksum is linear,
    so each bit of them flips the same bits of it whatever comes before."""
    start = crc32(data + bytes(4))
    flips = [crc32(data + (1 << bit).to_bytes(4, "big")) ^ start for bit in range(32)]
    suffix, rest = 0, start ^ wanted
    basis: list[tuple[int, int]] = []
    for bit, flip in enumerate(flips):
        mask = 1 << bit
        for value, of in basis:
            if flip ^ value < flip:
                flip, mask = flip ^ value, mask ^ of
        if flip:
            basis.append((flip, mask))
            basis.sort(reverse=True)
    for value, of in basis:
        if rest ^ value < rest:
            rest, suffix = rest ^ value, suffix ^ of
    assert rest == 0
    return data + suffix.to_bytes(4, "big")


def test_index_on_real_files_is_found_again_after_every_start(tmp_path: Path) -> None:
    known: dict[bytes, bytes] = {}
    chance = Random(7)
    number = 0
    for _ in range(12):
        env = Environment(tmp_path / "state", 1 << 26)
        env.begin(write=False)
        index = open_index(*(env.tables[name] for name in ("refs", "refs_journal", "refs_runs")))
        assert [key for key, value in known.items() if index.get(key) != value] == []
        assert index.get(b"new") is None
        env.abort()
        for _ in range(40):
            env.begin(write=True)
            for _ in range(chance.randrange(12)):
                number += 1
                key = b"shop\0%032x" % chance.getrandbits(128)
                known[key] = value_of(number)
                index.put(key, known[key])
            index.write()
            env.commit()
        env.close()
    states = {run.state for run in index._runs.catalogue.runs}
    assert len(known) > 2_000
    assert states <= {WHOLE, ENDED, 0}


def test_journal_of_the_same_few_keys_stays_short_and_says_the_last_of_each() -> None:
    disks = Disks()
    index = disks.open()
    keys = [b"same%d" % number for number in range(GENERATION_OF_TESTS - 1)]
    for number in range(200):
        for key in keys:
            index.put(key, value_of(number))
        disks.commit(index)
        if number % 50 == 0:
            index = disks.open()
    assert disks.journal.count() < 20 * JOURNALED_MAX
    assert [disks.open().get(key) for key in keys] == [value_of(199)] * len(keys)


@pytest.mark.parametrize(("generation", "fanout"), [(10, 3), (5, 2), (3, 7)])
def test_store_of_another_generation_and_fanout_is_found_all_the_same(
    generation: int, fanout: int
) -> None:
    disks = Disks()
    index = disks.open()
    for number in range(300):
        index.put(b"k%d" % number, value_of(number))
        disks.commit(index)
    tables = (disks.plain, disks.journal, disks.runs)
    other = SpilledIndex(*tables, generation=generation, fanout=fanout)
    other.load()
    for number in range(300, 600):
        other.put(b"k%d" % number, value_of(number))
        disks.commit(other)
    assert [other.get(b"k%d" % number) for number in range(600)] == [*map(value_of, range(600))]
