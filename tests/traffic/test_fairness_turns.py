"""What each app has of a lane, in segments, and what is kept for one-time codes of a pace."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from smppd.routing.table import Route
from smppd.smpp.throughput import Throughput
from smppd.store.changes import Verdict
from smppd.traffic.granting import Granting
from tests.house import House, Open, texts

ONE_CARRIER = {"carriers": ("alpha",), "routes": [Route("49", "alpha", "0.01")]}
PREFIXES = ("4915", "4916", "4917", "86", "33")
MANY_ROUTES = {
    "carriers": ("alpha",),
    "routes": [Route(prefix, "alpha", f"0.0{number}") for number, prefix in enumerate(PREFIXES, 1)],
}
NUMBERS = ("4915112345678", "4916012345678", "491701234567", "8613800138000", "33612345678")


def fill(house: House, app: str, count: int, segments: int = 1, **fields: object) -> None:
    """``count`` messages of ``segments``, each of which begins with the app's first letter."""
    text = app[0] * (1 if segments == 1 else segments * 153)
    names = [f"{app}{number}" for number in range(count)]
    house.submit(*names, app=app, text=text, segments=segments, **fields)


def work_off(house: House, count: int) -> Counter[str]:
    """The first letters of the next ``count`` segments, as the SMSC takes them one window after
    another."""
    seen: list[str] = []
    while len(seen) < count and (submits := house.take()):
        seen += [text[-1] for text in texts(submits)]
        house.answer(submits)
    assert len(seen) >= count, f"only {len(seen)} were there"
    return Counter(seen[:count])


# --- turns ---


@pytest.mark.parametrize("window", [1, 4, 12, 50])
def test_apps_share_a_lane_by_segments_whoever_sends_long_ones(
    open_house: Open, window: int
) -> None:
    house = open_house(window=window, **ONE_CARRIER)
    fill(house, "long", 100, segments=8)
    fill(house, "short", 400)
    house.up()
    counts = work_off(house, 400)
    assert abs(counts["l"] - counts["s"]) <= window + 8, counts


def test_app_of_many_routes_has_no_more_than_one_of_a_single_route(open_house: Open) -> None:
    house = open_house(window=1, **MANY_ROUTES)
    for number in NUMBERS:
        names = [f"{number}-{index}" for index in range(40)]
        house.submit(*names, app="wide", text="w", to=number)
    fill(house, "narrow", 100)
    house.up()
    counts = work_off(house, 100)
    assert counts["n"] == counts["w"] == 50


def test_routes_of_an_app_take_turns(open_house: Open) -> None:
    house = open_house(window=1, **MANY_ROUTES)
    for number in NUMBERS:
        names = [f"{number}-{index}" for index in range(40)]
        house.submit(*names, text=number[1], to=number)
    house.up()
    assert set(work_off(house, 50).values()) == {10, 30}, "three of them begin with 9"


def test_app_whose_messages_are_retried_has_no_more_than_its_share(open_house: Open) -> None:
    house = open_house(window=50, **ONE_CARRIER)
    house.up()
    fill(house, "again", 200)
    for _ in range(10):
        if submits := house.take():
            house.answer(submits, verdict=Verdict.RETRY, status=0x64)
    house.now += 5_000
    fill(house, "first", 100)
    counts = work_off(house, 100)
    assert counts["f"] >= 45, counts


def test_small_app_is_not_starved_by_ten_that_flood(open_house: Open) -> None:
    house = open_house(window=5, **ONE_CARRIER)
    for number in range(10):
        fill(house, f"{number}flood", 100)
    house.up()
    work_off(house, 30)
    fill(house, "small", 5)
    assert work_off(house, 60)["s"] == 5


def test_app_that_has_nothing_due_owes_and_saves_nothing(open_house: Open) -> None:
    house = open_house(window=1, **ONE_CARRIER)
    fill(house, "a", 50)
    house.up()
    work_off(house, 40)
    fill(house, "b", 100)
    fill(house, "a", 100, valid_for=601)
    counts = work_off(house, 20)
    assert abs(counts["a"] - counts["b"]) <= 2, "one was granted before"


def test_lanes_share_by_segments_where_one_has_long_messages(open_house: Open) -> None:
    house = open_house(window=4, **ONE_CARRIER)
    fill(house, "long", 100, segments=8, message_class="promotional")
    fill(house, "short", 400)
    house.up()
    counts = work_off(house, 400)
    assert abs(counts["l"] - 80) <= 12, counts


def test_app_that_comes_and_goes_costs_its_lane_nothing(open_house: Open) -> None:
    house = open_house(window=1, **ONE_CARRIER)
    fill(house, "camp", 200, message_class="promotional")
    fill(house, "shop", 400)
    house.up()
    seen: Counter[str] = Counter()
    for number in range(15):
        house.submit(f"n{number}", app="news", text="n", message_class="promotional")
        seen += work_off(house, 20)
    assert seen["s"] == 4 * (seen["c"] + seen["n"])


def test_one_time_codes_of_apps_take_turns_too(open_house: Open) -> None:
    house = open_house(window=1, **ONE_CARRIER)
    fill(house, "flood", 100, message_class="otp")
    fill(house, "quiet", 10, message_class="otp")
    house.up()
    assert work_off(house, 20)["q"] == 10


