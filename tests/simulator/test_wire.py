"""The rest of the wire, from the SMSC's side: kinds of bind, 3.3, data_sm, questions, alerts."""

from __future__ import annotations

import pytest
import trio.testing

from smppd.simulator import Behaviour, Profile
from smppd.simulator.behaviour import ReceiptForm
from smppd.smpp import constants as c
from smppd.smpp.data_sm import DataSm
from smppd.smpp.session import Ask, Submit
from smppd.smpp.signals import (
    AlertReceived,
    BindRejected,
    Bound,
    CancelAnswered,
    DeliverReceived,
    QueryAnswered,
    SubmitAnswered,
)
from smppd.smpp.sundry import CancelSm, QuerySm
from tests.simulator.esme import (
    Client,
    bound,
    carrier,
    carrier_of,
    joined,
    silent,
    submit,
    submits,
)

Clock = trio.testing.MockClock


async def ask(client: Client, *pdus: QuerySm | CancelSm) -> list[QueryAnswered | CancelAnswered]:
    """Asks, and waits for the answers, which are tagged from 0."""
    asks = [Ask(tag, pdu) for tag, pdu in enumerate(pdus)]
    before = len(client.signals)
    client.session.ask(asks, trio.current_time())
    await client.flush()
    await client.until_quiet()
    return [
        signal
        for signal in client.signals[before:]
        if isinstance(signal, QueryAnswered | CancelAnswered)
    ]


def query(message_id: str, source: str = "shop") -> QuerySm:
    return QuerySm(message_id, source_addr=source)


def cancel(message_id: str, destination: str = "", source: str = "shop") -> CancelSm:
    return CancelSm(message_id, source_addr=source, destination_addr=destination)


# Kinds of bind


async def test_receipts_go_to_the_receiver_and_not_to_the_transmitter(
    autojump_clock: Clock,
) -> None:
    alpha = carrier()
    async with bound(alpha, kind="transmitter") as sender, bound(alpha, kind="receiver") as other:
        await sender.submit(*submits(3))
        await sender.until_quiet()
        await other.until_quiet()
    assert [type(signal) for signal in sender.signals] == [SubmitAnswered] * 3
    assert len(other.receipts()) == 3
    assert alpha.statistics().receipts_acked == 3


async def test_receipts_wait_while_only_a_transmitter_is_bound(autojump_clock: Clock) -> None:
    alpha = carrier()
    async with bound(alpha, kind="transmitter") as sender:
        await sender.submit(*submits(2))
        await sender.until_quiet()
        assert alpha.statistics().waiting == 2
        async with bound(alpha, kind="receiver") as receiver:
            await receiver.until_quiet()
    assert len(receiver.receipts()) == 2


async def test_answer_on_a_transmitter_waits_for_the_receipt_on_a_receiver(
    autojump_clock: Clock,
) -> None:
    alpha = carrier(receipts_before_responses=True)
    async with bound(alpha, kind="transmitter") as sender:
        await sender.submit(submit())
        await sender.until_quiet()
        assert sender.signals == []
        async with bound(alpha, kind="receiver") as receiver:
            await receiver.until_quiet()
            await sender.receive(1)
    assert len(receiver.receipts()) == len(sender.answers()) == 1


async def test_binds_beyond_the_limit_are_refused(autojump_clock: Clock) -> None:
    alpha = carrier(binds_max=1)
    async with bound(alpha), joined(alpha) as second:
        assert await second.bind() == BindRejected(c.ESME_RALYBND)
    async with bound(alpha):
        assert (alpha.statistics().binds, alpha.statistics().binds_refused) == (2, 1)


# SMPP 3.3


async def test_bind_of_3_3_gets_no_tlvs(autojump_clock: Clock) -> None:
    alpha = carrier(receipt="text+tlv", deliver_command="data_sm")
    async with joined(alpha) as client:
        assert await client.bind(interface_version=0x33) == Bound("simulator", None)
        alpha.alert("4477", "12345")
        await client.submit(submit())
        await client.until_quiet()
        (pdu,) = client.delivered()
    assert (pdu.tlvs, pdu.short_message[:11]) == ({}, b"id:00001000")
    assert not any(isinstance(signal, AlertReceived) for signal in client.signals)


