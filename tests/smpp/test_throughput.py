"""Pacing: the bucket, the cut and the recovery."""

from __future__ import annotations

from collections import deque
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.smpp.throughput import (
    AHEAD_SECONDS,
    LATE_SECONDS,
    NEAR_SHARE,
    REST_SECONDS,
    UNLIMITED,
    Throughput,
)

RECOVERY_SECONDS_MAX: Final = 90.0
"""From the last complaint: from 1 a second to 1,000 and beyond, by a tenth a second."""

# How long to wait before the next try, and whether a throttled answer came just then.
STEPS = st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=60)


def spend_all(throughput: Throughput, now: float) -> int:
    allowance = throughput.allowance(now)
    throughput.spend(allowance, now)
    return allowance


def run(throughput: Throughput, start: float, seconds: float) -> int:
    """Send all that is allowed whenever it is, and return how much that was."""
    now, sent = start, 0
    while now < start + seconds:
        sent += spend_all(throughput, now)
        now = throughput.next_at(now)
    return sent


def test_no_limit_allows_more_than_any_window() -> None:
    throughput = Throughput(0)
    throughput.spend(10_000, 0.0)
    assert throughput.allowance(0.0) == UNLIMITED
    assert throughput.next_at(0.0) == 0.0


def test_a_throughput_is_not_negative() -> None:
    with pytest.raises(ValueError, match="submits a second"):
        Throughput(-1)


def test_a_burst_is_a_tenth_of_a_second() -> None:
    throughput = Throughput(100)
    assert spend_all(throughput, 0.0) == 10
    assert throughput.allowance(0.0) == 0
    assert throughput.allowance(0.05) == 5
    assert throughput.allowance(60.0) == 10


def test_a_slow_carrier_gets_one_at_a_time() -> None:
    throughput = Throughput(0.5)
    assert spend_all(throughput, 0.0) == 1
    assert throughput.next_at(0.0) == pytest.approx(2.0 - LATE_SECONDS)
    assert throughput.allowance(1.9) == 0
    assert throughput.allowance(2.0) == 1
    assert throughput.allowance(60.0) == 1


@given(st.floats(0.5, 19.0), st.lists(st.floats(0, LATE_SECONDS), min_size=20, max_size=20))
def test_a_slow_carrier_loses_nothing_where_it_is_asked_late(
    limit: float, delays: list[float]
) -> None:
    throughput, now = Throughput(limit), 0.0
    for delay in [0.0, *delays, 0.0]:
        assert spend_all(throughput, now) == 1
        now = throughput.next_at(now) + delay
    assert now == pytest.approx((len(delays) + 2) / limit - LATE_SECONDS)


def test_the_limit_is_reached_and_not_passed() -> None:
    assert run(Throughput(100), 0.0, 10.0) == pytest.approx(1010, abs=2)


def test_spending_beyond_the_allowance_is_owed() -> None:
    throughput = Throughput(10)
    throughput.spend(11, 0.0)
    assert throughput.next_at(0.0) == pytest.approx(1.1 - LATE_SECONDS)


def test_a_throttled_carrier_gets_half_of_what_was_sent() -> None:
    throughput = Throughput(1000)
    run(throughput, 0.0, 2.0)
    throughput.slow_down(2.0)
    assert throughput.statistics().pace == pytest.approx(500, rel=0.02)


def test_a_throttled_carrier_that_measured_nothing_gets_half_its_pace() -> None:
    throughput = Throughput(100)
    throughput.slow_down(5.0)
    assert throughput.statistics().pace == 50


def test_throttling_pauses_until_the_next_one_is_due() -> None:
    throughput = Throughput(100)
    throughput.slow_down(5.0)
    assert throughput.allowance(5.0) == 0
    assert throughput.next_at(5.0) == pytest.approx(5.02)


def test_a_window_full_of_throttled_answers_is_one_cut() -> None:
    throughput = Throughput(100)
    throughput.slow_down(5.0)
    throughput.slow_down(5.0)
    throughput.slow_down(5.9)
    assert throughput.statistics().cuts == 1
    throughput.slow_down(6.0)
    assert throughput.statistics().cuts == 2


def test_a_carrier_that_throttles_all_is_still_asked_once_a_second() -> None:
    throughput = Throughput(100)
    for second in range(20):
        throughput.slow_down(float(second))
    assert throughput.statistics().pace == 1
    assert throughput.next_at(19.0) == pytest.approx(20.0)


def test_recovery_adds_a_tenth_of_the_pace_before_the_cut_each_second() -> None:
    throughput = Throughput(100)
    throughput.slow_down(0.0)
    paces = []
    for second in range(1, 6):
        throughput.allowance(float(second))
        paces.append(throughput.statistics().pace)
    assert paces == pytest.approx([60, 70, 80, 90, 95])


def test_recovery_rests_below_the_pace_that_was_too_much_and_then_goes_on() -> None:
    throughput = Throughput(100)
    throughput.slow_down(0.0)
    throughput.allowance(5.0 + REST_SECONDS + 0.9)
    assert throughput.statistics().pace == pytest.approx(NEAR_SHARE * 100)
    throughput.allowance(5.0 + REST_SECONDS + 1.0)
    assert (throughput.statistics().pace, throughput.statistics().slowed) == (100, False)


