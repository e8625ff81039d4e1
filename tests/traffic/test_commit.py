"""The committer: who waits for what, what one pass shares, and what its end leaves untold."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio

from smppd.errors import CommitterEnded
from smppd.store.changes import Accepted, Change, Result
from smppd.traffic.commit import IDLE_SECONDS_MAX, Committer
from smppd.traffic.granting import PACE_TICK_SECONDS
from tests.house import START, House

COMMITS: Final = 50


class Outbox:
    """Notes who is woken, and what the store tells them at that moment."""

    def __init__(self) -> None:
        self.house: House | None = None
        self.seen: list[tuple[str, str]] = []
        self.woken = trio.Event()

    def wake(self, apps: Iterable[str]) -> None:
        assert self.house is not None
        for app in apps:
            self.seen += self.house.told(app)[len(self.seen) :]
        self.woken.set()


class Office:
    """A house whose clock is trio's, and the committer that owns its writing."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.outbox = Outbox()
        self.outbox.house = house
        self.committer = Committer(house.store, house.dispatch, self.outbox, self.wall)

    def wall(self) -> int:
        self.house.now = START + round(trio.current_time() * 1000)
        return self.house.now


@asynccontextmanager
async def open_office(directory: Path, **settings: float) -> AsyncIterator[Office]:
    """Its committer runs until the body ends."""
    house = House(directory / "state", clock=trio.current_time, **settings)  # type: ignore[arg-type]
    office = Office(house)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.committer.run)
            yield office
            nursery.cancel_scope.cancel()
    finally:
        house.close()


