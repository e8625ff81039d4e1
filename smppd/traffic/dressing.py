"""A submit as one carrier wants it, where that is not how most want it: pure.

Kinds of addresses, service_type, TLVs and how validity is told are the carrier's matter, not the
message's: they are put on when the segment is handed to a link, so a message that goes to another
offer wears that one's. A carrier without wishes has no ``Dress``, and pays nothing for this.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import structs

from smppd.smpp import constants
from smppd.smpp.data_sm import DataSm
from smppd.smpp.pdu import SubmitSm
from smppd.store.records import Message
from smppd.traffic.compose import build_data, build_submit, seconds_left

QUARTER_SECONDS: Final = 900
"""Absolute times say their distance from UTC in quarters of an hour (section 7.1.1)."""

QUARTERS_MAX: Final = 48
"""What nn may say. Beyond it lie a few zones of the Pacific, whose times are told in UTC."""

Builds: TypeAlias = Callable[[Message, int, int], SubmitSm | DataSm]
"""The PDU of a message's segment (its index) at a time (Unix milliseconds)."""


class Kind(msgspec.Struct, frozen=True):
    """A TON and an NPI."""

    ton: int
    npi: int


USUAL_SENDERS: Final = {
    constants.TON_ALPHANUMERIC: Kind(constants.TON_ALPHANUMERIC, constants.NPI_UNKNOWN),
    constants.TON_INTERNATIONAL: Kind(constants.TON_INTERNATIONAL, constants.NPI_ISDN),
    constants.TON_NETWORK_SPECIFIC: Kind(constants.TON_NETWORK_SPECIFIC, constants.NPI_UNKNOWN),
}
"""Alphanumeric, international, short code: as a message keeps its sender."""


class Dress(msgspec.Struct, frozen=True):
    """What a carrier wants otherwise than ``compose`` writes it.

    ``senders``: kinds by the TON a message's sender has here. ``plus``: a ``+``
    before international numbers. ``timezone``: of absolute times. ``tlvs`` by tag; a message's own
    go before them.
    """

    senders: dict[int, Kind] = msgspec.field(default_factory=lambda: USUAL_SENDERS)
    destination: Kind = Kind(constants.TON_INTERNATIONAL, constants.NPI_ISDN)
    plus: bool = False
    service_type: str = ""
    protocol_id: int = 0
    priority_flag: int = 0
    validity: Literal["relative", "absolute", "none"] = "relative"
    timezone: tzinfo = UTC
    tlvs: dict[int, bytes] = {}


class Addresses(msgspec.Struct, frozen=True):
    """The address fields of a PDU that is sent, under their names."""

    source_addr_ton: int
    source_addr_npi: int
    source_addr: str
    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str


def choose_build(submit_command: str, dress: Dress | None) -> Builds:
    """What builds the PDUs of a carrier."""
    if dress is None:
        return build_data if submit_command == "data_sm" else build_submit
    return dress_data(dress) if submit_command == "data_sm" else dress_submit(dress)


def dress_submit(dress: Dress) -> Builds:
    """Builds submit_sm."""

    def build(message: Message, index: int, now_ms: int) -> SubmitSm:
        plain = build_submit(message, index, now_ms)
        return structs.replace(
            plain,
            **structs.asdict(find_addresses(message, dress)),
            service_type=dress.service_type,
            protocol_id=dress.protocol_id,
            priority_flag=dress.priority_flag,
            validity_period=_tell_validity(plain.validity_period, message, now_ms, dress),
            tlvs=dress.tlvs | plain.tlvs,
        )

    return build


def dress_data(dress: Dress) -> Builds:
    """Builds data_sm, which has no protocol_id and no priority_flag (section 4.7.1), and can tell
    validity in seconds alone."""

    def build(message: Message, index: int, now_ms: int) -> DataSm:
        plain = build_data(message, index, now_ms)
        tlvs = dress.tlvs | plain.tlvs
        if dress.validity == "none":
            del tlvs[constants.TLV_QOS_TIME_TO_LIVE]
        addresses = structs.asdict(find_addresses(message, dress))
        return structs.replace(plain, **addresses, service_type=dress.service_type, tlvs=tlvs)

    return build


def find_addresses(message: Message, dress: Dress) -> Addresses:
    """Both addresses as the carrier wants them."""
    kind = dress.senders[message.addr_ton]
    plus = "+" if dress.plus else ""
    is_international = message.addr_ton == constants.TON_INTERNATIONAL
    return Addresses(
        kind.ton,
        kind.npi,
        plus + message.addr if is_international else message.addr,
        dress.destination.ton,
        dress.destination.npi,
        plus + message.to,
    )


def absolute_time(unix_seconds: int, timezone: tzinfo) -> str:
    """A moment as an absolute validity_period, such as ``261122104819004+`` (section 7.1.1): local
    time, tenths of a second (always 0), and its distance from UTC in quarters of an hour."""
    local = datetime.fromtimestamp(unix_seconds, timezone)
    offset = local.utcoffset() or timedelta()
    quarters = round(offset.total_seconds() / QUARTER_SECONDS)
    if abs(quarters) > QUARTERS_MAX:
        return absolute_time(unix_seconds, UTC)
    return f"{local:%y%m%d%H%M%S}0{abs(quarters):02}{'-' if quarters < 0 else '+'}"


def _tell_validity(relative: str, message: Message, now_ms: int, dress: Dress) -> str:
    if dress.validity == "relative":
        return relative
    if dress.validity == "none":
        return ""
    return absolute_time(now_ms // 1000 + seconds_left(message, now_ms), dress.timezone)
