"""What a carrier's links count, from the changes of a batch."""

from __future__ import annotations

from smppd.smpp import constants as c
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.signals import DeliverReceived, Signal, SubmitAnswered, Unanswered, Unwritten
from smppd.traffic.counts import STATUSES_MAX, CarrierCounts
from smppd.traffic.settle import LinkProfile, settle

ALPHA = LinkProfile("alpha", 0)
RECEIPT = DeliverSm("ACME", b"id:m1 stat:DELIVRD err:000", esm_class=c.ESM_TYPE_RECEIPT)
INBOUND = DeliverSm("12345", b"STOP")


def count(*signals: Signal, counts: CarrierCounts | None = None) -> CarrierCounts:
    """The counts after the signals of one read."""
    counts = counts or CarrierCounts()
    settlement = settle(list(signals), ALPHA, 0)
    counts.add(settlement.changes, settlement.throttled)
    return counts


def answered(status: int) -> SubmitAnswered:
    return SubmitAnswered(b"tag", status, "" if status else "m1")


def test_answers_are_taken_throttled_or_refused_and_told_by_status() -> None:
    statuses = [0, 0, c.ESME_RTHROTTLED, c.ESME_RMSGQFUL, c.ESME_RINVDSTADR, c.ESME_RINVDSTADR]
    counts = count(*[answered(status) for status in statuses])
    assert (counts.taken, counts.throttled, counts.refused) == (2, 2, 2)
    assert counts.statuses == {
        c.ESME_RTHROTTLED: 1,
        c.ESME_RMSGQFUL: 1,
        c.ESME_RINVDSTADR: 2,
    }


def test_receipts_messages_from_phones_and_doubts_are_counted_each() -> None:
    received = [
        DeliverReceived(1, RECEIPT),
        DeliverReceived(2, INBOUND),
        DeliverReceived(3, RECEIPT),
    ]
    counts = count(*received, Unwritten([b"a"]), Unanswered([b"b", b"c"]))
    assert (counts.receipts, counts.inbound, counts.doubted) == (2, 1, 2)
    assert (counts.taken, counts.statuses) == (0, {})


def test_batches_add_up() -> None:
    counts = count(answered(0), answered(8))
    counts = count(answered(8), answered(0), answered(0), counts=counts)
    assert (counts.taken, counts.refused, counts.statuses) == (3, 2, {8: 2})


def test_statuses_are_bounded_and_those_that_are_known_go_on() -> None:
    counts = count(*[answered(0x1000 + number) for number in range(STATUSES_MAX + 50)])
    assert (len(counts.statuses), counts.refused) == (STATUSES_MAX, STATUSES_MAX + 50)
    counts = count(answered(0x1000), counts=counts)
    assert counts.statuses[0x1000] == 2
