"""Phases: which keys hold when, and when that changes."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.simulator.behaviour import Behaviour
from smppd.simulator.profile import Phase, When
from smppd.simulator.timetable import find_behaviour, find_next_change

BASE = Behaviour(response_delay=1.0)
TIMES = st.floats(0, 1_000)
SPANS = st.floats(0.001, 100)


def phase(at: float, lasting: float | None, every: float | None = None, **keys: object) -> Phase:
    return Phase(When(at=at, lasting=lasting, every=every), keys or {"refuse_rate": 1.0})


@st.composite
def phases(draw: st.DrawFn) -> Phase:
    lasting = draw(SPANS)
    every = draw(st.none() | st.just(lasting + draw(SPANS)))
    return phase(
        draw(TIMES), draw(st.just(lasting) if every else st.none() | st.just(lasting)), every
    )


def test_without_a_phase_the_base_itself_holds_for_ever() -> None:
    assert find_behaviour(BASE, (), 5.0) is BASE
    assert find_next_change((), 5.0) == math.inf


def test_phase_holds_from_its_time_for_its_length() -> None:
    one = (phase(10, 5),)
    rates = [find_behaviour(BASE, one, time).refuse_rate for time in (0, 9.9, 10, 14.9, 15, 99)]
    assert rates == [0, 0, 1, 1, 0, 0]
    assert [find_next_change(one, time) for time in (0, 10, 15)] == [10, 15, math.inf]


def test_phase_without_a_length_holds_to_the_end() -> None:
    one = (phase(10, None),)
    assert find_behaviour(BASE, one, 1e9).refuse_rate == 1
    assert find_next_change(one, 10) == math.inf


def test_phase_comes_again() -> None:
    one = (phase(10, 5, 60),)
    times = (9, 10, 15, 70, 74.9, 75, 10 + 60 * 1000)
    rates = [find_behaviour(BASE, one, time).refuse_rate for time in times]
    assert rates == [0, 1, 0, 1, 1, 0, 1]
    assert [find_next_change(one, time) for time in (0, 10, 15, 70)] == [10, 15, 70, 75]


def test_later_phase_in_the_file_wins_key_by_key() -> None:
    both = (
        phase(0, 100, refuse_rate=0.5, receipt_delay=9.0),
        phase(10, 10, refuse_rate=1.0),
    )
    found = [find_behaviour(BASE, both, time) for time in (5, 15, 25)]
    assert [one.refuse_rate for one in found] == [0.5, 1.0, 0.5]
    assert {(one.receipt_delay, one.response_delay) for one in found} == {(9.0, 1.0)}


@settings(deadline=None, max_examples=200)
@given(st.lists(phases(), max_size=4), TIMES)
def test_nothing_changes_before_the_next_change(given_phases: list[Phase], time: float) -> None:
    change = find_next_change(given_phases, time)
    assert change > time
    between = time + (min(change, time + 1_000) - time) * 0.999
    if between < change:
        assert find_behaviour(BASE, given_phases, between) == find_behaviour(
            BASE, given_phases, time
        )
