"""A number is forgotten: what it said and was told goes, what the accounts need stays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from smppd.store import keys
from smppd.store.changes import (
    Accepted,
    Doubted,
    Extras,
    Forget,
    Forgotten,
    InboundArrived,
    Propose,
    RefConflict,
    Rejection,
    Resolve,
    Verdict,
)
from smppd.store.known import Place
from smppd.text.header import Concatenation
from smppd.text.smart import Replacement, Smart
from tests.house import House, Open, tag_of

TO = "491701234567"
OTHER = "491709999999"


def submit(house: House, ref: str, to: str = TO, meta: bytes | None = b'{"who":"Anna"}') -> str:
    proposal = house.propose(ref, to=to, text="your code is 4711")
    message = proposal.message
    assert not isinstance(message, Rejection)
    message = msgspec.structs.replace(message, meta=meta)
    (result,) = house.commit([Propose("shop", ref, proposal.digest, message)])
    assert isinstance(result, Accepted)
    return result.id


def deliver(house: House) -> None:
    for one in house.take():
        house.answer([one])
        house.receive(f"m{int.from_bytes(tag_of(one), 'big')}")


def inbound(source: str, text: str = "stop") -> InboundArrived:
    return InboundArrived("alpha", source, "12345", text, text.encode(), 0, 0, 1_795_292_101_000)


def known(
    house: House, place: Place, number: str, told: frozenset[str] = frozenset()
) -> list[bytes]:
    part = house.store.know(place, number, told=told)
    assert part.after is None
    return [found.key for found in part.found]


def forget(house: House, number: str, *ids: str) -> Forgotten:
    """As the daemon does it, in one go."""
    numbers = [int(one, 16) for one in ids]
    told = frozenset(ids)
    house.commit([Forget(number, contents=numbers)])
    events = known(house, "events", number, told)
    change = Forget(
        number,
        events=events,
        told=told,
        messages=numbers,
        inbound=[keys.read_u64(key) for key in known(house, "inbound", number)],
        unmatched=known(house, "unmatched", number),
        quarantined=[keys.read_u64(key[-8:]) for key in known(house, "quarantine", number)],
        is_last=True,
    )
    (result,) = house.commit([change])
    assert isinstance(result, Forgotten)
    return result


def octets_of(house: House) -> bytes:
    """Every row of every table, and the data of the journal."""
    with house.store._reading():
        tables = house.store._env.tables.values()
        return b"".join(key + value for table in tables for key, value in table.rows_from(b""))


@pytest.fixture
def house(open_house: Open) -> House:
    house = open_house(inbound_apps=("shop",))
    house.up()
    return house


def test_nothing_of_the_number_is_in_any_row(house: House) -> None:
    first = submit(house, "a")
    deliver(house)
    house.commit([inbound("+" + TO, "from Anna"), house.receipt("nobody")])
    for word in (TO.encode(), b"4711", b"Anna", b"STAT"):
        assert word in octets_of(house)
    assert forget(house, TO, first) == Forgotten(1, 3, 1, 1)
    for word in (TO.encode(), b"4711", b"Anna", b"STAT"):
        assert word not in octets_of(house)


def test_segments_that_wait_go_with_their_number_and_are_told_no_more(house: House) -> None:
    segments = [
        msgspec.structs.replace(
            inbound(source, f"Anna {number}"), concatenation=Concatenation("udh8", 7, 3, number)
        )
        for source in (TO, OTHER)
        for number in (1, 2)
    ]
    house.commit(list(segments))
    assert len(known(house, "inbound_parts", "+" + TO)) == 2
    ids = [keys.read_u64(key) for key in known(house, "inbound_parts", TO)]
    (forgotten,) = house.commit([Forget(TO, inbound=ids)])
    assert forgotten == Forgotten(0, 0, 1, 0)
    assert TO.encode() not in octets_of(house)
    assert house.store.statistics().inbound_waiting == 2
    house.pass_time(601)
    assert [event["from"] for event in house.events()] == [OTHER]


def test_what_is_known_of_a_message_that_was_told_goes_too(house: House) -> None:
    """Its segments' digests, by which a repetition is told: there is a number beside them."""
    house.commit(
        [
            msgspec.structs.replace(
                inbound(TO, f"Anna {number}"), concatenation=Concatenation("udh8", 7, 2, number)
            )
            for number in (1, 2)
        ]
    )
    assert forget(house, TO) == Forgotten(0, 1, 1, 0)
    (left,) = known(house, "inbound_parts", TO)
    house.commit([Forget(TO, inbound=[keys.read_u64(left)])])
    assert TO.encode() not in octets_of(house)


