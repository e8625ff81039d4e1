"""Twenty-five points of SMPP that cheap implementations miss: those that take several rooms.

Each test is named after its point. What goes out is read back from the octets of its submit_sm;
what comes in is octets too, read by a session, settled and committed. The points one room keeps
alone are tested there (``smpp/test_conformance.py``, ``text/test_conformance.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from smppd.smpp import constants as c
from smppd.smpp.pdu import (
    DeliverSm,
    SubmitSm,
    decode_submit_sm,
    encode_deliver_sm,
    encode_submit_sm,
)
from smppd.smpp.session import Submit
from smppd.smpp.signals import SubmitReceived
from smppd.store.records import CarrierProfile
from smppd.text import gsm7, ucs2
from smppd.traffic.settle import LinkProfile, settle
from tests.house import House, tag_of
from tests.smpp.pair import bound_esme, raw
from tests.traffic.centre import WAIT_MIN, keep, open_centre, until
from tests.traffic.line import open_line

Clock = trio.testing.MockClock
Open = Callable[..., House]

PHONE = "491701234567"
ALPHA = LinkProfile("alpha", 0)


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again and again, as restarts do; the one before is closed."""
    houses: list[House] = []

    def open_house(**settings: object) -> House:
        if houses:
            houses.pop().close()
        house = House(tmp_path / "state", **settings)  # type: ignore[arg-type]
        house.up()
        houses.append(house)
        return house

    yield open_house
    houses.pop().close()


def on_wire(submits: list[Submit]) -> list[SubmitSm]:
    """What a centre reads in the octets of these submits."""
    read = []
    for submit in submits:
        assert isinstance(submit.pdu, SubmitSm), submit
        pdu = decode_submit_sm(encode_submit_sm(submit.pdu, 1)[16:])
        assert isinstance(pdu, SubmitSm), pdu
        read.append(pdu)
    return read


def hear(
    house: House,
    short_message: bytes,
    *,
    esm_class: int = 0,
    data_coding: int = 0,
    tlvs: bytes = b"",
) -> None:
    """A deliver_sm of the phone comes in on alpha, ``tlvs`` as they stand."""
    pdu = DeliverSm(
        "ACME", short_message, source_addr=PHONE, esm_class=esm_class, data_coding=data_coding
    )
    body = encode_deliver_sm(pdu, 1)[16:] + tlvs
    signals = bound_esme().receive_data(raw(c.DELIVER_SM, 1, body=body), 0.0)
    changes = settle(signals, ALPHA, house.now).changes
    assert len(changes) == 1
    house.commit(changes)


