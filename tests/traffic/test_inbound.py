"""Long messages from phones over real binds: acknowledged when stored, joined whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.text import segment
from tests.traffic.line import Line, open_line

PHONE = "491701234567"
LONG = "Grüße aus Köln! " * 15


def deliver_sm(text: str, form: segment.Form, reference: int = 7) -> list[DeliverSm]:
    """A text as a centre cuts it."""
    planned = segment.plan(text, "auto", form)
    assert isinstance(planned, segment.Plan)
    bodies = segment.split(text, planned.encoding, form, reference)
    coding = segment.data_coding_of(planned.encoding)
    has_header = len(bodies) > 1 and form.long_message.startswith("udh")
    return [
        DeliverSm(
            "12345",
            body,
            source_addr=PHONE,
            esm_class=constants.ESM_UDHI if has_header else 0,
            data_coding=coding,
            tlvs=sar_of(reference, len(bodies), number) if form.long_message == "sar" else {},
        )
        for number, body in enumerate(bodies, 1)
    ]


def sar_of(reference: int, total: int, number: int) -> dict[int, bytes]:
    return {
        constants.TLV_SAR_MSG_REF_NUM: reference.to_bytes(2),
        constants.TLV_SAR_TOTAL_SEGMENTS: bytes((total,)),
        constants.TLV_SAR_SEGMENT_SEQNUM: bytes((number,)),
    }


def texts(line: Line) -> list[object]:
    return [event["text"] for event in line.house.events()]


@pytest.mark.parametrize("long_message", ["udh8", "udh16", "sar"])
@pytest.mark.parametrize("text", [LONG, "短信😀" * 40])
async def test_long_message_is_told_as_one_however_its_segments_are_joined(
    tmp_path: Path, autojump_clock: MockClock, long_message: segment.LongMessage, text: str
) -> None:
    async with open_line(tmp_path, inbound_apps=("shop",)) as line:
        smsc = (await line.bind()).smsc
        pdus = deliver_sm(text, segment.Form(long_message))
        await smsc.deliver(*reversed(pdus))
        assert await smsc.wait_acknowledged(len(pdus)) == [0] * len(pdus)
        assert texts(line) == [text]


async def test_segment_is_acknowledged_when_it_is_stored_and_not_before(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_line(tmp_path, is_committing=False, inbound_apps=("shop",)) as line:
        smsc = (await line.bind()).smsc
        await smsc.deliver(deliver_sm(LONG, segment.PLAIN_FORM)[0])
        with trio.move_on_after(5) as scope:
            await smsc.read()
        assert scope.cancelled_caught, "acknowledged before it was on disk"
        line.start_committing()
        assert await smsc.wait_acknowledged(1) == [0]
        assert texts(line) == []
        assert line.house.store.statistics().inbound_waiting == 1


async def test_segments_may_come_on_any_bind_of_their_carrier_and_be_repeated_after_its_loss(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_line(tmp_path, binds=2, inbound_apps=("shop",)) as line:
        one, two = await line.bind(bind=0), await line.bind(bind=1)
        first, second = deliver_sm(LONG, segment.PLAIN_FORM)
        await one.smsc.deliver(second)
        await one.smsc.wait_acknowledged(1)
        await one.smsc.stream.aclose()
        await one.wait_end()
        await two.smsc.deliver(second, first)
        await two.smsc.wait_acknowledged(2)
        assert texts(line) == [LONG]


async def test_text_in_a_message_payload_is_one_message_however_long(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_line(tmp_path, inbound_apps=("shop",)) as line:
        smsc = (await line.bind()).smsc
        tlvs = {constants.TLV_MESSAGE_PAYLOAD: b"x" * 2_000}
        await smsc.deliver(DeliverSm("12345", b"", source_addr=PHONE, tlvs=tlvs))
        await smsc.wait_acknowledged(1)
        assert texts(line) == ["x" * 2_000]


async def test_segment_in_a_message_payload_is_joined_unless_it_is_longer_than_any(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_line(tmp_path, inbound_apps=("shop",)) as line:
        smsc = (await line.bind()).smsc
        pdus = deliver_sm(LONG, segment.PLAIN_FORM)
        pdus += deliver_sm("short " * 40, segment.PLAIN_FORM, reference=8)[:1]
        for pdu in pdus:
            octets = pdu.short_message + b"x" * (900 if pdu is pdus[-1] else 0)
            tlvs = {constants.TLV_MESSAGE_PAYLOAD: octets}
            await smsc.deliver(structs.replace(pdu, short_message=b"", tlvs=tlvs))
        await smsc.wait_acknowledged(len(pdus))
        whole, long = texts(line)
        assert whole == LONG
        assert str(long).endswith("x" * 900)


async def test_missing_segment_is_waited_for_until_the_deadline(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Nothing but the clock moves: the committer wakes by itself."""
    async with open_line(tmp_path, inbound_apps=("shop",)) as line:
        smsc = (await line.bind()).smsc
        await smsc.deliver(deliver_sm(LONG, segment.PLAIN_FORM)[1])
        await smsc.wait_acknowledged(1)
        began = trio.current_time()
        await line.wait_told(1)
        assert 599 <= trio.current_time() - began < 605
        (event,) = line.house.events()
        assert (event["complete"], event["segments_missing"]) == (False, [1])