def test_forgotten_message_is_shown_as_one_and_keeps_what_accounts_need(house: House) -> None:
    first = submit(house, "a")
    deliver(house)
    forget(house, TO, first)
    view = house.store.query("shop", ref="a")
    assert view is not None
    assert (view.to, view.text, view.data, view.meta) == ("", "", None, None)
    assert (view.state, view.cost, view.carrier, view.tag) == ("delivered", "0.01", "alpha", "t1")
    assert view.forgotten_at == house.now
    assert house.store.find(app="shop").messages[0].forgotten_at == house.now
    trace = house.store.trace(message_id=first)
    assert trace is not None
    assert [step.step for step in trace.steps] == [
        "accepted", "granted", "taken", "receipt", "delivered",
    ]  # fmt: skip


def test_ref_of_a_forgotten_message_still_sends_nothing_twice(house: House) -> None:
    first = submit(house, "a")
    deliver(house)
    forget(house, TO, first)
    (again, other) = house.commit(
        [house.propose("a"), house.propose("a", digest=b"other" + b"x" * 11)]
    )
    assert again == Accepted(first, 1, "gsm7", True)
    assert other == RefConflict(first)
    assert house.take() == []


def test_events_keep_their_numbers_and_lose_what_they_said(house: House) -> None:
    first = submit(house, "a")
    submit(house, "b", OTHER, meta=b'{"who":"Ben"}')
    deliver(house)
    house.commit([inbound(TO, "from Anna"), inbound(OTHER, "from Ben")])
    before = house.events()
    forget(house, TO, first)
    after = house.events()
    assert [event["seq"] for event in after] == [event["seq"] for event in before]
    for old, new in zip(before, after, strict=True):
        if old["ref"] == "b" or old.get("from") == OTHER:
            assert new == old
            continue
        assert new["meta"] is None
        assert (new.get("from"), new.get("text")) in [(None, None), ("", "")]
        same = {"seq", "event", "id", "ref", "at", "cost", "to", "carrier", "tag"}
        assert {key: new.get(key) for key in same} == {key: old.get(key) for key in same}


def test_message_on_its_way_is_left_as_it_is(house: House) -> None:
    first = submit(house, "a")
    assert forget(house, TO, first).messages == 0
    view = house.store.query("shop", ref="a")
    assert view is not None
    assert view.text == "your code is 4711"
    deliver(house)
    assert forget(house, TO, first).messages == 1


def test_late_receipt_brings_nothing_back(house: House) -> None:
    """A receipt quotes the message; an event carries its meta."""
    first = submit(house, "a")
    (one,) = house.take()
    house.answer([one], ids=["m1"])
    house.pass_time(262_801)
    assert house.told()[-1] == ("a", "unconfirmed")
    forget(house, TO, first)
    house.receive("m1")
    house.receive("m1", state=5)
    assert house.told()[-1] == ("a", "delivered")
    for word in (b"4711", b"Anna", b"STAT"):
        assert word not in octets_of(house)


def test_doubts_of_a_forgotten_message_are_gone_and_it_is_not_sent_again(house: House) -> None:
    (first,) = house.submit("a", uncertain="stop")
    house.commit([Doubted("alpha", 0, [tag_of(one) for one in house.take()], house.now)])
    house.commit([Resolve(first, "drop", house.now)])
    assert TO.encode() in octets_of(house)
    forget(house, TO, first)
    assert TO.encode() not in octets_of(house)
    (result,) = house.commit([Resolve(first, "resend", house.now)])
    assert isinstance(result, Rejection)
    assert result.code == "not_doubtful"
    assert "forgotten" in result.reason


