"""What ages out: everything, in batches, and the store stays as large as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from smppd.smpp.session import Submit
from smppd.store import index, keys
from smppd.store.changes import (
    Answered,
    Cancel,
    Change,
    Doubted,
    InboundArrived,
    Propose,
    Resolve,
    Take,
    Verdict,
)
from smppd.store.layout import TABLES
from smppd.store.records import SENT, CarrierProfile, decode_message
from smppd.store.retention import BEHIND_MILLISECONDS, SWEEP_ROWS_MAX, RetentionPeriods
from smppd.store.rows import Entries, read_runs
from tests.house import House, Open, tag_of

HOUR: Final = 3_600
DAY: Final = 24 * HOUR

SHORT: Final = RetentionPeriods(events=6 * HOUR, messages=DAY, refs=12 * HOUR, unmatched=6 * HOUR)
REAL: Final = RetentionPeriods()

SLACK: Final = 1.15
"""What may be beyond the first full period's most: pages half empty, and where a sweep stands."""


class Traffic:
    """A steady load of everything there is, a step at a time; ``step_seconds`` between them."""

    def __init__(self, house: House, messages: int, step_seconds: int) -> None:
        self.house = house
        self.messages = messages
        self.step_seconds = step_seconds
        self.number = 0
        house.up("alpha")

    def step(self) -> None:
        """Some of each: long ones, refused, cancelled, in doubt, without receipt, never answered;
        receipts that nobody claims, messages from phones; of two apps one takes its events."""
        house = self.house
        proposals: list[Change] = [self._propose() for _ in range(self.messages)]
        house.commit([*proposals, Cancel("shop", tag="gone"), self._inbound(), self._unclaimed()])
        while submits := house.take():
            self._answer(submits)
        house.commit([Take("shop", house.store.event_bounds("shop").latest)])
        house.pass_time(self.step_seconds)
        self.settle()

    def settle(self) -> None:
        """Commits as the committer does, while there is anything due at once."""
        house = self.house
        while (due := house.store.next_deadline()) is not None and due <= house.now + 20:
            house.now += 20
            house.commit([])

    def _propose(self) -> Propose:
        self.number += 1
        number = self.number
        kind = number % 10
        return self.house.propose(
            f"r{number}",
            to=f"49170{number % 9_999_999:07}",
            text="x" * 200 if kind == 0 else "hello",
            segments=2 if kind == 0 else 1,
            app="shop" if number % 2 else "other",
            tag="gone" if kind == 9 else f"t{number // 200}",
            receipt=kind != 2,
            uncertain="stop" if kind == 3 else "resend",
        )

    def _answer(self, submits: list[Submit]) -> None:
        """By turns, and a receipt for some of what was taken."""
        house = self.house
        tags = [tag_of(one) for one in submits]
        answers: list[Change] = [Doubted("alpha", 0, tags[3::7], house.now)]
        for number, tag in enumerate(tags):
            verdict = Verdict.REFUSE if number % 7 == 4 else Verdict.TAKEN
            if number % 7 != 3:
                name = f"m{int.from_bytes(tag, 'big')}"
                answers.append(Answered("alpha", 0, tag, verdict, 0x45, name, house.now))
        receipts = [house.receipt(f"m{int.from_bytes(tag, 'big')}") for tag in tags[::2]]
        house.commit([*answers, *receipts])

    def _inbound(self) -> Change:
        return InboundArrived("alpha", "491701234567", "12345", "yes", b"yes", 0, 0, self.house.now)

    def _unclaimed(self) -> Change:
        return self.house.receipt(f"nobody-{self.number}")


def rows(house: House) -> dict[str, int]:
    """How many rows each table has."""
    store = house.store
    with store._reading():
        return {name: store._env.tables[name].count() for name in TABLES}


def pages(house: House) -> int:
    """Pages of the data file that hold something."""
    env = house.store._env
    env.begin(write=False)
    try:
        stats = [env.transaction.stat(table._db) for table in env.tables.values()]
    finally:
        env.abort()
    return sum(one["branch_pages"] + one["leaf_pages"] + one["overflow_pages"] for one in stats)


