"""Ids that name several messages at once: what makes them so, and what is remembered."""

from __future__ import annotations

from smppd.store import keys
from smppd.store.records import CarrierProfile
from smppd.store.shared_ids import CONSTANT_AFTER, SHARED_MAX, SharedIds
from tests.house import House, Open


def shared_of(house: House) -> SharedIds:
    return house.store._ledger.shared_ids


def sent(house: House, ref: str, smsc_id: str, **fields: object) -> None:
    house.submit(ref, **fields)
    house.answer(house.take(), ids=[smsc_id])


def test_id_is_constant_after_so_many_answers_in_a_row_and_not_before(open_house: Open) -> None:
    house = open_house()
    house.up()
    key = keys.smsc_key("alpha", "x")
    for number in range(CONSTANT_AFTER + 1):
        assert key not in shared_of(house).constant
        sent(house, f"r{number}", "x")
    assert shared_of(house).constant == {key}


def test_id_of_a_message_that_waits_no_more_is_not_shared(open_house: Open) -> None:
    house = open_house()
    house.up()
    for number in range(5):
        sent(house, f"r{number}", "x")
        house.receive("x")
    assert not shared_of(house).shared
    assert house.told()[-1] == ("r4", "delivered")


def test_id_of_messages_without_receipts_is_not_shared(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipts="none"))
    house.up()
    for number in range(5):
        sent(house, f"r{number}", "x")
    assert not shared_of(house).shared


def test_same_id_at_two_carriers_is_two_ids(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.up("beta")
    sent(house, "a", "x")
    house.submit("b", to="8613800138000")
    house.answer(house.take("beta"), carrier="beta", ids=["x"])
    assert not shared_of(house).shared


def test_segments_of_one_message_may_share_theirs(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r", text="x" * 900, segments=6)
    submits = house.take()
    house.answer(submits, ids=["x"] * 6)
    assert not shared_of(house).shared


def test_constant_id_is_constant_after_a_restart(open_house: Open) -> None:
    house = open_house()
    house.up()
    for number in range(CONSTANT_AFTER + 1):
        sent(house, f"r{number}", "x")
    house.close()
    house = open_house()
    assert shared_of(house).constant == {keys.smsc_key("alpha", "x")}


def test_shared_ids_are_remembered_in_bounded_numbers(open_house: Open) -> None:
    shared = shared_of(open_house())
    for number in range(SHARED_MAX + 10):
        shared.note("alpha", keys.smsc_key("alpha", str(number)), b"tag")
    assert len(shared.shared) == SHARED_MAX
    assert keys.smsc_key("alpha", "0") not in shared.shared


def test_id_of_a_segment_that_has_its_receipt_is_not_shared(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("long", text="x" * 200, segments=2)
    house.answer(house.take(), ids=["x", "y"])
    house.receive("x")
    sent(house, "r", "x")
    assert not shared_of(house).shared
    sent(house, "s", "y")
    assert shared_of(house).shared


def test_id_of_a_segment_that_no_receipt_was_asked_for_is_not_shared(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipts="last"))
    house.up()
    house.submit("long", text="x" * 200, segments=2)
    house.answer(house.take(), ids=["x", "y"])
    sent(house, "r", "x")
    assert not shared_of(house).shared


def test_ids_that_nobody_looks_at_are_not_shared(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(match_receipts="address"))
    house.up()
    for number in range(5):
        sent(house, f"r{number}", "x")
    assert not shared_of(house).shared
    assert house.store.take_hints() == []
