"""A tap on a link: whole PDUs of both directions, and nothing of it once nobody asks."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from smppd.ctl.levers import TAP_SECONDS_MAX as LONGEST_ASKED
from smppd.smpp.capture import as_it_is, file_header
from smppd.smpp.constants import BIND_TRANSCEIVER, DELIVER_SM_RESP, SUBMIT_SM, SUBMIT_SM_RESP
from smppd.smpp.framing import Frame, FrameBuffer
from smppd.smpp.redaction import redact_pdu
from smppd.traffic.tap import IDLE_SECONDS_MAX, TAP_OCTETS_MAX, TAP_SECONDS_MAX, Tap
from tests.smpp.captured import carried_by, records_of
from tests.smpp.pair import raw
from tests.traffic.line import Line, open_line

Clock = trio.testing.MockClock


def tap_alpha(line: Line, tap: Tap) -> Tap:
    line.house.slot("alpha", 0).carrier.tap = tap
    return tap


def new_tap() -> Tap:
    return Tap("1", as_it_is, trio.current_time())


def commands_of(capture: bytes) -> list[int]:
    """The command_ids of a capture, both directions, in order."""
    found = []
    for packet in records_of(capture):
        frames = FrameBuffer().receive(carried_by(packet))
        found += [frame.command_id for frame in frames if isinstance(frame, Frame)]
    return found


async def test_tap_has_the_pdus_of_both_directions_in_order(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        tap = tap_alpha(line, new_tap())
        await line.submit("r1")
        submits = await tie.smsc.take_submits(1)
        await tie.smsc.answer(submits)
        await line.wait_told(1)
        assert commands_of(tap.take(10_000_000, 0.0)) == [SUBMIT_SM, SUBMIT_SM_RESP]


async def test_tap_sees_the_bind_of_a_link_that_begins_under_it(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tap = tap_alpha(line, new_tap())
        await line.bind()
        assert commands_of(tap.take(10_000_000, 0.0))[0] == BIND_TRANSCEIVER


async def test_tap_that_begins_inside_a_pdu_has_that_pdu_whole(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    pdu = raw(DELIVER_SM_RESP, 77, body=b"\0")
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await tie.smsc.stream.send_all(pdu[:9])
        await trio.testing.wait_all_tasks_blocked()
        tap = tap_alpha(line, new_tap())
        await tie.smsc.stream.send_all(pdu[9:])
        await trio.testing.wait_all_tasks_blocked()
        packets = records_of(tap.take(10_000_000, 0.0))
        assert carried_by(packets[-1]) == pdu


async def test_text_is_not_in_a_redacting_tap(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        tap = tap_alpha(line, Tap("1", redact_pdu, trio.current_time()))
        await line.submit("r1", text="the secret of it")
        (submit,) = await tie.smsc.take_submits(1)
        capture = tap.take(10_000_000, 0.0)
        assert submit.pdu.short_message == b"the secret of it"
        assert b"secret" not in capture
        assert b"491701234567" not in capture
        assert b"x" * 16 in capture


async def test_tap_nobody_asks_for_is_taken_off_the_link(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        await line.bind()
        tap_alpha(line, new_tap())
        await trio.sleep(IDLE_SECONDS_MAX)
        await line.submit("r1")
        await trio.testing.wait_all_tasks_blocked()
        assert line.house.slot("alpha", 0).carrier.tap is None


def test_tap_is_wanted_by_who_has_just_asked() -> None:
    tap = Tap("1", as_it_is, 0.0)
    assert [tap.is_wanted(now) for now in (0.0, 1.9, 2.0)] == [True, True, False]
    tap.take(1_000, 5.0)
    assert tap.is_wanted(6.9)
    assert not tap.is_wanted(TAP_SECONDS_MAX)


def test_what_nobody_takes_is_dropped_and_counted() -> None:
    tap = Tap("1", as_it_is, 0.0)
    pdu = raw(SUBMIT_SM, 1, body=b"z" * 60_000)

    for _ in range(300):
        tap.sent(0, pdu, 1_000, b"")

    taken = b"".join(iter(lambda: tap.take(1_000_000, 0.0), b""))
    assert TAP_OCTETS_MAX * 0.9 < len(taken) <= TAP_OCTETS_MAX + len(file_header())
    assert tap.dropped > 300 * 60_000 - TAP_OCTETS_MAX


def test_tap_is_taken_in_pieces_that_are_a_file_together() -> None:
    tap = Tap("1", as_it_is, 0.0)
    pdus = [raw(SUBMIT_SM, number, body=b"z" * 100) for number in range(1, 50)]
    for pdu in pdus:
        tap.sent(0, pdu, 1_000, b"")
    tap.ended(0, 1_000)

    pieces = list(iter(lambda: tap.take(500, 0.0), b""))

    assert len(pieces) > 10
    carried = [carried_by(packet) for packet in records_of(b"".join(pieces))]
    assert [one for one in carried if one] == pdus


def test_tap_ends_by_itself_however_often_it_is_asked() -> None:
    tap = Tap("1", as_it_is, 0.0)
    for second in range(0, int(TAP_SECONDS_MAX), 5):
        assert not tap.is_over(float(second))
        tap.take(1_000, float(second))
    assert tap.is_over(TAP_SECONDS_MAX)


def test_tap_of_an_hour_is_there_to_be_ended_by_who_asked_for_it() -> None:
    tap = Tap("1", as_it_is, 0.0)
    tap.take(1_000, LONGEST_ASKED)
    assert not tap.is_over(LONGEST_ASKED + 1.0)


async def test_link_that_ends_closes_its_connection_in_the_file(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        tap = tap_alpha(line, new_tap())
        await line.submit("r1")
        await tie.smsc.take_submits(1)
        await tie.smsc.stream.aclose()
        await tie.wait_end()
        flags = [packet[33] for packet in records_of(tap.take(10_000_000, 0.0))]
        assert flags[-3:] == [0x11, 0x11, 0x10]  # FIN of either side, and its ACK
