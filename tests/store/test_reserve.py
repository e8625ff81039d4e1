"""A disk that runs full: nothing new is taken in, and what was is carried to its end.

The reserve is 128 KiB here, really allocated; the disk is full for whoever wants more of it.
"""

from __future__ import annotations

import msgspec

from smppd.store.changes import Accepted, Rejection, Result, Take
from tests.disk import nothing_to_allocate
from tests.house import House, Open

RESERVE = 128 * 2**10
BATCH = 20

GRANTED = 8
"""Of a window of ten: two places are kept for one-time codes."""


def offer(house: House, name: str) -> list[Result]:
    """Twenty submits of some size, in one commit."""
    proposals = [house.propose(f"{name}-{number}", text="x" * 700) for number in range(BATCH)]
    return house.commit(list(proposals))


def fill(house: House) -> int:
    """Submits until one is refused; how many were accepted."""
    accepted = 0
    while all(isinstance(result, Accepted) for result in offer(house, f"f{accepted}")):
        accepted += BATCH
    return accepted


def use_up(house: House) -> None:
    """Receipts that nobody knows, until half of the reserve is gone."""
    number = 0
    while not house.store.statistics().low:
        number += BATCH
        house.commit([house.receipt(f"none-{number + one}") for one in range(BATCH)])


def test_nothing_new_is_taken_in_once_the_reserve_is_begun(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    with nothing_to_allocate():
        assert fill(house) > 0
        (result,) = house.commit([house.propose("r1")])
    assert isinstance(result, Rejection)
    assert (result.code, result.retry_after) == ("storage_full", 60)
    assert house.store.query("shop", ref="r1") is None
    statistics = house.store.statistics()
    assert statistics.storage_full == BATCH + 1
    assert statistics.full
    assert RESERVE // 2 <= statistics.reserve_left < statistics.reserve == RESERVE


def test_ref_that_is_bound_is_answered_all_the_same(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    house.submit("r1")
    with nothing_to_allocate():
        fill(house)
        (result,) = house.commit([house.propose("r1")])
    assert isinstance(result, Accepted)
    assert result.duplicate


def test_outcomes_go_on_into_the_reserve(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    house.submit("r1")
    house.up()
    submits = house.take()
    with nothing_to_allocate():
        fill(house)
        use_up(house)
        house.answer(submits, ids=["m1"])
        house.receive("m1")
        told = house.told()
        house.commit([Take("shop", 1)])
    assert ("r1", "delivered") in told


def test_what_was_accepted_is_sent_while_half_of_the_reserve_is_left(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    with nothing_to_allocate():
        fill(house)
        house.up()
        assert len(house.take()) == GRANTED


def test_nothing_is_granted_from_the_last_half_of_the_reserve(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    with nothing_to_allocate():
        fill(house)
        use_up(house)
        house.up()
        assert house.take() == []
        house.pass_time(60)
        assert house.take() == []
    house.pass_time(1)
    assert len(house.take()) == GRANTED


def test_room_that_was_made_is_seen_a_second_later(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    with nothing_to_allocate():
        fill(house)
    assert isinstance(house.commit([house.propose("r1")])[0], Rejection)
    house.pass_time(1)
    assert house.submit("r1")
    assert not house.store.statistics().full


def test_reserve_is_still_there_for_a_start_on_a_full_disk(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    with nothing_to_allocate():
        fill(house)
        left = house.store.statistics().reserve_left
        house.close()
    again = open_house(reserve=RESERVE)
    assert again.store.statistics().reserve_left >= left


def test_reserve_of_none_stops_nothing(open_house: Open) -> None:
    house = open_house(reserve=0)
    with nothing_to_allocate():
        offer(house, "a")
        house.pass_time(60)
        assert all(isinstance(result, Accepted) for result in offer(house, "b"))


def test_reload_has_another_reserve_from_the_next_commit_on(open_house: Open) -> None:
    house = open_house(reserve=RESERVE)
    house.store.set_rules(msgspec.structs.replace(house.rules, reserve=64 * 2**40))
    assert isinstance(house.commit([house.propose("r1")])[0], Rejection)
    house.store.set_rules(house.rules)
    assert house.submit("r1")
