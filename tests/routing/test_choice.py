"""An offer is out by the app's own word, and money is compared as decimals."""

from __future__ import annotations

import pytest

from smppd.routing.choice import NO_WISH, Judged, Wish, judge_offers
from smppd.routing.offers import Offer

OFFERS = (Offer("alpha", "0.0210"), Offer("beta", "0.03"), Offer("gamma", "0.1"))
SEGMENTS = {"alpha": 2, "beta": 1, "gamma": 3}


def judge(wish: Wish, without_tlvs: str = "") -> list[Judged]:
    return judge_offers(OFFERS, wish, SEGMENTS.__getitem__, lambda name: name != without_tlvs)


def outs_of(wish: Wish, without_tlvs: str = "") -> list[str]:
    return [judged.out for judged in judge(wish, without_tlvs)]


def test_without_a_wish_every_offer_stands_with_its_total() -> None:
    assert judge(NO_WISH, without_tlvs="beta") == [
        Judged(OFFERS[0], 2, "0.0420", ""),
        Judged(OFFERS[1], 1, "0.03", ""),
        Judged(OFFERS[2], 3, "0.3", ""),
    ]


def test_order_is_that_of_the_offers_and_not_of_the_pins() -> None:
    judged = judge(Wish(carriers=("gamma", "alpha")))

    assert [one.offer.carrier for one in judged if not one.out] == ["alpha", "gamma"]
    assert judged[1].out == "not_pinned"


@pytest.mark.parametrize(
    ("max_cost", "outs"),
    [
        ("0.042", ["", "", "over_max_cost"]),
        ("0.0419999", ["over_max_cost", "", "over_max_cost"]),
        ("0.30", ["", "", ""]),
        ("0", ["over_max_cost"] * 3),
    ],
)
def test_max_cost_is_for_the_whole_message(max_cost: str, outs: list[str]) -> None:
    assert outs_of(Wish(max_cost=max_cost)) == outs


def test_money_is_no_float() -> None:
    offers = [Offer("alpha", "0.1")]

    judged = judge_offers(offers, Wish(max_cost="0.3"), lambda _: 3, lambda _: True)

    assert judged[0].out == ""  # as floats, 0.1 * 3 is above 0.3


def test_carrier_without_tlvs_is_out_only_where_they_are_needed() -> None:
    assert outs_of(Wish(needs_tlvs=True), without_tlvs="beta") == ["", "no_tlvs", ""]


def test_pin_is_named_before_tlvs_and_those_before_the_cost() -> None:
    wish = Wish(carriers=("beta",), max_cost="0.01", needs_tlvs=True)

    assert outs_of(wish, without_tlvs="beta") == ["not_pinned", "no_tlvs", "not_pinned"]
    assert outs_of(wish) == ["not_pinned", "over_max_cost", "not_pinned"]


def test_total_of_a_large_cost_is_written_in_full() -> None:
    offers = [Offer("alpha", "999999999.000001")]

    judged = judge_offers(offers, NO_WISH, lambda _: 255, lambda _: True)

    assert judged[0].total == "254999999745.000255"
