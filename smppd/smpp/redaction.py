"""A PDU without what is nobody's business: texts, passwords, and the most of every number.

For files that leave the house (``capture``) and screens. The length never changes, so every other
field stands where it stood and a reader finds no fault that was not there. What is kept is named
here; everything else is overwritten with ``x``: an unknown command, a vendor's TLV, and all that
follows a field which cannot be read. Of a receipt what stands before ``text:`` is kept, for it is
the carrier's word and what one looks for.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from smppd.smpp import constants
from smppd.smpp.framing import PDU_BYTES_MAX
from smppd.smpp.pdu import HEADER, HEADER_OCTETS
from smppd.smpp.receipt import looks_like_receipt
from smppd.smpp.receipt_text import find_fields, latin_text

NUMBER_DIGITS_KEPT: Final = 5
"""The country and mostly the network (ITU-T E.164); what follows names a person."""

NUMBER_DIGITS_MIN: Final = 7
"""What has fewer digits is a short code or a name."""

COVER: Final = b"x"

_LENGTH_OCTETS: Final = 4
_RECEIPT_BITS: Final = constants.ESM_TYPE_RECEIPT | constants.ESM_TYPE_INTERMEDIATE

# SMPP 3.4 appendix B: a receipt ends with the first characters of the message, which UCS-2 spells
# with a NUL before each.
_RECEIPT_TEXT: Final = re.compile(rb"t\0?e\0?x\0?t\0? ?\0?[:=]\0?", re.IGNORECASE)

# Section 7.1.1. In a body whose fields have slipped a text may stand where a time should.
_A_TIME: Final = re.compile(rb"[0-9]*[-+R]?\0")


class Part(msgspec.Struct, frozen=True):
    """One field of a body: what it is, and how many octets it has, or may have with its NUL."""

    kind: str
    octets: int


def _string(octets_max: int) -> Part:
    return Part("string", octets_max)


def _integers(octets: int) -> Part:
    return Part("integers", octets)


_SECRET: Final = Part("secret", 65)
_NUMBER: Final = Part("number", 65)  # the longest any command allows, section 4.7.1
_ESM_CLASS: Final = Part("esm_class", 1)
_TEXT: Final = Part("text", 1)  # sm_length, and what it counts
_SERVICE_TYPE: Final = _string(6)
_MESSAGE_ID: Final = _string(65)
_TIME: Final = Part("time", 17)
_SYSTEM_ID: Final = _string(16)

_BIND: Final = (_SYSTEM_ID, _SECRET, _string(13), _integers(3), _string(41))
_ROUTE: Final = (_integers(2), _NUMBER, _integers(2), _NUMBER)
_MESSAGE: Final = (_SERVICE_TYPE, *_ROUTE, _ESM_CLASS, _integers(2), _TIME, _TIME)

PARTS: Final[dict[int, tuple[Part, ...]]] = {
    constants.GENERIC_NACK: (),
    constants.BIND_RECEIVER: _BIND,
    constants.BIND_RECEIVER_RESP: (_SYSTEM_ID,),
    constants.BIND_TRANSMITTER: _BIND,
    constants.BIND_TRANSMITTER_RESP: (_SYSTEM_ID,),
    constants.QUERY_SM: (_MESSAGE_ID, _integers(2), _NUMBER),
    constants.QUERY_SM_RESP: (_MESSAGE_ID, _TIME, _integers(2)),
    constants.SUBMIT_SM: (*_MESSAGE, _integers(4), _TEXT),
    constants.SUBMIT_SM_RESP: (_MESSAGE_ID,),
    constants.DELIVER_SM: (*_MESSAGE, _integers(4), _TEXT),
    constants.DELIVER_SM_RESP: (_MESSAGE_ID,),
    constants.UNBIND: (),
    constants.UNBIND_RESP: (),
    constants.REPLACE_SM: (_MESSAGE_ID, _integers(2), _NUMBER, _TIME, _TIME, _integers(2), _TEXT),
    constants.REPLACE_SM_RESP: (),
    constants.CANCEL_SM: (_SERVICE_TYPE, _MESSAGE_ID, *_ROUTE),
    constants.CANCEL_SM_RESP: (),
    constants.BIND_TRANSCEIVER: _BIND,
    constants.BIND_TRANSCEIVER_RESP: (_SYSTEM_ID,),
    constants.OUTBIND: (_SYSTEM_ID, _SECRET),
    constants.ENQUIRE_LINK: (),
    constants.ENQUIRE_LINK_RESP: (),
    constants.ALERT_NOTIFICATION: _ROUTE,
    constants.DATA_SM: (_SERVICE_TYPE, *_ROUTE, _ESM_CLASS, _integers(2)),
    constants.DATA_SM_RESP: (_MESSAGE_ID,),
}
"""The mandatory fields of every command that is shown (sections 4.1 to 4.12)."""

_WITH_PASSWORD: Final = frozenset(one for one, parts in PARTS.items() if _SECRET in parts)

KEPT_TLVS: Final = frozenset(
    {
        constants.TLV_DEST_ADDR_SUBUNIT,
        constants.TLV_DEST_NETWORK_TYPE,
        constants.TLV_DEST_BEARER_TYPE,
        constants.TLV_DEST_TELEMATICS_ID,
        constants.TLV_SOURCE_ADDR_SUBUNIT,
        constants.TLV_SOURCE_NETWORK_TYPE,
        constants.TLV_SOURCE_BEARER_TYPE,
        constants.TLV_SOURCE_TELEMATICS_ID,
        constants.TLV_QOS_TIME_TO_LIVE,
        constants.TLV_PAYLOAD_TYPE,
        constants.TLV_RECEIPTED_MESSAGE_ID,
        constants.TLV_MS_MSG_WAIT_FACILITIES,
        constants.TLV_PRIVACY_INDICATOR,
        constants.TLV_USER_MESSAGE_REFERENCE,
        constants.TLV_USER_RESPONSE_CODE,
        constants.TLV_SOURCE_PORT,
        constants.TLV_DESTINATION_PORT,
        constants.TLV_SAR_MSG_REF_NUM,
        constants.TLV_LANGUAGE_INDICATOR,
        constants.TLV_SAR_TOTAL_SEGMENTS,
        constants.TLV_SAR_SEGMENT_SEQNUM,
        constants.TLV_SC_INTERFACE_VERSION,
        constants.TLV_CALLBACK_NUM_PRES_IND,
        constants.TLV_NUMBER_OF_MESSAGES,
        constants.TLV_DPF_RESULT,
        constants.TLV_SET_DPF,
        constants.TLV_MS_AVAILABILITY_STATUS,
        constants.TLV_NETWORK_ERROR_CODE,
        constants.TLV_DELIVERY_FAILURE_REASON,
        constants.TLV_MORE_MESSAGES_TO_SEND,
        constants.TLV_MESSAGE_STATE,
        constants.TLV_USSD_SERVICE_OP,
        constants.TLV_DISPLAY_TIME,
        constants.TLV_SMS_SIGNAL,
        constants.TLV_MS_VALIDITY,
        constants.TLV_ALERT_ON_MESSAGE_DELIVERY,
        constants.TLV_ITS_REPLY_TYPE,
        constants.TLV_ITS_SESSION_INFO,
    }
)
"""The optional parameters that are numbers of the protocol's own, and the carrier's id."""

TLV_OCTETS_KEPT: Final = 65
"""Of one of these: the longest is an id with its NUL. A longer one is not what its tag says."""


def redact_pdu(pdu: bytes) -> bytes:
    """A whole PDU, header first, with what must not be seen overwritten; of what is none, only the
    octets that would be its length are kept."""
    if len(pdu) < HEADER_OCTETS:
        return _cover_from(pdu, _LENGTH_OCTETS)
    length, command_id, _, _ = HEADER.unpack_from(pdu)
    if not len(pdu) <= length <= PDU_BYTES_MAX:
        return _cover_from(pdu, _LENGTH_OCTETS)
    return pdu[:HEADER_OCTETS] + redact_body(command_id, pdu[HEADER_OCTETS:])


def redact_password(pdu: bytes) -> bytes:
    """The same, with texts and numbers as they are: a password helps nobody to see what is wrong,
    and such a file is sent to the carrier."""
    if len(pdu) < HEADER_OCTETS or HEADER.unpack_from(pdu)[1] not in _WITH_PASSWORD:
        return pdu
    return redact_pdu(pdu)


def redact_body(command_id: int, body: bytes) -> bytes:
    """The same of what follows the header."""
    parts = PARTS.get(command_id)
    if parts is None:
        return _cover_from(body, 0)
    redacted: list[bytes] = []
    offset = esm_class = 0
    for part in parts:
        end = _end_of(part, body, offset)
        if end is None:
            return b"".join(redacted) + _cover_from(body[offset:], 0)
        value = body[offset:end]
        if part is _ESM_CLASS:
            esm_class = value[0]
        redacted.append(_redact_part(part, value, esm_class))
        offset = end
    return b"".join(redacted) + _redact_tlvs(body[offset:], esm_class)


def mask_number(number: bytes) -> bytes:
    """The digits of a phone number but for the first NUMBER_DIGITS_KEPT overwritten; a short code
    or a name as it is."""
    if len(re.findall(rb"[0-9]", number)) < NUMBER_DIGITS_MIN:
        return number
    kept = re.match(rb"(?:[^0-9]*[0-9]){%d}" % NUMBER_DIGITS_KEPT, number)
    assert kept is not None, "there are NUMBER_DIGITS_MIN of them"
    return kept[0] + re.sub(rb"[0-9]", COVER, number[kept.end() :])


def redact_text(octets: bytes, *, has_udh: bool = False, is_receipt: bool = False) -> bytes:
    """User data overwritten but for its header, a receipt's but for what precedes its text."""
    kept = _udh_octets(octets) if has_udh else 0
    if is_receipt:
        kept += _receipt_octets(octets[kept:])
    return _cover_from(octets, kept)