def tlv(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def hear_state(house: House, state: int, *, esm_class: int = c.ESM_TYPE_RECEIPT) -> None:
    """A receipt for m1 that says so in its TLVs alone."""
    tlvs = tlv(c.TLV_RECEIPTED_MESSAGE_ID, b"m1\0") + tlv(c.TLV_MESSAGE_STATE, bytes([state]))
    hear(house, b"", esm_class=esm_class, tlvs=tlvs)


def send_one(house: House) -> None:
    """A message "r" that alpha has taken as m1."""
    house.submit("r")
    house.answer(house.take(), ids=["m1"])


def events_after_sent(house: House) -> list[str]:
    told = [event for _, event in house.told()]
    assert told[0] == "sent"
    return told[1:]


def gsm7_octets(text: str) -> bytes:
    octets = gsm7.encode(text)
    assert octets is not None
    return octets


def references_of(pdus: list[SubmitSm]) -> list[int]:
    return [pdu.short_message[3] for pdu in pdus]


# 10: the header of user data is skipped first, and esm_class is read by masks


@pytest.mark.parametrize("esm_class", [0x40, 0x43, 0xC0, 0xC3, 0x48, 0x50, 0x58])
@pytest.mark.parametrize("header", ["050003070201", "06080400070201", "03240101", "00"])
def test_e10_mo_with_udhi_is_read_from_behind_its_header(
    open_house: Open, esm_class: int, header: str
) -> None:
    house = open_house(inbound_apps=("shop",))
    udh = bytes.fromhex(header)
    hear(house, udh + gsm7_octets("[hi]"), esm_class=esm_class)
    hear(house, udh + ucs2.encode("да 😀"), esm_class=esm_class, data_coding=8)
    payload = tlv(c.TLV_MESSAGE_PAYLOAD, udh + b"long")
    hear(house, b"", esm_class=esm_class, tlvs=payload)
    house.pass_time(601)  # where a second segment is waited for
    assert [event["text"] for event in house.events()] == ["[hi]", "да 😀", "long"]


@pytest.mark.parametrize("esm_class", [0x00, 0x03, 0x80])
def test_e10_mo_without_udhi_is_text_from_its_first_octet(open_house: Open, esm_class: int) -> None:
    house = open_house(inbound_apps=("shop",))
    hear(house, b"\x05\x00\x03\x07\x02\x01hi", esm_class=esm_class)
    assert house.events()[0]["text"] == "é@¥ì$£hi"


@pytest.mark.parametrize("esm_class", [0x44, 0x47, 0xC4, 0xC7])
def test_e10_receipt_with_udhi_is_read_from_behind_its_header(
    open_house: Open, esm_class: int
) -> None:
    house = open_house()
    send_one(house)
    element = b"id:m9 stat:UNDELIV err:001 "
    header = bytes([2 + len(element), 0x70, len(element)]) + element
    hear(house, header + b"id:m1 stat:DELIVRD err:000", esm_class=esm_class)
    assert events_after_sent(house) == ["delivered"]


@pytest.mark.parametrize("esm_class", [0x04, 0x07, 0x84, 0x87, 0x06])
def test_e10_receipt_is_one_whatever_mode_and_reply_path_stand_beside(
    open_house: Open, esm_class: int
) -> None:
    house = open_house(inbound_apps=("shop",))
    send_one(house)
    hear_state(house, c.MESSAGE_STATE_DELIVERED, esm_class=esm_class)
    assert events_after_sent(house) == ["delivered"]


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18, 0x83])
def test_e10_other_types_are_no_receipts(open_house: Open, esm_class: int) -> None:
    house = open_house(inbound_apps=("shop",))
    send_one(house)
    hear(house, b"thanks", esm_class=esm_class)
    assert events_after_sent(house) == ["inbound"]


# 11: which message_states are final


@pytest.mark.parametrize(
    ("state", "event", "code"),
    [
        (c.MESSAGE_STATE_DELIVERED, "delivered", None),
        (c.MESSAGE_STATE_EXPIRED, "expired", None),
        (c.MESSAGE_STATE_DELETED, "failed", "deleted"),
        (c.MESSAGE_STATE_UNDELIVERABLE, "failed", "undeliverable"),
        (c.MESSAGE_STATE_REJECTED, "failed", "rejected_by_carrier"),
    ],
)
def test_e11_final_state_closes_and_nothing_reopens_it(
    open_house: Open, state: int, event: str, code: str | None
) -> None:
    house = open_house()
    send_one(house)
    for later in (state, *c.MESSAGE_STATES):
        hear_state(house, later)
    assert events_after_sent(house) == [event]
    assert house.events()[1].get("code") == code


@pytest.mark.parametrize(
    "state", [c.MESSAGE_STATE_SCHEDULED, c.MESSAGE_STATE_ENROUTE, c.MESSAGE_STATE_ACCEPTED]
)
@pytest.mark.parametrize("final", [c.MESSAGE_STATE_DELIVERED, c.MESSAGE_STATE_UNDELIVERABLE])
def test_e11_scheduled_enroute_and_accepted_close_nothing(
    open_house: Open, state: int, final: int
) -> None:
    house = open_house()
    send_one(house)
    hear_state(house, state)
    assert events_after_sent(house) == []
    view = house.store.query("shop", ref="r")
    assert view is not None
    assert [late.state for late in view.late_receipts] == [c.MESSAGE_STATES[state]]
    hear_state(house, final)
    assert events_after_sent(house) == ["delivered" if final == 2 else "failed"]


