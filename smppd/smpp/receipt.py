"""A delivery receipt, read from the TLVs of a deliver_sm and from its text.

One expression reads the form of SMPP 3.4 appendix B, which is most of the traffic; what it
does not match goes to ``receipt_text``, which finds the keys. TLVs win over the text where
both speak; what is missing is filled from the other.

It does not know which message a receipt is about (``message_id`` has the candidates), nor
time zones (dates are naive and local to the centre), nor whether ACCEPTED is the best a
carrier will say. Nothing here fails: what is absent is None, all else is as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from smppd.smpp import constants
from smppd.smpp.message_id import MESSAGE_ID_OCTETS_MAX, candidate_ids, inverse_candidate_ids
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.receipt_text import STATES_BY_STAT, any_text, find_fields, latin_text, state_of

__all__ = [
    "AMBIGUOUS",
    "FINAL_STATES",
    "Receipt",
    "candidate_ids",
    "inverse_candidate_ids",
    "is_receipt",
    "looks_like_receipt",
    "parse_date",
    "parse_receipt",
    "read_receipt",
]

FINAL_STATES: Final = frozenset(
    {
        constants.MESSAGE_STATE_DELIVERED,
        constants.MESSAGE_STATE_EXPIRED,
        constants.MESSAGE_STATE_DELETED,
        constants.MESSAGE_STATE_UNDELIVERABLE,
        constants.MESSAGE_STATE_REJECTED,
        constants.MESSAGE_STATE_SKIPPED,
    }
)
"""The message_states after which nothing more is to come; ACCEPTED and UNKNOWN are policy."""

AMBIGUOUS: Final = "ambiguous"
"""What ``parse_date`` says of twelve digits that are a date both ways."""

_RECEIPT_BITS: Final = constants.ESM_TYPE_RECEIPT | constants.ESM_TYPE_INTERMEDIATE

# Appendix B: fields in order, one space between them; the parts that carriers leave out, and
# capitals where they write them. A value is printable and has no colon, so none holds a key.
_VALUE: Final = "[!-9;-~]"
_STANDARD: Final = re.compile(
    rf"[Ii][Dd]:({_VALUE}{{1,{MESSAGE_ID_OCTETS_MAX}}}) "
    rf"(?:[Ss]ub:({_VALUE}*) [Dd]lvrd:({_VALUE}*) )?"
    rf"[Ss]ubmit[ _][Dd]ate:({_VALUE}*) [Dd]one[ _][Dd]ate:({_VALUE}*) "
    rf"[Ss]tat:({_VALUE}+)(?: [Ee]rr:({_VALUE}*))?(?: [Tt]ext:(.*))?",
    re.DOTALL,
)
_BESIDE_ID: Final = frozenset({"sub", "dlvrd", "submit_date", "done_date"})
_LATER_FIELDS: Final = ("submit_date", "done_date", "err", "text")

_DATE_PADDING: Final = " \t\r\n\0"
_COMPACT_DATE: Final = re.compile(r"([0-9]{10}|[0-9]{12}|[0-9]{14,15})(?:[+-][0-9:]*)?")
_SEPARATED_DATE: Final = re.compile(
    r"(?:20)?([0-9]{2})[-/.]([0-9]{2})[-/.]([0-9]{2})[ T_-]*([0-9]{2})[:.-]?([0-9]{2})"
    r"(?:[:.-]?([0-9]{2}))?.*"
)


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What one receipt says, as the carrier wrote it; ``state`` is the message_state meant.

    ``id`` is from the text, ``tlv_id`` the receipted_message_id. ``err`` is the text's, else
    the network_error_code's. ``state`` is the TLV's where that is a known one, else the
    word's; None where neither says. The dates are raw: ``parse_date``. ``raw`` is the whole body
    as it came.
    """

    id: str | None = None
    tlv_id: str | None = None
    sub: str | None = None
    dlvrd: str | None = None
    stat: str | None = None
    err: str | None = None
    text: str | None = None
    submit_date: str | None = None
    done_date: str | None = None
    state: int | None = None
    intermediate: bool = False
    raw: bytes = b""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids it goes by, the TLV's first; none, one, or two that differ."""
        if self.tlv_id is None or self.tlv_id == self.id:
            return () if self.id is None else (self.id,)
        return (self.tlv_id,) if self.id is None else (self.tlv_id, self.id)

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to come: a final state, and no intermediate notification."""
        return not self.intermediate and self.state in FINAL_STATES

    @property
    def is_contradictory(self) -> bool:
        """Whether message_state and the stat word are both known and differ."""
        stat = self.stat
        said = STATES_BY_STAT.get(stat) if stat in STATES_BY_STAT else state_of(stat)
        return said is not None and said != self.state


def is_receipt(esm_class: int) -> bool:
    """Whether esm_class marks a receipt or an intermediate notification (SMPP 3.4 s5.2.12)."""
    return esm_class & _RECEIPT_BITS != 0


def looks_like_receipt(body: bytes, *, needs_id: bool = True) -> bool:
    """Whether an unmarked body reads as a receipt: an id and a known stat word; where it
    ``needs_id`` not, another of appendix B's first fields in place of the id will do.

    A user can write that too, so it is one only where the carrier is known not to mark its
    receipts, or where the id is of an outstanding message.
    """
    text = any_text(body)
    if "stat" not in text.lower():
        return False
    found = find_fields(text)
    if state_of(found.get("stat")) is None:
        return False
    return "id" in found or not (needs_id or _BESIDE_ID.isdisjoint(found))


def read_receipt(pdu: DeliverSm) -> Receipt | None:
    """The receipt in ``pdu``; None if its esm_class does not mark one."""
    if not pdu.esm_class & _RECEIPT_BITS:
        return None
    return parse_receipt(pdu.short_message, pdu.tlvs, pdu.esm_class, pdu.data_coding)


def parse_receipt(
    body: bytes,
    tlvs: Mapping[int, bytes],
    esm_class: int = constants.ESM_TYPE_RECEIPT,
    data_coding: int = 0,
) -> Receipt:
    """The receipt in a short_message, or in message_payload where that is empty.

    Never fails, marked or not. ``data_coding`` is not looked at: carriers copy it from the
    submit_sm over a body that is ASCII all the same; UCS-2 is told by its octets.
    """
    if tlvs and not body:
        body = tlvs.get(constants.TLV_MESSAGE_PAYLOAD, b"")
    raw = body
    if esm_class & constants.ESM_UDHI and body and body[0] < len(body):
        body = body[1 + body[0] :]
    text = latin_text(body)
    if match := _STANDARD.fullmatch(text):
        id_, sub, dlvrd, submit, done, stat, err, said = match.groups()
    else:
        found = find_fields(any_text(body)).get
        id_, sub, dlvrd, stat = found("id"), found("sub"), found("dlvrd"), found("stat")
        submit, done, err, said = (found(name) for name in _LATER_FIELDS)
    tlv_id = state = None
    if tlvs:
        tlv_id, state = _receipted_message_id(tlvs), _message_state(tlvs)
        err = _network_error_code(tlvs) if err is None else err
    if state is None:
        state = STATES_BY_STAT.get(stat) if stat in STATES_BY_STAT else state_of(stat)
    intermediate = esm_class & constants.ESM_TYPE_INTERMEDIATE != 0
    return Receipt(id_, tlv_id, sub, dlvrd, stat, err, said, submit, done, state, intermediate, raw)


def parse_date(raw: str | None) -> str | None:
    """A receipt's date as naive ISO 8601, in the centre's own time; None if it is none.

    Ten digits are YYMMDDhhmm, fourteen YYYYMMDDhhmmss, fifteen and a sign SMPP's absolute
    time. Twelve can be YYMMDDhhmmss or YYYYMMDDhhmm; where both are dates, which needs a year
    of 2001 to 2012, the answer is AMBIGUOUS. Separated dates have the year first.
    """
    raw = (raw or "").strip(_DATE_PADDING)
    if match := _SEPARATED_DATE.fullmatch(raw):
        return _iso_date("".join(match.groups("00")))
    match = _COMPACT_DATE.fullmatch(raw.replace(" ", ""))
    if match is None:
        return None
    digits = match[1]
    short = None if len(digits) == 14 else _iso_date(digits[:12])
    long = _iso_date(digits[2:]) if len(digits) in (12, 14) and digits[:2] == "20" else None
    return AMBIGUOUS if short and long else short or long


def _iso_date(digits: str) -> str | None:
    """Of YYMMDDhhmm or YYMMDDhhmmss, of this century; None if there is no such time."""
    year, month, day, hour, minute = (digits[at : at + 2] for at in range(0, 10, 2))
    iso = f"20{year}-{month}-{day}T{hour}:{minute}:{digits[10:] or '00'}"
    try:
        datetime.fromisoformat(iso)
    except ValueError:
        return None
    return iso


def _receipted_message_id(tlvs: Mapping[int, bytes]) -> str | None:
    """The receipted_message_id, a C-octet string that many centres send without its NUL."""
    value = tlvs.get(constants.TLV_RECEIPTED_MESSAGE_ID)
    if value is None:
        return None
    value = value.partition(b"\0")[0].strip(b" ")
    return str(value, "latin-1") if 0 < len(value) <= MESSAGE_ID_OCTETS_MAX else None


def _message_state(tlvs: Mapping[int, bytes]) -> int | None:
    """The message_state by its actual length; None if absent or not in the table."""
    value = tlvs.get(constants.TLV_MESSAGE_STATE)
    if not value:
        return None
    state = int.from_bytes(value, "big")
    return state if state in constants.MESSAGE_STATES else None


def _network_error_code(tlvs: Mapping[int, bytes]) -> str | None:
    """The network_error_code: type and number (s5.3.2.31), or the three digits some send."""
    value = tlvs.get(constants.TLV_NETWORK_ERROR_CODE)
    if value is None or len(value) != 3:
        return None
    return str(value, "ascii") if value.isdigit() else str(int.from_bytes(value[1:], "big"))
