"""submit_sm, deliver_sm and their responses: structs, and the codecs of the hot path.

Written by hand, since these four are every second octet of a loaded bind: one ``%``-format over
memoised parts to build, one cursor walk to read. The tests hold them octet for octet equal to
smpplib where smpplib is right, and refuse what it accepts silently (a missing NUL, a lying
sm_length, a cut TLV).

Two rules differ by direction. *We never send what the specification forbids*: a field too long
is ``LocalProtocolError``, never a cut field, for a cut number is another subscriber. *We read
what carriers send*: a submit_sm is judged by the specification, while a deliver_sm may exceed
it wherever nothing is lost by taking it, for refusing one loses a user's message. What cannot
be read is a ``PduFault``, a value: one bad PDU never costs the others of its read.

Text fields are Latin-1 views of octets: every octet has a character, so nothing is lost. Framing
and the session are not known here; neither is what a short message means.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import Final, TypeVar

import msgspec

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import (
    DELIVER_SM,
    DELIVER_SM_RESP,
    ESME_RINVCMDLEN,
    ESME_RINVDSTADR,
    ESME_RINVEXPIRY,
    ESME_RINVMSGID,
    ESME_RINVMSGLEN,
    ESME_RINVOPTPARSTREAM,
    ESME_RINVPARLEN,
    ESME_RINVSCHED,
    ESME_RINVSERTYP,
    ESME_RINVSRCADR,
    ESME_ROPTPARNOTALLWD,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    TLV_MESSAGE_PAYLOAD,
)

HEADER: Final = struct.Struct(">IIII")  # command_length, _id, _status, sequence_number
HEADER_OCTETS: Final = 16

# Octets with their NUL, sections 4.4.1 and 5.2.
SERVICE_TYPE_OCTETS_MAX: Final = 6
ADDRESS_OCTETS_MAX: Final = 21
TIME_OCTETS_MAX: Final = 17
MESSAGE_ID_OCTETS_MAX: Final = 65

# What data_sm allows (section 4.7.1): some centres put such an address into a deliver_sm, and a
# longer one is rubbish that would travel into every store.
DELIVER_ADDRESS_OCTETS_MAX: Final = 65

SHORT_MESSAGE_OCTETS_MAX: Final = 254  # section 5.2.22; 255 is reserved
TLV_OCTETS_MAX: Final = 0xFFFF  # what the two-octet length field can say

# Bodies repeat between messages of one application, so their parts are built once; this many
# are kept. A part is some 150 octets with its key: half a megabyte at most.
PARTS_MAX: Final = 4096

# Section 7.1.1: YYMMDDhhmmsstnnp. t is tenths, nn quarter-hours from UTC; R means relative.
TIME_FORMAT: Final = re.compile(
    r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
    r"[0-9](?:[0-3][0-9]|4[0-8])[+-]"
    r"|[0-9]{2}(?:0[0-9]|1[0-2])(?:[0-2][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]000R"
)

# A relative time must not outlive what was asked, whatever calendar the centre counts in: so a
# month is spent as its longest, 31 days, and a year as 366.
DAY_SECONDS: Final = 86_400
MONTH_DAYS: Final = 31
YEAR_DAYS: Final = 366
RELATIVE_SECONDS_MAX: Final = 100 * YEAR_DAYS * DAY_SECONDS - 1  # two digits of years

# Sections 4.4.1 and 4.6.1 up to sm_length: service_type, source, destination, esm_class and the two
# octets after it, the two times, and five octets.
_MANDATORY: Final = re.compile(
    rb"([^\0]*)\0(..)([^\0]*)\0(..)([^\0]*)\0(...)([^\0]*)\0([^\0]*)\0(.....)", re.DOTALL
)
_TLV_HEADER: Final = struct.Struct(">HH")
_DELIVER_SM_RESP: Final = struct.Struct(">IIIIx")  # message_id is unused: one NUL


class PduFault(msgspec.Struct, frozen=True):
    """A body that cannot be read: why, and the command_status that says so to the peer."""

    reason: str
    command_status: int


class ShortMessagePdu(msgspec.Struct, frozen=True, gc=False):
    """The fields submit_sm and deliver_sm share (sections 4.4.1, 4.6.1), under spec names.

    The two that cannot be left out come first, the others stand in the order of the wire.
    ``tlvs`` maps a tag to its value, in the order of the wire; sm_length is not kept.
    """

    destination_addr: str
    short_message: bytes
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    tlvs: dict[int, bytes] = {}


class SubmitSm(ShortMessagePdu, frozen=True, gc=False):
    """submit_sm, section 4.4.1."""


class DeliverSm(ShortMessagePdu, frozen=True, gc=False):
    """deliver_sm, section 4.6.1: a receipt, or a message a phone sent."""


_Pdu = TypeVar("_Pdu", SubmitSm, DeliverSm)


def encode_submit_sm(pdu: SubmitSm, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    return _encode(SUBMIT_SM, pdu, sequence_number)


def encode_deliver_sm(pdu: DeliverSm, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    return _encode(DELIVER_SM, pdu, sequence_number)


def decode_submit_sm(body: bytes) -> SubmitSm | PduFault:
    """Read what follows the header, as strictly as the specification does."""
    pdu = _decode(body, SubmitSm)
    if isinstance(pdu, PduFault):
        return pdu
    return _find_submit_fault(pdu) or pdu


def decode_deliver_sm(body: bytes) -> DeliverSm | PduFault:
    """Read what follows the header; a body carried twice (in a TLV as well) keeps both."""
    pdu = _decode(body, DeliverSm)
    if isinstance(pdu, PduFault):
        return pdu
    if len(pdu.source_addr) >= DELIVER_ADDRESS_OCTETS_MAX:
        return PduFault("source_addr is too long", ESME_RINVSRCADR)
    if len(pdu.destination_addr) >= DELIVER_ADDRESS_OCTETS_MAX:
        return PduFault("destination_addr is too long", ESME_RINVDSTADR)
    return pdu


def encode_submit_sm_resp(sequence_number: int, command_status: int, message_id: str) -> bytes:
    """The whole PDU; an error status has no body (section 4.4.2)."""
    if command_status:
        return HEADER.pack(HEADER_OCTETS, SUBMIT_SM_RESP, command_status, sequence_number)
    octets = c_octets("message_id", message_id, MESSAGE_ID_OCTETS_MAX)
    length = HEADER_OCTETS + len(octets)
    return HEADER.pack(length, SUBMIT_SM_RESP, 0, sequence_number) + octets


def decode_submit_sm_resp(body: bytes) -> str | PduFault:
    """The message_id, empty when there is none.

    Centres leave the body out, leave the NUL out, send a body with an error and add TLVs that
    3.4 does not have: all are read. Only an id beyond 64 octets is a fault.
    """
    message_id = body.partition(b"\0")[0]
    if len(message_id) >= MESSAGE_ID_OCTETS_MAX:
        return PduFault("message_id is too long", ESME_RINVMSGID)
    return message_id.decode("latin-1")


def encode_deliver_sm_resp(sequence_number: int, command_status: int) -> bytes:
    """The whole PDU; its message_id is unused and always one NUL (section 4.6.2)."""
    return _DELIVER_SM_RESP.pack(17, DELIVER_SM_RESP, command_status, sequence_number)


@functools.lru_cache(PARTS_MAX)
def relative_time(seconds: int) -> str:
    """``seconds`` as a relative validity_period, such as ``000001000000000R`` for a day.

    Never longer than asked in any calendar. Below one second counts as one, beyond a hundred
    years as that: the caller has dropped what expired, and no centre keeps a message so long.
    """
    days, rest = divmod(min(max(seconds, 1), RELATIVE_SECONDS_MAX), DAY_SECONDS)
    years, days = divmod(days, YEAR_DAYS)
    months, days = divmod(days, MONTH_DAYS)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{years:02}{months:02}{days:02}{hours:02}{minutes:02}{rest:02}000R"


def c_octets(name: str, value: str, octets_max: int) -> bytes:
    """``value`` with its NUL; ``LocalProtocolError`` unless ASCII and within ``octets_max``."""
    if len(value) >= octets_max:
        raise LocalProtocolError(f"{name} is longer than {octets_max - 1} octets")
    if not value.isascii() or "\0" in value:
        raise LocalProtocolError(f"{name} holds a character that is not ASCII, or a NUL")
    return value.encode("ascii") + b"\0"


def _encode(command_id: int, pdu: ShortMessagePdu, sequence_number: int) -> bytes:
    short_message = pdu.short_message
    sm_length = len(short_message)
    destination = pdu.destination_addr
    if sm_length > SHORT_MESSAGE_OCTETS_MAX:
        raise LocalProtocolError("short_message is longer than 254 octets")
    if len(destination) >= ADDRESS_OCTETS_MAX or not destination.isascii() or "\0" in destination:
        c_octets("destination_addr", destination, ADDRESS_OCTETS_MAX)  # raises
    head = _head(
        pdu.service_type,
        pdu.source_addr_ton,
        pdu.source_addr_npi,
        pdu.source_addr,
        pdu.dest_addr_ton,
        pdu.dest_addr_npi,
    )
    tail = _tail(
        pdu.esm_class,
        pdu.protocol_id,
        pdu.priority_flag,
        pdu.schedule_delivery_time,
        pdu.validity_period,
        pdu.registered_delivery,
        pdu.replace_if_present_flag,
        pdu.data_coding,
        pdu.sm_default_msg_id,
    )
    tlvs = _encode_own_tlvs(pdu) if pdu.tlvs else b""
    length = 17 + len(head) + len(destination) + len(tail) + sm_length + len(tlvs)
    return b"%b%b%b%b%c%b%b" % (
        HEADER.pack(length, command_id, 0, sequence_number),
        head,
        destination.encode("ascii"),
        tail,
        sm_length,
        short_message,
        tlvs,
    )


@functools.lru_cache(PARTS_MAX)
def _head(
    service_type: str, source_ton: int, source_npi: int, source: str, dest_ton: int, dest_npi: int
) -> bytes:
    """Everything before destination_addr: a few values per application."""
    return b"".join(
        (
            c_octets("service_type", service_type, SERVICE_TYPE_OCTETS_MAX),
            _integers(source_ton, source_npi),
            c_octets("source_addr", source, ADDRESS_OCTETS_MAX),
            _integers(dest_ton, dest_npi),
        )
    )


@functools.lru_cache(PARTS_MAX)
def _tail(
    esm_class: int,
    protocol_id: int,
    priority_flag: int,
    schedule_delivery_time: str,
    validity_period: str,
    registered_delivery: int,
    replace_if_present_flag: int,
    data_coding: int,
    sm_default_msg_id: int,
) -> bytes:
    """From destination_addr's NUL up to sm_length: differs by the second, not by the message."""
    return b"".join(
        (
            b"\0",
            _integers(esm_class, protocol_id, priority_flag),
            _time_octets("schedule_delivery_time", schedule_delivery_time),
            _time_octets("validity_period", validity_period),
            _integers(registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id),
        )
    )


