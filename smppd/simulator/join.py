"""Submits as records, and records as the messages a phone would show: segments joined, decoded.

Every way to join is read: a header of user data with an 8-bit or a 16-bit reference, the sar_*
TLVs, and a message_payload that needs none. Pure: it works on records alone, so also on those
read back from a ledger file.

A segment that came before, with the same octets, is a *repeat* of it: a sender in doubt sends it
again, and a phone shows it once. Where the octets differ, the reference was used anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from smppd.smpp.constants import (
    TLV_SAR_MSG_REF_NUM,
    TLV_SAR_SEGMENT_SEQNUM,
    TLV_SAR_TOTAL_SEGMENTS,
)
from smppd.text import gsm7, national, ucs2
from smppd.text.header import NO_HEADER, read_header
from smppd.text.segment import Alphabet

OPEN_MAX: Final = 100_000
"""Messages a Joiner keeps to tell repeats by; the oldest is forgotten first."""

# 3GPP TS 23.040 s9.2.3.24: the two information elements that join segments.
_IE_8_BIT: Final = 0x00
_IE_16_BIT: Final = 0x08

# SMPP 3.4 s5.2.19 and 3GPP TS 23.038 s4, without compression and without a class, or of class 0.
_GSM7_CODINGS: Final = frozenset({0x10, 0xF0})
_UCS2_CODINGS: Final = frozenset({0x08, 0x18})
_IA5: Final = 0x01
_LATIN1: Final = 0x03


class SubmitRecord(msgspec.Struct, frozen=True, gc=False):
    """One submit_sm or data_sm as it came in.

    ``text`` is decoded where data_coding says how, else it is empty and ``raw`` has the octets in
    hexadecimal; ``udh`` is the user data header with its length, ``body`` what follows it, in
    hexadecimal too. ``command_status`` is None and ``message_id`` empty where there was no
    answer. ``time`` is Unix seconds. ``tlvs`` are all but message_payload, by four digits of
    their tag; ``alphabet`` is what data_coding 0 means to this carrier.
    """

    carrier: str
    sequence_number: int
    source: str
    destination: str
    text: str
    raw: str
    udh: str
    registered_delivery: int
    message_id: str
    command_status: int | None
    time: float
    body: str = ""
    data_coding: int = 0
    esm_class: int = 0
    command: str = "submit_sm"
    tlvs: dict[str, str] = {}
    validity_period: str = ""
    alphabet: Alphabet = "gsm7"


class MessageRecord(msgspec.Struct, frozen=True):
    """One message from all its segments that came.

    ``text`` and ``raw`` are as in SubmitRecord. ``udh`` is the first segment's header without
    what joins it. ``message_ids`` are in the order of the segments, ``total`` is how many there
    are, and ``repeats`` counts those that came again.
    """

    carrier: str
    source: str
    destination: str
    text: str
    raw: str
    udh: str
    data_coding: int
    message_ids: tuple[str, ...]
    total: int
    repeats: int
    time: float

    @property
    def is_whole(self) -> bool:
        """Whether every segment came."""
        return len(self.message_ids) == self.total


def join(records: Sequence[SubmitRecord]) -> list[MessageRecord]:
    """The messages of these segments, in the order in which each began; also those in pieces."""
    joiner = Joiner()
    joiner.add(records)
    return joiner.messages()


def decode_text(body: bytes, data_coding: int, alphabet: Alphabet, udh: bytes = b"") -> str | None:
    """The text of user data without its header ``udh``, which may name national shift tables; None
    where data_coding does not say text."""
    if data_coding in _UCS2_CODINGS:
        return ucs2.decode(body)
    if data_coding == 0 and alphabet != "gsm7":
        return body.decode("latin-1")  # of which ASCII is the lower half
    if data_coding == 0 or data_coding in _GSM7_CODINGS:
        header = read_header(udh) if udh else NO_HEADER
        if header.single or header.locking:
            return national.decode(body, header.single, header.locking)
        return gsm7.decode(body)
    return body.decode("latin-1") if data_coding in (_IA5, _LATIN1) else None


class Joiner:
    """Joins segments as they come."""

    def __init__(self) -> None:
        self._messages: dict[int, _Message] = {}  # by number, the oldest first
        self._latest: dict[_Key, int] = {}
        self._count = 0

    def add(self, records: Sequence[SubmitRecord]) -> list[MessageRecord]:
        """Those messages that these segments have made whole."""
        whole = []
        for record in records:
            place = _find_place(record)
            message = self._message_of(record, place)
            if message.put(place.number, record) and message.is_whole:
                whole.append(message.describe())
        return whole

    def messages(self) -> list[MessageRecord]:
        """All there are, whole or not."""
        return [message.describe() for message in self._messages.values()]

    def _message_of(self, record: SubmitRecord, place: _Place) -> _Message:
        """The one it belongs to, which may have to begin with it."""
        if place.total == 1:
            return self._begin(place)
        key = _Key(record.carrier, record.source, record.destination, place.kind, place.reference)
        number = self._latest.get(key, -1)
        message = self._messages.get(number)
        if message is None or not message.takes(place, record):
            message = self._begin(place)
            self._latest[key] = self._count
        return message

    def _begin(self, place: _Place) -> _Message:
        self._count += 1
        message = self._messages[self._count] = _Message(place.total)
        if len(self._messages) > OPEN_MAX:
            del self._messages[next(iter(self._messages))]
        return message


class _Key(msgspec.Struct, frozen=True):
    carrier: str
    source: str
    destination: str
    kind: str
    reference: int


class _Place(msgspec.Struct, frozen=True):
    """Where a segment stands; a message of one has a reference of no meaning."""

    kind: str
    reference: int
    total: int
    number: int


_ALONE: Final = _Place("one", 0, 1, 1)


class _Message:
    """The segments of one message that came, by number."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._records: dict[int, SubmitRecord] = {}
        self._repeats = 0

    @property
    def is_whole(self) -> bool:
        return len(self._records) == self._total

    def takes(self, place: _Place, record: SubmitRecord) -> bool:
        """Whether the segment is one that is missing, or the same again."""
        mine = self._records.get(place.number)
        return place.total == self._total and (mine is None or mine.body == record.body)

    def put(self, number: int, record: SubmitRecord) -> bool:
        """Whether it was missing."""
        if number in self._records:
            self._repeats += 1
            return False
        self._records[number] = record
        return True

    def describe(self) -> MessageRecord:
        records = [record for _, record in sorted(self._records.items())]
        first = records[0]
        body = b"".join(bytes.fromhex(record.body) for record in records)
        text = decode_text(body, first.data_coding, first.alphabet, bytes.fromhex(first.udh))
        return MessageRecord(
            first.carrier,
            first.source,
            first.destination,
            text or "",
            body.hex() if text is None else "",
            _strip_header(first.udh),
            first.data_coding,
            tuple(record.message_id for record in records),
            self._total,
            self._repeats,
            first.time,
        )


