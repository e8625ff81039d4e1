"""One link against an SMSC of ours: what is sent, what is doubt, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.smpp import constants
from smppd.smpp.data_sm import DataSm
from smppd.smpp.pdu import DeliverSm, encode_deliver_sm
from smppd.smpp.session import Deliver, Timers
from smppd.smpp.signals import AlertReceived, PduRefused
from smppd.smpp.sundry import AlertNotification
from smppd.traffic.link import FLUSH_SECONDS_MAX
from tests.smpp.pair import raw
from tests.traffic.line import TIMERS, Tie, open_line, text_of

Clock = trio.testing.MockClock

RESPONSE_TIMER = TIMERS.response_timer
ALPHA = ("alpha",)


def receipt_of(message_id: str) -> DeliverSm:
    body = f"id:{message_id} sub:001 dlvrd:001 stat:DELIVRD err:000".encode()
    return DeliverSm("ACME", body, source_addr="491701234567", esm_class=constants.ESM_TYPE_RECEIPT)


# --- traffic ---


async def test_message_goes_out_is_answered_and_delivered(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r1")
        (submit,) = await tie.smsc.take_submits(1)
        assert submit.pdu.destination_addr == "491701234567"
        await tie.smsc.answer([submit], prefix="m")
        await tie.smsc.deliver(receipt_of(f"m{submit.sequence_number}"))
        assert await tie.smsc.wait_acknowledged(1) == [0]
        assert line.house.told() == [("r1", "sent"), ("r1", "delivered")]


async def test_window_is_never_overrun_and_every_answer_makes_room(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=3) as line:
        tie = await line.bind()
        await line.submit(*[f"r{number}" for number in range(10)])
        submits = await tie.smsc.take_submits(3)
        await trio.testing.wait_all_tasks_blocked()
        await tie.smsc.answer(submits[:1])
        submits += await tie.smsc.take_submits(1)
        await tie.smsc.answer(submits[1:])
        assert len(await tie.smsc.take_submits(3)) == 3


async def test_receipt_on_another_bind_finds_its_message(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, binds=2) as line:
        first = await line.bind(bind=0)
        await line.submit("r1")
        (submit,) = await first.smsc.take_submits(1)
        second = await line.bind(bind=1)
        await first.smsc.answer([submit], prefix="m")
        await line.wait_told(1)
        await second.smsc.deliver(receipt_of(f"m{submit.sequence_number}"))
        assert await line.wait_told(2) == [("r1", "sent"), ("r1", "delivered")]


async def test_deliver_sm_is_acknowledged_only_after_its_commit(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, is_committing=False, inbound_apps=("shop",)) as line:
        smsc = (await line.bind()).smsc
        await smsc.deliver(DeliverSm("12345", b"STOP", source_addr="491701234567"))
        with trio.move_on_after(5) as scope:
            await smsc.read()
        assert scope.cancelled_caught, "acknowledged before it was on disk"
        line.start_committing()
        assert await smsc.wait_acknowledged(1) == [0]
        assert [event["event"] for event in line.house.events()] == ["inbound"]


async def test_throttling_slows_requeues_and_fails_nothing(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=5) as line:
        tie = await line.bind()
        smsc = tie.smsc
        await line.submit(*[f"r{number}" for number in range(8)], receipt=False)
        for submit in await smsc.take_submits(4):
            status = constants.ESME_RTHROTTLED
            await smsc.answer([submit], status)
        sent: list[str] = []
        while len(sent) < 8:
            await smsc.read_until(lambda: bool(smsc.received))
            submits = await smsc.take_submits(len(smsc.received))
            sent += [text_of(submit) for submit in submits]
            await smsc.answer(submits)
        events = await line.wait_told(8)
        assert events == [(f"r{number}", "sent") for number in range(8)]
        assert line.house.states["alpha"].throughput.statistics().cuts >= 1
        assert trio.current_time() > 1, "it did not slow down"


async def test_malformed_deliver_sm_is_refused_and_the_link_lives(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await tie.smsc.stream.send_all(raw(constants.DELIVER_SM, 77, body=b"no terminator"))
        await tie.smsc.read()
        (notice,) = [notice for notice in line.notices if isinstance(notice, PduRefused)]
        assert notice.sequence_number == 77
        await line.submit("r1")
        await tie.smsc.answer(await tie.smsc.take_submits(1))
        assert await line.wait_told(1) == [("r1", "sent")]


async def test_generic_nack_is_an_answer_and_the_next_offer_is_asked(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        alpha = await line.bind()
        beta = await line.bind(carrier="beta")
        await line.submit("r1")
        (submit,) = await alpha.smsc.take_submits(1)
        nack = raw(constants.GENERIC_NACK, submit.sequence_number, constants.ESME_RINVCMDID)
        await alpha.smsc.stream.send_all(nack)
        await beta.smsc.answer(await beta.smsc.take_submits(1))
        assert await line.wait_told(1) == [("r1", "sent")]


# --- response_timer ---


async def test_late_answers_still_count_and_only_the_rest_is_doubt(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=3, carriers=ALPHA) as line:
        tie = await line.bind()
        smsc = tie.smsc
        await line.submit("r0", "r1", "r2", uncertain="stop", receipt=False)
        submits = await smsc.take_submits(3)
        written_at = trio.current_time()
        await trio.sleep_until(written_at + 1.5 * RESPONSE_TIMER)
        slot = line.house.slot()
        assert slot.is_stalled
        assert not slot.may_take()
        assert not line.house.states["alpha"].is_healthy()
        await line.submit("r3", uncertain="stop", receipt=False)
        await smsc.answer(submits[:1])
        assert await line.wait_told(1) == [("r0", "sent")]
        await smsc.wait_unbind()
        assert trio.current_time() - written_at == pytest.approx(2 * RESPONSE_TIMER)
        end = await tie.wait_end()
        assert end.reason == "a submit_sm was not answered within response_timer"
        assert not end.is_orderly
        told = await line.wait_told(3)
        assert told[1:] == [("r1", "uncertain"), ("r2", "uncertain")]
        again = await line.bind()
        assert len(await again.smsc.take_submits(1)) == 1, "only r3 was never written"


async def test_stalled_link_is_granted_nothing_and_the_next_offer_is(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=3) as line:
        alpha = await line.bind()
        beta = await line.bind(carrier="beta")
        await line.submit("r0")
        await alpha.smsc.take_submits(1)
        await trio.sleep(RESPONSE_TIMER)
        await trio.testing.wait_all_tasks_blocked()
        await line.submit("r1", text="over there")
        (submit,) = await beta.smsc.take_submits(1)
        assert text_of(submit) == "over there"


async def test_stalled_link_unbinds_as_soon_as_nothing_is_missing(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit("r0", receipt=False)
        submits = await tie.smsc.take_submits(1)
        written_at = trio.current_time()
        await trio.sleep_until(written_at + RESPONSE_TIMER + 1)
        await tie.smsc.answer(submits)
        await tie.smsc.wait_unbind()
        assert trio.current_time() == pytest.approx(written_at + RESPONSE_TIMER + 1)
        await tie.wait_end()
        assert line.house.told() == [("r0", "sent")]


async def test_smsc_that_does_not_answer_unbind_holds_nobody_up(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit("r0", uncertain="stop")
        await tie.smsc.take_submits(1)
        written_at = trio.current_time()
        await tie.wait_end()
        waited = trio.current_time() - written_at
        assert waited == pytest.approx(2 * RESPONSE_TIMER + TIMERS.session_init_timer)
        assert line.house.told() == [("r0", "uncertain")]


async def test_answer_at_the_very_deadline_is_read_before_the_timer_is_judged(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit("r0", receipt=False)
        submits = await tie.smsc.take_submits(1)
        await tie.smsc.answer(submits)
        autojump_clock.jump(RESPONSE_TIMER + 1)  # the loop was held up; the answer is there
        assert await line.wait_told(1) == [("r0", "sent")]
        await trio.testing.wait_all_tasks_blocked()
        assert line.house.slot().may_take()


async def test_smsc_that_never_pauses_is_judged_all_the_same(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit("r0")
        await tie.smsc.take_submits(1)
        tie.torrent.octets = raw(constants.ENQUIRE_LINK_RESP, 1)
        await tie.smsc.stream.send_all(tie.torrent.octets)
        autojump_clock.jump(RESPONSE_TIMER)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        assert line.house.slot().is_stalled


# --- ends ---


async def test_smsc_that_stops_reading_ends_the_link_and_what_was_written_is_doubt(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=5, carriers=ALPHA) as line:
        tie = await line.bind(lockstep=True)
        await line.submit("r0", "r1", uncertain="stop")
        await trio.testing.wait_all_tasks_blocked()
        await line.submit("r2", uncertain="stop")
        end = await tie.wait_end()
        assert end.reason == "the SMSC read nothing for 30 s"
        assert trio.current_time() == pytest.approx(RESPONSE_TIMER + FLUSH_SECONDS_MAX)
        assert line.house.told() == [("r0", "uncertain"), ("r1", "uncertain")]
        again = await line.bind()
        await again.smsc.answer(await again.smsc.take_submits(1))
        assert (await line.wait_told(3))[2] == ("r2", "sent")
        assert "maybe_duplicate" not in line.house.events()[2]


async def test_what_is_granted_while_the_last_octets_cannot_be_written_is_not_lost(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind(lockstep=True)
        with trio.move_on_after(1):  # of the nack that follows nothing is read
            await tie.smsc.stream.send_all(bytes(16))
        await line.submit("r1", receipt=False)
        await tie.wait_end()
        again = await line.bind()
        with trio.fail_after(60):
            await again.smsc.answer(await again.smsc.take_submits(1))
        assert await line.wait_told(1) == [("r1", "sent")]


@pytest.mark.parametrize("rest", [b"", b"\x00\x00\x00\x40\x80\x00"])
async def test_stream_that_ends_leaves_doubt_of_what_was_not_answered(
    tmp_path: Path, autojump_clock: Clock, rest: bytes
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit("r0", "r1", receipt=False)
        submits = await tie.smsc.take_submits(2)
        await tie.smsc.answer(submits[:1])
        await tie.smsc.stream.send_all(rest)
        await tie.smsc.stream.aclose()
        end = await tie.wait_end()
        assert end.reason == "the SMSC closed the stream"
        assert line.house.told() == [("r0", "sent"), ("r1", "uncertain")]
        again = await line.bind()
        await again.smsc.answer(await again.smsc.take_submits(1))
        assert (await line.wait_told(3))[2] == ("r1", "sent")
        assert line.house.events()[2]["maybe_duplicate"] is True


async def test_unbind_of_the_smsc_is_answered_and_its_answers_still_count(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=3, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit(*[f"r{number}" for number in range(5)], uncertain="stop", receipt=False)
        submits = await tie.smsc.take_submits(3)
        await tie.smsc.unbind()
        await trio.sleep(1)
        await tie.smsc.answer(submits[:2])
        end = await tie.wait_end()
        assert end.reason == "the SMSC unbound"
        assert line.house.told() == [("r0", "sent"), ("r1", "sent"), ("r2", "uncertain")]
        again = await line.bind()
        assert len(await again.smsc.take_submits(2)) == 2


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\x00\x00\x00\x00" + bytes(12), "command_length"),
        (b"\x00\x00\x00\x0f" + bytes(12), "command_length"),
        (b"\xff\xff\xff\xff" + bytes(12), "command_length"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
    ],
)
async def test_stream_that_is_no_smpp_ends_the_link_with_a_reason(
    tmp_path: Path, autojump_clock: Clock, octets: bytes, reason: str
) -> None:
    async with open_line(tmp_path, carriers=ALPHA) as line:
        tie = await line.bind()
        await line.submit("r0", "r1", receipt=False)
        submits = await tie.smsc.take_submits(2)
        await tie.smsc.answer(submits[:1])
        await tie.smsc.stream.send_all(octets)
        end = await tie.wait_end()
        assert reason in end.reason
        assert line.house.told() == [("r0", "sent"), ("r1", "uncertain")]


async def test_refused_bind_says_with_what(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_line(tmp_path) as line:
        tie = line.open_link()
        await tie.smsc.refuse_bind(constants.ESME_RINVPASWD)
        end = await tie.wait_end()
        assert end.bind_status == constants.ESME_RINVPASWD
        assert not end.was_bound
        assert not line.house.slot().is_up


async def test_bind_that_is_never_answered_ends_in_time(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = line.open_link()
        end = await tie.wait_end()
        assert end.reason == "the bind was not answered within session_init_timer"
        assert trio.current_time() == pytest.approx(TIMERS.session_init_timer)


async def test_inactive_link_unbinds_in_order(tmp_path: Path, autojump_clock: Clock) -> None:
    timers = Timers(enquire_link_timer=0.0, inactivity_timer=60.0)
    async with open_line(tmp_path) as line:
        tie = await line.bind(timers=timers)
        await line.submit("r0")
        await tie.smsc.answer(await tie.smsc.take_submits(1))
        await tie.smsc.wait_unbind()
        end = await tie.wait_end()
        assert end.is_orderly
        assert trio.current_time() == pytest.approx(60.0)


async def test_smsc_that_closes_at_our_unbind_ended_in_order(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = Timers(enquire_link_timer=0.0, inactivity_timer=60.0)
    async with open_line(tmp_path) as line:
        tie = await line.bind(timers=timers)
        await tie.smsc.stream.receive_some(100)
        await tie.smsc.stream.aclose()
        assert (await tie.wait_end()).is_orderly


async def test_unbind_of_ours_reads_on_for_the_answers(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r0", "r1", receipt=False)
        submits = await tie.smsc.take_submits(2)
        tie.link.unbind()
        await tie.smsc.answer(submits)
        await tie.smsc.wait_unbind()
        assert (await tie.wait_end()).is_orderly
        assert line.house.told() == [("r0", "sent"), ("r1", "sent")]


# --- the rest of the wire ---


async def test_a_pair_sends_on_its_transmitter_and_hears_on_its_receiver(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA, binds=2) as line:
        line.house.slot("alpha", 0).kind = "transmitter"
        line.house.slot("alpha", 1).kind = "receiver"
        receiver = await line.bind(bind=1)
        await line.submit("r0")
        await trio.testing.wait_all_tasks_blocked()
        assert not line.house.states["alpha"].is_healthy()
        transmitter = await line.bind(bind=0)
        (submit,) = await transmitter.smsc.take_submits(1)
        await transmitter.smsc.answer([submit])
        await receiver.smsc.deliver(receipt_of(f"m{submit.sequence_number}"))
        assert await receiver.smsc.wait_acknowledged(1) == [0]
        assert line.house.told() == [("r0", "sent"), ("r0", "delivered")]
        await transmitter.smsc.stream.send_all(encode_deliver_sm(receipt_of("m9"), 77))
        await transmitter.smsc.read()
        (notice,) = [notice for notice in line.notices if isinstance(notice, PduRefused)]
        assert notice.sequence_number == 77


async def test_a_receipt_on_data_sm_is_one_and_is_answered_as_such(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await line.submit("r0")
        (submit,) = await tie.smsc.take_submits(1)
        await tie.smsc.answer([submit])
        body = receipt_of(f"m{submit.sequence_number}").short_message
        receipt = DataSm(
            destination_addr="ACME",
            esm_class=constants.ESM_TYPE_RECEIPT,
            tlvs={constants.TLV_MESSAGE_PAYLOAD: body},
        )
        tie.smsc.session.deliver([Deliver("x", receipt)], trio.current_time())
        await tie.smsc.flush()
        assert await tie.smsc.wait_acknowledged(1) == [0]
        assert line.house.told() == [("r0", "sent"), ("r0", "delivered")]


async def test_alerts_are_counted_and_noticed_once_a_read(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        alerts = [AlertNotification(f"49170123456{number}", "ACME", 0) for number in range(3)]
        tie.smsc.session.alert(alerts)
        await tie.smsc.flush()
        await trio.testing.wait_all_tasks_blocked()
        noticed = [one for one in line.notices if isinstance(one, AlertReceived)]
        assert [one.source_addr for one in noticed] == ["491701234560"]
        assert line.house.states["alpha"].counts.alerts == 3


async def test_what_a_link_carried_is_counted_with_its_carrier(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, carriers=ALPHA, inbound_apps=("shop",)) as line:
        tie = await line.bind()
        await line.submit("r0", "r1", "r2", uncertain="stop", receipt=False)
        submits = await tie.smsc.take_submits(3)
        await tie.smsc.answer(submits[:1])
        await tie.smsc.answer(submits[1:2], constants.ESME_RX_R_APPN)
        await tie.smsc.deliver(
            receipt_of("m9"), DeliverSm("12345", b"STOP", source_addr="491701234567")
        )
        await tie.smsc.wait_acknowledged(2)
        await tie.smsc.stream.aclose()
        await tie.wait_end()
        counts = line.house.states["alpha"].counts
        assert (counts.taken, counts.refused, counts.doubted) == (1, 1, 1)
        assert (counts.receipts, counts.inbound) == (1, 1)
        assert counts.statuses == {constants.ESME_RX_R_APPN: 1}


# --- enquire_link ---


async def test_enquire_link_is_answered_at_once_even_while_the_disk_is_busy(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, is_committing=False) as line:
        tie = await line.bind()
        enquiry = raw(constants.ENQUIRE_LINK, 5)
        deliver = Deliver("", DeliverSm("12345", b"STOP", source_addr="491701234567"))
        tie.smsc.session.deliver([deliver], trio.current_time())
        await tie.smsc.stream.send_all(tie.smsc.session.data_to_send() + enquiry)
        data = await tie.smsc.stream.receive_some(100)
        assert data == raw(constants.ENQUIRE_LINK_RESP, 5)


async def test_silent_smsc_is_asked_and_its_answer_keeps_the_link(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = Timers(enquire_link_timer=30.0, response_timer=10.0)
    async with open_line(tmp_path) as line:
        tie = await line.bind(timers=timers)
        for _ in range(3):
            await tie.smsc.read()
        assert trio.current_time() == pytest.approx(90.0)
        assert not tie.has_ended


async def test_smsc_that_answers_no_enquire_link_is_left(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = Timers(enquire_link_timer=30.0, response_timer=10.0)
    async with open_line(tmp_path) as line:
        tie: Tie = await line.bind(timers=timers)
        end = await tie.wait_end()
        assert end.reason == "enquire_link unanswered"
        assert trio.current_time() == pytest.approx(40.0)
