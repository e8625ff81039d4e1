"""The grant step without links: health, failover, sleep, drain, and what a restart finds."""

from __future__ import annotations

import pytest

from smppd.routing.table import Route
from smppd.smpp.constants import TLV_MESSAGE_PAYLOAD
from smppd.smpp.data_sm import DataSm
from smppd.smpp.session import Submit
from smppd.store.changes import GivenBack, Verdict
from smppd.traffic.compose import build_data
from smppd.traffic.places import STALE_ROWS_MAX
from tests.house import House, Open, pdu_of, texts


def segments(submits: list[Submit]) -> list[int]:
    return [pdu_of(submit).short_message[5] for submit in submits]


def submit_each(house: House, *names: str, **fields: object) -> None:
    """A message a name, which is its ref and its text."""
    for name in names:
        house.submit(name, text=name, **fields)


# --- health ---


def test_waiting_messages_follow_health_without_moving(open_house: Open) -> None:
    house = open_house(window=5)
    submit_each(house, "r1", "r2", "r3", "r4")
    house.up("beta")
    assert texts(house.take("beta")) == ["r1", "r2", "r3", "r4"]
    house.up("alpha")
    submit_each(house, "r5")
    assert texts(house.take("alpha")) == ["r5"]
    assert house.take("beta") == []


