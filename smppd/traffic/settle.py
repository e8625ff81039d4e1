"""From what a session reports to what is to be stored: pure, one list in, one list out.

The verdict table says what a command_status means for a segment. It knows neither store nor
link; ``at`` is wall time, in milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.receipt import (
    AMBIGUOUS,
    Receipt,
    looks_like_receipt,
    parse_date,
    parse_receipt,
    read_receipt,
)
from smppd.smpp.signals import (
    DeliverReceived,
    Signal,
    SubmitAnswered,
    Unanswered,
    Unwritten,
)
from smppd.store.changes import (
    Answered,
    Change,
    Doubted,
    GivenBack,
    InboundArrived,
    ReceiptArrived,
    Verdict,
)
from smppd.text import gsm7, ucs2

# What is not here is REROUTE: this carrier will not take the segment, another offer may. Slowing
# down is no refusal (SMPP 3.4 s5.1.3, ESME_RTHROTTLED, ESME_RMSGQFUL). REFUSE is what no carrier
# can mend, for it lies in the message. ESME_RINVBNDSTS is the bind's fault, not the message's.
VERDICTS: Final[dict[int, Verdict]] = {
    constants.ESME_ROK: Verdict.TAKEN,
    constants.ESME_RINVMSGLEN: Verdict.REFUSE,
    constants.ESME_RINVBNDSTS: Verdict.RETRY,
    constants.ESME_RSYSERR: Verdict.RETRY,
    constants.ESME_RMSGQFUL: Verdict.SLOW,
    constants.ESME_RTHROTTLED: Verdict.SLOW,
    constants.ESME_RX_T_APPN: Verdict.RETRY,
    constants.ESME_RX_R_APPN: Verdict.REFUSE,
}


class LinkProfile(msgspec.Struct, frozen=True):
    """What settling needs to know of the link: whose it is, and how its carrier writes dates."""

    carrier: str
    bind: int
    timezone: ZoneInfo | None = None


class Settlement(msgspec.Struct):
    """What to store, what the link itself must see to, and how many answers said "slower"."""

    changes: list[Change]
    notices: list[Signal]
    throttled: int = 0


def settle(signals: list[Signal], profile: LinkProfile, at: int) -> Settlement:
    """Turns signals into changes, in order; what is no change is a notice for the link."""
    changes: list[Change] = []
    settlement = Settlement(changes, [])
    carrier, bind = profile.carrier, profile.bind
    for signal in signals:
        if isinstance(signal, SubmitAnswered):
            status = signal.command_status
            verdict = VERDICTS.get(status, Verdict.REROUTE)
            tag = signal.tag
            assert isinstance(tag, bytes), "our tags are octets"
            name, number = signal.message_id, signal.sequence_number
            changes.append(Answered(carrier, bind, tag, verdict, status, name, at, number))
            if verdict is Verdict.SLOW:
                settlement.throttled += 1
        elif isinstance(signal, DeliverReceived):
            changes.append(_settle_deliver(signal.pdu, profile, at))
        elif isinstance(signal, Unanswered):
            changes.append(Doubted(carrier, bind, _tags(signal.tags), at))
        elif isinstance(signal, Unwritten):
            changes.append(GivenBack(carrier, bind, _tags(signal.tags), at))
        else:
            settlement.notices.append(signal)
    return settlement


def _settle_deliver(pdu: DeliverSm, profile: LinkProfile, at: int) -> Change:
    receipt = read_receipt(pdu)
    if receipt is None:
        return _settle_inbound(pdu, profile, at)
    return _receipt_arrived(receipt, pdu, profile, at)


def _settle_inbound(pdu: DeliverSm, profile: LinkProfile, at: int) -> InboundArrived:
    data = pdu.tlvs.get(constants.TLV_MESSAGE_PAYLOAD, b"") or pdu.short_message
    unmarked = None
    if looks_like_receipt(data):
        esm_class = pdu.esm_class | constants.ESM_TYPE_RECEIPT
        receipt = parse_receipt(data, pdu.tlvs, esm_class, pdu.data_coding)
        unmarked = _receipt_arrived(receipt, pdu, profile, at)
    return InboundArrived(
        profile.carrier,
        pdu.source_addr,
        pdu.destination_addr,
        read_text(data, pdu.data_coding, has_udh=bool(pdu.esm_class & constants.ESM_UDHI)),
        data,
        pdu.data_coding,
        pdu.esm_class,
        at,
        unmarked,
    )


def _receipt_arrived(
    receipt: Receipt, pdu: DeliverSm, profile: LinkProfile, at: int
) -> ReceiptArrived:
    done_at = _done_at(receipt, profile.timezone)
    return ReceiptArrived(
        profile.carrier, receipt, pdu.source_addr, pdu.destination_addr, done_at, at
    )


def read_text(data: bytes, data_coding: int, *, has_udh: bool) -> str | None:
    """User data as text, by data_coding 0, 3 or 8 (SMPP 3.4 s5.2.19); None for other octets."""
    if has_udh:
        data = data[1 + data[0] :] if data else data
    if data_coding == constants.DATA_CODING_DEFAULT:
        return gsm7.decode(data)
    if data_coding == constants.DATA_CODING_LATIN1:
        return data.decode("latin-1")
    if data_coding == constants.DATA_CODING_UCS2:
        return ucs2.decode(data)
    return None


def _done_at(receipt: Receipt, timezone: ZoneInfo | None) -> int | None:
    """The carrier's local ``done date`` as Unix milliseconds, where its zone is known."""
    if timezone is None or receipt.done_date is None:
        return None
    local = parse_date(receipt.done_date)
    if local is None or local == AMBIGUOUS:
        return None
    moment = datetime.fromisoformat(local).replace(tzinfo=timezone)
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _tags(tags: list[object]) -> list[bytes]:
    return [tag for tag in tags if isinstance(tag, bytes)]