@pytest.mark.parametrize(
    ("final", "event"),
    [(2, "delivered"), (3, "expired"), (4, "failed"), (5, "failed"), (8, "failed")],
)
def test_e11_unknown_is_unconfirmed_until_a_receipt_knows_better(
    open_house: Open, final: int, event: str
) -> None:
    house = open_house()
    send_one(house)
    hear_state(house, c.MESSAGE_STATE_UNKNOWN)
    hear_state(house, c.MESSAGE_STATE_UNKNOWN)
    hear_state(house, c.MESSAGE_STATE_ACCEPTED)
    assert events_after_sent(house) == ["unconfirmed"]
    hear_state(house, final)
    assert events_after_sent(house) == ["unconfirmed", event]


@pytest.mark.parametrize("word", [b"ACCEPTD", b"ENROUTE", b"SCHEDULED"])
def test_e11_words_mean_what_the_states_mean(open_house: Open, word: bytes) -> None:
    house = open_house()
    send_one(house)
    hear(house, b"id:m1 stat:" + word + b" err:000", esm_class=c.ESM_TYPE_RECEIPT)
    assert events_after_sent(house) == []
    hear(house, b"id:m1 stat:EXPIRED err:000", esm_class=c.ESM_TYPE_RECEIPT)
    assert events_after_sent(house) == ["expired"]


def test_e11_intermediate_notification_is_not_final_whatever_it_says(open_house: Open) -> None:
    house = open_house()
    send_one(house)
    hear(house, b"id:m1 stat:UNDELIV err:001", esm_class=c.ESM_TYPE_INTERMEDIATE)
    hear(house, b"id:m1 stat:DELIVRD err:000", esm_class=c.ESM_TYPE_RECEIPT)
    assert events_after_sent(house) == ["delivered"]


# 12: the registered_delivery that is sent


@pytest.mark.parametrize(
    ("receipts", "asked", "single", "long"),
    [
        ("each", True, [1], [1, 1, 1]),
        ("last", True, [1], [0, 0, 1]),
        ("none", True, [0], [0, 0, 0]),
        ("each", False, [0], [0, 0, 0]),
        ("last", False, [0], [0, 0, 0]),
        ("none", False, [0], [0, 0, 0]),
    ],
)
def test_e12_registered_delivery_is_1_where_a_receipt_is_asked_for_and_0_elsewhere(
    open_house: Open, receipts: str, asked: bool, single: list[int], long: list[int]
) -> None:
    house = open_house(profile=CarrierProfile(receipts=receipts))
    house.submit("single", receipt=asked)
    submits = house.take()
    assert [pdu.registered_delivery for pdu in on_wire(submits)] == single
    house.answer(submits)
    house.submit("long", text="x" * 400, segments=3, receipt=asked)
    submits = house.take()
    assert [pdu.registered_delivery for pdu in on_wire(submits)] == long
    house.answer(submits)
    assert [event["receipt"] for event in house.events()] == [sum(single) > 0, sum(long) > 0]


def test_e12_resend_asks_again_for_the_receipt(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipts="last"))
    house.submit("long", text="x" * 200, segments=2)
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.up()
    assert [pdu.registered_delivery for pdu in on_wire(house.take())] == [0, 1]


