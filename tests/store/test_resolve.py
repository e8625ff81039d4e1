"""What an operator may do about doubt: send again, or let it be."""

from __future__ import annotations

import pytest

from smppd.store.changes import Rejection, Resolve, ResolveAction, Resolved, Result
from tests.house import House, Open, tag_of


def resolve(house: House, message_id: str, action: ResolveAction) -> Result:
    (result,) = house.commit([Resolve(message_id, action, house.now)])
    return result


def code_of(result: Result) -> str:
    assert isinstance(result, Rejection)
    return result.code


def doubt(house: House, ref: str = "r1", **fields: object) -> str:
    """A message that was written and never answered; its bind is down."""
    house.up()
    (message_id,) = house.submit(ref, **fields)
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    return message_id


def resends(house: House) -> list[object]:
    return [event["resend"] for event in house.events() if event["event"] == "uncertain"]


def test_uncertain_message_goes_again_flagged_at_the_operators_word(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop")
    assert resolve(house, message_id, "resend") == Resolved("queued")
    assert resends(house) == [False, True]
    house.up()
    house.answer(house.take(), ids=["m1"])
    assert house.told()[-1] == ("r1", "sent")
    assert house.events()[-1]["maybe_duplicate"] is True


def test_resend_survives_a_restart(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop")
    resolve(house, message_id, "resend")
    house.close()
    house = open_house()
    house.up()
    assert len(house.take()) == 1


def test_resend_that_ends_in_doubt_is_not_promised_another(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop")
    resolve(house, message_id, "resend")
    house.up()
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    assert resends(house) == [False, True, False]
    assert resolve(house, message_id, "resend") == Resolved("queued")


def test_only_what_nobody_is_known_to_have_goes_again(open_house: Open) -> None:
    house = open_house()
    house.up()
    (message_id,) = house.submit("r1", text="x" * 400, segments=3, uncertain="stop")
    first, second, third = house.take()
    house.answer([first], ids=["m1"])
    house.down(doubt=[tag_of(second), tag_of(third)])
    resolve(house, message_id, "resend")
    house.up()
    assert [tag_of(submit) for submit in house.take()] == [tag_of(second), tag_of(third)]


def test_expired_message_is_not_sent_again(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop", valid_for=5)
    house.pass_time(6)
    assert code_of(resolve(house, message_id, "resend")) == "expired"


def test_resend_that_found_no_bind_in_its_time_is_told(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop", valid_for=60)
    resolve(house, message_id, "resend")
    house.pass_time(61)
    assert resends(house) == [False, True, False]


def test_message_of_a_carrier_that_is_gone_is_not_sent_again(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop")
    house.close()
    house = open_house(carriers=("beta",))
    assert code_of(resolve(house, message_id, "resend")) == "no_route"


@pytest.mark.parametrize("action", ["resend", "drop"])
def test_message_without_a_doubt_is_not_resolved(open_house: Open, action: ResolveAction) -> None:
    house = open_house()
    house.up()
    waiting, *_ = house.submit("sent", "waiting")
    house.answer(house.take(room=1))
    for message_id in house.submit("sent", "waiting"):
        assert code_of(resolve(house, message_id, action)) == "not_doubtful"
    assert waiting


@pytest.mark.parametrize("action", ["resend", "drop"])
@pytest.mark.parametrize("message_id", ["0" * 16, "", "no id"])
def test_unknown_message_is_not_resolved(
    open_house: Open, action: ResolveAction, message_id: str
) -> None:
    house = open_house()
    assert code_of(resolve(house, message_id, action)) == "unknown_message"


def test_promised_resend_is_dropped(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house)
    assert resends(house) == [True]
    assert resolve(house, message_id, "drop") == Resolved("uncertain")
    assert resends(house) == [True, False]
    house.up()
    assert house.take() == []
    assert house.store.statistics().queued == 0


def test_dropped_resend_may_be_made_after_all(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house)
    resolve(house, message_id, "drop")
    assert resolve(house, message_id, "resend") == Resolved("queued")
    house.up()
    assert len(house.take()) == 1


def test_resend_that_is_on_its_way_is_not_dropped(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house)
    house.up()
    assert code_of(resolve(house, message_id, "drop")) == "not_doubtful"


def test_drop_of_what_stays_uncertain_takes_it_off_the_list_and_tells_nobody(
    open_house: Open,
) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop")
    assert [found.id for found in house.list_doubtful(10)] == [message_id]
    assert resolve(house, message_id, "drop") == Resolved("uncertain")
    assert resends(house) == [False]
    assert house.list_doubtful(10) == []
    assert code_of(resolve(house, message_id, "drop")) == "not_doubtful"
    assert resolve(house, message_id, "resend") == Resolved("queued")
    assert [found.id for found in house.list_doubtful(10)] == [message_id]


def test_receipt_still_settles_a_resolved_doubt(open_house: Open) -> None:
    house = open_house()
    message_id = doubt(house, uncertain="stop")
    house.receive("unknown-id")
    resolve(house, message_id, "resend")
    house.pass_time(61)
    assert house.told()[-1] == ("r1", "delivered")
    house.up()
    assert house.take() == []