@pytest.mark.parametrize("limit", [100, 500, 0])
def test_a_carrier_that_takes_less_than_its_limit_is_given_most_of_it(limit: float) -> None:
    """By the carrier's own clock: it takes 50 in any second and throttles the others."""
    throughput, taken, seconds = Throughput(limit), deque[float](), 200
    total = 0
    for tick in range(50 * seconds):
        now = tick / 50
        while taken and now - taken[0] >= 1:
            taken.popleft()
        count = min(throughput.allowance(now), 200)
        throughput.spend(count, now)
        room = min(count, 50 - len(taken))
        taken.extend([now] * room)
        total += room
        if room < count:
            throughput.slow_down(now)
    assert total >= 0.8 * 50 * seconds
    assert throughput.statistics().cuts <= seconds / 8


@settings(max_examples=50)
@given(st.floats(1, 1_000), st.lists(st.floats(0.05, 5.0), min_size=1, max_size=300))
def test_after_any_storm_the_pace_is_back_at_the_limit(limit: float, pauses: list[float]) -> None:
    throughput, now = Throughput(limit), 0.0
    for pause in pauses:
        now += pause
        spend_all(throughput, now)
        throughput.slow_down(now)
    throughput.allowance(now + RECOVERY_SECONDS_MAX)
    assert throughput.statistics().pace >= 0.95 * limit
    assert not throughput.statistics().slowed


@settings(max_examples=50)
@given(st.integers(1, 1_000), st.lists(st.floats(0.05, 5.0), min_size=1, max_size=300))
def test_after_any_storm_a_carrier_without_limit_has_its_former_pace_at_least(
    before: int, pauses: list[float]
) -> None:
    throughput, now = Throughput(0), 10.0
    throughput.spend(before, now)
    for pause in pauses:
        throughput.slow_down(now)
        throughput.spend(min(throughput.allowance(now), before), now)
        now += pause
    throughput.slow_down(now)
    throughput.allowance(now + RECOVERY_SECONDS_MAX)
    assert throughput.statistics().pace >= 0.95 * before


def test_recovery_from_the_floor_takes_a_minute_and_not_an_hour() -> None:
    throughput = Throughput(500)
    for second in range(20):
        throughput.slow_down(float(second))
    throughput.allowance(19.0 + 75.0)
    assert throughput.statistics().pace == 500


def test_without_a_limit_recovery_ends_at_twice_what_was_measured() -> None:
    throughput = Throughput(0)
    for tick in range(100):
        throughput.spend(10, tick / 100)
    throughput.slow_down(1.0)
    assert throughput.statistics().pace == pytest.approx(500, rel=0.05)
    throughput.allowance(12.0)
    assert throughput.statistics().slowed
    assert throughput.statistics().pace < 2000
    throughput.allowance(20.0)
    assert not throughput.statistics().slowed
    assert throughput.allowance(20.0) == UNLIMITED


def test_without_a_limit_or_a_measure_a_cut_lasts_a_second() -> None:
    throughput = Throughput(0)
    throughput.slow_down(0.0)
    assert throughput.statistics().pace == 1
    assert throughput.allowance(1.1) == UNLIMITED


@given(st.floats(0.1, 1000), STEPS)
def test_no_interval_has_more_than_its_limit_and_a_burst(
    limit: float, steps: list[tuple[float, bool]]
) -> None:
    throughput = Throughput(limit)
    now = 100.0
    sent: list[tuple[float, int]] = []
    for wait, throttled in steps:
        now += wait
        if throttled:
            throughput.slow_down(now)
        sent.append((now, spend_all(throughput, now)))
    burst = max(1.0 + limit * LATE_SECONDS, limit * AHEAD_SECONDS)
    for first, (start, _) in enumerate(sent):
        total = 0
        for end, count in sent[first:]:
            total += count
            assert total <= limit * (end - start) + burst + 0.002


@given(st.sampled_from([0.0, 0.3, 7.0, 100.0, 30_000.0]), STEPS)
def test_one_is_allowed_when_next_at_says_so(limit: float, steps: list[tuple[float, bool]]) -> None:
    throughput = Throughput(limit)
    now = 1_000_000.0
    for wait, throttled in steps:
        now += wait
        if throttled:
            throughput.slow_down(now)
        spend_all(throughput, now)
        due = throughput.next_at(now)
        assert due >= now
        assert due <= now + max(1.0, 1 / limit if limit else 1.0) + 0.001
        assert throughput.allowance(due) >= 1
        now = due


def test_statistics_count_what_was_spent() -> None:
    throughput = Throughput(100)
    throughput.spend(3, 0.0)
    throughput.spend(0, 0.0)
    statistics = throughput.statistics()
    assert (statistics.limit, statistics.pace, statistics.spent) == (100, 100, 3)


def test_a_new_limit_counts_from_now_on() -> None:
    throughput = Throughput(10)
    spend_all(throughput, 0.0)
    throughput.set_limit(1_000, 0.0)
    assert throughput.allowance(0.0) == 0
    assert throughput.allowance(0.05) == 50
    throughput.set_limit(0, 0.05)
    assert throughput.allowance(0.05) == UNLIMITED
    throughput.set_limit(20, 0.06)
    assert throughput.allowance(0.06) == 2


def test_a_new_limit_leaves_a_slowed_pace_slow() -> None:
    throughput = Throughput(100)
    run(throughput, 0.0, 2.0)
    throughput.slow_down(2.0)
    slowed = throughput.statistics().pace
    throughput.set_limit(1_000, 2.0)
    assert throughput.statistics().pace == slowed
    throughput.set_limit(1, 2.0)
    assert throughput.statistics().pace == 1
    run(throughput, 2.0, 60.0)
    assert throughput.statistics().pace == 1


def test_a_new_limit_is_not_negative() -> None:
    with pytest.raises(ValueError, match="submits a second"):
        Throughput(1).set_limit(-1, 0.0)