@pytest.mark.parametrize(("version", "message_id"), [(0x33, "00001000"), (0x34, "0000004096")])
async def test_ids_can_be_hexadecimal_on_3_3_alone(
    autojump_clock: Clock, version: int, message_id: str
) -> None:
    alpha = carrier(id_format="dec", hex_ids_on_3_3=True)
    async with bound(alpha, interface_version=version) as client:
        await client.submit(submit())
        await client.until_quiet()
    assert client.answers()[0].message_id == client.receipts()[0].id == message_id


# data_sm


async def test_data_sm_is_answered_and_receipted_like_submit_sm(autojump_clock: Clock) -> None:
    alpha = carrier(ledger=True)
    pdu = DataSm(
        source_addr="shop",
        destination_addr="447700900000",
        registered_delivery=1,
        tlvs={c.TLV_MESSAGE_PAYLOAD: b"hello"},
    )
    async with bound(alpha) as client:
        client.session.submit([Submit(0, pdu)], trio.current_time())
        await client.flush()
        await client.until_quiet()
    assert client.answers() == [SubmitAnswered(0, 0, "00001000", 2)]
    assert [receipt.id for receipt in client.receipts()] == ["00001000"]
    (record,) = alpha.records()
    assert (record.command, record.text, record.tlvs) == ("data_sm", "hello", {})


async def test_data_sm_to_an_address_no_receipt_could_carry_is_refused(
    autojump_clock: Clock,
) -> None:
    async with bound(carrier()) as client:
        pdus = [
            DataSm(destination_addr="4" * 30),
            DataSm(destination_addr="44", source_addr="4" * 30),
        ]
        client.session.submit([Submit(n, pdu) for n, pdu in enumerate(pdus)], trio.current_time())
        await client.flush()
        await client.receive(2)
    assert client.statuses() == [c.ESME_RINVDSTADR, c.ESME_RINVSRCADR]


async def test_deliveries_can_come_as_data_sm(autojump_clock: Clock) -> None:
    alpha = carrier(deliver_command="data_sm")
    async with bound(alpha) as client:
        alpha.inbound("447700900123", "12345", "STOP")
        await client.submit(submit())
        await client.until_quiet()
    signals = [signal for signal in client.signals if isinstance(signal, DeliverReceived)]
    assert [signal.command_id for signal in signals] == [c.DATA_SM] * 2
    assert signals[0].pdu.tlvs[c.TLV_MESSAGE_PAYLOAD] == b"STOP"
    assert [receipt.stat for receipt in client.receipts()] == ["DELIVRD"]
    assert (alpha.statistics().receipts_acked, alpha.statistics().inbound_acked) == (1, 1)


@pytest.mark.parametrize(
    ("form", "has_text", "tags"),
    [
        ("text", True, set()),
        ("text+tlv", True, {c.TLV_RECEIPTED_MESSAGE_ID, c.TLV_MESSAGE_STATE}),
        ("tlv", False, {c.TLV_RECEIPTED_MESSAGE_ID, c.TLV_MESSAGE_STATE}),
        ("payload", False, {c.TLV_MESSAGE_PAYLOAD}),
    ],
)
async def test_receipt_takes_every_form(
    autojump_clock: Clock, form: ReceiptForm, has_text: bool, tags: set[int]
) -> None:
    alpha = carrier_of(Profile(Behaviour(receipt=form)))
    async with bound(alpha) as client:
        alpha.inbound("447700900123", "12345", "STOP")
        await client.submit(submit())
        await client.until_quiet()
    inbound, pdu = client.delivered()
    assert (inbound.short_message, inbound.tlvs) == (b"STOP", {})
    assert (bool(pdu.short_message), set(pdu.tlvs)) == (has_text, tags)
    (receipt,) = client.receipts()
    assert receipt.state == c.MESSAGE_STATE_DELIVERED


# query_sm


async def test_query_tells_the_state_as_it_is(autojump_clock: Clock) -> None:
    alpha = carrier(receipt_delay=60, expired_rate=1)
    async with bound(alpha) as client:
        await client.submit(submit(registered_delivery=0))
        await client.receive(1)
        early = await ask(client, query("00001000"))
        await trio.sleep(60)
        late = await ask(client, query("00001000"))
    assert early == [QueryAnswered(0, 0, "00001000", "", c.MESSAGE_STATE_ENROUTE, 0)]
    assert late == [
        QueryAnswered(0, 0, "00001000", "231114221420000+", c.MESSAGE_STATE_EXPIRED, 27)
    ]
    assert alpha.statistics().queries == 2


