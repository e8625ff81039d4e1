"""Mandatory fields by a table: what a PDU off the hot path holds, in the order of the wire.

A row is a field: its name, its octets with the closing NUL (0 for an integer of one octet), and
the command_status that says it is wrong. One walk writes a table and one reads it, so a PDU is a
struct and its rows, and no field is cut, overlooked or read past the end of the body. What is
sent once a message has a faster codec of its own in ``pdu.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import ESME_RINVCMDLEN
from smppd.smpp.pdu import HEADER, HEADER_OCTETS, PduFault, c_octets


class Field(msgspec.Struct, frozen=True):
    """One row; ``octets_max`` counts the NUL, and is 0 for an integer."""

    name: str
    octets_max: int = 0
    command_status: int = ESME_RINVCMDLEN


class Fields(msgspec.Struct, frozen=True):
    """What was read by a table: the values by name, and where the TLVs begin."""

    values: dict[str, Any]
    end: int


def encode_fields(pdu: msgspec.Struct, rows: Sequence[Field]) -> bytes:
    """The rows of ``pdu``. ``LocalProtocolError`` for one that is too long or not ASCII."""
    parts: list[bytes] = []
    for row in rows:
        value = getattr(pdu, row.name)
        if row.octets_max:
            parts.append(c_octets(row.name, value, row.octets_max))
        elif 0 <= value <= 0xFF:
            parts.append(bytes((value,)))
        else:
            raise LocalProtocolError(f"{row.name} is {value}: an integer field is one octet")
    return b"".join(parts)


def decode_fields(body: bytes, rows: Sequence[Field]) -> Fields | PduFault:
    """The rows as they stand in ``body``; text is a Latin-1 view of its octets."""
    values: dict[str, Any] = {}
    offset = 0
    for row in rows:
        end = body.find(b"\0", offset) if row.octets_max else offset
        if not 0 <= end < len(body):
            return PduFault("the body ends inside its mandatory fields", ESME_RINVCMDLEN)
        if end - offset >= max(row.octets_max, 1):
            return PduFault(f"{row.name} is too long", row.command_status)
        text = body[offset:end].decode("latin-1")
        values[row.name] = text if row.octets_max else body[offset]
        offset = end + 1
    return Fields(values, offset)


def join_pdu(
    command_id: int, sequence_number: int, *parts: bytes, command_status: int = 0
) -> bytes:
    """The whole PDU: a header with a true command_length, and the body in its parts."""
    body = b"".join(parts)
    header = HEADER.pack(HEADER_OCTETS + len(body), command_id, command_status, sequence_number)
    return header + body
