"""What ``query`` shows of what few messages ask for."""

from __future__ import annotations

from smppd.store.changes import Extras
from smppd.store.view import MessageView
from tests.house import House, Open


def view_of(house: House) -> MessageView:
    view = house.store.query("shop", ref="r1")
    assert view is not None
    return view


def test_plain_message_has_none_of_the_rare_fields(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    view = view_of(house)
    assert (view.data, view.data_coding, view.send_at) == (None, None, None)
    assert (view.flash, view.carriers, view.max_cost, view.held) == (False, (), None, None)


def test_what_was_asked_for_is_shown(open_house: Open) -> None:
    house = open_house()
    extras = Extras(
        send_at=house.now + 60_000, carriers=("beta", "alpha"), max_cost="0.10", flash=True
    )
    house.submit("r1", extras=extras)
    view = view_of(house)
    assert (view.send_at, view.carriers) == (house.now + 60_000, ("beta", "alpha"))
    assert (view.max_cost, view.flash) == ("0.10", True)


def test_data_is_shown_as_base64_beside_an_empty_text(open_house: Open) -> None:
    house = open_house()
    extras = Extras(data=b"\x00\xff", data_coding=4)
    house.submit("r1", text="", encoding="binary", extras=extras)
    view = view_of(house)
    assert (view.text, view.data, view.data_coding) == ("", "AP8=", 4)
    assert view.encoding == "binary"


def test_hold_is_not_shown_once_the_message_has_ended(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    house.set_mode("alpha", "paused")
    house.submit("r1", valid_for=5)
    assert view_of(house).held == "carrier_paused"
    house.pass_time(6)
    assert (view_of(house).state, view_of(house).held) == ("expired", None)


def test_message_of_another_app_is_shown_to_nobody_but_an_operator(open_house: Open) -> None:
    house = open_house()
    (message_id,) = house.submit("r1")
    assert house.store.query("crm", message_id=message_id) is None
    assert house.store.query("crm", ref="r1") is None
    assert house.store.trace(message_id=message_id) is not None