def _end_of(part: Part, body: bytes, offset: int) -> int | None:
    """Where a field ends; None where the body has no such field."""
    if part.kind in ("string", "number", "secret", "time"):
        found = body.find(b"\0", offset, offset + part.octets)
        return None if found < 0 else found + 1
    end = offset + part.octets
    if end > len(body):
        return None
    if part is _TEXT:
        end += body[offset]
    return end if end <= len(body) else None


def _redact_part(part: Part, value: bytes, esm_class: int) -> bytes:
    if part.kind == "secret":
        return COVER * (len(value) - 1) + b"\0"
    if part.kind == "number":
        return mask_number(value)
    if part.kind == "time" and not _A_TIME.fullmatch(value):
        return COVER * (len(value) - 1) + b"\0"
    if part.kind == "text":
        return value[:1] + _redact_user_data(value[1:], esm_class)
    return value


def _redact_tlvs(octets: bytes, esm_class: int) -> bytes:
    """Optional parameters one by one; from the first that is none, all is overwritten."""
    redacted: list[bytes] = []
    offset = 0
    while len(octets) - offset >= 4:
        start = offset + 4
        end = start + int.from_bytes(octets[offset + 2 : start], "big")
        if end > len(octets):
            break
        tag = int.from_bytes(octets[offset : offset + 2], "big")
        redacted += (octets[offset:start], _redact_tlv(tag, octets[start:end], esm_class))
        offset = end
    return b"".join(redacted) + _cover_from(octets[offset:], 0)


