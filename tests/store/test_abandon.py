"""A commit the disk has no room for: nothing of it has happened, in memory as on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppd.errors import StorageFull, StoreError
from smppd.smpp.session import Submit
from smppd.store.changes import (
    Accepted,
    Answered,
    Cancel,
    Change,
    Doubted,
    Rejection,
    Take,
    Verdict,
)
from smppd.store.layout import DATA_FILE, FAILED_FILE
from smppd.store.verify import verify
from tests.disk import FullDisk, full_for_meta_pages
from tests.house import START, House, Open, tag_of, texts

REFS = tuple(f"r{number}" for number in range(6))
PAUSE = 4
"""Seconds after which a failed write no longer holds grants back."""
HOUR = 3_600
VALID_FOR = 10_000
"""Seconds, which pass in a wait of hours alone: what is held back a moment may expire in it."""


def fail(house: House, changes: list[Change]) -> None:
    with FullDisk() as disk, pytest.raises(StorageFull):
        house.commit(changes)
    assert disk.failed == 1


def test_grants_of_the_commit_never_existed(open_house: Open) -> None:
    house = open_house()
    house.up()
    fail(house, [house.propose("r1")])
    assert house.take() == []
    assert house.woken == []
    assert house.store.open_grants("alpha", 0) == 0
    assert house.store.query("shop", ref="r1") is None
    assert house.store.statistics().accepted == 0


def test_grants_of_an_earlier_commit_are_still_handed_over(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    fail(house, [house.propose("r2")])
    assert texts(house.take()) == ["hi"]


def test_segment_granted_anew_in_the_commit_is_not_sent_twice(open_house: Open) -> None:
    """Its answer was throttling, which was not kept: so it is still on the wire."""
    house = open_house()
    house.up()
    house.submit("r1")
    (submit,) = house.take()
    slow: list[Change] = [
        Answered("alpha", 0, tag_of(submit), Verdict.SLOW, 0x58, "", house.now, 1)
    ]
    fail(house, slow)
    assert house.take() == []
    assert house.store.open_grants("alpha", 0) == 1
    house.commit(slow)
    house.pass_time(PAUSE)
    assert len(house.take()) == 1


def test_nothing_is_granted_until_a_write_has_had_time_to_go(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    house.dispatch.bind_up(house.slot(), lambda: None)
    fail(house, [])
    house.commit([])
    assert house.take() == []
    house.pass_time(PAUSE)
    assert len(house.take()) == 1


def test_rest_of_a_half_sent_message_is_found_again(open_house: Open) -> None:
    house = open_house(window=2)
    house.up()
    house.submit("r1", text="x" * 400, segments=3)
    first = house.take()
    assert len(first) == 2
    answers = [
        Answered("alpha", 0, tag_of(one), Verdict.TAKEN, 0, f"m{number}", house.now, number)
        for number, one in enumerate(first)
    ]
    fail(house, list(answers))
    assert house.take() == []
    house.commit(list(answers))
    house.pass_time(PAUSE)
    last = house.take()
    assert len(last) == 1
    house.answer(last)
    assert house.told() == [("r1", "sent")]


def test_refused_proposals_are_told_what_is_bound(open_house: Open) -> None:
    house = open_house()
    (known,) = house.submit("r1")
    proposals = [house.propose("r1"), house.propose("r2"), house.propose("r1", digest=b"e" * 16)]
    fail(house, list(proposals))
    duplicate, refused, conflict = house.store.refuse(proposals)
    assert isinstance(duplicate, Accepted)
    assert (duplicate.id, duplicate.duplicate) == (known, True)
    assert isinstance(refused, Rejection)
    assert refused.code == "storage_full"
    assert type(conflict).__name__ == "RefConflict"


def test_counts_are_those_of_what_happened(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", "r2")
    house.receive("unknown")
    before = house.store.statistics()
    fail(house, [house.propose("r3"), house.propose("r1"), house.receipt("m9")])
    after = house.store.statistics()
    for name in ("accepted", "duplicates", "queued", "unmatched", "receipts_unmatched", "commits"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.told == before.told


def test_meta_page_without_room_ends_the_store_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """LMDB leaves a meta page then that looks damaged, and goes on no more. A copy-on-write disk
    needs room for it though it is written over in place."""
    house = House(tmp_path)
    for ref in ("r0", "r00", "r000", "r1"):
        house.submit(ref)  # from then on each commit frees pages, and says so in the free list
    with full_for_meta_pages(tmp_path / DATA_FILE), pytest.raises(StoreError, match="MDB_PANIC"):
        house.commit([house.propose("r2")])
    assert verify(tmp_path).findings == []
    house = House(tmp_path)
    assert house.store.query("shop", ref="r1") is not None
    assert house.store.query("shop", ref="r2") is None
    house.submit("r3")
    assert not (tmp_path / FAILED_FILE).exists()
    house.close()


# -- the same operations, with and without a disk that is full now and then ---


class Twin:
    """A house, its links and phones; ``faults`` says of each commit how often it fails first."""

    def __init__(self, directory: Path, faults: list[int]) -> None:
        self.directory = directory
        self.faults = iter(faults)
        self.wire: dict[str, dict[bytes, Submit]] = {"alpha": {}, "beta": {}}
        self.house = self.open()
        for name in self.wire:
            self.house.dispatch.bind_up(self.house.slot(name), lambda: None)
        self.settle()

    def open(self, now: int = START) -> House:
        return House(self.directory, window=50, now=now)

    def commit(self, changes: list[Change]) -> None:
        """As the committer does it with what are no proposals."""
        self.fail(changes)
        self.house.commit(changes)

    def fail(self, changes: list[Change]) -> None:
        for _ in range(next(self.faults, 0)):
            granted = [list(self.house.slot(name).granted) for name in self.wire]
            with FullDisk() as disk:
                try:
                    self.house.commit(changes)
                except StorageFull:
                    assert disk.failed == 1
                else:
                    assert not disk.failed, "there was something to write"
            assert granted == [list(self.house.slot(name).granted) for name in self.wire]

    def settle(self) -> None:
        """Time for grants that were held back; the links take what is theirs."""
        self.house.now += PAUSE * 1000
        self.commit([])
        self.house.pass_time(PAUSE)
        for name, wire in self.wire.items():
            for submit in self.house.take(name):
                tag = tag_of(submit)
                assert tag not in wire, "one segment is on the wire twice"
                wire[tag] = submit

    def submit(self, number: int) -> None:
        long = number % 3 == 0
        text, segments = ("x" * 400, 3) if long else ("hi", 1)
        proposal = self.house.propose(
            REFS[number], text=text, segments=segments, tag=f"t{number % 2}", valid_for=VALID_FOR
        )
        self.fail([proposal])
        self.settle()
        self.house.commit([proposal])

    def answer(self, number: int) -> None:
        verdict = (Verdict.TAKEN, Verdict.TAKEN, Verdict.SLOW, Verdict.RETRY, Verdict.REROUTE)
        for name, wire in self.wire.items():
            tags = sorted(wire)[: 1 + number % 4]
            changes: list[Change] = [
                Answered(name, 0, tag, verdict[number % 5], number % 5, f"{tag.hex()}", self.now, 1)
                for tag in tags
            ]
            for tag in tags:
                del wire[tag]
            self.commit(changes)

    def receive(self, number: int) -> None:
        """For any segment there could be, so before its answer too."""
        view = self.house.store.query("shop", ref=REFS[number])
        if view is not None:
            tag = int(view.id, 16).to_bytes(8, "big") + b"\0\0"
            self.commit([self.house.receipt(tag.hex(), state=2 if number % 2 else 5)])

    def cancel(self, number: int) -> None:
        self.commit([Cancel("shop", tag=f"t{number % 2}")])

    def lose(self, number: int) -> None:
        """A link ends with what it had on the wire, and comes back."""
        name = ("alpha", "beta")[number % 2]
        slot = self.house.slot(name)
        unwritten = self.house.dispatch.bind_down(slot)
        assert not unwritten
        self.commit([self.doubt(name)])
        self.settle()
        self.house.dispatch.bind_up(slot, lambda: None)

    def doubt(self, name: str) -> Change:
        tags = sorted(self.wire[name])
        self.wire[name].clear()
        return Doubted(name, 0, tags, self.now)

    def take(self, number: int) -> None:
        """All there are, or more than there are."""
        latest = self.house.store.event_bounds("shop").latest
        self.commit([Take("shop", latest + number % 2)])

    def wait(self, number: int) -> None:
        self.house.now += number * HOUR * 1000
        self.commit([])

    @property
    def now(self) -> int:
        return self.house.now

    def truth(self) -> list[object]:
        """What the store says of every message, but when it was granted; and what its app was
        told of each, and what is still told after a restart."""
        store = self.house.store
        views = [store.query("shop", ref=ref) for ref in REFS]
        shown: list[object] = [None if view is None else _show(view) for view in views]
        counts = store.statistics()
        grants = [store.open_grants(name, 0) for name in self.wire]
        told = sorted(self.house.told(), key=lambda event: event[0])
        return [shown, told, counts.queued, counts.unmatched, counts.told, grants]


def _show(view: object) -> object:
    found = msgspec.to_builtins(view)
    for part in found["parts"]:
        part.pop("granted_at", None)
    return found


OPERATIONS: tuple[Callable[[Twin, int], None], ...] = (
    Twin.submit, Twin.submit, Twin.answer, Twin.answer, Twin.receive, Twin.cancel, Twin.lose,
    Twin.take, Twin.wait,
)  # fmt: skip

steps = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, len(REFS) - 1)), min_size=3, max_size=14
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.lists(st.integers(0, 2), min_size=40, max_size=40))
def test_what_becomes_of_messages_is_the_same_whatever_commits_failed(
    steps: list[tuple[Callable[[Twin, int], None], int]], faults: list[int]
) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        sound, faulty = Twin(Path(one), []), Twin(Path(other), faults)
        for step, number in steps:
            for twin in (sound, faulty):
                step(twin, number)
                twin.settle()
            assert sound.truth() == faulty.truth()
            assert sound.wire.keys() == faulty.wire.keys()
            for name, wire in sound.wire.items():
                assert wire.keys() == faulty.wire[name].keys()
        for twin in (sound, faulty):
            twin.house.close()
            twin.house = twin.open(twin.now)
        assert sound.truth() == faulty.truth()
        for twin in (sound, faulty):
            twin.house.close()
