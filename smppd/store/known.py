"""What the store knows of one phone number, found a slice at a time.

For operators, beside the traffic: nothing is indexed for it, so a search walks whole tables, and
whoever asks lets others run between two slices. A number is E.164 digits, or what a carrier wrote:
phones also answer from short codes and names.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from smppd.store import keys
from smppd.store.book import Book
from smppd.store.matching import is_same_address
from smppd.store.records import Inbound, Unmatched, decode_inbound, decode_unmatched
from smppd.store.view import MessageView, view_message

Place = Literal["messages", "inbound", "unmatched", "events"]
"""A table in which numbers stand; of ``events`` the rows of all apps."""

SLICE_ROWS: Final = 500
"""Rows looked at in one slice: a few milliseconds; of events, which are dozens a row, a tenth."""


PHONE_DIGITS_MIN: Final = 9
"""Senders of up to eight digits are short codes (docs/protocol.md, submit)."""


class InboundView(msgspec.Struct, frozen=True):
    """A message from the phone; ``data`` is base64, ``text`` null where nobody can read it."""

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
    is_numbered = place in ("messages", "inbound")
    found: list[Found] = []
    looked = 0
    for key, value in book.tables[place].rows_from(after):
        if key == after:
            continue
        if looked == rows_max:
            return Slice(found, after)
        looked, after = looked + 1, key
        if is_about(value):
            found.append(Found(key, keys.read_u64(key) if is_numbered else 0))
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
