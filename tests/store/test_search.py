"""Messages found by what is known of them, in bounded slices, newest first."""

from __future__ import annotations

import pytest

from smppd.store.changes import Cancel
from smppd.store.search import DOUBT_ROWS_MAX, DoubtSlice
from smppd.store.view import FoundMessage
from tests.house import START, House, Open, tag_of


def find(house: House, rows_max: int = 500, **wanted: object) -> list[str]:
    """Every slice; the refs found."""
    found: list[FoundMessage] = []
    before = 0
    while True:
        part = house.store.find(before=before, rows_max=rows_max, **wanted)  # type: ignore[arg-type]
        found += part.messages
        if part.is_done:
            return [message.ref for message in found]
        assert part.next_before != before, "a slice must move on"
        before = part.next_before


def fill(house: House) -> None:
    house.submit("r1", to="491701234567", tag="spring")
    house.pass_time(10)
    house.submit("r2", to="8613800138000", tag="spring")
    house.pass_time(10)
    house.submit("r3", to="491701234567", tag="autumn")
    house.submit("r4", to="491701234567", tag="spring", app="crm")
    house.commit([Cancel("shop", ref="r3")])


@pytest.mark.parametrize(
    ("wanted", "refs"),
    [
        ({}, ["r4", "r3", "r2", "r1"]),
        ({"to": "491701234567"}, ["r4", "r3", "r1"]),
        ({"to": "+8613800138000"}, ["r2"]),
        ({"tag": "spring"}, ["r4", "r2", "r1"]),
        ({"tag": "spring", "app": "shop"}, ["r2", "r1"]),
        ({"app": "crm"}, ["r4"]),
        ({"state": "cancelled"}, ["r3"]),
        ({"state": "queued", "app": "shop"}, ["r2", "r1"]),
        ({"since": START + 10_000}, ["r4", "r3", "r2"]),
        ({"until": START + 10_000}, ["r1"]),
        ({"since": START + 10_000, "until": START + 20_000}, ["r2"]),
        ({"since": START + 10_000, "tag": "spring", "app": "shop"}, ["r2"]),
        ({"to": "49", "tag": "none"}, []),
    ],
)
@pytest.mark.parametrize("rows_max", [1, 2, 500])
def test_messages_are_found_newest_first(
    open_house: Open, wanted: dict[str, object], refs: list[str], rows_max: int
) -> None:
    house = open_house()
    fill(house)
    assert find(house, rows_max, **wanted) == refs


def test_empty_store_has_nothing_to_find(open_house: Open) -> None:
    house = open_house()
    assert find(house) == []
    assert find(house, tag="spring", app="shop") == []


def test_found_message_says_enough_to_ask_on(open_house: Open) -> None:
    house = open_house()
    house.up()
    (message_id,) = house.submit("r1")
    house.answer(house.take())
    (found,) = house.store.find().messages
    assert (found.id, found.ref, found.app, found.to) == (message_id, "r1", "shop", "+491701234567")
    assert (found.state, found.carrier, found.segments, found.tag) == ("sent", "alpha", 1, "t1")


def test_search_keeps_nothing_in_memory(open_house: Open) -> None:
    house = open_house()
    fill(house)
    house.close()
    house = open_house()
    live = house.store.statistics().live
    find(house)
    assert house.store.statistics().live == live


def test_doubtful_messages_are_listed_oldest_first(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("stopped", "resent", "known", to="491701234567", uncertain="stop")
    house.submit("promised", uncertain="resend")
    submits = house.take()
    house.answer([submits[2]], ids=["m1"])
    house.down(doubt=[tag_of(submit) for submit in submits if submit is not submits[2]])
    assert [one.ref for one in house.list_doubtful(10)] == ["stopped", "resent", "promised"]
    assert [one.ref for one in house.list_doubtful(2)] == ["stopped", "resent"]
    house.up()
    house.answer(house.take(), ids=["m2"])
    assert [one.ref for one in house.list_doubtful(10)] == ["stopped", "resent"]


def test_many_doubts_are_looked_at_in_slices_and_the_oldest_are_kept(open_house: Open) -> None:
    house = open_house(window=DOUBT_ROWS_MAX)
    house.up()
    count = DOUBT_ROWS_MAX + 100
    to = [f"49170{(number * 7) % count:07d}" for number in range(count)]  # rows in another order
    house.commit(
        [house.propose(f"r{n}", to=to[n], uncertain="stop") for n in range(DOUBT_ROWS_MAX)]
    )
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.up()
    house.commit(
        [house.propose(f"r{n}", to=to[n], uncertain="stop") for n in range(DOUBT_ROWS_MAX, count)]
    )
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    first = house.store.look_at_doubts(DoubtSlice())
    assert (len(first.oldest), first.after is None) == (DOUBT_ROWS_MAX, False)
    second = house.store.look_at_doubts(first)
    assert (len(second.oldest), second.after) == (count, None)
    assert second.oldest == sorted(second.oldest)
    assert [one.ref for one in house.list_doubtful(count)] == [
        f"r{number}" for number in range(count)
    ]


def test_nothing_is_doubtful_where_nothing_went_wrong(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take())
    assert house.list_doubtful(10) == []
