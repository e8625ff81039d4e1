"""Which national language shift tables a text goes out with, and the header that says so.

A form may allow languages (``Form.languages``, identifiers of ``national``). A text that the GSM 7
bit default alphabet lacks characters of is then tried under each: with the single shift table
alone, the locking table alone, and both. What the tables of a phone cannot read shows as other
letters, so they are worth it only where they save a segment; that, and which carriers may get
them, is ``segment``'s matter and the operator's.

The header elements (3GPP TS 23.040 s9.2.3.24.15 and s9.2.3.24.16) stand in every segment of the
message, and cost three octets each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from smppd.text import national
from smppd.text.cuts import cut_shifted, slices

IE_SINGLE_SHIFT: Final = 0x24
"""The information element that names the single shift table; one octet."""

IE_LOCKING_SHIFT: Final = 0x25
"""The one that names the locking shift table."""

AIR_BITS: Final = 8 * 140
"""Of user data in one segment, its header included: 3GPP TS 23.040 s9.2.3.16."""


class Shift(msgspec.Struct, frozen=True, gc=False):
    """The tables of one message, as identifiers; 0: the default one."""

    single: int
    locking: int

    @property
    def elements(self) -> bytes:
        """What names them in a user data header."""
        octets = b""
        if self.single:
            octets += bytes((IE_SINGLE_SHIFT, 1, self.single))
        if self.locking:
            octets += bytes((IE_LOCKING_SHIFT, 1, self.locking))
        return octets


class Shifted(msgspec.Struct, frozen=True):
    """A text under its tables: the septets of each segment, without their headers."""

    shift: Shift
    pieces: list[bytes]


def septets_beside(header_octets: int) -> int:
    """How many septets one segment has beside a header, its length octet included."""
    return (AIR_BITS - 8 * header_octets) // 7


def shift_text(text: str, languages: tuple[int, ...], joining_octets: int) -> Shifted | None:
    """``text`` under those tables of ``languages`` that need the fewest segments; None where none
    has all of its characters.

    ``joining_octets`` is what an element that joins segments takes in the header, 0 where there is
    none to join them with: then only what fits one segment is written. The segments are counted as
    if pieces were always full; of equally few the fewest septets win, then the first language.
    """
    characters = Counter(text)
    found = [_price(characters, shift, joining_octets) for shift in _candidates(languages)]
    prices = [price for price in found if price is not None]
    if not prices:
        return None
    best = min(prices, key=lambda price: (price.segments, price.septets))
    septets = national.encode(text, best.shift.single, best.shift.locking)
    assert septets is not None, "its characters were counted"
    if best.segments == 1:
        return Shifted(best.shift, [septets])
    return Shifted(best.shift, slices(septets, cut_shifted(text, septets, best.room)))


class _Price(msgspec.Struct, frozen=True):
    """What a text takes under its tables: septets, and segments with ``room`` for so many."""

    shift: Shift
    septets: int
    segments: int
    room: int


def _price(characters: Mapping[str, int], shift: Shift, joining_octets: int) -> _Price | None:
    septets = national.count_septets(characters, shift.single, shift.locking)
    if septets is None:
        return None
    header = 1 + len(shift.elements)
    if septets <= (room := septets_beside(header)):
        return _Price(shift, septets, 1, room)
    if not joining_octets:
        return None
    room = septets_beside(header + joining_octets)
    return _Price(shift, septets, -(-septets // room), room)


def _candidates(languages: tuple[int, ...]) -> Iterator[Shift]:
    for language in languages:
        yield Shift(language, 0)
        if national.has_locking(language):
            yield Shift(0, language)
            yield Shift(language, language)
