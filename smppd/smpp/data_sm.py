"""data_sm, section 4.7: traffic in either direction whose text is a TLV.

Its codec, and its way into the rest of the house: what arrives as data_sm is handed on as the
deliver_sm or submit_sm it amounts to, with the text in message_payload, so nothing above the
session asks which of the two a carrier speaks. Section 5.3.2.32 allows the payload in all three.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from smppd.smpp.constants import (
    DATA_SM,
    DATA_SM_RESP,
    ESME_RINVDSTADR,
    ESME_RINVSERTYP,
    ESME_RINVSRCADR,
)
from smppd.smpp.layout import Field, decode_fields, encode_fields, join_pdu
from smppd.smpp.pdu import (
    MESSAGE_ID_OCTETS_MAX,
    SERVICE_TYPE_OCTETS_MAX,
    DeliverSm,
    PduFault,
    SubmitSm,
    c_octets,
    decode_tlvs,
    encode_tlvs,
)

DATA_ADDRESS_OCTETS_MAX: Final = 65
"""Octets with their NUL, section 4.7.1: longer than elsewhere, for it carries more than SMS."""

DATA_SM_FIELDS: Final = (
    Field("service_type", SERVICE_TYPE_OCTETS_MAX, ESME_RINVSERTYP),
    Field("source_addr_ton"),
    Field("source_addr_npi"),
    Field("source_addr", DATA_ADDRESS_OCTETS_MAX, ESME_RINVSRCADR),
    Field("dest_addr_ton"),
    Field("dest_addr_npi"),
    Field("destination_addr", DATA_ADDRESS_OCTETS_MAX, ESME_RINVDSTADR),
    Field("esm_class"),
    Field("registered_delivery"),
    Field("data_coding"),
)


class DataSm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """data_sm, section 4.7.1; the text is ``tlvs[TLV_MESSAGE_PAYLOAD]``."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: dict[int, bytes] = {}


_Traffic = TypeVar("_Traffic", SubmitSm, DeliverSm)


def encode_data_sm(pdu: DataSm, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    fields = encode_fields(pdu, DATA_SM_FIELDS)
    return join_pdu(DATA_SM, sequence_number, fields, encode_tlvs(pdu.tlvs))


def decode_data_sm(body: bytes) -> DataSm | PduFault:
    """Read what follows the header, as strictly as the specification does."""
    fields = decode_fields(body, DATA_SM_FIELDS)
    if isinstance(fields, PduFault):
        return fields
    tlvs = decode_tlvs(body, fields.end)
    if isinstance(tlvs, PduFault):
        return tlvs
    return DataSm(**fields.values, tlvs=tlvs)


def encode_data_sm_resp(sequence_number: int, command_status: int, message_id: str) -> bytes:
    """The whole PDU; an error status has no body, as in every response of 3.4."""
    if command_status:
        return join_pdu(DATA_SM_RESP, sequence_number, command_status=command_status)
    octets = c_octets("message_id", message_id, MESSAGE_ID_OCTETS_MAX)
    return join_pdu(DATA_SM_RESP, sequence_number, octets)


def as_traffic(pdu: DataSm, kind: type[_Traffic]) -> _Traffic:
    """The deliver_sm or submit_sm that says the same."""
    return kind(
        destination_addr=pdu.destination_addr,
        short_message=b"",
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        esm_class=pdu.esm_class,
        registered_delivery=pdu.registered_delivery,
        data_coding=pdu.data_coding,
        tlvs=pdu.tlvs,
    )