# 13: what phones send, by data_coding


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"),
    [
        (0, b"\x00\x02\x1b\x65\x5f", "@$€§"),
        (3, b"caf\xe9 \x40\x24\xa7", "café @$§"),
        (8, "短信 😀".encode("utf-16-be"), "短信 😀"),
        (1, b"IA5 @$", "IA5 @$"),
        (5, "日本".encode("iso2022_jp"), "日本"),
        (6, "да".encode("iso8859_5"), "да"),
        (7, "שלום".encode("iso8859_8"), "שלום"),
        (13, "丂".encode("iso2022_jp_1"), "丂"),
        (0x11, b"\x00", "@"),
        (0x18, "短".encode("utf-16-be"), "短"),
        (0xC0, b"\x00", "@"),
        (0xDF, b"\x00", "@"),
        (0xE0, "短".encode("utf-16-be"), "短"),
        (0xF0, b"\x00", "@"),
    ],
)
def test_e13_codings_of_text_are_read_as_text(
    open_house: Open, data_coding: int, octets: bytes, text: str
) -> None:
    house = open_house(inbound_apps=("shop",))
    hear(house, octets, data_coding=data_coding)
    (event,) = house.events()
    assert event["text"] == text
    assert "data" not in event


@pytest.mark.parametrize(
    "data_coding", [2, 4, 5, 7, 9, 10, 13, 14, 0x14, 0x38, 0x7F, 0x80, 0xBF, 0xF5, 0xFF]
)
def test_e13_other_codings_are_told_as_the_octets_they_are(
    open_house: Open, data_coding: int
) -> None:
    house = open_house(inbound_apps=("shop",))
    octets = bytes(range(0xFF, 0x7F, -1)) + b"\0\x1b abc"
    hear(house, octets, data_coding=data_coding)
    (event,) = house.events()
    assert event["text"] == ""
    assert (event["data"], event["data_coding"]) == (octets.hex(), data_coding)


# 14: TLVs as centres write them


@pytest.mark.parametrize("value", [b"m1", b"m1\0", b"m1\0\0", b"m1\0junk"])
def test_e14_receipted_message_id_is_found_with_and_without_its_nul(
    open_house: Open, value: bytes
) -> None:
    house = open_house()
    send_one(house)
    tlvs = tlv(c.TLV_RECEIPTED_MESSAGE_ID, value)
    hear(house, b"stat:DELIVRD err:000", esm_class=c.ESM_TYPE_RECEIPT, tlvs=tlvs)
    assert events_after_sent(house) == ["delivered"]


@pytest.mark.parametrize("octets", [1, 2, 4])
@pytest.mark.parametrize(("state", "event"), [(2, "delivered"), (3, "expired"), (8, "failed")])
def test_e14_message_state_is_a_number_of_as_many_octets_as_it_has(
    open_house: Open, octets: int, state: int, event: str
) -> None:
    house = open_house()
    send_one(house)
    tlvs = tlv(c.TLV_MESSAGE_STATE, state.to_bytes(octets, "big"))
    hear(house, b"id:m1 err:000", esm_class=c.ESM_TYPE_RECEIPT, tlvs=tlvs)
    assert events_after_sent(house) == [event]


def test_e14_first_of_two_tlvs_counts_in_any_order_among_unknown_ones(open_house: Open) -> None:
    house = open_house()
    send_one(house)
    tlvs = (
        tlv(0x1400, b"vendor")
        + tlv(c.TLV_MESSAGE_STATE, b"\x02")
        + tlv(c.TLV_RECEIPTED_MESSAGE_ID, b"m1")
        + tlv(0x3FFF, b"")
        + tlv(c.TLV_RECEIPTED_MESSAGE_ID, b"m9\0")
        + tlv(c.TLV_MESSAGE_STATE, b"\x05")
    )
    hear(house, b"", esm_class=c.ESM_TYPE_RECEIPT, tlvs=tlvs)
    assert events_after_sent(house) == ["delivered"]


# 19: every segment of a long message


