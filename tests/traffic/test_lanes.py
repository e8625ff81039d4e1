"""Lanes: one-time codes first, the rest by weight, and what is not due in nobody's way."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from smppd.routing.table import Route
from smppd.store.changes import Extras, Verdict
from tests.house import House, Open, pdu_of, texts

ONE_CARRIER = {"carriers": ("alpha",), "routes": [Route("49", "alpha", "0.01")]}


def fill(house: House, count: int, message_class: str, **fields: object) -> None:
    house.submit(
        *[f"{message_class}{number}" for number in range(count)],
        text=message_class[0],
        message_class=message_class,
        **fields,
    )


def work_off(house: House, count: int) -> list[str]:
    """What goes out, one window after another, until ``count`` have gone."""
    seen: list[str] = []
    while len(seen) < count and (submits := house.take()):
        seen += texts(submits)
        house.answer(submits)
    return seen[:count]


# --- weights ---


@pytest.mark.parametrize("window", [1, 2, 3, 4, 50])
def test_lanes_share_four_to_one_whatever_the_window(open_house: Open, window: int) -> None:
    house = open_house(window=window, **ONE_CARRIER)
    fill(house, 100, "promotional")
    fill(house, 100, "transactional")
    house.up()
    counts = Counter(work_off(house, 100))
    assert counts["t"] == 80
    assert counts["p"] == 20


@pytest.mark.parametrize(("weights", "share"), [((1, 1), 30), ((2, 1), 40), ((1, 4), 12)])
def test_weights_are_the_configurations(
    open_house: Open, weights: tuple[int, int], share: int
) -> None:
    transactional, promotional = weights
    house = open_house(
        window=1,
        weights={"transactional": transactional, "promotional": promotional},
        **ONE_CARRIER,
    )
    fill(house, 60, "promotional")
    fill(house, 60, "transactional")
    house.up()
    assert Counter(work_off(house, 60))["t"] == share


def test_weights_change_with_a_reload(open_house: Open) -> None:
    house = open_house(window=1, **ONE_CARRIER)
    fill(house, 50, "promotional")
    fill(house, 50, "transactional")
    house.up()
    house.dispatch.set_table(house.table, {"transactional": 1, "promotional": 9})
    assert Counter(work_off(house, 50))["p"] >= 40


def test_lane_alone_gets_everything_and_owes_nothing(open_house: Open) -> None:
    house = open_house(window=5, **ONE_CARRIER)
    fill(house, 40, "promotional")
    house.up()
    assert work_off(house, 30) == ["p"] * 30
    fill(house, 40, "transactional")
    assert Counter(work_off(house, 20))["t"] >= 12


def test_one_time_codes_go_before_both_whatever_their_weight(open_house: Open) -> None:
    house = open_house(window=1, weights={"transactional": 100, "otp": 1}, **ONE_CARRIER)
    fill(house, 10, "promotional")
    fill(house, 10, "transactional")
    fill(house, 10, "otp")
    house.up()
    assert work_off(house, 10) == ["o"] * 10


def test_long_message_is_not_cut_by_its_share_and_is_paid_back(open_house: Open) -> None:
    house = open_house(window=20, **ONE_CARRIER)
    house.submit("long", text="P" * 153 * 12, segments=12, message_class="promotional")
    fill(house, 100, "promotional")
    fill(house, 100, "transactional")
    house.up()
    first = house.take()
    long = [submit for submit in first if b"P" in pdu_of(submit).short_message]
    assert len(long) == 12, "it goes in one piece, beyond its share of one"
    house.answer(first)
    others = sum(b"t" in pdu_of(submit).short_message for submit in first)
    rest = work_off(house, 36)
    assert rest.count("p") == 0, "its lane waits until the other has had four times as much"
    assert others + rest.count("t") >= 40


def test_groups_and_apps_of_a_lane_take_turns_within_its_share(open_house: Open) -> None:
    routes = [Route("49", "alpha", "0.01"), Route("86", "alpha", "0.02")]
    house = open_house(window=1, carriers=("alpha",), routes=routes)
    fill(house, 20, "transactional")
    house.submit("other", to="8613800138000", text="z")
    house.submit("app", app="crm", text="c")
    fill(house, 20, "promotional")
    house.up()
    seen = work_off(house, 10)
    assert "z" in seen
    assert "c" in seen


# --- not before ---


def scheduled(house: House, ref: str, seconds: int, **fields: object) -> None:
    extras = Extras(send_at=house.now + seconds * 1_000)
    house.submit(ref, text=ref, extras=extras, **fields)


def test_scheduled_message_waits_for_its_time_and_goes_then(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    house.up()
    scheduled(house, "r1", 60)
    assert house.take() == []
    assert house.dispatch.next_at()[1] == house.now + 60_000
    house.pass_time(59)
    assert house.take() == []
    house.pass_time(1)
    assert texts(house.take()) == ["r1"]


def test_scheduled_message_waits_on_after_a_restart(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    scheduled(house, "r1", 60)
    house.close()
    house = open_house(now=house.now + 30_000, **ONE_CARRIER)
    house.up()
    assert house.take() == []
    house.pass_time(30)
    assert texts(house.take()) == ["r1"]


def test_scheduled_message_holds_up_nobody(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    scheduled(house, "later", 60)
    house.submit("now", text="now")
    house.up()
    assert texts(house.take()) == ["now"]


def test_time_that_has_passed_already_is_now(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    house.up()
    scheduled(house, "r1", -5)
    assert texts(house.take()) == ["r1"]


def test_retry_of_a_scheduled_message_waits_from_its_answer(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    house.up()
    scheduled(house, "r1", 60)
    house.pass_time(60)
    house.answer(house.take(), verdict=Verdict.RETRY, status=0x64)
    assert house.take() == []
    house.pass_time(1)
    assert texts(house.take()) == ["r1"]


def test_scheduled_message_that_expires_first_is_never_sent(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    scheduled(house, "r1", 60, valid_for=30)
    house.pass_time(31)
    house.up()
    assert house.told() == [("r1", "expired")]
    house.pass_time(60)
    assert house.take() == []


# --- sleeping binds ---


def sleeping(house: House) -> list[str]:
    """Alpha's bind sleeps; who was woken."""
    woken: list[str] = []
    house.dispatch.bind_asleep(house.slot(), lambda: woken.append("alpha"))
    return woken


