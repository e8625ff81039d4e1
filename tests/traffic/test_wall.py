"""Whether the wall clock was set: steps are seen, slews and smears are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from smppd.store.retention import REST_MILLISECONDS
from smppd.traffic.commit import Committer
from smppd.traffic.wall import WallWatch
from tests.house import START, House
from tests.traffic.test_commit import Outbox

SECOND = 1_000
HOUR = 3_600 * SECOND


def looks(watch: WallWatch, start: int, seconds: int, rate: float) -> set[int]:
    """What a look a second says while the wall clock runs at ``rate``."""
    return {watch.look(start + int(at * SECOND * rate), float(at)) for at in range(seconds)}


def test_clock_that_runs_was_not_set() -> None:
    assert looks(WallWatch(), 0, 1_000, 1.0) == {0}


@pytest.mark.parametrize(
    "rate",
    [
        pytest.param(1.0005, id="slewed forward, as fast as the kernel does"),
        pytest.param(0.9995, id="slewed back"),
        pytest.param(1 - 1 / 86_400, id="a leap second smeared over a day"),
    ],
)
def test_slewed_clock_was_not_set(rate: float) -> None:
    assert looks(WallWatch(), 1_800_000_000_000, 86_400, rate) == {0}


@pytest.mark.parametrize("step", [SECOND, -SECOND, HOUR, -HOUR, 24 * HOUR, -24 * HOUR])
def test_step_is_seen_once_and_whole(step: int) -> None:
    watch = WallWatch()
    watch.look(10 * HOUR, 5.0)
    assert watch.look(10 * HOUR + SECOND + step, 6.0) == step
    assert watch.look(10 * HOUR + 2 * SECOND + step, 7.0) == 0


def test_machine_that_slept_has_its_clock_set() -> None:
    watch = WallWatch()
    watch.look(HOUR, 5.0)
    assert watch.look(9 * HOUR, 5.5) == 8 * HOUR - SECOND // 2


async def test_committer_says_that_the_clock_was_set_and_lets_nothing_age(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    house = House(tmp_path / "state", clock=trio.current_time)
    ahead = 0

    def wall() -> int:
        return START + ahead + round(trio.current_time() * SECOND)

    committer = Committer(house.store, house.dispatch, Outbox(), wall)
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(committer.run)
            await trio.sleep(3)
            ahead = HOUR
            await trio.sleep(3)
            nursery.cancel_scope.cancel()
    said = [line for line in lines if line["event"] == "clock_set"]
    assert [line["seconds"] for line in said] == [3_600.0]
    deadline = house.store.next_deadline()
    assert deadline is not None
    assert deadline > wall() + REST_MILLISECONDS - 10 * SECOND
    house.close()
