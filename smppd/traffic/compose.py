"""The PDU of a segment: the message as its carrier gets it, pure.

The message's ``form`` says how a long one is told (header, sar_* TLVs or message_payload) and what
data_coding 0 means. It is the form that the message was cut for, not what its carrier's
configuration says by now: segments of which some are out must go on as they began.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from smppd.smpp import constants
from smppd.smpp.data_sm import DataSm
from smppd.smpp.pdu import SubmitSm, relative_time
from smppd.store.changes import EncodingName, Extras
from smppd.store.records import Message
from smppd.text.segment import (
    PLAIN_FORM,
    REFERENCE_MAX,
    Form,
    data_coding_of,
    has_shift,
    split,
    split_data,
)

HALF_SENT_VALIDITY_SECONDS: Final = 3_600
"""validity_period of the rest of a message whose own has ended with a part of it sent: it must be
given time to arrive, or what was sent was in vain."""

QOS_SECONDS_MAX: Final = 0xFFFFFFFF
"""What the four octets of qos_time_to_live can say (section 5.3.2.9)."""

PIECES_KEPT_MAX: Final = 256
"""Long messages whose pieces are kept while they go out one window after another."""

_UDH_FORMS: Final = ("udh8", "udh16")
_NO_TLVS: Final[dict[int, bytes]] = {}


class UserData(msgspec.Struct, frozen=True, gc=False):
    """What differs between segments: the octets with any header, and all that says what they are.

    ``is_payload``: the octets are more than one segment and travel in message_payload. ``tlvs`` are
    all others, sar_* among them.
    """

    octets: bytes
    data_coding: int
    esm_class: int = constants.ESM_MODE_DEFAULT
    is_payload: bool = False
    tlvs: dict[int, bytes] = _NO_TLVS


def build_submit(message: Message, index: int, now_ms: int) -> SubmitSm:
    """The submit_sm of one segment, as its carrier gets it."""
    user_data = _user_data(message, index)
    octets, tlvs = user_data.octets, user_data.tlvs
    if user_data.is_payload:
        octets, tlvs = b"", {constants.TLV_MESSAGE_PAYLOAD: octets, **tlvs}
    return SubmitSm(  # in the order of ShortMessagePdu: keywords would double its cost
        message.to,
        octets,
        "",
        message.addr_ton,
        message.addr_npi,
        message.addr,
        constants.TON_INTERNATIONAL,
        constants.NPI_ISDN,
        user_data.esm_class,
        0,
        0,
        "",
        _validity_period(seconds_left(message, now_ms)),
        1 if index >= len(message.parts) - message.receipts else 0,
        0,
        user_data.data_coding,
        0,
        tlvs,
    )


def build_data(message: Message, index: int, now_ms: int) -> DataSm:
    """The data_sm of one segment: all of its octets in message_payload, its validity in
    qos_time_to_live (section 4.7.1)."""
    user_data = _user_data(message, index)
    seconds = min(seconds_left(message, now_ms), QOS_SECONDS_MAX)
    return DataSm(
        source_addr_ton=message.addr_ton,
        source_addr_npi=message.addr_npi,
        source_addr=message.addr,
        dest_addr_ton=constants.TON_INTERNATIONAL,
        dest_addr_npi=constants.NPI_ISDN,
        destination_addr=message.to,
        esm_class=user_data.esm_class,
        registered_delivery=1 if index >= len(message.parts) - message.receipts else 0,
        data_coding=user_data.data_coding,
        tlvs={
            constants.TLV_QOS_TIME_TO_LIVE: seconds.to_bytes(4),
            constants.TLV_MESSAGE_PAYLOAD: user_data.octets,
            **user_data.tlvs,
        },
    )


def seconds_left(message: Message, now_ms: int) -> int:
    """How long the message is valid yet, in whole seconds, at least one; of one whose time has
    ended with a part of it sent, HALF_SENT_VALIDITY_SECONDS."""
    left_ms = message.expires_at - now_ms
    return left_ms // 1000 or 1 if left_ms > 0 else HALF_SENT_VALIDITY_SECONDS


def _user_data(message: Message, index: int) -> UserData:
    extras = message.extras
    if extras is None and message.form is None and len(message.parts) == 1:  # nearly every message
        octets = split(message.text, message.encoding, PLAIN_FORM, 0)[0]
        return UserData(octets, data_coding_of(message.encoding))
    form = message.form or PLAIN_FORM
    pieces = _cut(message, form)
    is_several = len(pieces) > 1
    has_udh = is_several and form.long_message in _UDH_FORMS
    if form.languages:
        has_udh = has_udh or has_shift(message.text, message.encoding, form)
    tlvs = _NO_TLVS
    if is_several and form.long_message == "sar":
        tlvs = _sar_tlvs(_reference(message, form), len(pieces), index + 1)
    if extras is None:
        data_coding = data_coding_of(message.encoding)
    else:
        data_coding = _data_coding(message.encoding, extras)
        has_udh = has_udh or bool(extras.udh)
        tlvs = tlvs | extras.tlvs
    esm_class = constants.ESM_UDHI if has_udh else constants.ESM_MODE_DEFAULT
    return UserData(pieces[index], data_coding, esm_class, message.units > 0, tlvs)


def _data_coding(encoding: EncodingName, extras: Extras) -> int:
    if extras.data_coding >= 0:
        return extras.data_coding
    return data_coding_of(encoding, flash=extras.flash)


def _sar_tlvs(reference: int, total: int, number: int) -> dict[int, bytes]:
    """Sections 5.3.2.22 to 5.3.2.24."""
    return {
        constants.TLV_SAR_MSG_REF_NUM: reference.to_bytes(2),
        constants.TLV_SAR_TOTAL_SEGMENTS: total.to_bytes(1),
        constants.TLV_SAR_SEGMENT_SEQNUM: number.to_bytes(1),
    }


def _cut(message: Message, form: Form) -> list[bytes]:
    extras = message.extras
    reference = _reference(message, form)
    if extras is None:
        return _split_kept(message.text, message.encoding, form, reference)
    if extras.data is not None:
        return _split_data_kept(extras.data, extras.udh, form, reference)
    form = form.for_flash() if extras.flash else form
    return _split_kept(message.text, message.encoding, form, reference)


def _reference(message: Message, form: Form) -> int:
    """The message's, as wide as the form can write it: it may have been given for another carrier,
    and numbers that count up differ in their low octet as well."""
    return message.reference & REFERENCE_MAX[form.long_message]


_split_kept = lru_cache(maxsize=PIECES_KEPT_MAX)(split)
_split_data_kept = lru_cache(maxsize=PIECES_KEPT_MAX)(split_data)


def forget_texts() -> None:
    """No text of a message that was sent is kept here any more."""
    _split_kept.cache_clear()
    _split_data_kept.cache_clear()


@lru_cache(maxsize=1024)
def _validity_period(seconds: int) -> str:
    return relative_time(seconds)