def _integers(*values: int) -> bytes:
    try:
        return bytes(values)
    except ValueError:
        raise LocalProtocolError(f"{values}: an integer field is one octet") from None


def _time_octets(name: str, value: str) -> bytes:
    if value and not TIME_FORMAT.fullmatch(value):
        raise LocalProtocolError(f"{name} is not of the form YYMMDDhhmmsstnnp")
    return c_octets(name, value, TIME_OCTETS_MAX)


def _encode_own_tlvs(pdu: ShortMessagePdu) -> bytes:
    if pdu.short_message and TLV_MESSAGE_PAYLOAD in pdu.tlvs:
        raise LocalProtocolError("message_payload stands instead of short_message, not beside it")
    return encode_tlvs(pdu.tlvs)


def encode_tlvs(tlvs: dict[int, bytes]) -> bytes:
    """The optional parameters in their order; ``LocalProtocolError`` for one that does not fit."""
    parts: list[bytes] = []
    for tag, value in tlvs.items():
        if len(value) > TLV_OCTETS_MAX or not 0 <= tag <= 0xFFFF:
            raise LocalProtocolError(f"TLV {tag:#06x} does not fit its tag and length fields")
        parts += (_TLV_HEADER.pack(tag, len(value)), value)
    return b"".join(parts)


