"""The fields that few submits have: pins, bounds, binary data, times, TLVs.

Read only where one of them is there, so that a plain submit pays one look at each. What comes out
is what the store keeps beside a message (``Extras``); what is wrong comes out as words. Pure, and
blind to apps, routes and numbers like ``fields``, which has already judged each field's type.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import Final

from msgspec import UNSET, UnsetType

from smppd.api.fields import CARRIERS_MAX, Content
from smppd.smpp import constants
from smppd.store.changes import Extras

SEND_AT_MAX_MS: Final = 366 * 86_400_000
"""How far ahead a message may be scheduled: a year and its leap day; beyond is a slip in units."""

TLV_OCTETS_MAX: Final = 1024
"""Of all TLVs' values of one submit together."""

OWN_TLVS: Final = {
    constants.TLV_QOS_TIME_TO_LIVE: "write 'valid_for' instead",
    constants.TLV_SAR_MSG_REF_NUM: "long texts are joined by smppd",
    constants.TLV_SAR_TOTAL_SEGMENTS: "long texts are joined by smppd",
    constants.TLV_SAR_SEGMENT_SEQNUM: "long texts are joined by smppd",
    constants.TLV_MESSAGE_PAYLOAD: "write 'text' or 'data' instead",
}
"""Tags smppd writes itself, and what to do instead of writing them."""

DATA_CODING_BINARY: Final = 4
"""SMPP 3.4 s5.2.19: octet unspecified, binary."""

_TAG: Final = re.compile(r"0x[0-9A-Fa-f]{4}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")

NO_EXTRAS: Final = Extras()


def has_extras(submit: Content) -> bool:
    """Whether any of the fields is there that ``read_extras`` and ``find_end`` read."""
    return not (
        submit.valid_for is UNSET
        and submit.carrier is UNSET
        and submit.send_at is UNSET
        and submit.max_cost is UNSET
        and submit.data is UNSET
        and submit.udh is UNSET
        and submit.data_coding is UNSET
        and submit.flash is UNSET
        and submit.tlv is UNSET
        and submit.encoding is UNSET
    )


def read_extras(submit: Content, now_ms: int) -> Extras | str:
    """Those fields as the store keeps them; or what is wrong, and what to write instead."""
    if (clash := _find_clash(submit) or _find_late(submit, now_ms)) is not None:
        return clash
    data = _read_base64("data", submit.data)
    if isinstance(data, str):
        return data
    udh = _read_base64("udh", submit.udh)
    if isinstance(udh, str):
        return udh
    carriers = _read_carriers(submit.carrier)
    if isinstance(carriers, str):
        return carriers
    tlvs = _read_tlvs({} if submit.tlv is UNSET else submit.tlv)
    if isinstance(tlvs, str):
        return tlvs
    coding = DATA_CODING_BINARY if submit.data_coding is UNSET else submit.data_coding
    return Extras(
        send_at=0 if submit.send_at is UNSET else submit.send_at,
        carriers=carriers,
        max_cost="" if submit.max_cost is UNSET else submit.max_cost,
        flash=submit.flash is True,
        data=data,
        udh=udh or b"",
        data_coding=-1 if data is None else coding,
        tlvs=tlvs,
        wanted="auto" if submit.encoding is UNSET else submit.encoding,
    )


def find_end(submit: Content, now_ms: int, valid_for_default: int) -> int:
    """When it is valid no longer, in milliseconds: counted from ``send_at``, or from now."""
    valid_for = valid_for_default if submit.valid_for is UNSET else submit.valid_for
    return (now_ms if submit.send_at is UNSET else submit.send_at) + valid_for * 1000


def _find_clash(submit: Content) -> str | None:
    """What two fields say against each other."""
    if submit.data is UNSET:
        for name, value in (("udh", submit.udh), ("data_coding", submit.data_coding)):
            if value is not UNSET:
                return f"'{name}' goes with 'data'; write 'data' instead of 'text', or leave it out"
        if submit.flash is True and submit.encoding == "latin1":
            return "'flash' goes with GSM-7 and UCS-2 only; leave 'encoding' or 'flash' out"
        return None
    if submit.text is not UNSET:
        return "there is 'text' and 'data'; write one of them"
    if submit.encoding is not UNSET:
        return "'encoding' is of 'text'; leave it out, and write 'data_coding'"
    if submit.smart_encoding is True:
        return "'smart_encoding' is of 'text'; leave it out"
    if submit.flash is True:
        return "'flash' is of 'text'; leave it out, and write a 'data_coding' of class 0, like 240"
    return None


def _find_late(submit: Content, now_ms: int) -> str | None:
    if submit.send_at is UNSET or submit.send_at <= now_ms + SEND_AT_MAX_MS:
        return None
    return (
        "'send_at' is more than 366 days ahead; write a time in milliseconds since the Unix epoch, "
        f"which are {now_ms} now"
    )


def _read_base64(name: str, value: str | UnsetType) -> bytes | str | None:
    if value is UNSET:
        return None
    try:
        octets = b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        octets = None
    if octets is None or b64encode(octets).decode() != value:
        return f"'{name}' must be base64 with its padding and nothing between, like \"aGVsbG8=\""
    return octets


def _read_carriers(value: str | list[str] | UnsetType) -> tuple[str, ...] | str:
    if value is UNSET:
        return ()
    names = (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
    if not all(names):
        return f"'carrier' must be a carrier's name, or a list of 1 to {CARRIERS_MAX}"
    return names


def _read_tlvs(fields: dict[str, str]) -> dict[int, bytes] | str:
    tlvs: dict[int, bytes] = {}
    for name, value in fields.items():
        if not _TAG.fullmatch(name) or not (tag := int(name, 16)):
            return f"'tlv' has the tag {name[:16]!r}; write 0x and four hex digits, like \"0x1400\""
        if tag in OWN_TLVS:
            return f"'tlv' must not have {name}, which smppd writes itself; {OWN_TLVS[tag]}"
        if tag in tlvs:
            return f"'tlv' has {name} twice; write it once"
        if not _HEX.fullmatch(value):
            return f"'tlv' {name} must be hex digits, two an octet, like \"0a\""
        tlvs[tag] = bytes.fromhex(value)
    octets = sum(map(len, tlvs.values()))
    if octets > TLV_OCTETS_MAX:
        return f"'tlv' has {octets} octets in all; at most {TLV_OCTETS_MAX} are carried"
    return tlvs
