"""Paused, drained and resumed carriers: what stops, what finishes, and who is told."""

from __future__ import annotations

import pytest

from smppd.routing.table import Route
from smppd.smpp.session import Submit
from smppd.store.changes import CarrierMode, Extras, Verdict
from smppd.traffic.holding import HELD_ROWS_MAX
from tests.house import House, Open, pdu_of, tag_of, texts

ALONE = {"carriers": ("alpha",), "routes": [Route("49", "alpha", "0.01")]}


def held(house: House) -> list[str]:
    return [str(event["ref"]) for event in house.events() if event["event"] == "held"]


def numbers(submits: list[Submit]) -> list[int]:
    return [pdu_of(submit).short_message[5] for submit in submits]


# --- paused ---


@pytest.mark.parametrize("mode", ["paused", "drained"])
def test_messages_go_to_the_next_offer(open_house: Open, mode: CarrierMode) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.set_mode("alpha", mode)
    house.submit("r1", text="r1")
    assert house.take("alpha") == []
    assert texts(house.take("beta")) == ["r1"]
    assert held(house) == []


def test_what_was_granted_and_not_taken_is_given_back_and_goes_elsewhere(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.submit("r1", "r2", text="r")
    house.take("alpha", room=1)
    house.set_mode("alpha", "paused")
    assert house.take("alpha") == []
    assert len(house.take("beta")) == 1


def test_paused_carrier_is_granted_nothing_not_even_the_rest(open_house: Open) -> None:
    house = open_house(window=1, **ALONE)
    house.up()
    house.submit("r1", text="x" * 400, segments=3)
    first = house.take()
    house.set_mode("alpha", "paused")
    house.answer(first)
    assert house.take() == []
    house.set_mode("alpha", "running")
    assert numbers(house.take()) == [2]


def test_answers_and_receipts_of_a_paused_carrier_count(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.up()
    house.submit("r1")
    submits = house.take()
    house.set_mode("alpha", "paused")
    house.answer(submits, ids=["m1"])
    house.receive("m1")
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_sleeping_bind_of_a_paused_carrier_is_left_asleep(open_house: Open) -> None:
    house = open_house(**ALONE)
    woken: list[str] = []
    house.dispatch.bind_asleep(house.slot(), lambda: woken.append("alpha"))
    house.set_mode("alpha", "paused")
    house.submit("r1")
    assert woken == []
    house.set_mode("alpha", "running")
    assert woken == ["alpha"]


def test_explanation_of_health_names_the_operators_word_first(open_house: Open) -> None:
    house = open_house(**ALONE)
    state = house.states["alpha"]
    assert state.explain_health() == "no bind is up"
    house.up()
    assert state.explain_health() == ""
    house.dispatch.bind_stalled(house.slot())
    assert state.explain_health() == "it does not answer"
    house.set_mode("alpha", "paused")
    assert state.explain_health() == "it is paused"


# --- drained ---


def test_drained_carrier_finishes_what_has_begun_and_begins_nothing(open_house: Open) -> None:
    house = open_house(window=1, **ALONE)
    house.up()
    house.submit("long", text="x" * 400, segments=3)
    house.submit("later")
    first = house.take()
    house.set_mode("alpha", "drained")
    assert not house.dispatch.is_carrier_idle(house.store, "alpha")
    house.answer(first)
    for number in (2, 3):
        submits = house.take()
        assert numbers(submits) == [number]
        house.answer(submits)
    assert house.take() == []
    assert house.dispatch.is_carrier_idle(house.store, "alpha")


def test_resting_carrier_is_drained_and_nobody_is_told_held(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.up()
    house.dispatch.set_resting("alpha")
    house.submit("r1")
    assert house.take() == []
    assert held(house) == []
    assert house.states["alpha"].explain_health() == "its binds are being replaced"
    house.set_mode("alpha", "running")
    assert len(house.take()) == 1


def test_mode_of_an_unknown_carrier_changes_nothing(open_house: Open) -> None:
    house = open_house()
    assert house.dispatch.set_mode("gamma", "paused") == []
    assert house.dispatch.set_resting("gamma") == []
    assert house.dispatch.is_carrier_idle(house.store, "gamma")


# --- over restarts ---


@pytest.mark.parametrize("mode", ["paused", "drained"])
def test_mode_outlives_the_process(open_house: Open, mode: CarrierMode) -> None:
    house = open_house()
    house.set_mode("alpha", mode)
    house.close()
    house = open_house()
    assert house.store.modes() == {"alpha": mode}
    house.up("alpha")
    house.up("beta")
    house.submit("r1", text="r1")
    assert house.take("alpha") == []
    assert texts(house.take("beta")) == ["r1"]
    house.set_mode("alpha", "running")
    house.close()
    assert open_house().store.modes() == {}


def test_mode_of_a_carrier_that_is_gone_waits_for_its_return(open_house: Open) -> None:
    house = open_house()
    house.set_mode("alpha", "paused")
    house.close()
    house = open_house(carriers=("beta",))
    assert house.store.modes() == {"alpha": "paused"}
    house.close()
    assert open_house().states["alpha"].mode == "paused"


# --- held ---


def test_message_that_only_a_paused_carrier_could_take_is_told_held(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.set_mode("alpha", "paused")
    house.submit("r1")
    (event,) = house.events()
    assert (event["event"], event["code"], event["until"]) == ("held", "carrier_paused", None)
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert (view.state, view.held, view.final) == ("queued", "carrier_paused", False)


def test_messages_that_wait_already_are_told_when_the_last_offer_is_paused(
    open_house: Open,
) -> None:
    house = open_house()
    house.submit("r1", "r2")
    house.set_mode("alpha", "paused")
    assert held(house) == []
    house.set_mode("beta", "drained")
    assert held(house) == ["r1", "r2"]


def test_held_is_told_once_however_often_the_carrier_is_paused(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.submit("r1")
    for _ in range(3):
        house.set_mode("alpha", "paused")
        house.set_mode("alpha", "running")
    assert held(house) == ["r1"]


def test_held_is_told_again_only_after_a_grant(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.set_mode("alpha", "paused")
    house.submit("r1")
    house.set_mode("alpha", "running")
    house.up()
    house.answer(house.take(), verdict=Verdict.SLOW, status=0x58)
    house.set_mode("alpha", "paused")
    assert held(house) == ["r1", "r1"]


def test_held_message_goes_when_its_carrier_is_resumed(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.up()
    house.set_mode("alpha", "paused")
    house.submit("r1")
    house.set_mode("alpha", "running")
    house.answer(house.take())
    assert house.told() == [("r1", "held"), ("r1", "sent")]
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert view.held is None


def test_held_message_is_not_told_again_by_a_restart(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.submit("r1")
    house.set_mode("alpha", "paused")
    house.submit("r2")
    house.close()
    house = open_house(**ALONE)
    house.commit([])
    assert held(house) == ["r1", "r2"]


def test_what_a_crash_left_untold_is_told_after_the_restart(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.submit(*[f"r{number}" for number in range(HELD_ROWS_MAX + 50)])
    house.set_mode("alpha", "paused")
    assert len(held(house)) == HELD_ROWS_MAX
    house.close()
    house = open_house(**ALONE)
    while (due := house.dispatch.next_at()[1]) is not None and due <= house.now:
        house.commit([])
    assert sorted(held(house)) == sorted(f"r{number}" for number in range(HELD_ROWS_MAX + 50))


def test_long_backlog_is_told_in_bounded_commits_without_a_pause(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.submit(*[f"r{number}" for number in range(2 * HELD_ROWS_MAX + 50)])
    house.set_mode("alpha", "paused")
    told = [len(held(house))]
    while (due := house.dispatch.next_at()[1]) is not None and due <= house.now:
        house.commit([])
        told.append(len(held(house)))
    assert told == [HELD_ROWS_MAX, 2 * HELD_ROWS_MAX, 2 * HELD_ROWS_MAX + 50]


def test_resume_ends_the_telling(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.submit(*[f"r{number}" for number in range(2 * HELD_ROWS_MAX)])
    house.set_mode("alpha", "paused")
    house.set_mode("alpha", "running")
    house.commit([])
    assert len(held(house)) == HELD_ROWS_MAX


def test_scheduled_message_is_told_held_when_it_is_due(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.submit("before", extras=Extras(send_at=house.now + 60_000))
    house.set_mode("alpha", "paused")
    house.submit("after", extras=Extras(send_at=house.now + 120_000))
    assert held(house) == []
    house.pass_time(60)
    assert held(house) == ["before"]
    house.pass_time(60)
    assert held(house) == ["before", "after"]


def test_half_sent_message_of_a_paused_carrier_is_told_held(open_house: Open) -> None:
    house = open_house(window=1)
    house.up("alpha")
    house.submit("r1", text="x" * 200, segments=2)
    first = house.take()
    house.set_mode("alpha", "paused")
    house.answer(first)
    assert held(house) == ["r1"]


def test_message_that_a_new_route_can_carry_is_held_no_longer(open_house: Open) -> None:
    house = open_house(routes=[Route("49", "alpha", "0.01")])
    house.set_mode("alpha", "paused")
    house.submit("r1")
    house.reroute([Route("49", "beta", "0.02")])
    house.commit([])
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert view.held is None


def test_validity_runs_on_while_held(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.set_mode("alpha", "paused")
    house.submit("r1", valid_for=5)
    house.pass_time(6)
    assert house.told() == [("r1", "held"), ("r1", "expired")]


def test_dead_carrier_is_no_reason_to_be_held(open_house: Open) -> None:
    house = open_house()
    house.set_mode("alpha", "paused")
    house.submit("r1")
    assert held(house) == []


def test_doubt_while_paused_keeps_its_promise_after_it(open_house: Open) -> None:
    house = open_house(**ALONE)
    house.up()
    house.submit("r1")
    submits = house.take()
    house.set_mode("alpha", "paused")
    house.down(doubt=[tag_of(submit) for submit in submits])
    house.up()
    assert house.take() == []
    house.set_mode("alpha", "running")
    assert len(house.take()) == 1
