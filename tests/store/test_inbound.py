"""Who is told what a phone sent, and which of its messages it answers."""

from __future__ import annotations

import msgspec
import pytest

from smppd.routing.inbound import InboundRule
from smppd.store.changes import (
    Accepted,
    Forget,
    InboundArrived,
    NewMessage,
    Propose,
    Verdict,
)
from tests.house import START, House, Open
from tests.store.test_reassembly import part

PHONE = "491701234567"
CODE = "12345"


def arrive(
    house: House,
    text: str = "yes",
    *,
    source: str = PHONE,
    destination: str = CODE,
    carrier: str = "alpha",
) -> None:
    data = text.encode()
    house.commit([InboundArrived(carrier, source, destination, text, data, 0, 0, house.now)])


def send(
    house: House, ref: str, *, sender: str = CODE, ton: int = 3, app: str = "shop", to: str = PHONE
) -> str:
    """A message that a carrier takes; its id."""
    proposal = house.propose(ref, app=app, to=to)
    message = proposal.message
    assert isinstance(message, NewMessage)
    message = msgspec.structs.replace(message, addr_ton=ton, addr_npi=1, addr=sender)
    (result,) = house.commit([Propose(app, ref, proposal.digest, message)])
    assert isinstance(result, Accepted)
    house.answer(house.take())
    return result.id


def texts(house: House, app: str) -> list[object]:
    return [event["text"] for event in house.events(app) if event["event"] == "inbound"]


def answered(house: House, app: str = "shop") -> object:
    """What the app's last message from a phone answers."""
    (*_, last) = [event for event in house.events(app) if event["event"] == "inbound"]
    return last.get("reply_to")


def set_rules(house: House, *rules: InboundRule, **others: object) -> None:
    house.rules = msgspec.structs.replace(house.rules, inbound=rules, **others)
    house.store.set_rules(house.rules)


@pytest.fixture
def house(open_house: Open) -> House:
    house = open_house(inbound_apps=("shop", "crm"))
    house.up()
    return house


# -- rules ---


def test_message_that_a_rule_fits_is_told_to_its_app_alone(house: House) -> None:
    set_rules(house, InboundRule(("crm",), keyword="help"))
    arrive(house, "Help me")
    arrive(house, "hello")
    assert (texts(house, "crm"), texts(house, "shop")) == (["Help me", "hello"], ["hello"])


def test_first_rule_that_fits_counts(house: House) -> None:
    set_rules(house, InboundRule(("crm",), destination=CODE), InboundRule(("shop",)))
    arrive(house, "one")
    arrive(house, "two", destination="999")
    assert (texts(house, "crm"), texts(house, "shop")) == (["one"], ["two"])


def test_rule_names_an_app_that_is_told_nothing_else(house: House) -> None:
    set_rules(house, InboundRule(("vote", "shop"), prefix="4917"))
    arrive(house, "mine")
    arrive(house, "other", source="33612345678")
    assert (texts(house, "vote"), texts(house, "crm")) == (["mine"], ["other"])
    assert texts(house, "shop") == ["mine", "other"]


def test_app_without_events_is_told_nothing_by_a_rule_either(house: House) -> None:
    set_rules(house, InboundRule(("shop",)), eventless_apps=frozenset({"shop"}))
    arrive(house)
    assert texts(house, "shop") == texts(house, "crm") == []
    assert house.store.statistics().inbound == 1


def test_keyword_is_not_looked_for_where_the_beginning_is_missing(house: House) -> None:
    set_rules(house, InboundRule(("shop",), keyword="stop"))
    house.commit([part(2, text="stop here", total=2)])
    house.pass_time(601)
    assert texts(house, "crm") == ["stop here"]


def test_rule_is_held_against_the_whole_of_a_long_message(house: House) -> None:
    """Its first word is in its first segment, and that came last."""
    set_rules(house, InboundRule(("crm",), keyword="one"))
    house.commit([part(2), part(3)])
    house.commit([part(1)])
    assert (texts(house, "crm"), texts(house, "shop")) == (["one two three "], [])


# -- threads ---


def test_reply_names_the_last_message_to_that_phone_from_that_number(house: House) -> None:
    send(house, "a")
    send(house, "b", to="491709999999")
    last = send(house, "c")
    send(house, "d", sender="999")
    arrive(house)
    assert answered(house) == {"id": last, "ref": "c", "tag": "t1"}


def test_reply_is_known_however_the_numbers_are_written(house: House) -> None:
    last = send(house, "a", sender="4915112345678", ton=1)
    arrive(house, source="+" + PHONE, destination="004915112345678")
    assert answered(house) == {"id": last, "ref": "a", "tag": "t1"}


def test_each_app_has_threads_of_its_own_and_the_latest_is_told_first(house: House) -> None:
    send(house, "a")
    send(house, "b", app="crm")
    reply = InboundArrived("alpha", PHONE, CODE, "yes", b"yes", 0, 0, house.now)
    committed = house.store.commit([reply], house.dispatch, house.now)
    assert committed.apps == ["crm", "shop"]
    found = [answered(house, app) for app in ("shop", "crm")]
    assert [one["ref"] for one in found if isinstance(one, dict)] == ["a", "b"]


def test_message_nobody_took_has_no_thread(house: House) -> None:
    (first,) = house.submit("a")
    house.answer(house.take(), verdict=Verdict.REFUSE, status=0x0B)
    arrive(house, destination="ACME")
    assert first
    assert answered(house) is None


def test_phone_that_nobody_wrote_to_has_no_thread(house: House) -> None:
    send(house, "a")
    arrive(house, source="491709999999")
    assert answered(house) is None


def test_threads_outlive_a_restart(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",))
    house.up()
    last = send(house, "a")
    house.close()
    house = open_house(inbound_apps=("shop",), now=START + 1000)
    arrive(house)
    assert answered(house) == {"id": last, "ref": "a", "tag": "t1"}


def test_names_and_apps_that_are_told_nothing_cost_no_entry(house: House) -> None:
    send(house, "a", sender="ACME", ton=5)
    send(house, "b", app="mute")
    assert thread_rows(house) == 0
    send(house, "c")
    assert thread_rows(house) == 1


def test_app_that_only_a_rule_names_has_threads(house: House) -> None:
    set_rules(house, InboundRule(("vote",), destination=CODE))
    last = send(house, "a", app="vote")
    arrive(house)
    assert answered(house, "vote") == {"id": last, "ref": "a", "tag": "t1"}


def test_forgotten_number_has_no_thread_and_is_in_no_key(house: House) -> None:
    last = send(house, "a")
    house.commit([house.receipt(f"m{int(last, 16) << 16}")])
    house.commit([Forget(PHONE, messages=[int(last, 16)], is_last=True)])
    arrive(house)
    assert answered(house) is None
    with house.store._reading():
        tables = house.store._env.tables
        kept = [row for name in tables if name.startswith("threads") for row in
                tables[name].rows_from(b"")]  # fmt: skip
    assert kept
    assert not any(PHONE.encode() in key + value for key, value in kept)


def thread_rows(house: House) -> int:
    with house.store._reading():
        return house.store._env.tables["threads_journal"].count()
