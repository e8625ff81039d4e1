"""Delays: what is drawn, and what a profile may write."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.config.values import Wrong
from smppd.simulator.delay import (
    SECONDS_MAX,
    Delay,
    Exponential,
    Lognormal,
    Uniform,
    draw,
    read_delay,
)

SECONDS = st.floats(0, SECONDS_MAX)
DELAYS = st.one_of(
    SECONDS,
    st.builds(Uniform, SECONDS, SECONDS),
    st.builds(Lognormal, SECONDS, st.floats(0, 5)),
    st.builds(Exponential, SECONDS),
)


@settings(deadline=None, max_examples=50)
@given(DELAYS, st.integers(0, 20), st.integers())
def test_delay_is_as_many_seconds_as_asked_and_at_most_a_day(
    delay: Delay, count: int, seed: int
) -> None:
    drawn = draw(delay, random.Random(seed), count)
    assert len(drawn) == count
    assert all(0 <= one <= SECONDS_MAX for one in drawn)
    assert drawn == draw(delay, random.Random(seed), count)


def test_plain_number_draws_no_lot() -> None:
    chance = random.Random(1)
    before = chance.getstate()
    assert draw(0.5, chance, 3) == [0.5, 0.5, 0.5]
    assert chance.getstate() == before


def test_distributions_are_what_they_are_called() -> None:
    chance = random.Random(1)
    uniform = draw(Uniform(2, 4), chance, 2_000)
    assert 2 <= min(uniform) < 2.1 < 3.9 < max(uniform) <= 4
    lognormal = draw(Lognormal(0.05, 0.5), chance, 2_000)
    assert 0.045 < median(lognormal) < 0.055
    assert sum(one > 2.8 * 0.05 for one in lognormal) / 2_000 < 0.04
    exponential = draw(Exponential(2), chance, 2_000)
    assert 1.8 < sum(exponential) / 2_000 < 2.2


@pytest.mark.parametrize(
    ("written", "delay"),
    [
        (2, 2.0),
        (0.05, 0.05),
        ({"kind": "uniform", "min": 1, "max": 2}, Uniform(1, 2)),
        ({"kind": "lognormal", "median": 0.1, "sigma": 0.5}, Lognormal(0.1, 0.5)),
        ({"kind": "exponential", "mean": 3}, Exponential(3)),
    ],
)
def test_delay_is_read(written: object, delay: Delay) -> None:
    assert read_delay(written) == delay


@pytest.mark.parametrize(
    ("written", "wrong", "remedy"),
    [
        (-1, "-1 is no delay", "seconds from 0"),
        (True, "True is no delay", "seconds from 0"),
        ("1s", "'1s' is no delay", "lognormal"),
        (1e9, "no delay", "86400"),
        (float("nan"), "no delay", "86400"),
        ({}, "None is no kind", "'uniform', 'lognormal', 'exponential'"),
        ({"kind": "normal"}, "'normal' is no kind", "'uniform'"),
        ({"kind": "uniform", "min": 1}, "min, max", "min = SECONDS, max = SECONDS"),
        ({"kind": "uniform", "min": 1, "max": 2, "x": 1}, "no others", 'kind = "uniform"'),
        ({"kind": "uniform", "min": 2, "max": 1}, "min is above max", "exchange"),
        ({"kind": "lognormal", "median": -1, "sigma": 1}, "median", "sigma = 0.5"),
        ({"kind": "lognormal", "median": 1, "sigma": 9}, "sigma", "sigma = 0.5"),
        ({"kind": "exponential", "mean": "a"}, "mean", "mean = SECONDS"),
    ],
)
def test_delay_that_is_none_is_told_with_what_to_write(
    written: object, wrong: str, remedy: str
) -> None:
    found = read_delay(written)
    assert isinstance(found, Wrong)
    assert wrong in found.wrong
    assert remedy in found.remedy
