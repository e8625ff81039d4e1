"""Two carriers of very different speed, and apps of which one floods: counts, and no clock but the
one a test moves."""

from __future__ import annotations

from collections import Counter

import pytest

from smppd.routing.table import Route
from smppd.smpp.throughput import Throughput
from tests.house import House, Open, tag_of, texts

FAST, SLOW = 1_000, 10
TO_FAST, TO_SLOW = "491701234567", "8613800138000"
TWO = {
    "carriers": ("alpha", "beta"),
    "routes": [Route("49", "alpha", "0.01"), Route("86", "beta", "0.01")],
}


def open_two(open_house: Open, **settings: object) -> House:
    """Alpha takes a hundred times as many a second as beta; none is up."""
    house = open_house(**TWO, **settings)
    for name, limit in (("alpha", FAST), ("beta", SLOW)):
        house.states[name].throughput = Throughput(float(limit))
    return house


def up(house: House) -> None:
    for name in house.states:
        house.up(name)


def fill(house: House, app: str, to: str, count: int, **fields: object) -> None:
    for start in range(0, count, 500):
        names = [f"{app}{to}{number}" for number in range(start, min(start + 500, count))]
        house.submit(*names, app=app, to=to, text=app[0], **fields)


def wake(house: House) -> None:
    """The clock moves to when the committer would have woken: the next tick of a pace."""
    paced, _ = house.dispatch.next_at()
    assert paced is not None, "nothing is paced"
    house.now = max(house.now + 1, round(paced * 1000))
    house.commit([])


def work_off(house: House, seconds: float) -> dict[str, Counter[str]]:
    """What both took, each answering at once, by the first letter of its app."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in house.states}
    end = house.now + seconds * 1000
    while house.now < end:
        for name, seen in counts.items():
            while submits := house.take(name):
                seen.update(texts(submits))
                house.answer(submits, carrier=name)
        wake(house)
    return counts


# --- both carriers are kept full ---


@pytest.mark.parametrize("window", [40, 100])
def test_both_carriers_get_their_whole_pace_while_one_app_floods_both(
    open_house: Open, window: int
) -> None:
    house = open_two(open_house, window=window)
    fill(house, "flood", TO_SLOW, 200, message_class="promotional")
    fill(house, "flood", TO_FAST, 2_500, message_class="promotional")
    up(house)
    counts = work_off(house, 2.0)
    assert abs(counts["alpha"]["f"] - 2 * FAST) <= FAST * 0.1 + 20
    assert abs(counts["beta"]["f"] - 2 * SLOW) <= 2


def test_carriers_that_are_as_fast_as_they_answer_hold_up_nobody(open_house: Open) -> None:
    house = open_house(window=10, **TWO)
    fill(house, "flood", TO_SLOW, 500)
    fill(house, "flood", TO_FAST, 500)
    up(house)
    gone = Counter[str]()
    waiting = {name: house.take(name) for name in house.states}
    for step in range(1, 201):
        names = ("alpha", "beta") if step % 100 == 0 else ("alpha",)
        for name in names:
            answered, rest = waiting[name][:1], waiting[name][1:]
            gone[name] += len(answered)
            house.answer(answered, carrier=name)
            waiting[name] = rest + house.take(name)
            assert len(waiting[name]) == 10 - house.slot(name).reserve, "it is kept full"
    assert gone == {"alpha": 200, "beta": 2}


def test_messages_that_cannot_go_cost_the_other_carrier_no_grants(open_house: Open) -> None:
    house = open_two(open_house, window=100)
    fill(house, "flood", TO_SLOW, 3_000)
    up(house)
    fill(house, "quiet", TO_FAST, 700)
    counts = work_off(house, 0.5)
    assert counts["alpha"]["q"] >= FAST * 0.5


# --- each app has its share of each ---


def test_each_app_has_its_share_of_each_carrier_and_nobody_waits_for_the_flood(
    open_house: Open,
) -> None:
    house = open_two(open_house, window=100)
    for to, pace in ((TO_FAST, FAST), (TO_SLOW, SLOW)):
        fill(house, "campaign", to, pace + 50, message_class="promotional")
        fill(house, "shop", to, pace + 50)
        fill(house, "news", to, pace // 20, message_class="promotional")
    up(house)
    counts = work_off(house, 1.0)
    for name, pace in (("alpha", FAST), ("beta", SLOW)):
        seen, total = counts[name], counts[name].total()
        assert abs(seen["s"] - total * 0.8) <= total * 0.02 + 2, name
        assert abs(seen["n"] - pace // 20) <= total * 0.01 + 2, name


@pytest.mark.parametrize("carrier", ["alpha", "beta"])
def test_one_time_code_is_the_next_to_go_whatever_waits(open_house: Open, carrier: str) -> None:
    to = TO_FAST if carrier == "alpha" else TO_SLOW
    house = open_two(open_house, window=100)
    fill(house, "campaign", to, 1_500, message_class="promotional")
    up(house)
    work_off(house, 0.5)
    late = house.take(carrier)
    fill(house, "one-time", to, 3, message_class="otp")
    seen = texts(late)
    while seen.count("o") < 3:
        wake(house)
        submits = house.take(carrier)
        house.answer(submits, carrier=carrier)
        seen += texts(submits)
    first = seen.index("o")
    assert seen[first : first + 3] == ["o", "o", "o"]
    assert first <= len(late), "what was granted before goes before, and nothing else"


def test_one_time_codes_go_first_of_what_a_restart_finds_on_disk(open_house: Open) -> None:
    house = open_house(**TWO)
    fill(house, "campaign", TO_FAST, 2_500, message_class="promotional")
    fill(house, "one-time", TO_FAST, 3, message_class="otp")
    house.close()
    house = open_two(open_house, now=house.now)
    up(house)
    assert texts(house.take("alpha"))[:3] == ["o", "o", "o"]


def test_flood_is_on_disk_and_a_bounded_part_of_it_in_memory(open_house: Open) -> None:
    house = open_house(window=100, **TWO)
    fill(house, "campaign", TO_FAST, 3_000, message_class="promotional")
    assert house.dispatch.statistics().queued_in_memory <= 1_000
    house.up("alpha")
    gone = 0
    while submits := house.take("alpha"):
        assert house.dispatch.statistics().queued_in_memory <= 1_000
        gone += len({tag_of(submit) for submit in submits})
        house.answer(submits)
    assert gone == 3_000