@pytest.mark.parametrize(
    ("text", "encoding", "data_coding"),
    [("Straße €" * 50, "gsm7", 0), ("Привет 😀" * 20, "ucs2", 8)],
)
@pytest.mark.parametrize("message_class", ["otp", "transactional", "promotional"])
def test_e19_segments_differ_in_nothing_but_their_text(
    open_house: Open, text: str, encoding: str, data_coding: int, message_class: str
) -> None:
    house = open_house()
    house.submit("long", text=text, encoding=encoding, segments=3, message_class=message_class)
    pdus = on_wire(house.take())
    assert len(pdus) == 3
    first = msgspec.structs.replace(pdus[0], short_message=b"")
    assert all(msgspec.structs.replace(pdu, short_message=b"") == first for pdu in pdus)
    assert (first.source_addr, first.destination_addr) == ("ACME", PHONE)
    assert (first.esm_class, first.data_coding) == (c.ESM_UDHI, data_coding)
    reference = pdus[0].short_message[3]
    heads = [pdu.short_message[:6] for pdu in pdus]
    assert heads == [bytes([5, 0, 3, reference, 3, number]) for number in (1, 2, 3)]
    decode = gsm7.decode if encoding == "gsm7" else ucs2.decode
    assert "".join(decode(pdu.short_message[6:]) for pdu in pdus) == text


def test_e19_numbers_run_from_1_to_255_and_are_never_0(open_house: Open) -> None:
    house = open_house(window=60)
    house.submit("longest", text="x" * 153 * 255, segments=255)
    pdus: list[SubmitSm] = []
    while submits := house.take():
        pdus += on_wire(submits)
        house.answer(submits)
    assert [pdu.short_message[5] for pdu in pdus] == list(range(1, 256))
    assert {pdu.short_message[4] for pdu in pdus} == {255}
    assert len(set(references_of(pdus))) == 1
    assert house.told() == [("longest", "sent")]


def test_e19_rest_of_a_message_is_of_one_piece_after_a_restart_and_a_resend(
    open_house: Open,
) -> None:
    house = open_house(window=1)
    house.submit("other", text="y" * 200, segments=2, to="491700000000")
    house.submit("long", text="x" * 400, segments=3)
    pdus: list[SubmitSm] = []
    while len(pdus) < 3:
        submits = house.take()
        pdus += on_wire(submits)
        house.answer(submits)
    assert pdus[2].destination_addr == PHONE
    house.take()
    house = open_house(window=5)  # the second segment is doubt, and comes again
    rest = on_wire(house.take())
    assert sorted(pdu.short_message[5] for pdu in rest) == [2, 3]
    assert set(references_of(rest)) == set(references_of(pdus[2:]))
    whole = [msgspec.structs.replace(pdu, short_message=b"") for pdu in (*pdus[2:], *rest)]
    assert all(one == other for one, other in pairwise(whole))


# 20: references


def send_long(house: House, *refs: str, to: str = PHONE) -> list[SubmitSm]:
    """Long messages go out, and are answered."""
    house.submit(*refs, text="x" * 200, segments=2, to=to)
    submits = house.take()
    house.answer(submits)
    return on_wire(submits)


def test_e20_concurrent_messages_to_one_phone_have_references_of_their_own(
    open_house: Open,
) -> None:
    house = open_house(window=100)
    for app in ("shop", "crm"):
        refs = [f"r{number}" for number in range(20)]
        house.submit(*refs, app=app, text="x" * 200, segments=2)
    pdus = on_wire(house.take())
    assert len(pdus) == 80
    counts = {one: references_of(pdus).count(one) for one in references_of(pdus)}
    assert len(counts) == 40
    assert set(counts.values()) == {2}


def test_e20_references_wrap_after_256_to_the_one_used_longest_ago_over_restarts(
    open_house: Open,
) -> None:
    used: list[int] = []
    number = 0
    for _ in range(4):
        house = open_house(window=200)
        for _ in range(75):
            pdus = send_long(house, f"r{number}")
            send_long(house, f"other{number}", to="491700000000")
            used.append(pdus[0].short_message[3])
            number += 1
        house.pass_time(3_600)
    assert sorted(used[:256]) == list(range(256))
    assert used[256:] == used[:44]


