"""Receipts found by phone and sender: rows that are kept, found, and go again."""

from __future__ import annotations

from pathlib import Path

from smppd.store import keys
from smppd.store.awaited import CANDIDATES_MAX
from smppd.store.changes import Answered, Forget, Verdict
from smppd.store.records import CarrierProfile
from smppd.store.salvage import salvage
from smppd.store.verify import verify
from tests.house import House, Open, tag_of

BY_ADDRESS = CarrierProfile(match_receipts="address")
PHONE = "491701234567"
DAY = 86_400


def rows_of(house: House) -> dict[bytes, bytes]:
    with house.store._reading():
        return dict(house.store._env.tables["awaited"].rows_from(b""))


def sent(house: House, *refs: str, **fields: object) -> None:
    """Messages that alpha has taken without an id of use."""
    house.submit(*refs, **fields)
    submits = house.take(room=10_000)
    house.answer(submits, ids=["0"] * len(submits))


def state_of(house: House, ref: str) -> str:
    view = house.store.query("shop", ref=ref)
    assert view is not None
    return view.state


def test_answer_and_receipt_of_one_commit_find_each_other(open_house: Open) -> None:
    house = open_house(profile=BY_ADDRESS)
    house.up()
    house.submit("r")
    (submit,) = house.take()
    answer = Answered("alpha", 0, tag_of(submit), Verdict.TAKEN, 0, "0", house.now, 1)
    house.commit([answer, house.receipt("")])
    assert state_of(house, "r") == "delivered"


def test_row_waits_empty_and_is_a_digest_once_it_is_settled(open_house: Open) -> None:
    house = open_house(profile=BY_ADDRESS)
    house.up()
    sent(house, "r")
    (key,) = rows_of(house)
    assert key.startswith(keys.doubt_prefix("alpha", PHONE))
    assert rows_of(house)[key] == b""
    house.receive("")
    assert len(rows_of(house)[key]) == 8


def test_carrier_that_names_its_messages_has_no_rows(open_house: Open) -> None:
    house = open_house()
    house.up()
    sent(house, "r")
    assert rows_of(house) == {}


def test_segment_without_a_receipt_asked_for_waits_for_none(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(match_receipts="address", receipts="last"))
    house.up()
    sent(house, "r", segments=3, text="x" * 400)
    sent(house, "s", receipt=False)
    (key,) = rows_of(house)
    assert keys.unpack_tag(key[-keys.TAG_BYTES :])[1] == 2


def test_receipt_that_says_unknown_leaves_its_message_waiting_for_another(
    open_house: Open,
) -> None:
    house = open_house(profile=BY_ADDRESS)
    house.up()
    sent(house, "r")
    house.receive("1", state=7)
    assert state_of(house, "r") == "unconfirmed"
    house.receive("2")
    assert state_of(house, "r") == "delivered"


def test_phone_with_more_messages_than_are_looked_at_still_gets_the_newest_ones_receipts(
    open_house: Open,
) -> None:
    house = open_house(profile=BY_ADDRESS, window=1_000)
    house.up()
    count = CANDIDATES_MAX + 6
    sent(house, *(f"r{number}" for number in range(count)))
    house.pass_time(1)
    house.receive("")
    assert state_of(house, "r0") == "sent"
    assert state_of(house, "r6") == "delivered"


def test_message_whose_receipt_is_overdue_waits_for_it_no_longer(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(match_receipts="address", receipt_timeout=60))
    house.up()
    sent(house, "r")
    house.pass_time(61)
    house.receive("")
    assert state_of(house, "r") == "unconfirmed"


def test_message_waits_as_long_as_was_said_when_it_was_taken(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(match_receipts="address", receipt_timeout=600))
    house.up()
    sent(house, "r")
    house.close()
    house = open_house(
        profile=CarrierProfile(match_receipts="address", receipt_timeout=60), now=house.now
    )
    house.pass_time(61)
    house.receive("")
    assert state_of(house, "r") == "delivered"


def test_rows_age_out_with_their_messages(open_house: Open) -> None:
    house = open_house(profile=BY_ADDRESS, window=1_000)
    house.up()
    sent(house, *(f"r{number}" for number in range(100)))
    assert len(rows_of(house)) == 100
    house.pass_time(89 * DAY)
    house.pass_time(700)
    assert len(rows_of(house)) == 100
    house.pass_time(2 * DAY)
    for _ in range(5):
        house.pass_time(700)
    assert rows_of(house) == {}


def test_forgotten_number_leaves_no_row_behind(open_house: Open) -> None:
    house = open_house(profile=BY_ADDRESS)
    house.up()
    sent(house, "r")
    house.receive("")
    (key,) = rows_of(house)
    number = keys.unpack_tag(key[-keys.TAG_BYTES :])[0]
    house.commit([Forget(PHONE, contents=[number], messages=[number], is_last=True)])
    assert rows_of(house) == {}


def test_verify_finds_rows_sound_and_salvage_keeps_them(open_house: Open, tmp_path: Path) -> None:
    house = open_house(profile=BY_ADDRESS)
    house.up()
    sent(house, "r", "s")
    house.receive("")
    before = rows_of(house)
    house.close()
    assert verify(tmp_path / "state").findings == []
    salvage(tmp_path / "state", tmp_path / "new", house.now)
    again = House(tmp_path / "new", profile=BY_ADDRESS, now=house.now)
    assert rows_of(again) == before
    again.close()
    open_house(profile=BY_ADDRESS)


def test_receipt_that_comes_again_when_its_message_has_aged_out_is_nobodys(
    open_house: Open,
) -> None:
    """Rows may outlive their messages by days, as many are looked at in turn."""
    house = open_house(profile=BY_ADDRESS)
    house.up()
    sent(house, "r")
    house.receive("")
    (key,) = rows_of(house)
    (row,) = rows_of(house).values()
    house.pass_time(91 * DAY)
    for _ in range(3):
        house.pass_time(700)
    assert house.store.query("shop", ref="r") is None
    house.store._env.begin(write=True)
    house.store._env.tables["awaited"].put(key, row)
    house.store._env.commit()
    house.receive("")
    assert house.store.statistics().unmatched == 1


def test_row_goes_with_its_message(open_house: Open) -> None:
    """It has the phone's number in its key, which nobody could have forgotten any more."""
    house = open_house(profile=BY_ADDRESS, window=1_000)
    house.up()
    sent(house, "a", to="491799999999")
    house.receive("", source="491799999999")
    sent(house, *(f"r{number}" for number in range(200)))
    house.pass_time(91 * DAY)
    house.pass_time(700)
    while house.store.query("shop", ref="a") is not None:
        house.pass_time(1)
    prefix = keys.doubt_prefix("alpha", "491799999999")
    assert not [key for key in rows_of(house) if key.startswith(prefix)]


def test_receipt_that_has_waited_is_not_for_what_was_sent_since(open_house: Open) -> None:
    house = open_house(profile=BY_ADDRESS)
    house.up()
    house.receive("")
    house.pass_time(1)
    sent(house, "r")
    for _ in range(3):
        house.pass_time(61)
    assert state_of(house, "r") == "sent"
