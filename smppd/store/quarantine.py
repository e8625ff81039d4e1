"""What carriers sent and nobody could read, kept as it came for an operator to look at.

A PDU that was refused as the standard says, a receipt that names neither a message nor a state, the
octets after which a stream was lost. It is evidence and nothing else: nothing here ever becomes a
message. The rows are ``evidence``'s.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.smpp.constants import command_name
from smppd.smpp.framing import PDU_BYTES_MAX
from smppd.smpp.pdu import HEADER, HEADER_OCTETS
from smppd.store import keys
from smppd.store.book import Book
from smppd.store.changes import Dropped, DropQuarantined, Quarantined
from smppd.store.records import QuarantinedPdu

PDU_OCTETS_MAX: Final = 4_096
"""Kept of one PDU: every honest one but a long message_payload. With a hundred a carrier, and three
hundred carriers, that is 120 MB where all of them send nothing but rubbish."""


class QuarantineView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row: ``octets`` it had, ``pdu`` those that were kept, in hexadecimal ("" in a list)."""

    id: str
    carrier: str
    bind: int
    at: int
    command: str
    reason: str
    octets: int
    pdu: str = ""


def keep_quarantined(book: Book, change: Quarantined) -> None:
    """``Quarantined``: kept, in as many octets as may be."""
    pdu = change.pdu
    row = QuarantinedPdu(
        book.next_id(),
        change.carrier,
        change.bind,
        change.reason,
        pdu[:PDU_OCTETS_MAX],
        len(pdu),
        change.at,
    )
    book.evidence.keep(row)


def drop_quarantined(book: Book, change: DropQuarantined) -> Dropped:
    """``DropQuarantined``: those that are there go."""
    return Dropped(sum(book.evidence.drop(number) for number in change.ids))


def view_quarantined(row: QuarantinedPdu, *, has_pdu: bool = True) -> QuarantineView:
    """A row for an operator."""
    return QuarantineView(
        keys.show_id(row.id),
        row.carrier,
        row.bind,
        row.at,
        describe_command(row.pdu),
        row.reason,
        row.octets,
        row.pdu.hex() if has_pdu else "",
    )


def describe_command(pdu: bytes) -> str:
    """The command's name, or its number; "" of what has no header."""
    if len(pdu) < HEADER_OCTETS:
        return ""
    length, command_id, _, _ = HEADER.unpack_from(pdu)
    return command_name(command_id) if HEADER_OCTETS <= length <= PDU_BYTES_MAX else ""