def orphans(house: House) -> list[str]:
    """Rows that name a message which is gone, and messages that should have ended long ago."""
    store = house.store
    ledger, tables = store._ledger, store._env.tables
    found = []
    with store._reading():
        known = {keys.read_u64(key) for key in tables["messages"].keys_from(b"")}

        def check(name: str, number: int) -> None:
            if number not in known:
                found.append(f"{name}: {keys.show_id(number)}")

        for key in tables["doubts"].keys_from(b""):
            check("doubts", keys.unpack_tag(key[-keys.TAG_BYTES :])[0])
        for key in tables["queue"].keys_from(b""):
            check("queue", keys.read_queue_tail(key)[1])
        for _, packed in tables["tags"].rows_from(b""):
            for start in range(0, len(packed), 8):
                check("tags", keys.read_u64(packed[start : start + 8]))
        gone_below = keys.read_u64(ledger.retention.forgotten or bytes(8))
        for entries, name in ((ledger.refs, "refs"), (ledger.smsc_ids, "smsc_ids")):
            for key in entries_of(house, name):
                bound = entries.get(key)
                if bound is not None and keys.read_u64(bound) >= gone_below:
                    check(name, keys.read_u64(bound))
        overdue = house.now - 4 * DAY * 1000
        for _, row in tables["messages"].rows_from(b""):
            message = decode_message(row)
            if message.state <= SENT and message.accepted_at < overdue:
                found.append(f"never ends: {keys.show_id(message.id)}")
    return found


def entries_of(house: House, name: str) -> set[bytes]:
    """Every key in an index, in memory and in its runs; inside a transaction."""
    ledger, tables = house.store._ledger, house.store._env.tables
    index = {"refs": ledger.refs, "smsc_ids": ledger.smsc_ids}[name]
    found = {*index._young, *index._old}
    for key, row in tables[f"{name}_runs"].rows_from(b""):
        entries = read_runs(key, row)
        found |= entries.bound.keys() if isinstance(entries, Entries) else set()
    return found


def simulate(
    house: House, messages: int, step_seconds: int, full: int, more: int
) -> Iterator[tuple[dict[str, int], int, int]]:
    """Steps of a steady load; what there is at the end of the first full period, and after."""
    traffic = Traffic(house, messages, step_seconds)
    data = house.directory / "data.mdb"
    for number in range(1, full + more + 1):
        traffic.step()
        if number >= full and number % 8 == 0:
            yield rows(house), pages(house), data.stat().st_size


