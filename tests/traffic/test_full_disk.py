"""The committer and a disk without room: who is answered, who waits, and how it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.errors import CommitterEnded, StorageFull
from smppd.smpp.session import Submit
from smppd.store.changes import Accepted, Answered, Change, Rejection, Result, Take, Verdict
from smppd.traffic.commit import RETRY_SECONDS
from tests.disk import FullDisk
from tests.house import START, House, tag_of
from tests.traffic.test_commit import Office, open_office

Clock = trio.testing.MockClock


def answered(submit: Submit, smsc_id: str) -> Answered:
    return Answered("alpha", 0, tag_of(submit), Verdict.TAKEN, 0, smsc_id, START, 1)


class Callers:
    """What each of several callers was told, by name; ``ended`` were told that nothing is known."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.results: dict[str, list[Result]] = {}
        self.ended: list[str] = []

    async def commit(self, name: str, changes: Sequence[Change]) -> None:
        try:
            self.results[name] = await self.office.committer.commit(list(changes))
        except CommitterEnded:
            self.ended.append(name)


async def test_submits_are_answered_at_once_and_outcomes_when_there_is_room(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_office(tmp_path) as office:
        house, callers = office.house, Callers(office)
        house.dispatch.bind_up(house.slot(), lambda: None)
        await office.committer.commit([house.propose("r1")])
        (submit,) = house.take()
        with FullDisk() as disk:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(callers.commit, "submits", [house.propose("r2")])
                nursery.start_soon(callers.commit, "answer", [answered(submit, "m1")])
                nursery.start_soon(callers.commit, "again", [house.propose("r1")])
                await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(10 * RETRY_SECONDS)
                assert callers.results.keys() == {"submits", "again"}
                assert office.outbox.seen == []
                assert disk.failed >= 10
                disk.is_full = False
        (refused,) = callers.results["submits"]
        assert isinstance(refused, Rejection)
        assert (refused.code, refused.retry_after) == ("storage_full", 60)
        (known,) = callers.results["again"]
        assert isinstance(known, Accepted)
        assert known.duplicate
        assert callers.results["answer"] == [None]
        assert office.outbox.seen == [("r1", "sent")]
        assert house.store.query("shop", ref="r2") is None


async def test_outcomes_are_stored_without_new_grants_where_those_had_no_room(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    """The first try fails, the second, at once and alone, goes."""
    async with open_office(tmp_path, window=1) as office:
        house = office.house
        house.dispatch.bind_up(house.slot(), lambda: None)
        await office.committer.commit([house.propose("r1"), house.propose("r2")])
        (submit,) = house.take()
        before = trio.current_time()
        with FullDisk(times=1) as disk:
            await office.committer.commit([answered(submit, "m1")])
        assert disk.failed == 1
        assert trio.current_time() == before
        assert office.outbox.seen == [("r1", "sent")]
        assert house.take() == []
        woken = trio.Event()
        house.slot().wake = woken.set
        await woken.wait()
        assert len(house.take()) == 1


async def test_order_of_what_waits_is_kept_and_each_gets_its_own_results(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_office(tmp_path) as office:
        house, callers = office.house, Callers(office)
        house.dispatch.bind_up(house.slot(), lambda: None)
        await office.committer.commit([house.propose("r1"), house.propose("r2")])
        one, two = house.take()
        with FullDisk() as disk:
            async with trio.open_nursery() as nursery:
                waiting: dict[str, list[Change]] = {
                    "receipt": [house.receipt("unknown")],
                    "taken": [Take("shop", 2)],
                    "answers": [answered(one, "m1"), answered(two, "m2")],  # two events
                    "nothing": [],
                    "mixed": [Take("shop", 2), house.propose("r9"), Take("shop", 3)],
                }
                for name, changes in waiting.items():
                    nursery.start_soon(callers.commit, name, changes)
                    await trio.testing.wait_all_tasks_blocked()
                    assert callers.results == {}
                disk.is_full = False
        (early,) = callers.results["taken"]
        first, refused, last = callers.results["mixed"]
        assert [getattr(one, "ok", None) for one in (early, first, last)] == [False, True, False]
        assert isinstance(refused, Rejection)
        assert callers.results["answers"] == [None, None]
        assert callers.results["nothing"] == []


async def test_what_comes_while_the_disk_is_full_waits_in_bounded_numbers(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    """Submits go out again, so only those stay that wait: one list a caller."""
    async with open_office(tmp_path) as office:
        house, callers = office.house, Callers(office)
        with FullDisk() as disk:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(callers.commit, "receipt", [house.receipt("m1")])
                for number in range(20):
                    await callers.commit("submit", [house.propose(f"r{number}")])
                    (refused,) = callers.results["submit"]
                    assert isinstance(refused, Rejection)
                    assert len(office.committer._batch.callers) == 1
                disk.is_full = False
        assert callers.results["receipt"] == [None]


async def test_an_end_while_the_disk_is_full_ends_and_tells_nobody_anything(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    house = House(tmp_path / "state", clock=trio.current_time)
    office = Office(house)
    callers = Callers(office)
    with FullDisk(), pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            nursery.start_soon(callers.commit, "receipt", [house.receipt("m1")])
            nursery.start_soon(office.committer.run)
            await trio.sleep(5)
            assert not callers.ended
            office.committer.end_by(trio.current_time() + 10)
            await trio.sleep(9)
            assert not callers.ended
    assert caught.group_contains(StorageFull)
    assert callers.ended == ["receipt"]
    assert trio.current_time() < 5 + 10 + 2 * RETRY_SECONDS
    house.close()


async def test_committer_on_a_full_disk_is_seen_to_live(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_office(tmp_path) as office:
        callers = Callers(office)
        with FullDisk() as disk:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(callers.commit, "receipt", [office.house.receipt("m1")])
                await trio.sleep(5)
                found = office.committer.statistics()
                assert found.failures >= 5
                assert found.commits == 0
                disk.is_full = False


async def test_caller_that_left_while_the_disk_was_full_is_stored_all_the_same(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_office(tmp_path) as office:
        house = office.house
        with FullDisk():
            with trio.move_on_after(2):
                await office.committer.commit([house.receipt("m1")])
        await office.committer.commit([])
        assert house.store.statistics().unmatched == 1
