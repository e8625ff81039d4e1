"""What a carrier wants to read in its submits: kinds of addresses, and TLVs of its own.

``[addresses]`` says TON and NPI by kind of address, ``[tlvs]`` what is sent with every submit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from smppd.config.source import Key, Source
from smppd.config.tables import check_keys, read_struct, read_table
from smppd.config.values import Wrong
from smppd.smpp import constants

TLV_OCTETS_MAX: Final = 1024
"""Of all values in ``[tlvs]`` together: beside a whole message_payload they still fit one PDU."""

INTEGER_SIZES: Final = (1, 2, 4)
"""Octets an integer of a TLV may have (SMPP 3.4 s3.1)."""

OWN_TAGS: Final = frozenset(
    {
        constants.TLV_QOS_TIME_TO_LIVE,
        constants.TLV_SAR_MSG_REF_NUM,
        constants.TLV_SAR_TOTAL_SEGMENTS,
        constants.TLV_SAR_SEGMENT_SEQNUM,
        constants.TLV_MESSAGE_PAYLOAD,
    }
)
"""What smppd writes itself."""

_TON_NPI: Final = re.compile(r"(\d{1,3})/(\d{1,3})", re.ASCII)
_TAG: Final = re.compile(r"0x[0-9A-Fa-f]{4}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")


def read_ton_npi(value: object) -> str | Wrong:
    """TON and NPI as ``"5/0"``, each an octet; kept as written."""
    found = _TON_NPI.fullmatch(value) if isinstance(value, str) else None
    if found is None or max(int(found[1]), int(found[2])) > 0xFF:
        return Wrong(f"{value!r} is not a TON and an NPI", 'write both with a slash, such as "5/0"')
    return str(value)


TonNpi = Annotated[str, Meta(extra={"read": read_ton_npi})]


class AddressesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``[addresses]``: ``"TON/NPI"`` (SMPP 3.4 s5.2.5, s5.2.6) of each kind of sender, and of
    every ``destination``; ``plus``: international numbers have a ``+`` before them."""

    alphanumeric: TonNpi = "5/0"
    international: TonNpi = "1/1"
    short_code: TonNpi = "3/0"
    destination: TonNpi = "1/1"
    plus: Annotated[bool, Meta(description="true or false", examples=[True])] = False


def read_addresses(source: Source, value: object) -> AddressesConfig:
    """``[addresses]``, its problems noted."""
    table = read_table(source, ("addresses",), value)
    return read_struct(AddressesConfig, source, ("addresses",), table) or AddressesConfig()


def read_tlvs(source: Source, value: object) -> dict[str, str]:
    """``[tlvs]``: the octets of each value in hex, by ``0x`` and four small digits; problems are
    noted."""
    found: dict[str, str] = {}
    for name, row in read_table(source, ("tlvs",), value).items():
        key: Key = ("tlvs", name)
        tag = int(name, 16) if _TAG.fullmatch(name) else 0
        if not tag:
            source.note(key, f"{name!r} is not a tag", 'write 0x and four hex digits: "0x1400"')
        elif tag in OWN_TAGS:
            source.note(key, f"{name} is a TLV that smppd writes itself", "take it away")
        elif f"{tag:#06x}" in found:
            source.note(key, f"{name} stands here twice", "keep one of the two")
        elif (octets := _read_tlv(source, key, row)) is not None:
            found[f"{tag:#06x}"] = octets.hex()
    if (total := sum(map(len, found.values())) // 2) > TLV_OCTETS_MAX:
        wrong = f"the values have {total} octets, and at most {TLV_OCTETS_MAX} are sent"
        source.note(("tlvs",), wrong, "write shorter ones")
    return found


def _read_tlv(source: Source, key: Key, row: object) -> bytes | None:
    """The octets of one value; None where there is a problem."""
    if not isinstance(row, dict):
        remedy = 'write { type = "string", value = "…" }'
        source.note(key, "is not a table", remedy)
        return None
    kind = row.get("type")
    check_keys(source, key, row, {"type", "value", *(["octets"] if kind == "integer" else [])})
    if not isinstance(kind, str) or (encode := _ENCODINGS.get(kind)) is None:
        wrong = f"{kind!r} is not a type" if "type" in row else "is missing"
        source.note((*key, "type"), wrong, f"write one of {', '.join(_ENCODINGS)}")
        return None
    octets = encode(row)
    if isinstance(octets, Wrong):
        source.note_wrong((*key, "value"), octets)
        return None
    return octets


def _encode_string(row: Mapping[str, object]) -> bytes | Wrong:
    value = row.get("value")
    if not isinstance(value, str) or not value.isascii() or "\0" in value:
        return Wrong(f"{value!r} is not an ASCII text", 'write it in quotes, such as "1101234"')
    return value.encode("ascii")


def _encode_cstring(row: Mapping[str, object]) -> bytes | Wrong:
    octets = _encode_string(row)
    return octets if isinstance(octets, Wrong) else octets + b"\0"


def _encode_octets(row: Mapping[str, object]) -> bytes | Wrong:
    value = row.get("value")
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        return Wrong(f"{value!r} is not hex", 'write two hex digits an octet, such as "0a1f"')
    return bytes.fromhex(value)


def _encode_integer(row: Mapping[str, object]) -> bytes | Wrong:
    value, size = row.get("value"), row.get("octets", 1)
    if not isinstance(size, int) or size not in INTEGER_SIZES:
        return Wrong(f"octets = {size!r} is no width", "write octets = 1, 2 or 4")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 8 * size:
        return Wrong(
            f"{value!r} is not a number from 0 that fits into octets = {size}",
            "write another, or a wider octets = 2 or 4",
        )
    return value.to_bytes(size, "big")


_ENCODINGS: Final = {
    "string": _encode_string,
    "cstring": _encode_cstring,
    "octets": _encode_octets,
    "integer": _encode_integer,
}
"""Types of ``[tlvs]``: ``cstring`` is the one that ends in a NUL."""
