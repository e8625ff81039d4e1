"""A user data header, 3GPP TS 23.040 s9.2.3.24, as it comes in front of what a phone sends.

Read for three things: which message a segment is of, in which national alphabets it is written,
and what else it says, which is the app's matter. Carriers write headers that are wrong: one that
claims more octets than there are is none, and an element that is too long ends the header there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

Joining: TypeAlias = Literal["udh8", "udh16", "sar"]
"""How segments are told to be of one message, in the words of ``LongMessage``."""

_CONCATENATED_8_BIT: Final = 0x00
_CONCATENATED_16_BIT: Final = 0x08
_SINGLE_SHIFT: Final = 0x24
_LOCKING_SHIFT: Final = 0x25
_READ_HERE: Final = (_CONCATENATED_8_BIT, _CONCATENATED_16_BIT, _SINGLE_SHIFT, _LOCKING_SHIFT)


class Concatenation(msgspec.Struct, frozen=True, gc=False):
    """Of which long message a segment is, and its ``number`` from 1 to ``total`` (at most 255)."""

    joining: Joining
    reference: int
    total: int
    number: int


class Header(msgspec.Struct, frozen=True, gc=False):
    """``octets`` are the header's own, its length octet among them (0: there is none); ``single``
    and ``locking`` national language identifiers (0: none); ``others`` a header of the elements
    that say something else, empty where none does."""

    octets: int = 0
    concatenation: Concatenation | None = None
    single: int = 0
    locking: int = 0
    others: bytes = b""


NO_HEADER: Final = Header()


def read_header(data: bytes) -> Header:
    """The header ``data`` begins with, where esm_class says that it has one."""
    if not data or 1 + data[0] > len(data):
        return NO_HEADER
    concatenation, single, locking, others = None, 0, 0, b""
    for element, value in _elements(data[1 : 1 + data[0]]):
        if element == _CONCATENATED_8_BIT and len(value) == 3:
            concatenation = concatenate("udh8", value[0], value[1], value[2])
        elif element == _CONCATENATED_16_BIT and len(value) == 4:
            reference = int.from_bytes(value[:2], "big")
            concatenation = concatenate("udh16", reference, value[2], value[3])
        elif element == _SINGLE_SHIFT and len(value) == 1:
            single = value[0]
        elif element == _LOCKING_SHIFT and len(value) == 1:
            locking = value[0]
        elif element not in _READ_HERE:
            others += bytes((element, len(value))) + value
    whole = bytes((len(others),)) + others if others else b""
    return Header(1 + data[0], concatenation, single, locking, whole)


def concatenate(joining: Joining, reference: int, total: int, number: int) -> Concatenation | None:
    """None where there is nothing to join: a total of one, or a number that makes no sense, which
    a phone shows by itself too."""
    if not 1 <= number <= total <= 0xFF or total == 1:
        return None
    return Concatenation(joining, reference & 0xFFFF, total, number)


def _elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """(identifier, octets) of each information element."""
    at = 0
    while at + 2 <= len(octets) and at + 2 + octets[at + 1] <= len(octets):
        end = at + 2 + octets[at + 1]
        yield octets[at], octets[at + 2 : end]
        at = end
