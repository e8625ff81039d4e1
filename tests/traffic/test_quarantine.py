"""What a link cannot read: answered as the standard says, counted, and kept as it came."""

from __future__ import annotations

from pathlib import Path

import trio.testing

from smppd.smpp import constants
from smppd.smpp.framing import LOST_OCTETS_MAX
from smppd.smpp.pdu import DeliverSm
from smppd.store.quarantine import QuarantineView
from smppd.traffic.settle import QUARANTINED_MAX
from tests.smpp.pair import raw
from tests.traffic.line import Line, Tie, open_line
from tests.traffic.test_link import receipt_of

Clock = trio.testing.MockClock

MALFORMED = raw(constants.DELIVER_SM, 7, body=b"no NUL in sight")


async def list_kept(line: Line) -> list[QuarantineView]:
    """What is in the quarantine, whole, once all that was said is read and stored."""
    await trio.testing.wait_all_tasks_blocked()
    listed = line.house.store.quarantined(rows_max=1_000)
    return [line.house.store.quarantined(number=int(one.id, 16))[0] for one in listed]


async def say(tie: Tie, octets: bytes) -> None:
    await tie.smsc.stream.send_all(octets)


async def test_malformed_deliver_sm_is_refused_and_kept_whole(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await say(tie, MALFORMED)
        answer = bytes(await tie.smsc.stream.receive_some(100))
        assert answer == raw(constants.DELIVER_SM_RESP, 7, constants.ESME_RINVCMDLEN, b"\0")
        (kept,) = await list_kept(line)
        assert bytes.fromhex(kept.pdu) == MALFORMED
        assert (kept.carrier, kept.bind, kept.command) == ("alpha", 0, "deliver_sm")
        assert kept.reason == "the body ends inside its mandatory fields"


async def test_what_follows_a_malformed_pdu_is_read(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r1")
        (submit,) = await tie.smsc.take_submits(1)
        await tie.smsc.answer([submit], prefix="m")
        await say(tie, MALFORMED)
        await tie.smsc.deliver(receipt_of(f"m{submit.sequence_number}"))
        assert await line.wait_told(2) == [("r1", "sent"), ("r1", "delivered")]


async def test_command_nobody_speaks_is_nacked_and_kept(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    vendor = raw(0x00010200, 9, body=b"what a vendor made up")
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await say(tie, vendor)
        answer = bytes(await tie.smsc.stream.receive_some(100))
        assert answer == raw(constants.GENERIC_NACK, 9, constants.ESME_RINVCMDID)
        (kept,) = await list_kept(line)
        assert (bytes.fromhex(kept.pdu), kept.command) == (vendor, "0x00010200")


async def test_octets_that_are_no_smpp_are_kept_with_the_name_of_what_they_are(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    page = b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"<html>" * 100
    async with open_line(tmp_path) as line:
        tie = line.open_link()
        await say(tie, page)
        assert (await tie.wait_end()).reason == "the peer speaks HTTP, not SMPP"
        (kept,) = await list_kept(line)
        assert (bytes.fromhex(kept.pdu), kept.command) == (page[:LOST_OCTETS_MAX], "")
        assert kept.reason == "the peer speaks HTTP, not SMPP"


async def test_flood_of_rubbish_is_counted_whole_and_kept_in_part(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await say(tie, b"".join(raw(0x00010200, number) for number in range(1, 1_001)))
        await trio.testing.wait_all_tasks_blocked()
        assert line.house.slot().carrier.counts.pdus_refused == 1_000
        kept = await list_kept(line)
        assert len(kept) == QUARANTINED_MAX


async def test_receipt_that_names_neither_message_nor_state_is_acknowledged_and_kept(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    empty = DeliverSm("ACME", b"thank you", source_addr="4917", esm_class=0x04)
    nameless = DeliverSm("ACME", b"stat:DELIVRD", source_addr="4917", esm_class=0x04)
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await tie.smsc.deliver(empty, receipt_of("m1"), nameless)
        assert await tie.smsc.wait_acknowledged(3) == [0, 0, 0]
        (kept,) = await list_kept(line)
        assert b"thank you" in bytes.fromhex(kept.pdu)
        assert kept.reason == "the receipt has neither an id nor a state"


async def test_answer_with_an_id_too_long_to_keep_counts_and_is_kept(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r1")
        (submit,) = await tie.smsc.take_submits(1)
        answer = raw(constants.SUBMIT_SM_RESP, submit.sequence_number, body=b"7" * 200)
        await say(tie, answer)
        assert await line.wait_told(1) == [("r1", "sent")]
        (kept,) = await list_kept(line)
        assert bytes.fromhex(kept.pdu) == answer
