"""What a centre sends by itself: receipts, and messages that phones sent.

It builds PDUs and decides nothing; that one is lost or undelivered was decided in ``carrier``.
The form of a receipt is that of SMPP 3.4 appendix B, dates in UTC.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from smppd.simulator.behaviour import DeliverCommand, ReceiptForm
from smppd.simulator.schedule import Schedule
from smppd.smpp.constants import (
    DATA_CODING_DEFAULT,
    DATA_CODING_LATIN1,
    DATA_CODING_UCS2,
    ESM_TYPE_RECEIPT,
    ESM_UDHI,
    MESSAGE_STATE_DELETED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_ENROUTE,
    MESSAGE_STATE_EXPIRED,
    MESSAGE_STATE_UNDELIVERABLE,
    NPI_ISDN,
    REGISTERED_DELIVERY_BOTH,
    REGISTERED_DELIVERY_FAILURE,
    REGISTERED_DELIVERY_MASK,
    TLV_MESSAGE_PAYLOAD,
    TLV_MESSAGE_STATE,
    TLV_RECEIPTED_MESSAGE_ID,
    TON_INTERNATIONAL,
)
from smppd.smpp.data_sm import DataSm
from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.text import segment

TEXT_OCTETS_MAX: Final = 20
"""Of the message's own text in its receipt (appendix B)."""


class HeldAnswer(msgspec.Struct, frozen=True):
    """A response that waits for its receipt to be sent, and the link it goes out on."""

    answers: Schedule[SubmitAnswer]
    answer: SubmitAnswer
    due: float


class Delivery(msgspec.Struct):
    """A deliver_sm on its way; ``held`` is the answer that waits for it to be sent.

    A void one is never sent: its message was cancelled. ``original`` is what it doubles.
    """

    pdu: DeliverSm
    is_receipt: bool = False
    is_sent: bool = False
    held: HeldAnswer | None = None
    is_void: bool = False
    original: Delivery | None = None


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


ENROUTE: Final = Outcome(b"000", b"ENROUTE", b"000", MESSAGE_STATE_ENROUTE)
DELIVERED: Final = Outcome(b"001", b"DELIVRD", b"000", MESSAGE_STATE_DELIVERED)
EXPIRED: Final = Outcome(b"000", b"EXPIRED", b"027", MESSAGE_STATE_EXPIRED)
DELETED: Final = Outcome(b"000", b"DELETED", b"000", MESSAGE_STATE_DELETED)
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


def dress(delivery: Delivery, receipt: ReceiptForm, command: DeliverCommand) -> DeliverSm | DataSm:
    """The PDU in the form that this carrier gives it."""
    pdu = delivery.pdu
    if receipt == "tlv" and delivery.is_receipt:
        pdu = msgspec.structs.replace(pdu, short_message=b"")
    elif command == "data_sm" or (receipt == "payload" and delivery.is_receipt):
        tlvs = {**pdu.tlvs, TLV_MESSAGE_PAYLOAD: pdu.short_message}
        pdu = msgspec.structs.replace(pdu, short_message=b"", tlvs=tlvs)
    if command == "deliver_sm":
        return pdu
    return DataSm(**{name: getattr(pdu, name) for name in DataSm.__struct_fields__})


def undress(delivery: Delivery) -> DeliverSm:
    """The PDU for a peer of SMPP 3.3, which has no TLVs and no data_sm."""
    pdu = delivery.pdu
    return msgspec.structs.replace(pdu, tlvs={}) if pdu.tlvs else pdu


def build_inbound(
    source: str,
    destination: str,
    text: str,
    reference: int,
    data_coding: int | None = None,
    alphabet: segment.Alphabet = "gsm7",
) -> list[DeliverSm]:
    """The deliver_sm of a text a phone sent, in as many segments as it takes.

    ``data_coding`` is 0, 3 or 8, or None for what the text needs; ``alphabet`` is what 0 means at
    this carrier, and a text that it lacks comes as 8. ``ValueError`` if no deliver_sm can carry it.
    """
    if wrong := check_inbound(source, destination, text, data_coding):
        raise ValueError(wrong)
    form = segment.Form(default_alphabet=alphabet)
    plan = segment.plan(text, WANTED[data_coding], form)
    assert isinstance(plan, segment.Plan), f"checked above: {plan}"
    bodies = segment.split(text, plan.encoding, form, reference)
    esm_class = ESM_UDHI if len(bodies) > 1 else 0
    data_coding = segment.data_coding_of(plan.encoding)
    return [_build_one(source, destination, body, esm_class, data_coding) for body in bodies]


def build_inbound_data(
    source: str, destination: str, data: bytes, data_coding: int
) -> list[DeliverSm]:
    """The same for octets, at most 140 of them."""
    return [_build_one(source, destination, data, 0, data_coding)]


WANTED: Final[dict[int | None, segment.WantedEncoding]] = {
    None: "auto",
    DATA_CODING_DEFAULT: "gsm7",
    DATA_CODING_LATIN1: "latin1",
    DATA_CODING_UCS2: "ucs2",
}
"""The encoding by the data_coding that is to say it."""


def check_inbound(source: str, destination: str, text: str, data_coding: int | None) -> str:
    """Why no deliver_sm can carry this; empty if one can."""
    if not (source + destination).isascii() or max(len(source), len(destination)) > 20:
        return "an address is at most 20 ASCII characters"
    if data_coding not in WANTED:
        return f"no text is encoded for data_coding {data_coding}, only for 0, 3 and 8"
    plan = segment.plan(text, WANTED[data_coding])
    return "" if isinstance(plan, segment.Plan) else plan.reason


def _build_one(
    source: str, destination: str, body: bytes, esm_class: int, data_coding: int
) -> DeliverSm:
    return DeliverSm(
        destination,
        body,
        source_addr_ton=TON_INTERNATIONAL,
        source_addr_npi=NPI_ISDN,
        source_addr=source,
        esm_class=esm_class,
        data_coding=data_coding,
    )


def receipt_date(wall: float) -> bytes:
    """Unix seconds as YYMMDDhhmm."""
    return time.strftime("%y%m%d%H%M", time.gmtime(wall)).encode("ascii")


def final_date(wall: float) -> str:
    """Unix seconds as a query_sm_resp has them (section 7.1.1), in UTC."""
    return time.strftime("%y%m%d%H%M%S000+", time.gmtime(wall))
