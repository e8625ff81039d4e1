"""How late the loop is, as a histogram."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from smppd.metrics.lag import BUCKETS, LOOK_SECONDS, LoopLag, measure_lag


@pytest.mark.parametrize(
    ("late", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (10.0, 12), (10.1, 13)]
)
def test_look_is_counted_in_the_first_bucket_that_holds_it(late: float, bucket: int) -> None:
    lag = LoopLag()
    lag.add(late)
    assert [index for index, count in enumerate(lag.counts) if count] == [bucket]
    assert lag.seconds == late
    assert len(lag.counts) == len(BUCKETS) + 1


async def test_loop_that_stood_still_is_seen(autojump_clock: trio.testing.MockClock) -> None:
    lag = LoopLag()

    async def hold_up() -> None:
        await trio.sleep(LOOK_SECONDS / 2)
        autojump_clock.jump(LOOK_SECONDS / 2 + 0.2)  # whatever it was, it did not yield

    async with trio.open_nursery() as nursery:
        nursery.start_soon(measure_lag, lag)
        nursery.start_soon(hold_up)
        await trio.sleep(1.5 * LOOK_SECONDS)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert lag.seconds == pytest.approx(0.2, abs=0.01)
