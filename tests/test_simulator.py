"""The simulated SMSC: over memory streams and a clock that jumps, and over real loopback TCP."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from smppd.config import load
from smppd.simulator import (
    Behaviour,
    Place,
    SimulatedCarrier,
    SubmitRecord,
    carriers_from_config,
    serve,
)
from smppd.simulator.carrier import AGAIN_SECONDS
from smppd.simulator.schedule import Schedule
from smppd.smpp import constants
from smppd.smpp.session import Session, Submit, Timers
from smppd.smpp.signals import (
    BindRejected,
    Bound,
    DeliverReceived,
    PeerFault,
    Stalled,
    SubmitAnswered,
    Unanswered,
)
from smppd.text import ucs2
from tests.simulator.esme import (
    CALM,
    WALL,
    bound,
    carrier,
    connect,
    joined,
    listening,
    silent,
    standing_at,
    submit,
    submits,
)

# Binds


async def test_bind_is_accepted_and_counted(autojump_clock: trio.testing.MockClock) -> None:
    alpha = carrier()
    async with joined(alpha) as client:
        assert await client.bind() == Bound("simulator", 0x34)
    assert alpha.statistics().binds == 1


@pytest.mark.parametrize(
    ("system_id", "password", "behaviour", "status"),
    [
        ("other", "secret", {}, constants.ESME_RINVSYSID),
        ("smppd", "wrong", {}, constants.ESME_RINVPASWD),
        ("smppd", "secret", {"bind_status": 0x0D}, constants.ESME_RBINDFAIL),
    ],
)
async def test_bind_is_refused_and_the_link_ends(
    autojump_clock: trio.testing.MockClock,
    system_id: str,
    password: str,
    behaviour: dict[str, int],
    status: int,
) -> None:
    alpha = carrier(**behaviour)  # type: ignore[arg-type]  # none of them is the ledger
    async with joined(alpha) as client:
        assert await client.bind(system_id, password) == BindRejected(status)
        assert await client.stream.receive_some(1) == b""
    assert (alpha.statistics().binds, alpha.statistics().binds_refused) == (0, 1)


async def test_carriers_of_one_address_are_told_apart_by_system_id(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier()
    beta = SimulatedCarrier("beta", "other", "secret")
    async with joined(alpha, beta) as client:
        assert isinstance(await client.bind("other"), Bound)
    assert (alpha.statistics().binds, beta.statistics().binds) == (0, 1)


async def test_peer_that_never_binds_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with joined(carrier()) as client:
        assert await client.stream.receive_some(1) == b""
    assert trio.current_time() == CALM.session_init_timer


async def test_unbind_is_answered_and_the_stream_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier()) as client:
        client.session.unbind(trio.current_time())
        await client.flush()
        await client.until_end()
        assert client.session.closed
        assert client.signals == []


# Answers and receipts


async def test_submits_of_one_write_are_answered_in_order_with_new_ids(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier()) as client:
        await client.submit(*silent(3))
        await client.receive(3)
    assert client.signals == [
        SubmitAnswered(0, 0, "00001000", 2),
        SubmitAnswered(1, 0, "00001001", 3),
        SubmitAnswered(2, 0, "00001002", 4),
    ]


async def test_answers_and_receipts_of_one_read_leave_in_one_write(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier()) as client:
        await client.submit(*submits(50))
        data = await client.stream.receive_some(65_536)
        signals = client.session.receive_data(data, trio.current_time())
    assert [type(signal) for signal in signals] == [SubmitAnswered] * 50 + [DeliverReceived] * 50


async def test_receipt_goes_back_to_the_sender_of_its_message(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier()) as client:
        await client.submit(submit())
        await client.receive(2)
    (pdu,) = client.delivered()
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == ("447700900000", 1, 1)
    assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("shop", 5, 0)
    assert pdu.esm_class == constants.ESM_TYPE_RECEIPT
    assert pdu.short_message == (
        b"id:00001000 sub:001 dlvrd:001 submit date:2311142213 done date:2311142213 "
        b"stat:DELIVRD err:000 text:hello"
    )


async def test_receipt_with_tlvs_says_the_same_twice(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(receipt="text+tlv")) as client:
        await client.submit(submit())
        await client.receive(2)
    (receipt,) = client.receipts()
    assert (receipt.id, receipt.tlv_id) == ("00001000", "00001000")
    assert receipt.state == constants.MESSAGE_STATE_DELIVERED
    assert not receipt.is_contradictory


@pytest.mark.parametrize(
    ("registered_delivery", "rate", "stats"),
    [
        (0, 0.0, []),
        (1, 0.0, ["DELIVRD"]),
        (1, 1.0, ["UNDELIV"]),
        (2, 0.0, []),
        (2, 1.0, ["UNDELIV"]),
    ],
)
async def test_receipt_is_sent_if_registered_delivery_wants_it(
    autojump_clock: trio.testing.MockClock,
    registered_delivery: int,
    rate: float,
    stats: list[str],
) -> None:
    async with bound(carrier(undelivered_rate=rate)) as client:
        await client.submit(submit(registered_delivery=registered_delivery))
        await client.until_quiet()
    assert [receipt.stat for receipt in client.receipts()] == stats


async def test_undelivered_message_has_its_error(autojump_clock: trio.testing.MockClock) -> None:
    async with bound(carrier(undelivered_rate=1)) as client:
        await client.submit(submit())
        await client.receive(2)
    (receipt,) = client.receipts()
    assert (receipt.stat, receipt.err, receipt.dlvrd) == ("UNDELIV", "011", "000")
    assert receipt.state == constants.MESSAGE_STATE_UNDELIVERABLE


@pytest.mark.parametrize(
    ("id_format", "receipt_id_format", "response_id", "receipt_id"),
    [
        ("hex", "same", "00001000", "00001000"),
        ("hex", "dec", "00001000", "0000004096"),
        ("dec", "same", "0000004096", "0000004096"),
        ("dec", "hex", "0000004096", "00001000"),
    ],
)
async def test_receipt_spells_its_id_as_told(
    autojump_clock: trio.testing.MockClock,
    id_format: str,
    receipt_id_format: str,
    response_id: str,
    receipt_id: str,
) -> None:
    alpha = carrier(id_format=id_format, receipt_id_format=receipt_id_format)
    async with bound(alpha) as client:
        await client.submit(submit())
        await client.receive(2)
    assert client.answers()[0].message_id == response_id
    assert client.receipts()[0].id == receipt_id


async def test_uuids_differ_and_their_receipts_agree(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(id_format="uuid")) as client:
        await client.submit(*submits(2))
        await client.receive(4)
    ids = [answer.message_id for answer in client.answers()]
    assert [len(group) for group in ids[0].split("-")] == [8, 4, 4, 4, 12]
    assert ids[0] != ids[1]
    assert [receipt.id for receipt in client.receipts()] == ids


async def test_restart_repeats_no_message_id(autojump_clock: trio.testing.MockClock) -> None:
    ids = []
    for wall in (100.0, 101.0):
        alpha = SimulatedCarrier("alpha", "smppd", "secret", wall=standing_at(wall))
        async with bound(alpha) as client:
            await client.submit(*silent(1))
            await client.receive(1)
        ids += [answer.message_id for answer in client.answers()]
    assert ids == ["00640000", "00650000"]


async def test_response_and_receipt_come_after_their_delays(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(response_delay=2, receipt_delay=3)) as client:
        await client.submit(submit())
        await client.receive(2)
    assert [type(signal) for signal in client.signals] == [SubmitAnswered, DeliverReceived]
    assert client.times[-2:] == [2.0, 5.0]


async def test_receipts_can_come_before_their_responses(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(receipts_before_responses=True)) as client:
        await client.submit(submit(0), submit(1), submit(2, registered_delivery=0))
        await client.receive(5)
    kinds = [type(signal) for signal in client.signals]
    assert kinds == [DeliverReceived] * 2 + [SubmitAnswered] * 3
    assert {answer.tag for answer in client.answers()} == {0, 1, 2}


async def test_response_held_for_its_receipt_waits_for_room_in_the_receipt_window(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(receipts_before_responses=True, receipt_window=1)) as client:
        client.acknowledges = False
        await client.submit(*submits(2))
        await client.until_quiet()
        before = [type(signal) for signal in client.signals]
        client.session.acknowledge(client.signals)
        await client.flush()
        await client.until_quiet()
    assert before == [DeliverReceived, SubmitAnswered]
    assert [type(signal) for signal in client.signals] == before * 2


async def test_receipt_window_bounds_what_is_unacknowledged(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(receipt_window=10)) as client:
        client.acknowledges = False
        await client.submit(*submits(25))
        await client.until_quiet()
        first = list(client.delivered())
        client.session.acknowledge(client.signals)
        client.acknowledges = True
        await client.flush()
        await client.until_quiet()
    assert len(first) == 10
    assert len(client.delivered()) == 25


async def test_lost_receipts_are_counted_and_never_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(lose_receipt_rate=0.25)
    async with bound(alpha) as client:
        await client.submit(*submits(400))
        await client.until_quiet()
    statistics = alpha.statistics()
    assert 50 < statistics.receipts_lost < 150
    assert len(client.receipts()) == 400 - statistics.receipts_lost == statistics.receipts_acked


async def test_refusals_by_rate_are_the_same_for_the_same_seed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    runs = []
    for seed in (1, 1, 2):
        async with bound(carrier(refuse_rate=0.5, refuse_status=0x14, seed=seed)) as client:
            await client.submit(*silent(100))
            await client.receive(100)
        runs.append(client.statuses())
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {0, constants.ESME_RMSGQFUL}


async def test_refused_submit_has_no_id_and_no_receipt(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(refuse_rate=1)
    async with bound(alpha) as client:
        await client.submit(submit())
        await client.until_quiet()
    assert client.signals == [SubmitAnswered(0, constants.ESME_RSUBMITFAIL, "", 2)]
    assert alpha.statistics().refused == 1


async def test_excess_of_a_second_is_throttled(autojump_clock: trio.testing.MockClock) -> None:
    alpha = carrier(throttle_per_second=10)
    async with bound(alpha) as client:
        await client.submit(*silent(15))
        await client.receive(15)
        await trio.sleep(1)
        await client.submit(*silent(5))
        await client.receive(20)
    throttled = constants.ESME_RTHROTTLED
    assert client.statuses() == [0] * 10 + [throttled] * 5 + [0] * 5
    assert (alpha.statistics().accepted, alpha.statistics().throttled) == (15, 5)


async def test_submits_are_throttled_by_rate(autojump_clock: trio.testing.MockClock) -> None:
    alpha = carrier(throttle_rate=0.5, refuse_rate=1)
    async with bound(alpha) as client:
        await client.submit(*silent(100))
        await client.receive(100)
    assert set(client.statuses()) == {constants.ESME_RTHROTTLED, constants.ESME_RSUBMITFAIL}
    assert alpha.statistics().throttled + alpha.statistics().refused == 100


async def test_address_no_receipt_could_carry_is_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier()) as client:
        pdus = [submit(source_addr="caf~"), submit(destination_addr="")]
        client.session.submit([Submit(None, pdu) for pdu in pdus], trio.current_time())
        # No session of ours encodes an address in Latin-1, so one is put in by hand.
        await client.stream.send_all(client.session.data_to_send().replace(b"~", b"\xe9"))
        await client.receive(2)
    assert client.statuses() == [constants.ESME_RINVSRCADR, constants.ESME_RINVDSTADR]


# Lost links


async def test_unacknowledged_receipts_are_sent_again_on_the_next_bind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier()
    async with bound(alpha) as first:
        first.acknowledges = False
        await first.submit(*submits(3))
        await first.receive(6)
    async with bound(alpha) as second:
        await second.receive(3)
        await second.until_quiet()
    assert second.delivered() == first.delivered()
    statistics = alpha.statistics()
    assert (statistics.receipts_sent, statistics.deliveries_resent) == (3, 3)
    assert (statistics.receipts_acked, statistics.waiting) == (3, 0)


async def test_receipts_due_while_nobody_is_bound_wait_for_a_bind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(receipt_delay=60)
    async with bound(alpha) as first:
        await first.submit(*submits(2))
        await first.receive(2)
    await trio.sleep(120)
    assert alpha.statistics().waiting == 2
    async with bound(alpha) as second:
        await second.receive(2)
    assert [receipt.id for receipt in second.receipts()] == ["00001000", "00001001"]


async def test_receipt_is_delivered_on_another_bind_of_its_carrier(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(receipt_delay=5)
    async with bound(alpha) as second:
        async with bound(alpha) as first:
            await first.submit(submit())
            await first.receive(1)
        await second.receive(1)
    assert len(second.receipts()) == 1


async def test_refused_receipt_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    alpha = carrier()
    async with bound(alpha) as client:
        client.acknowledges = False
        await client.submit(submit())
        await client.receive(2)
        client.session.acknowledge(client.signals, constants.ESME_RSYSERR)
        await client.flush()
        await client.until_quiet()
    statistics = alpha.statistics()
    assert (statistics.deliveries_refused, statistics.receipts_acked) == (1, 0)
    assert statistics.waiting == 0


@pytest.mark.parametrize("status", [constants.ESME_RMSGQFUL, constants.ESME_RX_T_APPN])
async def test_receipt_that_is_refused_for_the_moment_comes_again(
    autojump_clock: trio.testing.MockClock, status: int
) -> None:
    alpha = carrier()
    async with bound(alpha) as client:
        client.acknowledges = False
        await client.submit(submit())
        await client.receive(2)
        client.session.acknowledge(client.signals, status)
        client.acknowledges = True
        before = trio.current_time()
        await client.flush()
        await client.receive(3)
        assert trio.current_time() - before == pytest.approx(AGAIN_SECONDS)
        await client.until_quiet()
    statistics = alpha.statistics()
    assert (statistics.deliveries_refused, statistics.receipts_acked) == (1, 1)
    assert statistics.waiting == 0


async def test_answers_not_yet_written_are_counted_as_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(response_delay=10)
    async with bound(alpha) as client:
        await client.submit(*silent(4))
        await client.until_quiet()
    assert (alpha.statistics().accepted, alpha.statistics().answers_lost) == (4, 4)


# Faults


async def test_hang_answers_nothing_any_more_not_even_enquire_link(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(hang_after=2, ledger=True)
    timers = Timers(enquire_link_timer=20.0, response_timer=5.0)
    async with joined(alpha) as client:
        client.session = Session("esme", window=10, timers=timers, now=trio.current_time())
        await client.bind()
        await client.submit(*silent(5))
        await client.until_quiet()
        await trio.sleep(20)
        client.signals += client.session.handle_timers(trio.current_time())
        await client.flush()
        await client.until_quiet()
    assert client.statuses() == [0, 0]
    assert isinstance(client.signals[-1], Stalled)
    assert client.session.statistics().enquire_links_sent == 1
    assert [record.command_status for record in alpha.records()] == [0, 0, None, None, None]
    assert alpha.statistics().unanswered == 3


async def test_drop_answers_what_came_before_and_leaves_the_rest_in_doubt(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(drop_after=2)
    async with bound(alpha) as client:
        await client.submit(*silent(5))
        await client.until_end()
    assert client.statuses() == [0, 0]
    assert Unanswered([2, 3, 4]) in client.signals


async def test_every_link_is_dropped_after_its_own_submits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(drop_after=2)
    for _ in range(3):
        async with bound(alpha) as client:
            await client.submit(*silent(3))
            await client.until_end()
    assert (alpha.statistics().accepted, alpha.statistics().unanswered) == (6, 3)


async def test_link_that_stops_reading_still_answers_what_it_has_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier(stop_reading_after=1, response_delay=1)) as client:
        await client.submit(*silent(1))
        await client.receive(1)
        await client.submit(*silent(1))
        await client.until_quiet()
        await trio.sleep(60)
        await client.until_quiet()
    assert client.statuses() == [0]


async def test_link_that_stops_reading_ends_by_its_own_timers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    timers = Timers(enquire_link_timer=30.0, response_timer=30.0)
    async with bound(carrier(stop_reading_after=0), timers) as client:
        await client.until_end()
    assert trio.current_time() == 60.0


# Bad input


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes(16),
        bytes.fromhex("0000000f000000040000000000000001"),
        bytes.fromhex("ffffffff000000040000000000000001"),
    ],
)
async def test_garbage_ends_its_own_link_alone(
    autojump_clock: trio.testing.MockClock, garbage: bytes
) -> None:
    alpha = carrier()
    async with bound(alpha) as client, joined(alpha) as intruder:
        await intruder.stream.send_all(garbage)
        await intruder.until_end()
        await client.submit(*silent(1))
        await client.receive(1)
    assert isinstance(intruder.signals[-1], PeerFault)
    assert client.statuses() == [0]


async def test_stream_cut_inside_a_pdu_ends_the_link(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bound(carrier()) as client:
        client.session.submit([Submit(0, submit())], trio.current_time())
        await client.stream.send_all(client.session.data_to_send()[:20])
        assert isinstance(client.stream, trio.StapledStream)
        await client.stream.send_stream.aclose()
        assert await client.stream.receive_some(1) == b""


# Messages from phones


async def test_inbound_message_is_delivered(autojump_clock: trio.testing.MockClock) -> None:
    alpha = carrier()
    async with bound(alpha) as client:
        alpha.inbound("447700900123", "12345", "STOP")
        await client.receive(1)
        await client.until_quiet()
    (pdu,) = client.delivered()
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.destination_addr) == (
        "447700900123",
        constants.TON_INTERNATIONAL,
        "12345",
    )
    assert (pdu.short_message, pdu.esm_class, pdu.data_coding) == (b"STOP", 0, 0)
    assert (alpha.statistics().inbound_sent, alpha.statistics().inbound_acked) == (1, 1)


async def test_long_inbound_message_comes_in_segments(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier()
    alpha.inbound("447700900123", "12345", "短" * 100)
    async with bound(alpha) as client:
        await client.receive(2)
    pdus = client.delivered()
    assert [pdu.esm_class for pdu in pdus] == [constants.ESM_UDHI] * 2
    assert [pdu.short_message[:6].hex() for pdu in pdus] == ["050003010201", "050003010202"]
    assert "".join(ucs2.decode(pdu.short_message[6:]) for pdu in pdus) == "短" * 100


@pytest.mark.parametrize("source", ["4" * 21, "é"])
def test_inbound_address_that_does_not_fit_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="20 ASCII characters"):
        carrier().inbound(source, "12345", "STOP")


def test_inbound_text_that_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        carrier().inbound("447700900123", "12345", "\ud800")


# The ledger


async def test_ledger_keeps_every_submit_and_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(ledger=True, throttle_per_second=1)
    async with bound(alpha) as client:
        await client.submit(
            submit(0, short_message=b"\x00 home"),
            submit(1, short_message=ucs2.encode("短"), data_coding=8, registered_delivery=0),
        )
        await client.receive(2)
    assert alpha.records() == [
        SubmitRecord(
            *("alpha", 2, "shop", "447700900000", "@ home", "", "", 1, "00001000", 0, WALL),
            body="0020686f6d65",
        ),
        SubmitRecord(
            *("alpha", 3, "shop", "447700900001", "短", "", "", 0, "", 0x58, WALL),
            body="77ed",
            data_coding=8,
        ),
    ]


async def test_ledger_takes_the_header_off_a_segment_and_keeps_what_it_cannot_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(ledger=True)
    segment = submit(0, short_message=b"\x05\x00\x03\x07\x02\x01part", esm_class=0x40)
    binary = submit(1, short_message=b"\x01\x02", data_coding=4)
    async with bound(alpha) as client:
        await client.submit(segment, binary)
        await client.receive(4)
    first, second = alpha.records()
    assert (first.udh, first.text, first.raw) == ("050003070201", "part", "")
    assert (second.udh, second.text, second.raw) == ("", "", "0102")


async def test_ledger_file_has_a_line_for_each_submit(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    alpha = carrier(ledger=path)
    for _ in range(2):
        async with bound(alpha) as client:
            await client.submit(*silent(3))
            await client.receive(3)
    records = msgspec.json.Decoder(SubmitRecord).decode_lines(path.read_bytes())
    assert [record.message_id for record in records] == [f"0000100{n}" for n in range(6)]
    assert alpha.records() == []


async def test_duplicates_are_accepted_submits_seen_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alpha = carrier(ledger=True, throttle_per_second=4)
    async with bound(alpha) as client:
        await client.submit(*silent(2), *silent(2), *silent(2))
        await client.receive(6)
    assert (alpha.statistics().accepted, alpha.statistics().duplicates) == (4, 2)


async def test_statistics_count_without_a_ledger(autojump_clock: trio.testing.MockClock) -> None:
    alpha = carrier()
    async with bound(alpha) as client:
        await client.submit(*submits(20))
        await client.receive(40)
        await client.until_quiet()
    statistics = alpha.statistics()
    assert (statistics.submits, statistics.accepted, statistics.receipts_sent) == (20, 20, 20)
    assert (statistics.receipts_acked, statistics.outstanding_max) == (20, 20)
    assert (statistics.first_submit_at, statistics.last_submit_at) == (WALL, WALL)
    assert alpha.records() == []


# Over TCP


async def test_carriers_listen_on_ports_of_their_own() -> None:
    alpha = carrier()
    beta = SimulatedCarrier("beta", "other", "secret")
    async with listening(("127.0.0.1", 0, alpha), ("127.0.0.1", 0, beta)) as ports:
        first, second = await connect(ports[0]), await connect(ports[1])
        async with first.stream, second.stream:
            assert isinstance(await first.bind("smppd"), Bound)
            assert isinstance(await second.bind("other"), Bound)
            await first.submit(*submits(500))
            await first.receive(1000)
    assert alpha.statistics().receipts_sent == 500
    assert beta.statistics().submits == 0


async def test_carriers_with_one_address_share_its_port() -> None:
    async with listening(("127.0.0.1", 0, carrier())) as (port,):
        pass
    beta = SimulatedCarrier("beta", "other", "secret")
    places = [Place("127.0.0.1", port, carrier()), Place("127.0.0.1", port, beta)]
    async with listening(*places) as ports:
        client = await connect(port)
        async with client.stream:
            assert isinstance(await client.bind("other"), Bound)
    assert ports == [port, port]


async def test_drop_resets_a_real_connection() -> None:
    async with listening(("127.0.0.1", 0, carrier(drop_after=1))) as (port,):
        client = await connect(port)
        async with client.stream:
            await client.bind()
            await client.submit(*silent(1))
            await client.receive(1)
            with pytest.raises(trio.BrokenResourceError):
                await client.stream.receive_some(1)


async def test_http_on_a_real_port_leaves_the_other_links_alone() -> None:
    async with listening(("127.0.0.1", 0, carrier())) as (port,):
        client, intruder = await connect(port), await connect(port)
        async with client.stream, intruder.stream:
            await client.bind()
            await intruder.stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            await intruder.until_end()
            await client.submit(*silent(1))
            await client.receive(1)
    assert client.statuses() == [0]


async def test_address_in_use_is_an_os_error_and_nothing_listens() -> None:
    async with listening(("127.0.0.1", 0, carrier())) as (port,):
        with pytest.raises(OSError, match="in use"):
            await serve([("127.0.0.1", 0, carrier()), ("127.0.0.1", port, carrier())])


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"refuse_rate": 1.1},
        {"throttle_rate": -0.1},
        {"response_delay": -1},
        {"receipt_delay": math.nan},
        {"hang_after": -1},
        {"receipt_window": 0},
    ],
)
def test_behaviour_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Behaviour(**wrong)  # type: ignore[arg-type]  # wrong is what they are


def test_configuration_gives_a_carrier_for_each_of_its_own() -> None:
    config = load(Path(__file__).parent.parent)
    places = carriers_from_config(config, Behaviour(receipt_delay=1))
    carriers = list(config.carriers.values())
    assert [(place.host, place.port) for place in places] == [(c.host, c.port) for c in carriers]
    assert [place.carrier.name for place in places] == [c.name for c in carriers]
    assert [place.carrier.password for place in places] == [c.password for c in carriers]
    assert {place.carrier.behaviour.receipt_delay for place in places} == {1}


def test_schedule_gives_out_what_is_due_by_time_and_then_by_arrival() -> None:
    wakes: list[int] = []
    schedule: Schedule[str] = Schedule(lambda: wakes.append(1))
    schedule.put(["c"], 2.0)
    schedule.put(["a"], 1.0)
    schedule.put(["b"], 1.0)
    schedule.put([], 0.0)
    assert (schedule.next_at(), len(schedule), len(wakes)) == (1.0, 3, 3)
    assert schedule.take(1.5) == ["a", "b"]
    assert schedule.take(2.0) == ["c"]
    assert schedule.next_at() == math.inf
