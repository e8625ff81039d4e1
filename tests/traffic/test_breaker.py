"""The breaker by itself: what opens it, what it lets through, what closes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp import constants
from smppd.store.changes import Answered, Doubted, Verdict
from smppd.traffic.breaker import (
    CHANGES_MAX,
    COOL_DOWN_MAX,
    SLICES,
    WINDOWS_MAX,
    Breaker,
    count_errors,
)

TAG = b"t" * 10

OUTCOMES = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.integers(0, 30), st.integers(0, 30)), max_size=60
)


def make_breaker(share: float = 0.5) -> Breaker:
    return Breaker(share, window=60.0, minimum=20, cool_down=30.0)


def open_breaker(now: float = 100.0) -> Breaker:
    breaker = make_breaker()
    breaker.note(0, 20, now)
    assert breaker.state == "open"
    breaker.look(now)
    return breaker


def half_open_breaker(now: float = 130.0) -> Breaker:
    breaker = open_breaker(now - 30.0)
    breaker.look(now)
    assert breaker.awaits_probe
    return breaker


def states_of(breaker: Breaker) -> list[str]:
    return [change.state for change in breaker.take_changes()]


def test_half_of_twenty_segments_that_fail_open_it() -> None:
    breaker = make_breaker()
    breaker.note(10, 9, 100.0)
    assert breaker.lets_new
    breaker.note(0, 1, 100.5)
    assert (breaker.state, breaker.lets_new) == ("open", False)
    assert breaker.explain() == "its breaker is open: 10 of the last 20 segments failed"


def test_fewer_than_the_minimum_open_nothing() -> None:
    breaker = make_breaker()
    breaker.note(0, 19, 100.0)
    assert breaker.state == "closed"


def test_a_smaller_share_opens_nothing() -> None:
    breaker = make_breaker()
    breaker.note(100, 99, 100.0)
    assert breaker.state == "closed"


def test_errors_are_forgotten_after_the_window_where_it_has_enough_without_them() -> None:
    breaker = make_breaker()
    breaker.note(0, 19, 100.0)
    breaker.note(20, 1, 161.0)
    assert breaker.state == "closed"
    assert breaker.statistics(161.0).outcomes == 21


def test_a_carrier_with_few_outcomes_a_minute_is_judged_by_older_ones_too() -> None:
    breaker = make_breaker()
    for minute in range(3):
        assert breaker.state == "closed"
        breaker.note(0, 8, 100.0 + 61 * minute)
    assert breaker.state == "open"


def test_what_is_ten_windows_old_is_forgotten_in_any_case() -> None:
    breaker = make_breaker()
    breaker.note(0, 19, 100.0)
    breaker.note(0, 1, 701.0)
    assert breaker.state == "closed"
    assert breaker.statistics(701.0).outcomes == 1


def test_errors_within_the_window_add_up() -> None:
    breaker = make_breaker()
    for second in range(20):
        breaker.note(0, 1, 100.0 + 2 * second)
    assert breaker.state == "open"


def test_answers_that_count_for_nothing_open_nothing_and_thin_nothing_out() -> None:
    breaker = make_breaker()
    breaker.note(0, 10, 100.0, neutral=1_000)
    breaker.note(0, 10, 100.0, neutral=1_000)
    assert breaker.state == "open"


def test_a_share_of_nought_never_opens_it() -> None:
    breaker = make_breaker(share=0.0)
    breaker.note(0, 1_000, 100.0)
    assert breaker.state == "closed"


def test_after_the_cool_down_one_message_may_begin() -> None:
    breaker = open_breaker(100.0)
    assert not breaker.look(129.9)
    assert not breaker.lets_new
    assert breaker.look(130.0)
    assert (breaker.state, breaker.lets_new, breaker.awaits_probe) == ("half_open", True, True)
    breaker.begin_probe(130.0)
    assert (breaker.lets_new, breaker.awaits_probe) == (False, False)
    assert breaker.explain() == "its breaker is half-open, and the probe is not answered yet"


def test_a_probe_that_is_taken_closes_it() -> None:
    breaker = half_open_breaker(130.0)
    breaker.begin_probe(130.0)
    breaker.note(1, 0, 131.0)
    assert (breaker.state, breaker.lets_new, breaker.reason) == ("closed", True, "")
    assert states_of(breaker) == ["open", "half_open", "closed"]
    assert not breaker.is_quiet
    assert breaker.look(131.0)
    assert breaker.is_quiet


def test_a_probe_that_is_refused_or_throttled_closes_it_for_it_was_answered() -> None:
    breaker = half_open_breaker(130.0)
    breaker.begin_probe(130.0)
    breaker.note(0, 0, 131.0, neutral=1)
    assert breaker.state == "closed"


def test_a_probe_that_fails_doubles_the_cool_down_up_to_a_bound() -> None:
    breaker, now, waits = open_breaker(100.0), 100.0, []
    for _ in range(7):
        now = breaker.until
        breaker.look(now)
        breaker.begin_probe(now)
        breaker.note(0, 1, now)
        waits.append(breaker.until - now)
    assert waits == [60, 120, 240, 480, COOL_DOWN_MAX, COOL_DOWN_MAX, COOL_DOWN_MAX]


def test_a_breaker_that_closed_begins_with_the_short_cool_down_again() -> None:
    breaker = half_open_breaker(130.0)
    breaker.begin_probe(130.0)
    breaker.note(0, 1, 130.0)
    breaker.look(190.0)
    breaker.begin_probe(190.0)
    breaker.note(1, 0, 190.0)
    breaker.note(0, 20, 200.0)
    assert breaker.until == 230.0


def test_a_probe_nobody_hears_of_is_forgotten_after_a_cool_down() -> None:
    breaker = half_open_breaker(130.0)
    breaker.begin_probe(130.0)
    breaker.look(159.9)
    assert not breaker.lets_new
    assert breaker.look(160.0)
    assert breaker.awaits_probe


def test_what_comes_for_older_segments_neither_closes_nor_keeps_it_open() -> None:
    breaker = open_breaker(100.0)
    breaker.note(50, 0, 101.0)
    assert breaker.state == "open"
    breaker.look(130.0)
    breaker.note(0, 50, 131.0)
    assert breaker.awaits_probe


def test_a_pause_opens_it_whatever_was_counted_and_ends_in_a_probe() -> None:
    breaker = make_breaker(share=0.0)
    breaker.trip(100.0, 60.0, "it asked for a pause")
    assert breaker.explain() == "its breaker is open: it asked for a pause"
    breaker.look(159.9)
    assert not breaker.lets_new
    breaker.look(160.0)
    assert breaker.awaits_probe


def test_a_shorter_pause_does_not_shorten_a_longer_one() -> None:
    breaker = make_breaker()
    breaker.trip(100.0, 60.0, "first")
    breaker.trip(101.0, 5.0, "second")
    assert (breaker.until, breaker.reason) == (160.0, "first")
    assert breaker.statistics(101.0).opened == 1


def test_a_reload_changes_the_rules_and_not_the_state() -> None:
    breaker = open_breaker(100.0)
    breaker.set_rules(0.0, 60.0, 20, 5.0)
    assert (breaker.state, breaker.until) == ("open", 130.0)


def test_a_longer_window_forgets_in_its_time_what_a_shorter_one_has_counted() -> None:
    breaker = Breaker(0.5, window=6.0, minimum=20, cool_down=30.0)
    breaker.note(0, 19, 100_000.0)
    breaker.set_rules(0.5, 600.0, 20, 30.0)
    breaker.note(1, 1, 200_000.0)
    assert breaker.state == "closed"
    statistics = breaker.statistics(200_000.0)
    assert (statistics.outcomes, statistics.errors) == (2, 1)


def test_changes_that_nobody_logs_are_bounded() -> None:
    breaker = make_breaker()
    for second in range(100):
        breaker.trip(100.0 + 100 * second, 1.0, "again")
        breaker.look(190.0 + 100 * second)
    assert len(breaker.take_changes()) == CHANGES_MAX


def window_of(seen: list[tuple[int, int, int]], number: int) -> list[tuple[int, int, int]]:
    """Whole slices: the last ten, and before them as many as it takes to have twenty outcomes."""
    numbers = sorted({one[0] for one in seen}, reverse=True)
    outcomes, oldest = 0, number
    for one in numbers:
        if one <= number - SLICES and outcomes >= 20:
            break
        outcomes += sum(other[1] for other in seen if other[0] == one)
        oldest = one
    return [one for one in seen if one[0] >= oldest]


@given(OUTCOMES)
def test_it_opens_exactly_when_the_window_says_so(
    steps: list[tuple[float, int, int]],
) -> None:
    """Against a list of all that came, looked through from the start."""
    breaker, width, now = make_breaker(), 60.0 / SLICES, 1_000.0
    seen: list[tuple[int, int, int]] = []
    for pause, successes, errors in steps:
        now += pause
        number = int(now / width)
        seen.append((number, successes + errors, errors))
        breaker.note(successes, errors, now)
        seen = [one for one in seen if one[0] > number - WINDOWS_MAX * SLICES]
        recent = window_of(seen, number)
        outcomes, failed = sum(one[1] for one in recent), sum(one[2] for one in recent)
        is_ill = errors > 0 and outcomes >= 20 and failed >= 0.5 * outcomes
        assert (breaker.state == "open") == is_ill
        if is_ill:
            break


@pytest.mark.parametrize(
    ("verdict", "status", "errors"),
    [
        (Verdict.TAKEN, 0, 0),
        (Verdict.SLOW, constants.ESME_RTHROTTLED, 0),
        (Verdict.REFUSE, constants.ESME_RINVMSGLEN, 0),
        (Verdict.RETRY, constants.ESME_RSYSERR, 1),
        (Verdict.REROUTE, constants.ESME_RSUBMITFAIL, 1),
        (Verdict.REROUTE, constants.ESME_RINVDSTADR, 0),
        (Verdict.REROUTE, constants.ESME_RINVSRCADR, 0),
    ],
)
def test_what_speaks_against_a_carrier(verdict: Verdict, status: int, errors: int) -> None:
    assert count_errors([Answered("alpha", 0, TAG, verdict, status, "", 0)]) == errors


def test_segments_without_an_answer_speak_against_a_carrier_each() -> None:
    assert count_errors([Doubted("alpha", 0, [TAG, TAG, TAG], 0)]) == 3