def test_e20_every_segment_has_udhi_and_no_sar_beside_it(open_house: Open) -> None:
    house = open_house()
    house.submit("short")
    (single,) = on_wire(house.take())
    long = send_long(house, "long")
    assert single.esm_class & c.ESM_UDHI == 0
    assert all(pdu.esm_class & c.ESM_UDHI for pdu in long)
    sar = {c.TLV_SAR_MSG_REF_NUM, c.TLV_SAR_TOTAL_SEGMENTS, c.TLV_SAR_SEGMENT_SEQNUM}
    assert all(not sar & pdu.tlvs.keys() for pdu in (single, *long))


# 21: escapes that lead nowhere


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1b", " "),
        (b"end\x1b", "end "),
        (b"a\x1bAb", "aAb"),
        (b"\x1b\x00", "@"),
        (b"a\x1b\x1bb", "a b"),
        (b"\x1b\x65\x1b\x41\x1b", "€A "),
        (b"\x1b\x0a|", "\fö"),
    ],
)
def test_e21_escape_alone_is_a_space_and_before_an_unknown_one_the_base_character(
    open_house: Open, octets: bytes, text: str
) -> None:
    house = open_house(inbound_apps=("shop",))
    hear(house, octets)
    assert [event["text"] for event in house.events()] == [text]


def test_e21_all_137_characters_go_out_and_are_read_back(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",))
    text = gsm7.BASIC.replace("\x1b", "") + "".join(gsm7.EXTENSION.values())
    assert len(set(text)) == 137
    house.submit("r", text=text)
    (pdu,) = on_wire(house.take())
    assert (pdu.data_coding, len(pdu.short_message)) == (0, 127 + 20)
    hear(house, pdu.short_message)
    assert house.events()[0]["text"] == text


# 24: unbinding, from both sides, and what comes after


async def test_e24_nothing_is_sent_after_our_unbind_and_answers_still_count(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=3, carriers=("alpha",)) as line:
        tie = await line.bind()
        await line.submit("r0", "r1", receipt=False)
        submits = await tie.smsc.take_submits(2)
        tie.link.unbind()
        await line.submit("r2", receipt=False)
        await tie.smsc.answer(submits)
        await tie.smsc.wait_unbind()
        await line.submit("r3", receipt=False)
        assert (await tie.wait_end()).is_orderly
        await tie.smsc.read_to_end()
        assert not any(isinstance(one, SubmitReceived) for one in tie.smsc.received)
        assert line.house.told() == [("r0", "sent"), ("r1", "sent")]
        again = await line.bind()
        await again.smsc.answer(await again.smsc.take_submits(2))
        assert (await line.wait_told(4))[2:] == [("r2", "sent"), ("r3", "sent")]
        assert all("maybe_duplicate" not in event for event in line.house.events())


async def test_e24_peers_unbind_is_answered_before_closing_and_what_it_left_is_uncertain(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=("alpha",)) as line:
        tie = await line.bind()
        await line.submit("r0", "r1", uncertain="stop", receipt=False)
        submits = await tie.smsc.take_submits(2)
        await tie.smsc.answer(submits[:1])
        await tie.smsc.unbind()
        assert tie.smsc.session.state == "unbinding"
        await tie.smsc.read_until(lambda: tie.smsc.session.closed)  # unbind_resp was read
        assert not tie.has_ended
        await line.submit("r2", receipt=False)
        await tie.smsc.read_to_end()
        assert (await tie.wait_end()).reason == "the SMSC unbound"
        assert line.house.told() == [("r0", "sent"), ("r1", "uncertain")]
        again = await line.bind()
        (submit,) = await again.smsc.take_submits(1)
        await again.smsc.answer([submit])
        assert (await line.wait_told(3))[2] == ("r2", "sent")
        assert "maybe_duplicate" not in line.house.events()[2]


async def test_e24_keeper_waits_before_it_dials_again_after_the_peers_unbind(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept_bound(keeper)
        await smsc.unbind()
        await smsc.read_to_end()
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == "the SMSC unbound"
        await centre.check_wait(keeper, WAIT_MIN)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()