def _decode(body: bytes, kind: type[_Pdu]) -> _Pdu | PduFault:
    """One expression finds all fields: 17,000 instructions, where looking for each NUL in turn took
    21,000. Integers may be NUL, so their octets are counted."""
    match = _MANDATORY.match(body)
    if match is None:
        return PduFault("the body ends inside its mandatory fields", ESME_RINVCMDLEN)
    short_message = match.end()
    service_type, source, source_addr, dest, destination_addr, kinds, schedule, validity, rest = (
        match.groups()
    )
    registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length = rest
    end = short_message + sm_length
    if end > len(body):
        return PduFault("sm_length is more than the octets left", ESME_RINVMSGLEN)
    tlvs = {} if end == len(body) else decode_tlvs(body, end)
    if isinstance(tlvs, PduFault):
        return tlvs
    return kind(  # in the order of ShortMessagePdu: keywords would double its cost
        str(destination_addr, "latin-1"),
        body[short_message:end],
        str(service_type, "latin-1") if service_type else "",
        source[0],
        source[1],
        str(source_addr, "latin-1"),
        dest[0],
        dest[1],
        kinds[0],
        kinds[1],
        kinds[2],
        str(schedule, "latin-1") if schedule else "",
        str(validity, "latin-1") if validity else "",
        registered_delivery,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        tlvs,
    )