def test_sleeping_bind_is_woken_only_by_what_is_due(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    woken = sleeping(house)
    scheduled(house, "r1", 60)
    house.commit([])
    assert woken == []
    assert house.dispatch.next_at()[1] == house.now + 60_000
    house.pass_time(60)
    assert woken == ["alpha"]


def test_sleeping_bind_is_woken_by_what_a_restart_finds(open_house: Open) -> None:
    house = open_house(**ONE_CARRIER)
    house.submit("r1")
    house.close()
    house = open_house(**ONE_CARRIER)
    woken = sleeping(house)
    house.commit([])
    assert woken == ["alpha"]


def test_both_binds_of_a_sleeping_pair_are_woken(open_house: Open) -> None:
    house = open_house(bind="pair", **ONE_CARRIER)
    woken: list[int] = []
    for index in (0, 1):
        house.dispatch.bind_asleep(house.slot(bind=index), partial(woken.append, index))
    house.submit("r1")
    assert woken == [0, 1]


# --- kinds of binds ---


def test_receiver_is_granted_nothing_and_makes_nobody_healthy(open_house: Open) -> None:
    house = open_house(bind="pair")
    house.up("beta", 0)
    house.up("alpha", 1)
    assert not house.states["alpha"].is_healthy()
    house.submit("r1", text="r1")
    assert house.take("alpha", 1) == []
    assert texts(house.take("beta", 0)) == ["r1"]


def test_pair_sends_by_its_transmitter(open_house: Open) -> None:
    house = open_house(bind="pair", binds=2)
    assert [slot.kind for slot in house.states["alpha"].slots] == [
        "transmitter",
        "receiver",
        "transmitter",
        "receiver",
    ]
    house.up("alpha", 2)
    house.submit("r1", text="r1")
    assert texts(house.take("alpha", 2)) == ["r1"]