@pytest.mark.parametrize(
    ("periods", "receipt_timeout", "messages", "step", "full", "more"),
    [
        # 8 days is how long a reference is kept, whatever is configured; then two weeks more.
        (SHORT, 2 * HOUR, 40, 4 * HOUR, 10 * 6, 14 * 6),
        # 90 days, and what was given up after 73 hours; then four weeks more. Two an hour.
        (REAL, 262_800, 12, 6 * HOUR, 96 * 4, 28 * 4),
    ],
    ids=["weeks of short limits", "months of the real ones"],
)
def test_store_stays_as_large_as_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    periods: RetentionPeriods,
    receipt_timeout: int,
    messages: int,
    step: int,
    full: int,
    more: int,
) -> None:
    monkeypatch.setattr(index, "GENERATION", 64)  # of so few messages, journals fill for months
    profile = CarrierProfile(receipt_timeout=receipt_timeout)
    house = House(
        tmp_path / "state", periods=periods, profile=profile, inbound_apps=("other",), window=50
    )
    seen = list(simulate(house, messages, step, full, more))
    first, last = seen[: len(seen) // 3], seen[len(seen) // 3 :]
    for name in TABLES:
        before = max(counted[name] for counted, _, _ in first)
        after = max(counted[name] for counted, _, _ in last)
        assert after <= before * SLACK + 8, f"{name}: {before} rows, then {after}"
    assert max(used for _, used, _ in last) <= max(used for _, used, _ in first) * SLACK
    assert max(size for _, _, size in last) <= max(size for _, _, size in first) * SLACK
    assert orphans(house) == []
    house.close()


def accept_and_end(house: House, count: int) -> None:
    """Messages that have ended, and what names them."""
    house.up("alpha")
    for start in range(0, count, 500):
        house.submit(*(f"r{number}" for number in range(start, start + 500)), tag=f"t{start}")
        while submits := house.take():
            house.answer(submits)
            house.commit(
                [house.receipt(f"m{int.from_bytes(tag_of(one), 'big')}") for one in submits]
            )


def sweep(house: House) -> Iterator[tuple[dict[str, int], int]]:
    """Commits until nothing is behind: how many rows each took from every table, and how long the
    committer waited for it (ms)."""
    counted = rows(house)
    while True:
        due = house.store.next_deadline()
        assert due is not None
        pause = max(due - house.now, 0)
        if pause > BEHIND_MILLISECONDS:
            return
        house.now += max(pause, 1)
        house.commit([])
        before, counted = counted, rows(house)
        yield {name: before[name] - counted[name] for name in TABLES}, pause


def test_no_commit_deletes_more_than_a_batch_of_any_table(open_house: Open) -> None:
    house = open_house(window=500)
    accept_and_end(house, 1_000)
    house.now += 15 * DAY * 1000  # the store was open all the time
    house.commit([])
    sizes = [taken for taken, _ in sweep(house)]
    house.now += 90 * DAY * 1000
    house.commit([])
    sizes += [taken for taken, _ in sweep(house)]
    assert rows(house)["messages"] == 0
    journals = ("refs_journal", "smsc_ids_journal")
    most = {name: max(one[name] for one in sizes) for name in TABLES if name not in journals}
    assert {name: count for name, count in most.items() if count > SWEEP_ROWS_MAX} == {}
    assert most["messages"] == SWEEP_ROWS_MAX


def test_shorter_limits_catch_up_in_batches_while_one_time_codes_go_out(open_house: Open) -> None:
    house = open_house(window=500)
    accept_and_end(house, 1_000)
    house.pass_time(2 * HOUR)
    periods = RetentionPeriods(events=HOUR, messages=HOUR, refs=HOUR, unmatched=HOUR)
    house.store.set_rules(msgspec.structs.replace(house.rules, periods=periods))
    house.now += 1_000
    sent = 0
    for commits in range(100):
        house.submit(f"otp-{commits}", message_class="otp", receipt=False, tag=None)
        submits = house.take()
        house.answer(submits)
        sent += len(submits)
        house.now += BEHIND_MILLISECONDS
        if rows(house)["messages"] == commits + 1:
            break
    assert sent == commits + 1
    assert 1_000 / SWEEP_ROWS_MAX <= commits + 1 < 40
    assert orphans(house) == []


def test_receipt_of_a_reused_id_is_not_taken_for_a_message_that_is_gone(open_house: Open) -> None:
    """The id outlives its message while an older one is there; the carrier gives it again, and
    the receipt comes before the response."""
    house = open_house(periods=RetentionPeriods(messages=HOUR, refs=HOUR))
    house.up()
    house.submit("old", valid_for=5 * HOUR)
    house.answer(house.take(), ids=["waits"])
    house.submit("gone")
    house.answer(house.take(), ids=["abc"])
    house.commit([house.receipt("abc")])
    house.pass_time(2 * HOUR)
    assert rows(house)["messages"] == 1
    house.commit([house.receipt("abc")])
    assert house.store.statistics().unmatched == 1
    house.submit("new")
    house.answer(house.take(), ids=["abc"])
    assert ("new", "delivered") in house.told()


def test_message_of_this_commit_is_not_deleted_by_its_sweep(open_house: Open) -> None:
    """An operator sends an aged uncertain message again in the very commit that would delete it."""
    periods = RetentionPeriods(messages=HOUR)
    house = open_house(periods=periods)
    house.up()
    (number,) = house.submit("a", valid_for=5 * HOUR, uncertain="stop")
    house.commit([Doubted("alpha", 0, [tag_of(one) for one in house.take()], house.now)])
    assert house.told() == [("a", "uncertain")]
    house.now += 2 * HOUR * 1000
    house.commit([Resolve(number, "resend", house.now)])
    assert [tag_of(one)[:8].hex() for one in house.take()] == [number]


def test_references_are_forgotten_as_fast_as_they_come(open_house: Open) -> None:
    """A sweep that looked at 200 rows a second let a thousand new numbers a second pile up."""
    house = open_house(window=1_000)
    house.up("alpha")
    long = [
        house.propose(f"r{number}", to=f"49170{number:07}", text="x" * 200, segments=2)
        for number in range(500)
    ]
    house.commit([*long])
    house.pass_time(9 * DAY)
    waits = [pause for _, pause in sweep(house)]
    assert rows(house)["references"] == 0
    assert len(waits) >= 2