def test_stalled_carrier_is_passed_over_until_it_is_bound_again(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.dispatch.bind_stalled(house.slot("alpha"))
    submit_each(house, "r1")
    assert texts(house.take("beta")) == ["r1"]
    house.down("alpha")
    house.up("alpha")
    submit_each(house, "r2")
    assert texts(house.take("alpha")) == ["r2"]


def test_carrier_with_one_stalled_bind_is_still_healthy(open_house: Open) -> None:
    house = open_house(binds=2)
    house.up("alpha", 0)
    house.up("alpha", 1)
    house.up("beta")
    house.dispatch.bind_stalled(house.slot("alpha", 0))
    submit_each(house, "r1")
    assert texts(house.take("alpha", 1)) == ["r1"]


@pytest.mark.parametrize("end", ["down", "stalled"])
def test_what_a_bind_was_granted_and_never_took_goes_elsewhere_unflagged(
    open_house: Open, end: str
) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    submit_each(house, "r1", "r2")
    taken = house.take("alpha", room=1)
    slot = house.slot("alpha")
    dispatch = house.dispatch
    tags = dispatch.bind_down(slot) if end == "down" else dispatch.bind_stalled(slot)
    house.commit([GivenBack("alpha", 0, tags, house.now)])
    assert texts(taken) == ["r1"]
    submits = house.take("beta")
    assert texts(submits) == ["r2"]
    house.answer(submits, carrier="beta")
    assert "maybe_duplicate" not in house.events()[0]


def test_take_hands_over_what_was_granted_in_its_order(open_house: Open) -> None:
    house = open_house()
    house.up()
    submit_each(house, "r1", "r2", "r3")
    assert texts(house.take(room=2)) == ["r1", "r2"]
    assert texts(house.take(room=2)) == ["r3"]
    assert house.take() == []


def test_carrier_that_wants_data_sm_is_given_it(open_house: Open) -> None:
    house = open_house()
    house.states["alpha"].build = build_data
    house.up()
    submit_each(house, "r1")
    (submit,) = house.take()
    assert isinstance(submit.pdu, DataSm)
    assert submit.pdu.tlvs[TLV_MESSAGE_PAYLOAD] == b"r1"


def test_binds_share_the_throughput_of_their_carrier(open_house: Open) -> None:
    house = open_house(binds=2, window=100, throughput=100)
    house.up(bind=0)
    house.up(bind=1)
    submit_each(house, *[f"r{number}" for number in range(60)])
    assert len(house.take(bind=0)) + len(house.take(bind=1)) <= 10


# --- asleep ---


def test_sleeping_bind_is_healthy_and_woken_by_work_alone(open_house: Open) -> None:
    house = open_house()
    woken: list[str] = []
    house.up("beta")
    house.dispatch.bind_asleep(house.slot("alpha"), lambda: woken.append("alpha"))
    house.commit([])
    assert house.states["alpha"].is_healthy()
    assert woken == []
    submit_each(house, "r1")
    assert woken == ["alpha"]
    assert house.take("beta") == []
    house.up("alpha")
    assert texts(house.take("alpha")) == ["r1"]


def test_sleeper_that_did_not_come_up_gives_way_to_the_next_offer(open_house: Open) -> None:
    house = open_house()
    house.up("beta")
    house.dispatch.bind_asleep(house.slot("alpha"), lambda: None)
    submit_each(house, "r1")
    house.down("alpha")
    assert not house.states["alpha"].is_healthy()
    assert texts(house.take("beta")) == ["r1"]


# --- drain ---


def test_drain_finishes_what_has_begun_and_begins_nothing(open_house: Open) -> None:
    house = open_house(window=2, carriers=("alpha",))
    house.up()
    house.submit("long", text="x" * 500, segments=4)
    submit_each(house, "later")
    first = house.take()
    house.dispatch.stop()
    assert not house.dispatch.is_idle(house.store)
    house.answer(first)
    second = house.take()
    assert segments(first + second) == [1, 2, 3, 4]
    house.answer(second)
    assert house.take() == []
    assert house.dispatch.is_idle(house.store)
    assert house.told() == [("long", "sent")]


def test_drain_does_not_wait_for_a_bind_that_is_down(open_house: Open) -> None:
    house = open_house(window=2, carriers=("alpha",))
    house.up()
    house.submit("long", text="x" * 500, segments=4)
    house.answer(house.take())
    house.down()
    house.dispatch.stop()
    assert house.dispatch.is_idle(house.store)


def test_drain_wakes_no_sleeper(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    woken: list[str] = []
    house.dispatch.bind_asleep(house.slot("alpha"), lambda: woken.append("alpha"))
    house.dispatch.stop()
    submit_each(house, "r1")
    assert woken == []


# --- long messages and the reserve ---


def test_reserve_is_never_kept_from_a_half_sent_message(open_house: Open) -> None:
    house = open_house(window=10)
    house.up()
    house.submit("long", text="x" * 153 * 10, segments=10)
    taken = house.take()
    assert segments(taken) == list(range(1, 9)), "two are kept for one-time codes"
    house.commit([])
    assert segments(house.take()) == [9, 10]


def test_small_window_keeps_nothing_for_one_time_codes(open_house: Open) -> None:
    house = open_house(window=4)
    house.up()
    submit_each(house, "r1", "r2", "r3", "r4", "r5")
    assert len(house.take()) == 4


def test_half_sent_message_is_finished_before_a_one_time_code_begins(open_house: Open) -> None:
    house = open_house(window=2)
    house.up()
    house.submit("long", text="x" * 153 * 4, segments=4)
    submit_each(house, "code", message_class="otp")
    house.answer(house.take())
    assert segments(house.take()) == [3, 4]


def test_rest_of_a_message_goes_where_it_began_also_after_a_restart(open_house: Open) -> None:
    house = open_house(window=3, binds=2, carriers=("alpha",))
    house.up(bind=0)
    house.submit("two", text="x" * 200, segments=2)
    house.submit("four", text="y" * 500, segments=4)
    house.up(bind=1)
    house.take(bind=0)
    house.take(bind=1)
    house.close()
    house = open_house(window=1, binds=2, carriers=("alpha",))
    house.up(bind=0)
    house.up(bind=1)
    first = house.take(bind=0)
    second = house.take(bind=1)
    assert len(first) == len(second) == 1
    assert pdu_of(first[0]).short_message[3:5] != pdu_of(second[0]).short_message[3:5]


# --- what a restart finds ---


def refuse_by_alpha(house: House, *refs: str) -> None:
    house.up("alpha")
    submit_each(house, *refs)
    submits = house.take("alpha")
    house.answer(submits, verdict=Verdict.REROUTE, status=0x0B, ids=[""] * len(submits))


def test_refused_messages_keep_their_refusals_over_a_restart(open_house: Open) -> None:
    house = open_house()
    refuse_by_alpha(house, "r1", "r2")
    house.close()
    house = open_house()
    house.up("alpha")
    assert house.take("alpha") == []
    house.up("beta")
    assert texts(house.take("beta")) == ["r1", "r2"]


def test_refused_message_is_not_offered_again_to_who_refused_it_by_a_new_table(
    open_house: Open,
) -> None:
    house = open_house()
    refuse_by_alpha(house, "r1")
    house.close()
    house = open_house(routes=[Route("49", "alpha", "0.05")])
    house.up("alpha")
    assert house.take("alpha") == []
    assert house.told() == [("r1", "failed")]
    assert house.events()[0]["code"] == "rejected_by_carrier"


def test_refused_message_finds_the_offer_a_new_table_has_for_it(open_house: Open) -> None:
    house = open_house()
    refuse_by_alpha(house, "r1")
    house.close()
    house = open_house(
        routes=[Route("49", "alpha", "0.01"), Route("49", "gamma", "0.03")],
        carriers=("alpha", "beta", "gamma"),
    )
    house.up("alpha")
    house.up("gamma")
    assert house.take("alpha") == []
    assert texts(house.take("gamma")) == ["r1"]


def test_long_stale_queue_is_routed_anew_in_batches_without_a_pause(open_house: Open) -> None:
    house = open_house()
    names = [f"r{number}" for number in range(5 * STALE_ROWS_MAX + 50)]
    house.submit(*names)
    house.close()
    house = open_house(routes=[Route("49", "beta", "0.09")], window=2_000)
    house.up("beta")
    commits = 0
    while (due := house.dispatch.next_at()[1]) is not None and due <= house.now:
        house.commit([])
        commits += 1
    assert commits <= 6
    assert len(house.take("beta", room=2_000)) == len(names)


def test_stale_message_that_is_not_due_is_moved_and_waits_on(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    submit_each(house, "r1")
    house.answer(house.take("alpha"), verdict=Verdict.RETRY, status=0x64, ids=[""])
    house.close()
    house = open_house(routes=[Route("49", "beta", "0.09")], now=house.now)
    house.up("beta")
    assert house.take("beta") == []
    house.pass_time(1)
    assert texts(house.take("beta")) == ["r1"]


def test_message_of_a_carrier_that_is_gone_goes_to_the_next_offer(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1")
    house.close()
    house = open_house(carriers=("beta",))
    house.up("beta")
    assert texts(house.take("beta")) == ["r1"]


def test_what_waits_in_memory_is_counted(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1", "r2")
    assert house.dispatch.statistics().queued_in_memory == 2
    house.up()
    statistics = house.dispatch.statistics()
    assert (statistics.queued_in_memory, statistics.granted) == (0, 2)


def test_rest_of_a_message_that_is_too_late_waits_for_the_answer_of_its_beginning(
    open_house: Open,
) -> None:
    house = open_house()
    house.up()
    house.submit("r1", text="x" * 400, segments=3, valid_for=5)
    begun = house.take(room=1)
    house.pass_time(6)
    assert house.take() == []
    house.commit([GivenBack("alpha", 0, house.slot().take_late(), house.now)])
    assert not house.slot().granted, "it would be given back and granted again without end"
    house.answer(begun, ids=["m1"])
    assert len(house.take()) == 2