def _redact_tlv(tag: int, value: bytes, esm_class: int) -> bytes:
    if tag in KEPT_TLVS and len(value) <= TLV_OCTETS_KEPT:
        return value
    if tag == constants.TLV_MESSAGE_PAYLOAD:
        return _redact_user_data(value, esm_class)
    return _cover_from(value, 0)


def _redact_user_data(octets: bytes, esm_class: int) -> bytes:
    has_udh = bool(esm_class & constants.ESM_UDHI)
    return redact_text(octets, has_udh=has_udh, is_receipt=bool(esm_class & _RECEIPT_BITS))


def _udh_octets(octets: bytes) -> int:
    """Octets of the user data header, 0 where what claims to be one is not (3GPP TS 23.040
    s9.2.3.24): text with a wrong esm_class is still text."""
    end = 1 + octets[0] if octets else 0
    offset = 1
    while offset + 2 <= end <= len(octets):
        offset += 2 + octets[offset + 1]
    return end if offset == end <= len(octets) else 0


def _receipt_octets(octets: bytes) -> int:
    """Octets of a receipt that are no user's: up to its text, or all where it has none."""
    if not looks_like_receipt(octets):
        return 0
    text = _RECEIPT_TEXT.search(octets)
    if text is not None:
        return text.end()
    return 0 if "text" in find_fields(latin_text(octets)) else len(octets)


def _cover_from(octets: bytes, kept: int) -> bytes:
    return octets[:kept] + COVER * (len(octets) - kept)
