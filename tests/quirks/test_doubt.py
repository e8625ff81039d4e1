"""A submit_sm that is written and never answered: row 28 of docs/carriers.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from tests.quirks.centre import PHONE, Centre, Open, text
from tests.traffic.line import TIMERS, open_line

Clock = trio.testing.MockClock
MINUTE = 60.0


def told_of(centre: Centre) -> list[tuple[object, object]]:
    """Each event, and whether it tells of a resend."""
    return [(one["event"], one.get("resend")) for one in centre.house.events()]


# -- 28: nobody can know, so the app is told, and the policy decides --


async def test_b28_unanswered_submit_is_told_before_anything_goes_out_again(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r")
        (submit,) = await tie.smsc.take_submits(1)
        before = trio.current_time()
        await tie.smsc.read_to_end()
        assert trio.current_time() >= before + TIMERS.response_timer
        assert await line.wait_told(1) == [("r", "uncertain")]
        tie = await line.bind()
        (again,) = await tie.smsc.take_submits(1)
        assert again.pdu.short_message == submit.pdu.short_message
        await tie.smsc.answer([again])
        await line.wait_told(2)
        assert [one.get("maybe_duplicate") for one in line.house.events()] == [None, True]


async def test_b28_late_answer_settles_the_doubt(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_line(tmp_path, binds=1) as line:
        tie = await line.bind()
        await line.submit("one", "two", uncertain="stop")
        one, two = await tie.smsc.take_submits(2)
        await trio.sleep(TIMERS.response_timer + 1)
        await tie.smsc.answer([one])
        assert await line.wait_told(1) == [("one", "sent")]
        await tie.smsc.stream.aclose()
        assert (await line.wait_told(2))[1] == ("two", "uncertain")
        assert two.pdu.short_message == b"hi"


@pytest.mark.parametrize(("uncertain", "resend"), [("resend", True), ("stop", False)])
def test_b28_policy_of_the_carrier_decides_and_the_app_is_told_either_way(
    open_centre: Open, uncertain: str, resend: bool
) -> None:
    other = "stop" if resend else "resend"
    centre = open_centre(uncertain=uncertain)
    centre.take("r", uncertain=other)
    centre.lose()
    assert told_of(centre) == [("uncertain", resend)]
    assert len(centre.take()) == resend


def test_b28_message_is_resent_for_doubt_once_in_its_life(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r")
    centre.lose()
    assert len(centre.take()) == 1
    centre.lose()
    assert told_of(centre) == [("uncertain", True), ("uncertain", False)]
    assert centre.take() == []


def test_b28_what_was_granted_before_a_crash_is_in_doubt_after_it(open_centre: Open) -> None:
    open_centre().take("r", uncertain="stop")
    centre = open_centre()
    assert told_of(centre) == [("uncertain", False)]
    assert centre.take() == []


def test_b28_receipt_settles_the_doubt_of_the_one_message_it_can_mean(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", uncertain="stop")
    centre.lose()
    centre.receipt(text("unknown"))
    centre.house.pass_time(MINUTE - 1)
    assert centre.state_of("r") == "uncertain"
    centre.house.pass_time(1)
    assert told_of(centre) == [("uncertain", False), ("delivered", None)]


def test_b28_receipt_that_came_before_a_message_was_sent_settles_no_doubt_of_it(
    open_centre: Open,
) -> None:
    """It is looked at again for days, and may be for what another system has sent."""
    centre = open_centre()
    centre.receipt(text("unknown"))
    centre.house.pass_time(1)
    centre.take("r", uncertain="stop")
    centre.lose()
    for _ in range(10):
        centre.house.pass_time(MINUTE)
    assert told_of(centre) == [("uncertain", False)]


def test_b28_id_of_the_receipt_that_settles_a_doubt_stays_the_one_of_who_was_given_it(
    open_centre: Open,
) -> None:
    centre = open_centre()
    phones = ("491700000002", "491700000003")
    for ref, to in zip(("one", "two"), phones, strict=True):
        centre.take(ref, ids=["7"], to=to)
    centre.take("r", uncertain="stop")
    centre.lose()
    centre.receipt(text("7"))
    centre.house.pass_time(MINUTE)
    assert centre.state_of("r") == "delivered"
    centre.receipt(text("7"), source=phones[1])
    assert centre.states("one", "two") == ["sent", "delivered"]


def test_b28_receipt_settles_no_doubt_where_two_messages_fit(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("one", "two", uncertain="stop")
    centre.lose()
    centre.receipt(text("unknown"))
    centre.house.pass_time(2 * MINUTE)
    assert centre.states("one", "two") == ["uncertain", "uncertain"]


def test_b28_receipt_of_another_phone_or_sender_settles_nothing(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", uncertain="stop")
    centre.lose()
    centre.receipt(text("a"), source="491700000009")
    centre.receipt(text("b"), source=PHONE, destination="OTHER")
    centre.house.pass_time(2 * MINUTE)
    assert centre.state_of("r") == "uncertain"


def test_b28_doubt_is_settled_after_the_same_patience_where_ids_name_nothing(
    open_centre: Open,
) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("r", uncertain="stop")
    centre.lose()
    centre.receipt(text("0"))
    centre.house.pass_time(MINUTE - 1)
    assert centre.state_of("r") == "uncertain"
    centre.house.pass_time(MINUTE)
    assert centre.state_of("r") == "delivered"
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    assert not view.parts[0].message_id


def test_b28_constant_id_of_a_receipt_does_not_become_the_name_of_a_doubtful_message(
    open_centre: Open,
) -> None:
    centre = open_centre()
    for number in range(5):
        centre.take(f"r{number}", to=f"49170000000{number}", ids=["0"])
    centre.take("r", uncertain="stop")
    centre.lose()
    centre.receipt(text("0"))
    centre.house.pass_time(MINUTE)
    assert centre.state_of("r") == "delivered"
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    assert not view.parts[0].message_id