@pytest.mark.parametrize(
    ("pdu", "status"),
    [
        (query("00009999"), c.ESME_RINVMSGID),
        (query(""), c.ESME_RINVMSGID),
        (query("00001000", "other"), c.ESME_RQUERYFAIL),
    ],
)
async def test_query_of_what_is_not_there_or_not_theirs_is_refused(
    autojump_clock: Clock, pdu: QuerySm, status: int
) -> None:
    async with bound(carrier()) as client:
        await client.submit(*silent(1))
        await client.receive(1)
        assert await ask(client, pdu) == [QueryAnswered(0, status)]


async def test_refused_submit_is_not_known_to_query(autojump_clock: Clock) -> None:
    async with bound(carrier(refuse_rate=1)) as client:
        await client.submit(*silent(1))
        await client.receive(1)
        assert await ask(client, query("00001000")) == [QueryAnswered(0, c.ESME_RINVMSGID)]


async def test_only_the_last_messages_are_remembered(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smppd.simulator.messages.MESSAGES_MAX", 5)
    async with bound(carrier()) as client:
        for number in range(0, 40, 2):
            await client.submit(submit(number), submit(number + 1))
            await client.until_quiet()
            (answer,) = await ask(client, query(f"{0x1000 + number:08X}"))
            assert answer.command_status == c.ESME_ROK
        gone, kept = await ask(client, query("00001000"), query("00001022"))
    assert (gone.command_status, kept.command_status) == (c.ESME_RINVMSGID, c.ESME_ROK)


# cancel_sm


async def test_cancelled_message_is_deleted_and_its_receipt_says_so(autojump_clock: Clock) -> None:
    alpha = carrier(receipt_delay=60, double_receipt_rate=1)
    async with bound(alpha) as client:
        await client.submit(*submits(2))
        await client.receive(2)
        answers = await ask(client, cancel("00001000"), query("00001000"), cancel("00001000"))
        stats = [(receipt.id, receipt.stat) for receipt in client.receipts()]
        await trio.sleep(60)
        await client.until_quiet()
    assert [answer.command_status for answer in answers] == [0, 0, c.ESME_RCANCELFAIL]
    assert [one for one in answers if isinstance(one, QueryAnswered)] == [
        QueryAnswered(1, 0, "00001000", "231114221320000+", c.MESSAGE_STATE_DELETED, 0)
    ]
    assert stats == [("00001000", "DELETED")]
    assert [receipt.stat for receipt in client.receipts()] == ["DELETED", "DELIVRD", "DELIVRD"]
    statistics = alpha.statistics()
    assert (statistics.cancels, statistics.cancelled, statistics.waiting) == (2, 1, 0)


async def test_cancel_without_an_id_means_all_of_the_two_addresses(autojump_clock: Clock) -> None:
    alpha = carrier(receipt_delay=60)
    async with bound(alpha) as client:
        await client.submit(submit(0), submit(0, short_message=b"again"), submit(1))
        await client.receive(3)
        (answer,) = await ask(client, cancel("", "447700900000"))
    assert answer == CancelAnswered(0, c.ESME_ROK)
    assert alpha.statistics().cancelled == 2


@pytest.mark.parametrize(
    ("pdu", "status"),
    [
        (cancel("00009999"), c.ESME_RINVMSGID),
        (cancel("00001000", source="other"), c.ESME_RCANCELFAIL),
        (cancel("00001000", "447700900009"), c.ESME_RCANCELFAIL),
        (cancel("", "447700900009"), c.ESME_RCANCELFAIL),
    ],
)
async def test_cancel_of_what_is_not_there_or_not_theirs_is_refused(
    autojump_clock: Clock, pdu: CancelSm, status: int
) -> None:
    alpha = carrier(receipt_delay=60)
    async with bound(alpha) as client:
        await client.submit(submit())
        await client.receive(1)
        assert await ask(client, pdu) == [CancelAnswered(0, status)]
        await trio.sleep(60)
        await client.until_quiet()
    assert [receipt.stat for receipt in client.receipts()] == ["DELIVRD"]


async def test_delivered_message_cannot_be_cancelled(autojump_clock: Clock) -> None:
    async with bound(carrier()) as client:
        await client.submit(submit())
        await client.until_quiet()
        (answer,) = await ask(client, cancel("00001000"))
    assert answer == CancelAnswered(0, c.ESME_RCANCELFAIL)
    assert [receipt.stat for receipt in client.receipts()] == ["DELIVRD"]


async def test_cancelled_message_gives_its_held_answer_with_its_receipt(
    autojump_clock: Clock,
) -> None:
    alpha = carrier(receipt_delay=60, receipts_before_responses=True)
    async with bound(alpha) as client:
        await client.submit(submit())
        await client.until_quiet()
        await ask(client, cancel("00001000"))
    assert [type(signal) for signal in client.signals] == [
        CancelAnswered,
        DeliverReceived,
        SubmitAnswered,
    ]


@pytest.mark.parametrize(("registered_delivery", "stats"), [(0, []), (2, ["DELETED"])])
async def test_cancelled_message_has_the_receipt_that_was_asked_for(
    autojump_clock: Clock, registered_delivery: int, stats: list[str]
) -> None:
    async with bound(carrier(receipt_delay=60)) as client:
        await client.submit(submit(registered_delivery=registered_delivery))
        await client.receive(1)
        await ask(client, cancel("00001000"))
    assert [receipt.stat for receipt in client.receipts()] == stats


async def test_lost_receipt_of_a_cancelled_message_stays_lost(autojump_clock: Clock) -> None:
    async with bound(carrier(receipt_delay=60, lose_receipt_rate=1)) as client:
        await client.submit(submit())
        await client.receive(1)
        assert await ask(client, cancel("00001000")) == [CancelAnswered(0, c.ESME_ROK)]
    assert client.receipts() == []


# alert_notification


async def test_alert_is_told_once_to_whoever_may_hear_it(autojump_clock: Clock) -> None:
    alpha = carrier()
    alpha.alert("447700900123", "12345", 0)
    async with bound(alpha, kind="transmitter") as sender, bound(alpha, kind="receiver") as other:
        await sender.until_quiet()
        await other.until_quiet()
    assert other.signals == [AlertReceived("447700900123", "12345", 0)]
    assert sender.signals == []
    assert alpha.statistics().alerts_sent == 1


# Chances that only this release has


async def test_lost_response_is_taken_and_receipted_and_never_answered(
    autojump_clock: Clock,
) -> None:
    alpha = carrier(lose_response_rate=1)
    async with bound(alpha) as client:
        await client.submit(*submits(3))
        await client.until_quiet()
    assert (len(client.answers()), len(client.receipts())) == (0, 3)
    statistics = alpha.statistics()
    assert (statistics.accepted, statistics.responses_lost, statistics.answers_lost) == (3, 3, 3)


async def test_doubled_receipt_comes_twice(autojump_clock: Clock) -> None:
    alpha = carrier(double_receipt_rate=1)
    async with bound(alpha) as client:
        await client.submit(submit())
        await client.until_quiet()
    first, second = client.delivered()
    assert first == second
    assert (alpha.statistics().receipts_sent, alpha.statistics().receipts_doubled) == (2, 1)


async def test_receipt_that_is_not_final_can_come_before(autojump_clock: Clock) -> None:
    async with bound(carrier(enroute_rate=1, receipt_delay=5)) as client:
        await client.submit(submit())
        await client.until_quiet()
        await trio.sleep(5)
        await client.until_quiet()
    assert [receipt.stat for receipt in client.receipts()] == ["ENROUTE", "DELIVRD"]
    assert [receipt.state for receipt in client.receipts()] == [1, 2]


async def test_refusals_and_throttling_have_the_status_they_are_given(
    autojump_clock: Clock,
) -> None:
    alpha = carrier(throttle_per_second=1, throttle_status=c.ESME_RMSGQFUL, refuse_rate=1)
    async with bound(alpha) as client:
        await client.submit(*silent(2))
        await client.receive(2)
    assert client.statuses() == [c.ESME_RSUBMITFAIL, c.ESME_RMSGQFUL]


async def test_link_that_unbinds_ends_in_order_and_leaves_the_rest_in_doubt(
    autojump_clock: Clock,
) -> None:
    alpha = carrier(unbind_after=2)
    async with bound(alpha) as client:
        await client.submit(*silent(3))
        await client.until_end()
    assert client.statuses() == [0, 0]
    assert alpha.statistics().unanswered == 1


async def test_ledger_reads_the_default_alphabet_of_its_carrier(autojump_clock: Clock) -> None:
    alpha = carrier(ledger=True, default_alphabet="latin1")
    async with bound(alpha) as client:
        await client.submit(submit(short_message="[@] é".encode("latin-1")))
        await client.receive(1)
    assert [record.text for record in alpha.records()] == ["[@] é"]
    assert [message.text for message in alpha.messages()] == ["[@] é"]
