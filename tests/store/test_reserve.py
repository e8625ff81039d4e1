"""A disk that runs full: nothing new is taken in, and what was is carried to its end."""

from __future__ import annotations

from smppd.store.changes import Accepted, Rejection, Take
from tests.house import House, Open

RESERVE = 64 << 20


def fill(house: House) -> None:
    house.store.set_free(RESERVE - 1)


def test_nothing_new_is_taken_in_below_the_reserve(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    fill(house)
    (result,) = house.commit([house.propose("r1")])
    assert isinstance(result, Rejection)
    assert (result.code, result.retry_after) == ("storage_full", 60)
    assert house.store.query("shop", ref="r1") is None
    assert house.store.statistics().storage_full == 1


def test_ref_that_is_bound_is_answered_all_the_same(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    house.submit("r1")
    fill(house)
    (result,) = house.commit([house.propose("r1")])
    assert isinstance(result, Accepted)
    assert result.duplicate


def test_outcomes_go_on_below_the_reserve(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    house.submit("r1")
    fill(house)
    house.up()
    house.answer(house.take(), ids=["m1"])
    house.receive("m1")
    house.commit([Take("shop", 1)])
    assert house.told() == [("r1", "delivered")]


def test_room_that_was_made_is_seen(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    fill(house)
    house.store.set_free(RESERVE)
    assert house.submit("r1")


def test_disk_nobody_has_looked_at_stops_nothing(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    assert house.submit("r1")
