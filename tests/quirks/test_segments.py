"""How long messages reach a carrier in pieces: rows 22 to 25 of docs/carriers.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio.testing

from smppd.smpp import constants as c
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.signals import SubmitReceived
from smppd.store.changes import Verdict
from tests.house import Open, pdu_of
from tests.house import open_house as open_house
from tests.quirks.wire import OpenWire
from tests.quirks.wire import open_wire as open_wire
from tests.traffic.line import open_line

Clock = trio.testing.MockClock

SAR = (c.TLV_SAR_MSG_REF_NUM, c.TLV_SAR_TOTAL_SEGMENTS, c.TLV_SAR_SEGMENT_SEQNUM)


def tags_of(pdus: list[SubmitSm]) -> list[set[int]]:
    return [set(pdu.tlvs) for pdu in pdus]


def is_headed(pdus: list[SubmitSm]) -> list[bool]:
    return [bool(pdu.esm_class & c.ESM_UDHI) for pdu in pdus]


# -- 22: a header for some, sar_* for some, message_payload for some, never two of them --


def test_b22_header_with_an_8_bit_reference_is_the_default(open_wire: OpenWire) -> None:
    first, second = open_wire().send("x" * 161)
    assert is_headed([first, second]) == [True, True]
    assert tags_of([first, second]) == [set(), set()]
    reference = first.short_message[3]
    assert first.short_message[:6] == bytes((5, 0, 3, reference, 2, 1))
    assert second.short_message[:6] == bytes((5, 0, 3, reference, 2, 2))


def test_b22_udh16_has_a_16_bit_reference_and_a_septet_less(open_wire: OpenWire) -> None:
    first, second = open_wire('long_message = "udh16"').send("x" * 161)
    assert is_headed([first, second]) == [True, True]
    assert tags_of([first, second]) == [set(), set()]
    assert first.short_message[:3] == b"\x06\x08\x04"
    assert (first.short_message[5:7], second.short_message[5:7]) == (b"\x02\x01", b"\x02\x02")
    assert [len(first.short_message), len(second.short_message)] == [7 + 152, 7 + 9]


def test_b22_sar_is_told_in_tlvs_and_has_no_header(open_wire: OpenWire) -> None:
    pdus = open_wire('long_message = "sar"').send("x" * 161)
    assert is_headed(pdus) == [False, False]
    assert tags_of(pdus) == [set(SAR), set(SAR)]
    told = [[pdu.tlvs[tag] for tag in SAR[1:]] for pdu in pdus]
    assert told == [[b"\x02", b"\x01"], [b"\x02", b"\x02"]]
    assert [pdu.short_message for pdu in pdus] == [b"x" * 153, b"x" * 8]


def test_b22_payload_is_one_submit_with_all_of_the_text(open_wire: OpenWire) -> None:
    wire = open_wire('long_message = "payload"')
    (pdu,) = wire.send("x" * 161)
    assert (pdu.tlvs, pdu.short_message) == ({c.TLV_MESSAGE_PAYLOAD: b"x" * 161}, b"")
    assert not pdu.esm_class & c.ESM_UDHI


@pytest.mark.parametrize("long_message", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize("text", ["x" * 400, "я" * 200, "short"])
def test_b22_of_three_ways_to_join_never_two_are_told_at_once(
    open_wire: OpenWire, long_message: str, text: str
) -> None:
    wire = open_wire(f'long_message = "{long_message}"', 'national_languages = ["tr"]')
    pdus = wire.send(text)
    for pdu in pdus:
        ways = [
            bool(pdu.esm_class & c.ESM_UDHI),
            any(tag in pdu.tlvs for tag in SAR),
            c.TLV_MESSAGE_PAYLOAD in pdu.tlvs,
        ]
        assert sum(ways) == (text != "short")
    if long_message != "sar":
        assert wire.read(pdus) == text


@pytest.mark.parametrize("long_message", ["sar", "payload"])
def test_b22_where_the_carrier_cuts_shift_tables_are_for_lone_segments(
    open_wire: OpenWire, long_message: str
) -> None:
    wire = open_wire(f'long_message = "{long_message}"', 'national_languages = ["tr"]')
    (lone,) = wire.send("ğ" * 155, ref="lone")
    assert (lone.short_message[:4], is_headed([lone])) == (b"\x03\x25\x01\x01", [True])
    longer = wire.send("ğ" * 156, ref="longer")
    assert {pdu.data_coding for pdu in longer} == {8}
    assert not any(is_headed(longer))


# -- 23: parts over two binds are not joined --


def test_b23_all_parts_of_a_message_go_over_one_bind(open_wire: OpenWire) -> None:
    wire = open_wire("binds = 2", binds=2, window=2)
    for number in range(4):
        wire.submit("x" * 700, ref=f"r{number}")  # 5 segments each
    binds: dict[bytes, set[int]] = {}
    for bind in [0, 1] * 12:
        for pdu in wire.take(bind):
            binds.setdefault(pdu.short_message[3:4], set()).add(bind)
        wire.house.answer(wire.written, bind=bind)
    assert [len(used) for used in binds.values()] == [1, 1, 1, 1]
    assert set().union(*binds.values()) == {0, 1}


def test_b23_part_that_failed_for_now_is_tried_on_the_same_carrier_and_bind(
    open_house: Open,
) -> None:
    house = open_house(binds=2, window=2)
    house.up("alpha", 0)
    house.submit("long", text="x" * 400, segments=3)
    first, second = house.take("alpha", 0)
    house.up("alpha", 1)
    house.up("beta", 0)
    house.answer([first])
    house.answer([second], verdict=Verdict.RETRY, status=c.ESME_RSYSERR)
    house.pass_time(5)
    again = house.take("alpha", 0)
    assert sorted(pdu_of(one).short_message[5] for one in again) == [2, 3]
    assert house.take("alpha", 1) == house.take("beta", 0) == []


# -- 24: references reused too soon, one sequence_number for all parts --


def test_b24_references_count_up_by_destination(open_wire: OpenWire) -> None:
    wire = open_wire()
    own = [wire.send("x" * 161, ref=f"a{n}")[0].short_message[3] for n in range(5)]
    other = wire.send("x" * 161, ref="b", to="491709999999")[0].short_message[3]
    assert own == [(own[0] + n) % 256 for n in range(5)]
    assert other == own[0]


def test_b24_8_bit_reference_comes_back_after_256_messages_to_one_phone_and_no_sooner(
    open_wire: OpenWire,
) -> None:
    wire = open_wire()
    used = [wire.send("x" * 161, ref=f"r{n}")[0].short_message[3] for n in range(257)]
    assert len(set(used[:256])) == 256
    assert used[256] == used[0]


def test_b24_16_bit_reference_goes_beyond_them(open_wire: OpenWire) -> None:
    wire = open_wire('long_message = "udh16"')
    used = [wire.send("x" * 161, ref=f"r{n}")[0].short_message[3:5] for n in range(300)]
    assert len(set(used)) == 300


def test_b24_references_go_on_after_a_restart(open_house: Open) -> None:
    used = []
    for ref in ("a", "b", "c"):
        house = open_house()
        house.up()
        house.submit(ref, text="x" * 161, segments=2)
        submits = house.take()
        house.answer(submits)
        used.append(pdu_of(submits[0]).short_message[3])
        if ref != "c":
            house.close()
    assert used == [used[0], used[0] + 1, used[0] + 2]


async def test_b24_each_part_has_a_sequence_number_of_its_own(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("long", text="x" * 700, segments=5)
        numbers = [submit.sequence_number for submit in await tie.smsc.take_submits(5)]
        assert numbers == list(range(numbers[0], numbers[0] + 5))


# -- 25: throttled on part 2, and the rest lost or out of order --


def test_b25_pace_counts_segments_and_not_messages(open_wire: OpenWire) -> None:
    wire = open_wire(throughput=2)
    wire.submit("x" * 700)  # 5 segments
    counts = []
    for _ in range(3):
        counts.append(len(wire.take()))
        wire.answer()
        wire.house.pass_time(1)
    assert counts[0] < 5
    assert sum(counts) <= counts[0] + 4, "two a second and no more"


async def test_b25_throttled_part_is_sent_again_with_the_rest_and_nothing_is_lost(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("long", text="x" * 700, segments=5)
        first, second, *rest = await tie.smsc.take_submits(5)
        await tie.smsc.answer([first])
        await tie.smsc.answer([second], c.ESME_RTHROTTLED)
        await tie.smsc.answer(rest)
        (again,) = await tie.smsc.take_submits(1)
        assert number_of(again) == 2
        await tie.smsc.answer([again])
        assert await line.wait_told(1) == [("long", "sent")]


async def test_b25_throttled_part_slows_the_whole_link_and_goes_before_what_has_not_begun(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_line(tmp_path, window=4) as line:
        tie = await line.bind()
        await line.submit("long", text="x" * 300, segments=2)
        await line.submit("one", "two", "three")
        first, second, one, two = await tie.smsc.take_submits(4)
        await tie.smsc.answer([second], c.ESME_RTHROTTLED)
        await tie.smsc.answer([first, one])
        again, three = await tie.smsc.take_submits(2)
        assert (number_of(again), three.pdu.short_message) == (2, b"hi")
        assert line.house.states["alpha"].throughput.statistics().slowed
        await tie.smsc.answer([two, again, three])
        told = await line.wait_told(4)
        assert sorted(told) == [(ref, "sent") for ref in ("long", "one", "three", "two")]


def number_of(submit: SubmitReceived) -> int:
    """Which part of its message it is."""
    return submit.pdu.short_message[5]
