"""What is said beside the traffic: query_sm, cancel_sm, alert_notification and outbind.

Four requests that a bind sees seldom or never, each a struct and a table of its fields. smpplib
has no class for half of them and cuts the strings of the other half, so they are our own; where
it is right, the tests hold these equal to it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import (
    ALERT_NOTIFICATION,
    CANCEL_SM,
    ESME_RINVDSTADR,
    ESME_RINVMSGID,
    ESME_RINVPASWD,
    ESME_RINVSERTYP,
    ESME_RINVSRCADR,
    ESME_RINVSYSID,
    OUTBIND,
    QUERY_SM,
    QUERY_SM_RESP,
    TLV_MS_AVAILABILITY_STATUS,
)
from smppd.smpp.layout import Field, Fields, decode_fields, encode_fields, join_pdu
from smppd.smpp.pdu import (
    ADDRESS_OCTETS_MAX,
    MESSAGE_ID_OCTETS_MAX,
    SERVICE_TYPE_OCTETS_MAX,
    TIME_OCTETS_MAX,
    PduFault,
    decode_tlvs,
    encode_tlvs,
)
from smppd.smpp.rare import PASSWORD_OCTETS_MAX, SYSTEM_ID_OCTETS_MAX

ALERT_ADDRESS_OCTETS_MAX: Final = 65
"""Octets with their NUL, section 4.12.1."""

QUERY_SM_FIELDS: Final = (
    Field("message_id", MESSAGE_ID_OCTETS_MAX, ESME_RINVMSGID),
    Field("source_addr_ton"),
    Field("source_addr_npi"),
    Field("source_addr", ADDRESS_OCTETS_MAX, ESME_RINVSRCADR),
)
QUERY_SM_RESP_FIELDS: Final = (
    Field("message_id", MESSAGE_ID_OCTETS_MAX, ESME_RINVMSGID),
    Field("final_date", TIME_OCTETS_MAX),
    Field("message_state"),
    Field("error_code"),
)
CANCEL_SM_FIELDS: Final = (
    Field("service_type", SERVICE_TYPE_OCTETS_MAX, ESME_RINVSERTYP),
    Field("message_id", MESSAGE_ID_OCTETS_MAX, ESME_RINVMSGID),
    Field("source_addr_ton"),
    Field("source_addr_npi"),
    Field("source_addr", ADDRESS_OCTETS_MAX, ESME_RINVSRCADR),
    Field("dest_addr_ton"),
    Field("dest_addr_npi"),
    Field("destination_addr", ADDRESS_OCTETS_MAX, ESME_RINVDSTADR),
)
ALERT_NOTIFICATION_FIELDS: Final = (
    Field("source_addr_ton"),
    Field("source_addr_npi"),
    Field("source_addr", ALERT_ADDRESS_OCTETS_MAX, ESME_RINVSRCADR),
    Field("esme_addr_ton"),
    Field("esme_addr_npi"),
    Field("esme_addr", ALERT_ADDRESS_OCTETS_MAX, ESME_RINVDSTADR),
)
OUTBIND_FIELDS: Final = (
    Field("system_id", SYSTEM_ID_OCTETS_MAX, ESME_RINVSYSID),
    Field("password", PASSWORD_OCTETS_MAX, ESME_RINVPASWD),
)


class QuerySm(msgspec.Struct, frozen=True):
    """query_sm, section 4.8.1: the source is that of the submit_sm."""

    message_id: str
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class QuerySmResp(msgspec.Struct, frozen=True):
    """query_sm_resp, section 4.8.2: ``final_date`` is empty while the state is not final."""

    message_id: str
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelSm(msgspec.Struct, frozen=True):
    """cancel_sm, section 4.9.1: one message by its id, or without one all that fit the rest."""

    message_id: str
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


class AlertNotification(msgspec.Struct, frozen=True):
    """alert_notification, section 4.12.1: a phone can be reached again.

    ``availability`` is ms_availability_status (section 5.3.2.30): 0 available, 1 denied, 2
    unavailable; None where the centre does not say.
    """

    source_addr: str
    esme_addr: str
    availability: int | None = None
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0


class Outbind(msgspec.Struct, frozen=True):
    """outbind, section 4.1.7: an SMSC that has connected asks to be bound to."""

    system_id: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"Outbind(system_id={self.system_id!r})"


def encode_query_sm(pdu: QuerySm, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    return join_pdu(QUERY_SM, sequence_number, encode_fields(pdu, QUERY_SM_FIELDS))


def decode_query_sm(body: bytes) -> QuerySm | PduFault:
    """Read what follows the header, as strictly as the specification does."""
    fields = _decode_whole(body, QUERY_SM_FIELDS)
    return fields if isinstance(fields, PduFault) else QuerySm(**fields.values)


def encode_query_sm_resp(pdu: QuerySmResp, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    return join_pdu(QUERY_SM_RESP, sequence_number, encode_fields(pdu, QUERY_SM_RESP_FIELDS))


def decode_query_sm_resp(body: bytes) -> QuerySmResp | PduFault:
    """Read what follows the header; whatever stands behind it is not looked at."""
    fields = decode_fields(body, QUERY_SM_RESP_FIELDS)
    return fields if isinstance(fields, PduFault) else QuerySmResp(**fields.values)


def encode_cancel_sm(pdu: CancelSm, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    return join_pdu(CANCEL_SM, sequence_number, encode_fields(pdu, CANCEL_SM_FIELDS))


def decode_cancel_sm(body: bytes) -> CancelSm | PduFault:
    """Read what follows the header, as strictly as the specification does."""
    fields = _decode_whole(body, CANCEL_SM_FIELDS)
    return fields if isinstance(fields, PduFault) else CancelSm(**fields.values)


def encode_alert_notification(pdu: AlertNotification, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    if pdu.availability is None:
        tlvs = b""
    elif 0 <= pdu.availability <= 0xFF:
        tlvs = encode_tlvs({TLV_MS_AVAILABILITY_STATUS: bytes((pdu.availability,))})
    else:
        raise LocalProtocolError("ms_availability_status is one octet")
    fields = encode_fields(pdu, ALERT_NOTIFICATION_FIELDS)
    return join_pdu(ALERT_NOTIFICATION, sequence_number, fields, tlvs)


def decode_alert_notification(body: bytes) -> AlertNotification | PduFault:
    """Read what follows the header; the status by as many octets as it has."""
    fields = decode_fields(body, ALERT_NOTIFICATION_FIELDS)
    if isinstance(fields, PduFault):
        return fields
    tlvs = decode_tlvs(body, fields.end)
    if isinstance(tlvs, PduFault):
        return tlvs
    status = tlvs.get(TLV_MS_AVAILABILITY_STATUS)
    availability = int.from_bytes(status, "big") if status else None
    return AlertNotification(**fields.values, availability=availability)


def encode_outbind(pdu: Outbind, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    return join_pdu(OUTBIND, sequence_number, encode_fields(pdu, OUTBIND_FIELDS))


def decode_outbind(body: bytes) -> Outbind | PduFault:
    """Read what follows the header, as strictly as the specification does."""
    fields = _decode_whole(body, OUTBIND_FIELDS)
    return fields if isinstance(fields, PduFault) else Outbind(**fields.values)


def _decode_whole(body: bytes, rows: tuple[Field, ...]) -> Fields | PduFault:
    """The rows, and sound TLVs behind them, which nobody asked for."""
    fields = decode_fields(body, rows)
    if isinstance(fields, PduFault):
        return fields
    tlvs = decode_tlvs(body, fields.end)
    return tlvs if isinstance(tlvs, PduFault) else fields