def _find_place(record: SubmitRecord) -> _Place:
    """By the header, else by the TLVs; what makes no sense stands alone."""
    place = _ALONE
    for tag, value in _elements(bytes.fromhex(record.udh)):
        if tag == _IE_8_BIT and len(value) == 3:
            place = _Place("udh8", value[0], value[1], value[2])
        elif tag == _IE_16_BIT and len(value) == 4:
            place = _Place("udh16", int.from_bytes(value[:2], "big"), value[2], value[3])
    if place is _ALONE and record.tlvs:
        place = _read_sar(record.tlvs)
    return place if 1 <= place.number <= place.total else _ALONE


def _read_sar(tlvs: dict[str, str]) -> _Place:
    found = [
        tlvs.get(f"{tag:04x}")
        for tag in (TLV_SAR_MSG_REF_NUM, TLV_SAR_TOTAL_SEGMENTS, TLV_SAR_SEGMENT_SEQNUM)
    ]
    values = [int(value, 16) for value in found if value]
    return _Place("sar", *values) if len(values) == len(found) else _ALONE


def _strip_header(udh: str) -> str:
    """A header without the elements that join; empty where nothing is left."""
    others = b"".join(
        bytes((tag, len(value))) + value
        for tag, value in _elements(bytes.fromhex(udh))
        if tag not in (_IE_8_BIT, _IE_16_BIT)
    )
    return (bytes((len(others),)) + others).hex() if others else ""


def _elements(udh: bytes) -> Iterator[tuple[int, bytes]]:
    """(identifier, octets) of each information element; a header that lies ends early."""
    at = 1
    while at + 1 < len(udh):
        yield udh[at], udh[at + 2 : at + 2 + udh[at + 1]]
        at += 2 + udh[at + 1]
