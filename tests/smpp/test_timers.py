"""The four timers as deadlines, told what happened and when."""

from __future__ import annotations

import math

from smppd.smpp.timers import Deadlines, Timers

TIMERS = Timers(
    session_init_timer=10.0, enquire_link_timer=60.0, response_timer=30.0, inactivity_timer=90.0
)


def test_the_defaults_are_those_of_the_configuration() -> None:
    assert Timers() == Timers(10.0, 30.0, 30.0, 0.0)


def test_enquire_link_is_due_after_silence() -> None:
    deadlines = Deadlines(TIMERS, 1.0)
    assert deadlines.enquire_link_at == 61.0
    deadlines.hear(5.0)
    assert deadlines.enquire_link_at == 65.0


def test_no_second_enquire_link_is_due_before_the_answer_to_the_first() -> None:
    deadlines = Deadlines(TIMERS, 0.0)
    deadlines.start_enquire_link(60.0)
    assert deadlines.enquire_link_at == math.inf
    assert not deadlines.enquire_link_unanswered(89.9)
    assert deadlines.enquire_link_unanswered(90.0)
    deadlines.end_enquire_link()
    assert not deadlines.enquire_link_unanswered(90.0)
    assert deadlines.enquire_link_at == 60.0


def test_a_timer_of_zero_never_runs_out() -> None:
    deadlines = Deadlines(Timers(enquire_link_timer=0.0, inactivity_timer=0.0), 0.0)
    assert deadlines.enquire_link_at == math.inf
    assert deadlines.inactivity_at == math.inf


def test_inactivity_counts_from_the_last_traffic_and_not_from_the_last_octet() -> None:
    deadlines = Deadlines(TIMERS, 0.0)
    deadlines.carry(5.0)
    deadlines.hear(50.0)
    assert deadlines.inactivity_at == 95.0


def test_a_bound_session_is_due_at_the_first_of_its_deadlines() -> None:
    deadlines = Deadlines(TIMERS, 0.0)
    assert deadlines.next_of_bound(None, False) == 60.0
    assert deadlines.next_of_bound(deadlines.response_deadline(1.0), False) == 31.0
    deadlines.hear(50.0)
    assert deadlines.next_of_bound(None, False) == 90.0


def test_a_stalled_session_is_due_at_the_end_of_its_phase_and_not_again_at_the_stall() -> None:
    deadlines = Deadlines(TIMERS, 0.0)
    deadlines.start_stall(25.0)
    assert deadlines.next_of_bound(25.0, True) == 55.0


def test_a_phase_lasts_as_long_as_its_timer() -> None:
    deadlines = Deadlines(TIMERS, 0.0)
    assert deadlines.phase == math.inf
    deadlines.start_init(5.0)
    assert deadlines.phase == 15.0