def test_turns_are_found_again_after_a_restart(open_house: Open) -> None:
    house = open_house(window=1, **ONE_CARRIER)
    fill(house, "big", 300)
    fill(house, "small", 20)
    house.close()
    house = open_house(window=1, now=house.now, **ONE_CARRIER)
    house.up()
    assert work_off(house, 40)["s"] == 20


def test_turns_follow_the_messages_to_another_carrier_and_back(open_house: Open) -> None:
    house = open_house(window=1)
    fill(house, "big", 100)
    fill(house, "small", 20)
    house.up("beta")
    house.up("alpha")
    assert not any(house.states["beta"].turns), "alpha is cheaper, and up"
    house.answer(house.take("beta"), carrier="beta")
    assert work_off(house, 41)["s"] == 20


# --- paces ---


def saturate(house: House) -> None:
    """A campaign has used up all of the pace that is not kept, for many seconds."""
    fill(house, "promo", 200, message_class="promotional")
    house.up()
    for _ in range(200):
        house.answer(house.take())
        house.pass_time(0.02)
    house.answer(house.take())


@pytest.mark.parametrize("limit", [1, 5, 10, 20])
def test_one_time_code_goes_at_once_where_a_campaign_uses_up_the_pace(
    open_house: Open, limit: int
) -> None:
    house = open_house(throughput=float(limit), **ONE_CARRIER)
    saturate(house)
    fill(house, "code", 1, message_class="otp")
    assert texts(house.take()) == ["c"]


def test_campaign_has_the_whole_pace_but_for_the_one_kept(open_house: Open) -> None:
    house = open_house(throughput=10.0, **ONE_CARRIER)
    fill(house, "promo", 200, message_class="promotional")
    house.up()
    gone = 0
    for _ in range(500):
        submits = house.take()
        assert len(submits) <= 1, "never two of a campaign at once"
        gone += len(submits)
        house.answer(submits)
        house.pass_time(0.02)
    assert gone in (100, 101)


def test_next_wake_is_when_the_campaign_may_go_and_not_when_a_code_could(
    open_house: Open,
) -> None:
    house = open_house(throughput=10.0, **ONE_CARRIER)
    fill(house, "promo", 10, message_class="promotional")
    house.up()
    house.answer(house.take())
    paced, _ = house.dispatch.next_at()
    assert paced is not None
    house.pass_time(paced - house.now / 1000 - 0.021)
    assert house.take() == []
    house.pass_time(0.021)
    assert texts(house.take()) == ["p"]


def test_carrier_that_throttles_keeps_nothing_and_codes_are_first_all_the_same(
    open_house: Open,
) -> None:
    house = open_house(throughput=10.0, **ONE_CARRIER)
    saturate(house)
    throughput = house.states["alpha"].throughput
    throughput.slow_down(house.now / 1000)
    assert throughput.kept == 0
    fill(house, "code", 1, message_class="otp")
    assert house.take() == []
    house.pass_time(0.3)
    assert texts(house.take())[:1] == ["c"]


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (0.5, 1), (10, 1), (100, 2), (1000, 4)])
def test_what_is_kept_of_a_pace(limit: float, kept: int) -> None:
    assert Throughput(limit, keeps=True).kept == kept
    assert Throughput(limit).kept == 0


@pytest.mark.parametrize(("limit", "saved", "with_kept"), [(1, 1, 2), (10, 1, 2), (1000, 100, 100)])
def test_burst_of_a_slow_pace_is_one_longer_and_that_of_a_fast_one_is_not(
    limit: float, saved: int, with_kept: int
) -> None:
    assert Throughput(limit).allowance(0.0) == saved
    assert Throughput(limit, keeps=True).allowance(0.0) == with_kept


def test_what_a_pace_keeps_is_not_spent_on_the_rest_of_long_messages(open_house: Open) -> None:
    house = open_house(throughput=10.0, window=500, **ONE_CARRIER)
    fill(house, "promo", 40, segments=8, message_class="promotional")
    house.up()
    for number in range(20):
        for _ in range(5):
            house.answer(house.take())
            house.pass_time(0.1)
        house.answer(house.take())
        house.submit(f"c{number}", app="code", text="c", message_class="otp")
        submits = house.take()
        assert "c" in [text[-1] for text in texts(submits)], number
        house.answer(submits)


def test_apps_with_nothing_due_are_looked_at_once_a_commit(
    open_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = open_house(window=100, **ONE_CARRIER)
    house.up()
    apps = [f"app{number}" for number in range(50)]
    for app in apps:
        house.submit(f"r{app}", app=app, text="r")
    house.answer(house.take(), verdict=Verdict.RETRY, status=0x08)
    looks: list[str] = []
    look = Granting._grant_turn

    def count(self: Granting, *arguments: Any) -> int:
        looks.append(arguments[4])
        return look(self, *arguments)

    monkeypatch.setattr(Granting, "_grant_turn", count)
    fill(house, "long", 8, segments=10)
    assert len(house.take()) > 70
    assert max(Counter(looks)[app] for app in apps) <= 2
