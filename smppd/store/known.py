"""What the store knows of one phone number, found a slice at a time.

For operators, beside the traffic: nothing is indexed for it, so a search walks whole tables, and
whoever asks lets others run between two slices. A number is E.164 digits, or what a carrier wrote:
phones also answer from short codes and names.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from smppd.store import keys
from smppd.store.addresses import is_same_address
from smppd.store.book import Book
from smppd.store.quarantine import QuarantineView, view_quarantined
from smppd.store.records import (
    Inbound,
    InboundPart,
    Unmatched,
    decode_inbound,
    decode_inbound_part,
    decode_quarantined,
    decode_unmatched,
)
from smppd.store.view import MessageView, view_message

Place = Literal["messages", "inbound", "inbound_parts", "unmatched", "events", "quarantine"]
"""A table in which numbers stand; of ``events`` the rows of all apps."""

SLICE_ROWS: Final = 500
"""Rows looked at in one slice: a few milliseconds; of events, which are dozens a row, a tenth."""


_NUMBER_AT: Final[dict[Place, int]] = {
    "messages": 0,
    "inbound": 0,
    "inbound_parts": 0,
    "quarantine": -8,
}
"""Where in a key the id stands."""

PHONE_DIGITS_MIN: Final = 9
"""Senders of up to eight digits are short codes (docs/protocol.md, submit)."""


class InboundView(msgspec.Struct, frozen=True):
    """A message from the phone; ``data`` is base64, ``text`` null where nobody can read it, and of
    a segment that waits for the others of its message."""

    id: str
    carrier: str
    from_: str = msgspec.field(name="from")
    to: str
    text: str | None
    data: str
    data_coding: int
    at: int


class UnmatchedView(msgspec.Struct, frozen=True):
    """A receipt that no message has claimed; ``raw`` as it came, octets as Latin-1."""

    carrier: str
    from_: str = msgspec.field(name="from")
    to: str
    at: int
    stat: str | None
    err: str | None
    raw: str


class KnownRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is known of the number; the field that its ``kind`` names is set."""

    kind: str
    message: MessageView | None = None
    inbound: InboundView | None = None
    unmatched: UnmatchedView | None = None
    quarantined: QuarantineView | None = None


class Found(msgspec.Struct, frozen=True, gc=False):
    """One row that knows the number; ``id`` of a message or inbound, else 0."""

    key: bytes
    id: int = 0


class Slice(msgspec.Struct, frozen=True):
    """What some rows held; the walk goes on ``after``, None: it is at its end."""

    found: list[Found]
    after: bytes | None


class _EventLine(msgspec.Struct, gc=False):
    """As much of an event as tells whose it is."""

    event: str
    id: str
    from_: str = msgspec.field(name="from", default="")


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The first fields of ``Message``; the others are not decoded."""

    id: int
    app: str
    ref: str
    to: str


_decode_line = msgspec.json.Decoder(_EventLine).decode
_decode_head = msgspec.msgpack.Decoder(_Head).decode


def slice_of(
    book: Book, place: Place, number: str, after: bytes, rows_max: int, told: frozenset[str]
) -> Slice:
    """Of the ``rows_max`` rows of a table after a key, those that know ``number``; of events also
    those that tell of the ids ``told``."""
    is_about = _judge(place, number, told)
    number_at = _NUMBER_AT.get(place)
    found: list[Found] = []
    looked = 0
    for key, value in book.tables[place].rows_from(after):
        if key == after:
            continue
        if looked == rows_max:
            return Slice(found, after)
        looked, after = looked + 1, key
        if is_about(value):
            found.append(Found(key, 0 if number_at is None else keys.read_u64(key[number_at:])))
    return Slice(found, None)


def show_known(book: Book, place: Place, key: bytes) -> KnownRecord | None:
    """A row that was found, for the one it tells of; None where it has gone meanwhile."""
    if place == "messages":
        message = book.messages.peek(keys.read_u64(key))
        shown = None if message is None else view_message(message, book.rules.currency)
        return None if shown is None else KnownRecord("message", message=shown)
    row = book.tables[place].get(key)
    if row is None:
        return None
    if place == "inbound":
        return KnownRecord("inbound", inbound=_show_inbound(decode_inbound(row)))
    if place == "inbound_parts":
        part = decode_inbound_part(row)
        shown_part = _show_part(keys.read_u64(key), part)
        return KnownRecord("inbound", inbound=shown_part) if key[-1] else None
    if place == "quarantine":
        return KnownRecord("quarantined", quarantined=view_quarantined(decode_quarantined(row)))
    return KnownRecord("unmatched", unmatched=_show_unmatched(decode_unmatched(row)))


def tells_of(line: bytes, number: str, told: frozenset[str]) -> bool:
    """Whether an event's line is of one of the ids ``told``, or a message from ``number``."""
    event = _decode_line(line)
    return event.id in told or (event.event == "inbound" and _is_same(number, event.from_))


def _judge(place: Place, number: str, told: frozenset[str]) -> Callable[[bytes], bool]:
    """Whether a row's value knows the number."""
    if place == "messages":
        return lambda value: _decode_head(value).to == number
    if place == "inbound":
        return lambda value: _is_same(number, decode_inbound(value).source)
    if place == "inbound_parts":
        return lambda value: _is_same(number, decode_inbound_part(value).source)
    if place == "quarantine":
        return lambda value: _is_in_octets(number, decode_quarantined(value).pdu)
    if place == "unmatched":
        return lambda value: _is_in_receipt(number, decode_unmatched(value))

    def is_in_events(value: bytes) -> bool:
        lines = value[keys.EVENTS_HEAD_BYTES :].splitlines()
        return any(tells_of(line, number, told) for line in lines)

    return is_in_events


def _is_in_receipt(number: str, row: Unmatched) -> bool:
    """Some carriers write a receipt's addresses the other way round; what is short or a name there
    is a sender of ours."""
    is_phone = len(number) >= PHONE_DIGITS_MIN and number.isdecimal()
    return _is_same(number, row.source) or (is_phone and _is_same(number, row.destination))


def _is_in_octets(number: str, octets: bytes) -> bool:
    """A phone number anywhere, however it begins there; what is short or a name as a field."""
    if len(number) >= PHONE_DIGITS_MIN and number.isdecimal():
        end = number[-PHONE_DIGITS_MIN:]
        return end.encode() in octets or end.encode("utf-16-be") in octets
    field = re.compile(rb"(?<![0-9A-Za-z+])%b\0" % re.escape(number.encode()))
    return field.search(octets) is not None


def _is_same(number: str, address: str) -> bool:
    return bool(address) and (address == number or is_same_address(number, address))


def _show_inbound(row: Inbound) -> InboundView:
    return InboundView(
        keys.show_id(row.id),
        row.carrier,
        row.source,
        row.destination,
        row.text,
        b64encode(row.data).decode(),
        row.data_coding,
        row.at,
    )


def _show_part(number: int, row: InboundPart) -> InboundView:
    data = b64encode(row.data).decode()
    return InboundView(
        keys.show_id(number),
        row.carrier,
        row.source,
        row.destination,
        None,
        data,
        row.data_coding,
        row.at,
    )


def _show_unmatched(row: Unmatched) -> UnmatchedView:
    receipt = row.receipt
    return UnmatchedView(
        row.carrier,
        row.source,
        row.destination,
        row.at,
        receipt.stat,
        receipt.err,
        receipt.raw.decode("latin-1"),
    )