def test_run_that_was_cut_off_is_found_again_and_made_good(house: House) -> None:
    """Contents gone, events not: the message still has its number."""
    first = submit(house, "a")
    deliver(house)
    house.commit([Forget(TO, contents=[int(first, 16)])])
    assert len(known(house, "messages", TO)) == 1
    assert forget(house, TO, first) == Forgotten(1, 2, 0, 0)
    assert forget(house, TO, first) == Forgotten(0, 0, 0, 0)


def test_octets_and_tlvs_of_a_binary_message_go_too(house: House) -> None:
    extras = Extras(
        data=b"\x01\x02secret", udh=b"\x03", tlvs={0x1400: b"Anna"}, carriers=("alpha",)
    )
    (first,) = house.submit("a", extras=extras)
    for one in house.take():
        house.answer([one], verdict=Verdict.REFUSE, status=0x0B)
    forget(house, TO, first)
    assert b"secret" not in octets_of(house)
    assert b"Anna" not in octets_of(house)
    view = house.store.query("shop", ref="a")
    assert view is not None
    assert (view.carriers, view.state) == (("alpha",), "failed")


def test_what_smart_encoding_replaced_in_a_text_goes_too(house: House) -> None:
    smart = Smart((Replacement("\u201c", '"', 2),), 1)
    (first,) = house.submit("a", extras=Extras(smart=smart), receipt=False)
    assert "\u201c".encode() in octets_of(house)
    house.answer(house.take())
    forget(house, TO, first)
    assert "\u201c".encode() not in octets_of(house)


def test_reference_of_a_long_message_goes_too(house: House) -> None:
    """Its key is the number."""
    (first,) = house.submit("a", text="x" * 200, segments=2, receipt=False)
    house.answer(house.take())
    forget(house, TO, first)
    assert TO.encode() not in octets_of(house)


def test_reference_outlives_what_ended_while_another_message_is_on_its_way(house: House) -> None:
    """Else the next long message would begin to count where that one did; and no message has to
    be there any more for it to go."""
    (first,) = house.submit("a", text="x" * 200, segments=2, receipt=False)
    house.answer(house.take())
    house.commit([Forget(TO, contents=[int(first, 16)])])
    house.commit([Forget(TO, messages=[int(first, 16)])])
    assert TO.encode() in octets_of(house)
    house.commit([Forget(TO, is_last=True)])
    assert TO.encode() not in octets_of(house)


def test_forgotten_stays_forgotten_over_a_restart(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    house.up()
    first = submit(house, "a")
    deliver(house)
    forget(house, TO, first)
    house.close()
    house = open_house()
    assert known(house, "messages", TO) == []


# -- finding ---


@pytest.mark.parametrize("source", [TO, "+" + TO, "00" + TO])
def test_number_is_found_however_a_carrier_writes_it(house: House, source: str) -> None:
    house.commit([inbound(source)])
    assert len(known(house, "inbound", TO)) == 1


@pytest.mark.parametrize("source", ["12345", "ACME"])
def test_short_codes_and_names_are_found_as_they_are_written(house: House, source: str) -> None:
    house.commit([inbound(source), inbound(TO), house.receipt("r1", destination=source)])
    assert len(known(house, "inbound", source)) == 1
    assert known(house, "unmatched", source) == []  # a sender of ours


def test_receipt_with_its_addresses_turned_round_is_found(house: House) -> None:
    house.commit([house.receipt("r1", source="ACME", destination="+" + TO)])
    assert len(known(house, "unmatched", TO)) == 1


def test_walk_takes_a_slice_at_a_time_and_finds_all(house: House) -> None:
    for number in range(7):
        submit(house, f"a{number}", TO if number % 2 else OTHER)
    found: list[int] = []
    after: bytes | None = b""
    slices = 0
    while after is not None:
        part = house.store.know("messages", TO, after, rows_max=2)
        found += [one.id for one in part.found]
        after = part.after
        slices += 1
    assert (len(found), slices) == (3, 4)