async def test_callers_of_one_pass_share_one_commit_and_get_their_own_results(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    results: dict[str, list[Result]] = {}
    async with open_office(tmp_path) as office:
        house, committer = office.house, office.committer

        async def propose(*refs: str) -> None:
            results[refs[0]] = await committer.commit([house.propose(ref) for ref in refs])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(propose, "a1", "both")
            nursery.start_soon(propose, "b1", "both", "b3")
        assert committer.statistics().commits == 1
        assert committer.statistics().changes == committer.statistics().largest == 5
        for refs in (["a1", "both"], ["b1", "both", "b3"]):
            for ref, result in zip(refs, results[refs[0]], strict=True):
                view = house.store.query("shop", ref=ref)
                assert view is not None
                assert isinstance(result, Accepted)
                assert result.id == view.id
        doubled = [results["a1"][1], results["b1"][1]]
        assert sorted(result.duplicate for result in doubled if isinstance(result, Accepted)) == [
            False,
            True,
        ]


async def test_what_comes_during_a_commit_is_the_next_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        for number in range(3):
            await office.committer.commit([office.house.propose(f"r{number}")])
        assert office.committer.statistics().commits == 3


async def test_nothing_to_store_is_committed_all_the_same_and_answers_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        assert await office.committer.commit([]) == []


async def test_apps_are_woken_when_their_events_can_be_read(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        await office.committer.commit([office.house.propose("r1", to="99912345")])
        assert office.outbox.seen == [("r1", "failed")]


async def test_grants_are_told_to_their_bind_after_the_commit(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        taken: list[int] = []
        house = office.house
        house.dispatch.bind_up(house.slot(), lambda: taken.append(len(house.take())))
        await office.committer.commit([house.propose("r1"), house.propose("r2")])
        assert taken == [2]


async def test_wake_commits_though_nobody_has_a_change(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        house = office.house
        await office.committer.commit([house.propose("r1")])
        granted = trio.Event()
        house.dispatch.bind_up(house.slot(), granted.set)
        office.committer.wake()
        await granted.wait()
        assert len(house.take()) == 1


async def test_deadline_is_kept_though_nothing_happens(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        await office.committer.commit([office.house.propose("r1", valid_for=3_600)])
        await office.outbox.woken.wait()
        assert office.outbox.seen == [("r1", "expired")]
        assert 3_600 <= trio.current_time() <= 3_600 + 1 + IDLE_SECONDS_MAX


async def test_pace_is_kept_though_nothing_happens(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path, throughput=10.0, window=100) as office:
        house = office.house
        times: list[float] = []
        done = trio.Event()

        def take() -> None:
            times.extend([trio.current_time()] * len(house.take()))
            if len(times) == 20:
                done.set()

        house.dispatch.bind_up(house.slot(), take)
        await office.committer.commit([house.propose(f"r{number}") for number in range(20)])
        await done.wait()
        assert 1.8 <= times[-1] - times[0] <= 2.2


@pytest.mark.parametrize("limit", [3.0, 5.0, 10.0, 12.0, 30.0, 200.0])
async def test_pace_is_reached_though_paced_carriers_share_their_commits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, limit: float
) -> None:
    """Every wake-up is up to a tick late."""
    await trio.sleep(0.003)
    count = round(4 * limit)
    async with open_office(tmp_path, throughput=limit, window=1_000) as office:
        house = office.house
        times: list[float] = []
        done = trio.Event()

        def take() -> None:
            times.extend([trio.current_time()] * len(house.take()))
            if len(times) == count:
                done.set()

        house.dispatch.bind_up(house.slot(), take)
        await office.committer.commit([house.propose(f"r{number}") for number in range(count)])
        await done.wait()
        seconds = times[-1] - times[0]
        # At the beginning what a tenth of a second allows goes at once.
        burst = sum(1 for time in times if time == times[0])
        assert (count - burst) / limit - 0.1 <= seconds <= (count - burst) / limit + 0.05
        assert office.committer.statistics().commits <= seconds / PACE_TICK_SECONDS + 10


async def test_wait_idle_returns_once_every_grant_is_answered(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        house, committer = office.house, office.committer
        house.dispatch.bind_up(house.slot(), lambda: None)
        await committer.commit([house.propose("r1")])
        submits = house.take()
        idle = trio.Event()

        async def wait_idle() -> None:
            await committer.wait_idle()
            idle.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_idle)
            await trio.testing.wait_all_tasks_blocked()
            assert not idle.is_set()
            house.answer(submits)
            await idle.wait()


async def test_one_carrier_is_waited_for_whatever_the_others_do(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        house, committer = office.house, office.committer
        for name in ("alpha", "beta"):
            house.dispatch.bind_up(house.slot(name), lambda: None)
        await committer.commit([house.propose("r1"), house.propose("r2", to="8613800138000")])
        submits = house.take("alpha")
        await committer.wait_carrier_idle("gamma")
        idle = trio.Event()

        async def wait_idle() -> None:
            await committer.wait_carrier_idle("alpha")
            idle.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_idle)
            await trio.testing.wait_all_tasks_blocked()
            assert not idle.is_set()
            house.answer(submits)
            committer.wake()
            await idle.wait()
        assert house.store.open_grants("beta", 0) == 1


async def test_an_empty_commit_returns_when_what_was_changed_has_been_seen(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        house = office.house
        await office.committer.commit([house.propose("r1")])
        house.reroute([])
        await office.committer.commit([])
        assert house.told() == [("r1", "failed")]


async def test_what_was_committed_is_freed_without_the_collector(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        gc.collect()
        gc.disable()
        try:
            for number in range(COMMITS):
                await office.committer.commit([office.house.propose(f"r{number}")])
            assert gc.collect() < COMMITS
        finally:
            gc.enable()


async def test_time_of_all_commits_is_counted(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_office(tmp_path) as office:
        await office.committer.commit([office.house.propose("r1")])
        assert office.committer.statistics().seconds > 0


async def test_failed_commit_ends_the_committer_and_tells_nobody_anything(tmp_path: Path) -> None:
    house = House(tmp_path / "state")
    office = Office(house)
    unknown: list[Change] = ["no change at all"]  # type: ignore[list-item]
    proposals: list[Change] = [house.propose("r1")]
    refused: list[str] = []

    async def commit(changes: list[Change]) -> None:
        with pytest.raises(CommitterEnded):
            await office.committer.commit(changes)
        refused.append("")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, proposals)
            nursery.start_soon(commit, unknown)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(office.committer.run)
    assert caught.group_contains(KeyError)
    assert len(refused) == 2
    house.close()
    again = House(tmp_path / "state")
    assert again.store.query("shop", ref="r1") is None
    again.close()


async def test_ended_committer_takes_nothing_more(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        pass
    assert office.committer.has_ended
    with pytest.raises(CommitterEnded):
        await office.committer.commit([])


async def test_those_who_wait_when_the_committer_is_cancelled_are_told_nothing(
    tmp_path: Path,
) -> None:
    house = House(tmp_path / "state")
    office = Office(house)
    refused = trio.Event()

    async def commit() -> None:
        with pytest.raises(CommitterEnded):
            await office.committer.commit([house.propose("r1")])
        refused.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit)
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await office.committer.run()
        await refused.wait()
    house.close()
