"""From what a session reports to what is to be stored: pure, one list in, one list out.

The carrier's verdicts say what a command_status means for a segment. It knows neither store nor
link; ``at`` is wall time, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from smppd.errors import LocalProtocolError
from smppd.smpp import constants
from smppd.smpp.pdu import HEADER, HEADER_OCTETS, DeliverSm, encode_deliver_sm
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
    PduRefused,
    Signal,
    SubmitAnswered,
    Unanswered,
    Unwritten,
)
from smppd.smpp.statuses import DEFAULT_VERDICT, LASTING_REFUSALS, VerdictName
from smppd.smpp.statuses import VERDICTS as NAMED_VERDICTS
from smppd.store.changes import (
    Answered,
    Change,
    Doubted,
    GivenBack,
    InboundArrived,
    Quarantined,
    ReceiptArrived,
    Verdict,
)
from smppd.text.header import NO_HEADER, Concatenation, concatenate, read_header
from smppd.text.reading import Piece, read_pieces
from smppd.text.segment import PLAIN_FORM, Form

VERDICT_OF: Final[dict[VerdictName, Verdict]] = {
    "taken": Verdict.TAKEN,
    "retry": Verdict.RETRY,
    "slow": Verdict.SLOW,
    "refuse": Verdict.REFUSE,
    "other_carrier": Verdict.REROUTE,
    "rebind": Verdict.RETRY,
    "pause": Verdict.RETRY,
}
"""What a verdict's name comes to for the segment; a rebind, or a pause, is the link's own part."""

# What is not here is REROUTE (DEFAULT_VERDICT): this carrier will not take the segment, another
# offer may. Slowing down is no refusal (SMPP 3.4 s5.1.3, ESME_RTHROTTLED, ESME_RMSGQFUL). REFUSE
# is what no carrier can mend, for it lies in the message.
VERDICTS: Final[dict[int, Verdict]] = {
    status: VERDICT_OF[name] for status, name in NAMED_VERDICTS.items() if name != DEFAULT_VERDICT
}
_TAKEN: Final = Verdict.TAKEN  # An enumeration's own look-up costs as much as all else here.
_REROUTE: Final = Verdict.REROUTE
REBINDS: Final = frozenset(one for one, name in NAMED_VERDICTS.items() if name == "rebind")


_SAR: Final = (
    constants.TLV_SAR_MSG_REF_NUM,
    constants.TLV_SAR_TOTAL_SEGMENTS,
    constants.TLV_SAR_SEGMENT_SEQNUM,
)


SEGMENT_OCTETS_MAX: Final = 254
"""Of a segment from a phone, which has 140 on the air: what short_message holds. More came in a
message_payload and is a message by itself; it is not to wait in memory's or the disk's room for
segments (``reassembly.WAITING_MAX``)."""

QUARANTINED_MAX: Final = 20
"""PDUs kept of one read, which may be four thousand of sixteen octets: what follows is no better,
and a peer must not write our disk full with it."""


class Pause(msgspec.Struct, frozen=True):
    """The carrier is to get nothing new for so long, and why, for a person."""

    seconds: float
    reason: str


class LinkProfile(msgspec.Struct, frozen=True):
    """What settling needs to know of the link: whose it is, how its carrier writes dates, and
    whether the bind speaks SMPP 3.3 (``is_33``). ``form`` is how user data is written there.

    ``verdicts`` by command_status, REROUTE where there is none; of those that are RETRY ``rebinds``
    ask for a new bind and ``pauses`` for a pause. A bind refused with one of ``refusals`` waits
    ``reconnect_refused``. ``meanings`` are the carrier's own words.
    """

    carrier: str
    bind: int
    timezone: ZoneInfo | None = None
    is_33: bool = False
    form: Form = PLAIN_FORM
    verdicts: dict[int, Verdict] = msgspec.field(default_factory=lambda: VERDICTS)
    rebinds: frozenset[int] = REBINDS
    pauses: dict[int, Pause] = {}
    refusals: frozenset[int] = LASTING_REFUSALS
    meanings: dict[int, str] = {}


class Settlement(msgspec.Struct):
    """What to store, what the link itself must see to, and how many answers said "slower".

    ``rebind`` is the command_status that asks for a new bind, 0 where none does; ``pause`` the
    longest that was asked for.
    """

    changes: list[Change]
    notices: list[Signal]
    throttled: int = 0
    rebind: int = 0
    pause: Pause | None = None


def settle(signals: list[Signal], profile: LinkProfile, at: int) -> Settlement:
    """Turns signals into changes, in order; what is no change is a notice for the link."""
    changes: list[Change] = []
    settlement = Settlement(changes, [])
    carrier, bind, verdicts = profile.carrier, profile.bind, profile.verdicts
    for signal in signals:
        if isinstance(signal, SubmitAnswered):
            status = signal.command_status
            verdict = verdicts.get(status, _REROUTE)
            tag = signal.tag
            assert isinstance(tag, bytes), "our tags are octets"
            name, number = signal.message_id, signal.sequence_number
            changes.append(Answered(carrier, bind, tag, verdict, status, name, at, number))
            if verdict is not _TAKEN:
                _note_trouble(settlement, profile, verdict, status)
        elif isinstance(signal, DeliverReceived):
            change = _settle_deliver(signal.pdu, profile, at)
            changes.append(change)
            if type(change) is ReceiptArrived and _says_nothing(change.receipt):
                changes.append(_quarantine_receipt(signal, profile, at))
        elif isinstance(signal, Unanswered):
            changes.append(Doubted(carrier, bind, _tags(signal.tags), at))
        elif isinstance(signal, Unwritten):
            changes.append(GivenBack(carrier, bind, _tags(signal.tags), at))
        else:
            settlement.notices.append(signal)
    if settlement.notices:
        _quarantine_refused(settlement, profile, at)
    return settlement


def _quarantine_refused(settlement: Settlement, profile: LinkProfile, at: int) -> None:
    refused = [one for one in settlement.notices if isinstance(one, PduRefused)]
    settlement.changes += [
        quarantine(frame_pdu(one), one.reason, profile, at) for one in refused[:QUARANTINED_MAX]
    ]


def quarantine(pdu: bytes, reason: str, profile: LinkProfile, at: int) -> Quarantined:
    """What is to be kept of a PDU, header first, that nobody could read."""
    return Quarantined(profile.carrier, profile.bind, reason, pdu, at)


def frame_pdu(refused: PduRefused) -> bytes:
    """The PDU as it came."""
    length = HEADER_OCTETS + len(refused.body)
    ids = (refused.command_id, refused.command_status, refused.sequence_number)
    return HEADER.pack(length, *ids) + refused.body


def _says_nothing(receipt: Receipt) -> bool:
    """Whether it names neither a message nor what became of it."""
    return not receipt.ids and receipt.state is None


def _quarantine_receipt(signal: DeliverReceived, profile: LinkProfile, at: int) -> Quarantined:
    """Its PDU written again, as the session keeps none that it could read."""
    pdu, number = signal.pdu, signal.sequence_number
    try:
        octets = encode_deliver_sm(pdu, number)
    except LocalProtocolError:  # we read longer fields than we write
        length = HEADER_OCTETS + len(pdu.short_message)
        octets = HEADER.pack(length, constants.DELIVER_SM, 0, number) + pdu.short_message
    return quarantine(octets, "the receipt has neither an id nor a state", profile, at)


def _note_trouble(
    settlement: Settlement, profile: LinkProfile, verdict: Verdict, status: int
) -> None:
    """What the link must see to: a pace that is too fast; and a passing fault may be the bind's, or
    want the carrier to be left alone."""
    if verdict is Verdict.SLOW:
        settlement.throttled += 1
    if verdict is not Verdict.RETRY:
        return
    if status in profile.rebinds:
        settlement.rebind = status
    pause, longest = profile.pauses.get(status), settlement.pause
    if pause is not None and (longest is None or pause.seconds > longest.seconds):
        settlement.pause = pause


def _settle_deliver(pdu: DeliverSm, profile: LinkProfile, at: int) -> Change:
    receipt = read_receipt(pdu)
    if receipt is None:
        return _settle_inbound(pdu, profile, at)
    return _receipt_arrived(receipt, pdu, profile, at)


def _settle_inbound(pdu: DeliverSm, profile: LinkProfile, at: int) -> InboundArrived:
    data = pdu.tlvs.get(constants.TLV_MESSAGE_PAYLOAD, b"") or pdu.short_message
    unmarked = None
    if looks_like_receipt(data, needs_id=False) or constants.TLV_RECEIPTED_MESSAGE_ID in pdu.tlvs:
        esm_class = pdu.esm_class | constants.ESM_TYPE_RECEIPT
        receipt = parse_receipt(data, pdu.tlvs, esm_class, pdu.data_coding)
        unmarked = _receipt_arrived(receipt, pdu, profile, at)
    has_header = bool(pdu.esm_class & constants.ESM_UDHI)
    header = read_header(data) if has_header else NO_HEADER
    piece = Piece(data, pdu.data_coding, has_header)
    joined = header.concatenation or (_read_sar(pdu.tlvs) if pdu.tlvs else None)
    return InboundArrived(
        profile.carrier,
        pdu.source_addr,
        pdu.destination_addr,
        read_pieces([piece], profile.form).text,
        data,
        pdu.data_coding,
        pdu.esm_class,
        at,
        unmarked,
        joined if len(data) <= SEGMENT_OCTETS_MAX else None,
        data[: header.octets],
    )


def _receipt_arrived(
    receipt: Receipt, pdu: DeliverSm, profile: LinkProfile, at: int
) -> ReceiptArrived:
    done_at = _done_at(receipt, profile.timezone)
    return ReceiptArrived(
        profile.carrier,
        receipt,
        pdu.source_addr,
        pdu.destination_addr,
        done_at,
        at,
        profile.is_33,
    )


def _read_sar(tlvs: Mapping[int, bytes]) -> Concatenation | None:
    """The segment's place by the TLVs (SMPP 3.4 s5.3.2.22 to s5.3.2.24), where all three are."""
    found = [tlvs.get(tag) for tag in _SAR]
    if None in found:
        return None
    reference, total, number = (int.from_bytes(value or b"") for value in found)
    return concatenate("sar", reference, total, number)


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
