"""What a centre sends by itself: receipts, and messages that phones sent.

It builds PDUs and decides nothing; that one is lost or undelivered was decided in ``carrier``.
The form of a receipt is that of SMPP 3.4 appendix B, dates in UTC.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from smppd.simulator.schedule import Schedule
from smppd.smpp.constants import (
    ESM_TYPE_RECEIPT,
    ESM_UDHI,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_UNDELIVERABLE,
    NPI_ISDN,
    REGISTERED_DELIVERY_BOTH,
    REGISTERED_DELIVERY_FAILURE,
    REGISTERED_DELIVERY_MASK,
    TLV_MESSAGE_STATE,
    TLV_RECEIPTED_MESSAGE_ID,
    TON_INTERNATIONAL,
)
from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.text import segment

TEXT_OCTETS_MAX: Final = 20
"""Of the message's own text in its receipt (appendix B)."""


class HeldAnswer(msgspec.Struct, frozen=True):
    """A submit_sm_resp that waits for its receipt to be sent, and the link it goes out on."""

    answers: Schedule[SubmitAnswer]
    answer: SubmitAnswer
    due: float


class Delivery(msgspec.Struct):
    """A deliver_sm on its way; ``held`` is the answer that waits for it to be sent."""

    pdu: DeliverSm
    is_receipt: bool = False
    is_sent: bool = False
    held: HeldAnswer | None = None


def release_answers(deliveries: list[Delivery]) -> None:
    """These were sent: what was held for them may go. Once, for one may be sent again."""
    for delivery in deliveries:
        if held := delivery.held:
            delivery.held = None
            held.answers.put([held.answer], held.due)


class Outcome(msgspec.Struct, frozen=True):
    """What a receipt says of a message."""

    dlvrd: bytes
    stat: bytes
    err: bytes
    message_state: int


DELIVERED: Final = Outcome(b"001", b"DELIVRD", b"000", MESSAGE_STATE_DELIVERED)
UNDELIVERED: Final = Outcome(b"000", b"UNDELIV", b"011", MESSAGE_STATE_UNDELIVERABLE)


def wants_receipt(registered_delivery: int, outcome: Outcome) -> bool:
    """Section 5.2.17: always, on failure alone, or never."""
    wanted = registered_delivery & REGISTERED_DELIVERY_MASK
    if wanted == REGISTERED_DELIVERY_BOTH:
        return True
    return wanted == REGISTERED_DELIVERY_FAILURE and outcome is not DELIVERED


def build_receipt(
    submit: SubmitSm, receipt_id: str, outcome: Outcome, date: bytes, *, with_tlvs: bool
) -> DeliverSm:
    """The receipt of one submit_sm. ``date`` stands for both of its dates."""
    octets = receipt_id.encode("ascii")
    has_text = not (submit.data_coding or submit.esm_class & ESM_UDHI)
    body = b"id:%b sub:001 dlvrd:%b submit date:%b done date:%b stat:%b err:%b text:%b" % (
        octets,
        outcome.dlvrd,
        date,
        date,
        outcome.stat,
        outcome.err,
        submit.short_message[:TEXT_OCTETS_MAX] if has_text else b"",
    )
    return DeliverSm(
        submit.source_addr,
        body,
        source_addr_ton=submit.dest_addr_ton,
        source_addr_npi=submit.dest_addr_npi,
        source_addr=submit.destination_addr,
        dest_addr_ton=submit.source_addr_ton,
        dest_addr_npi=submit.source_addr_npi,
        esm_class=ESM_TYPE_RECEIPT,
        tlvs=_receipt_tlvs(octets, outcome) if with_tlvs else {},
    )


def _receipt_tlvs(octets: bytes, outcome: Outcome) -> dict[int, bytes]:
    return {
        TLV_RECEIPTED_MESSAGE_ID: octets + b"\0",
        TLV_MESSAGE_STATE: bytes([outcome.message_state]),
    }


def build_inbound(source: str, destination: str, text: str, reference: int) -> list[DeliverSm]:
    """The deliver_sm of a text a phone sent. ``ValueError`` if none can carry it."""
    if not (source + destination).isascii() or max(len(source), len(destination)) > 20:
        raise ValueError("an address is at most 20 ASCII characters")
    plan = segment.plan(text, "auto")
    if not isinstance(plan, segment.Plan):
        raise ValueError(plan.reason)
    bodies = segment.split(text, plan.encoding, reference)
    return [
        DeliverSm(
            destination,
            body,
            source_addr_ton=TON_INTERNATIONAL,
            source_addr_npi=NPI_ISDN,
            source_addr=source,
            esm_class=ESM_UDHI if len(bodies) > 1 else 0,
            data_coding=segment.data_coding_of(plan.encoding),
        )
        for body in bodies
    ]


def receipt_date(wall: float) -> bytes:
    """Unix seconds as YYMMDDhhmm."""
    return time.strftime("%y%m%d%H%M", time.gmtime(wall)).encode("ascii")