def decode_tlvs(body: bytes, offset: int) -> dict[int, bytes] | PduFault:
    """The optional parameters from ``offset`` to the end, by tag; the first of a tag wins.

    Unknown tags are kept, and a length is believed over what the tag would lead one to expect.
    """
    tlvs: dict[int, bytes] = {}
    end = len(body)
    while offset < end:
        if end - offset < 4:
            return PduFault("octets are left after the last TLV", ESME_RINVOPTPARSTREAM)
        tag, length = _TLV_HEADER.unpack_from(body, offset)
        offset += 4
        value = body[offset : offset + length]
        if len(value) < length:
            return PduFault(f"TLV {tag:#06x} is longer than the octets left", ESME_RINVPARLEN)
        tlvs.setdefault(tag, value)
        offset += length
    return tlvs


def _find_submit_fault(pdu: SubmitSm) -> PduFault | None:
    """The first rule of sections 4.4.1 and 5.2 that a submit_sm breaks."""
    if len(pdu.service_type) >= SERVICE_TYPE_OCTETS_MAX:
        return PduFault("service_type is too long", ESME_RINVSERTYP)
    if len(pdu.source_addr) >= ADDRESS_OCTETS_MAX:
        return PduFault("source_addr is too long", ESME_RINVSRCADR)
    if len(pdu.destination_addr) >= ADDRESS_OCTETS_MAX:
        return PduFault("destination_addr is too long", ESME_RINVDSTADR)
    if pdu.schedule_delivery_time and not TIME_FORMAT.fullmatch(pdu.schedule_delivery_time):
        return PduFault("schedule_delivery_time is not a time", ESME_RINVSCHED)
    if pdu.validity_period and not TIME_FORMAT.fullmatch(pdu.validity_period):
        return PduFault("validity_period is not a time", ESME_RINVEXPIRY)
    if len(pdu.short_message) > SHORT_MESSAGE_OCTETS_MAX:
        return PduFault("sm_length is more than 254", ESME_RINVMSGLEN)
    if pdu.tlvs and pdu.short_message and TLV_MESSAGE_PAYLOAD in pdu.tlvs:
        return PduFault("message_payload stands beside short_message", ESME_ROPTPARNOTALLWD)
    return None
