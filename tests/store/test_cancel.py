"""What an app takes back: one message or a campaign; nothing that a carrier has, or may have."""

from __future__ import annotations

import pytest

from smppd.store.changes import (
    CANCEL_MAX,
    Cancel,
    Cancelled,
    Result,
    UnknownMessage,
    Verdict,
)
from smppd.store.records import CarrierProfile
from tests.house import House, Open, tag_of

ONE = Cancelled(1, 0, 0, 0, True)
TOO_LATE = Cancelled(0, 1, 0, 0, True)
NOTHING = Cancelled(0, 0, 0, 0, True)


def cancel(house: House, ref: str) -> Result:
    (result,) = house.commit([Cancel("shop", ref=ref)])
    return result


def cancel_tag(house: House, tag: str = "t1", app: str = "shop") -> tuple[int, int]:
    """Goes on until it is done; ``count`` and ``too_late`` of all changes."""
    count = too_late = 0
    change = Cancel(app, tag=tag)
    while True:
        (result,) = house.commit([change])
        assert isinstance(result, Cancelled)
        count, too_late = count + result.count, too_late + result.too_late
        if result.is_done:
            return count, too_late
        change = Cancel(app, tag=tag, after=result.after, upto=result.upto)


# --- one message ---


def test_waiting_message_is_cancelled_and_never_submitted(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    assert cancel(house, "r1") == ONE
    assert house.told() == [("r1", "cancelled")]
    house.up()
    assert house.take() == []
    assert house.store.statistics().queued == 0


def test_message_is_cancelled_by_its_id_too(open_house: Open) -> None:
    house = open_house()
    (message_id,) = house.submit("r1")
    assert house.commit([Cancel("shop", message_id=message_id)]) == [ONE]


def test_cancel_is_on_disk_when_it_is_answered(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    cancel(house, "r1")
    house.close()
    house = open_house()
    house.up()
    assert house.take() == []
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert (view.state, view.final) == ("cancelled", True)


@pytest.mark.parametrize(
    "change",
    [
        Cancel("shop", ref="r2"),
        Cancel("crm", ref="r1"),
        Cancel("shop", message_id="0" * 16),
        Cancel("shop", message_id="no id"),
    ],
)
def test_cancel_of_what_the_app_does_not_have_is_unknown(open_house: Open, change: Cancel) -> None:
    house = open_house()
    house.submit("r1")
    assert house.commit([change]) == [UnknownMessage()]
    assert house.told() == []


def test_message_of_another_app_is_unknown_by_its_id(open_house: Open) -> None:
    house = open_house()
    (message_id,) = house.submit("r1")
    assert house.commit([Cancel("crm", message_id=message_id)]) == [UnknownMessage()]


def test_granted_message_is_too_late_though_nobody_has_written_it(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    assert cancel(house, "r1") == TOO_LATE
    assert len(house.take()) == 1


def test_sent_message_is_too_late(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take())
    assert cancel(house, "r1") == TOO_LATE
    assert house.told() == [("r1", "sent")]


def test_half_sent_message_is_too_late_and_its_rest_goes(open_house: Open) -> None:
    house = open_house(window=1)
    house.up()
    house.submit("r1", text="x" * 200, segments=2)
    house.answer(house.take())
    assert cancel(house, "r1") == TOO_LATE
    assert len(house.take()) == 1


def test_promised_resend_is_too_late(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    assert cancel(house, "r1") == TOO_LATE


def test_final_messages_count_nowhere(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("delivered", "doubtful", uncertain="stop")
    first, second = house.take()
    house.answer([first], ids=["m1"])
    house.receive("m1")
    house.down(doubt=[tag_of(second)])
    house.submit("cancelled")
    cancel(house, "cancelled")
    for ref in ("delivered", "doubtful", "cancelled"):
        assert cancel(house, ref) == NOTHING


def test_message_that_was_sent_without_a_receipt_is_final(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipts="none"))
    house.up()
    house.submit("r1")
    house.answer(house.take())
    assert cancel(house, "r1") == NOTHING


def test_throttled_and_refused_messages_wait_and_are_cancelled(open_house: Open) -> None:
    house = open_house(window=2)
    house.up()
    house.submit("slow")
    house.answer(house.take(), verdict=Verdict.RETRY, status=0x08)
    house.submit("refused")
    house.answer(house.take(), verdict=Verdict.REROUTE, status=0x0B)
    assert cancel(house, "slow") == ONE
    assert cancel(house, "refused") == ONE
    house.up("beta")
    assert house.take("beta") == []


def test_cancel_in_the_batch_of_its_message_stops_the_grant(open_house: Open) -> None:
    house = open_house()
    house.up()
    results = house.commit([house.propose("r1"), Cancel("shop", ref="r1")])
    assert results[1] == ONE
    assert house.take() == []


def test_cancelled_ref_stays_bound(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    cancel(house, "r1")
    assert house.submit("r1") == house.submit("r1")
    assert house.told() == [("r1", "cancelled")]


# --- a tag ---


def test_tag_cancels_its_messages_and_no_others(open_house: Open) -> None:
    house = open_house()
    house.submit("a1", "a2", tag="spring")
    house.submit("b1", tag="autumn")
    house.submit("c1", tag=None)
    house.submit("d1", tag="spring", app="crm")
    assert cancel_tag(house, "spring") == (2, 0)
    assert house.told() == [("a1", "cancelled"), ("a2", "cancelled")]
    assert house.told("crm") == []


def test_unknown_tag_cancels_none(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    assert cancel_tag(house, "none such") == (0, 0)


def test_tag_tells_what_was_too_late_from_what_was_final(open_house: Open) -> None:
    house = open_house(window=2, routes=None)
    house.up()
    house.submit("delivered", "sent")
    house.answer(house.take(), ids=["m1", "m2"])
    house.receive("m1")
    house.submit("granted", "granted too", "waiting")
    assert cancel_tag(house) == (1, 3)
    assert house.told()[-1] == ("waiting", "cancelled")


def test_long_campaign_is_cancelled_in_bounded_changes(open_house: Open) -> None:
    house = open_house()
    refs = [f"r{number}" for number in range(CANCEL_MAX + 100)]
    for start in range(0, len(refs), 150):
        house.submit(*refs[start : start + 150])
    (first,) = house.commit([Cancel("shop", tag="t1")])
    assert isinstance(first, Cancelled)
    assert (first.count, first.is_done) == (CANCEL_MAX, False)
    (rest,) = house.commit([Cancel("shop", tag="t1", after=first.after, upto=first.upto)])
    assert isinstance(rest, Cancelled)
    assert (rest.count, rest.is_done) == (100, True)
    assert house.told() == [(ref, "cancelled") for ref in refs]


def test_messages_accepted_after_the_line_are_not_touched(open_house: Open) -> None:
    house = open_house()
    house.submit(*[f"r{number}" for number in range(CANCEL_MAX)])
    results = house.commit([Cancel("shop", tag="t1"), house.propose("late in the same batch")])
    (first, _) = results
    house.submit("later")
    assert isinstance(first, Cancelled)
    if not first.is_done:
        house.commit([Cancel("shop", tag="t1", after=first.after, upto=first.upto)])
    assert ("later", "cancelled") not in house.told()
    assert ("late in the same batch", "cancelled") not in house.told()
    assert house.store.statistics().queued == 2


def test_tag_is_found_after_a_restart(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", "r2")
    house.close()
    house = open_house()
    house.submit("r3")
    assert cancel_tag(house) == (3, 0)
    house.up()
    assert house.take() == []


@pytest.mark.parametrize("tag", ["a\0b", "ä" * 64, "a", "a\0", " "])
def test_tags_may_be_any_text(open_house: Open, tag: str) -> None:
    house = open_house()
    house.submit("r1", tag=tag)
    house.submit("r2", tag=tag + "x")
    house.submit("r3", tag="a\0bc")
    house.close()
    house = open_house()
    assert cancel_tag(house, tag) == (1, 0)
