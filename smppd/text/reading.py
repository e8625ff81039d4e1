"""User data as text, by data_coding: what a phone sent, of one segment or of several.

The segments of a message are joined before they are read, for carriers and phones cut where they
like: between the halves of a surrogate pair, or behind an escape. What is not text has none; its
octets are for the app.

data_coding is SMPP's own below 0x10 (3.4 s5.2.19) and that of 3GPP TS 23.038 s4 from there on.
Reserved codings are no text: the standard has a phone read them as GSM-7, which for octets of an
unknown kind is a guess.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Literal, TypeAlias

import msgspec

from smppd.text import gsm7, national, packing, ucs2
from smppd.text.header import NO_HEADER, Header, read_header
from smppd.text.segment import Alphabet, Form

Coding: TypeAlias = Literal[
    "default", "gsm7", "latin1", "ucs2", "jis", "jis_extended", "cyrillic", "hebrew", "korean"
]
"""``default`` is what data_coding 0 means at a carrier."""

# SMPP 3.4 s5.2.19; 2 and 4 are octets, 9 pictograms, 10 music codes, the rest is reserved.
_SMPP: Final[dict[int, Coding]] = {
    0x00: "default",
    0x01: "latin1",  # IA5; its upper half, which it has not, stays visible
    0x03: "latin1",
    0x05: "jis",
    0x06: "cyrillic",
    0x07: "hebrew",
    0x08: "ucs2",
    0x0D: "jis_extended",
    0x0E: "korean",
}

# 3GPP TS 23.038 s4, general groups: bits 3 and 2.
_GENERAL: Final[tuple[Coding | None, ...]] = ("gsm7", None, "ucs2", None)
_GENERAL_END: Final = 0x80
_COMPRESSED: Final = 0x20
_WAITING_DISCARD: Final = range(0xC0, 0xE0)  # and from 0xD0 on: store
_WAITING_UCS2: Final = range(0xE0, 0xF0)
_CLASS_OCTETS: Final = 0x04

# Codecs of Python's, the stricter one first. JIS has escapes of its own, or is what hosts write.
_CODECS: Final[dict[Coding, tuple[str, ...]]] = {
    "latin1": ("latin-1",),
    "jis": ("iso2022_jp", "shift_jis"),
    "jis_extended": ("iso2022_jp_1", "euc_jp"),
    "cyrillic": ("iso8859_5",),
    "hebrew": ("iso8859_8",),
    "korean": ("euc_kr",),
}

for _codec in {name for names in _CODECS.values() for name in names}:
    codecs.lookup(_codec)  # a file, read when first used: then there may be no descriptor left


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One segment as it came, and which of its message it is."""

    data: bytes
    data_coding: int
    has_header: bool
    number: int = 1


class Reading(msgspec.Struct, frozen=True, gc=False):
    """``text`` is None where it is none, or none that can be read; ``body`` all user data without
    headers; ``udh`` what the first segment's header said beyond joining and alphabets."""

    text: str | None
    body: bytes
    udh: bytes


class _Run(msgspec.Struct, frozen=True):
    """What segments that are read in one go have in common; ``place`` grows where one is missing
    before it."""

    coding: Coding | None
    single: int
    locking: int
    place: int


def read_pieces(pieces: Sequence[Piece], form: Form) -> Reading:
    """The segments of one message, at least one, in order; some may be missing. ``form`` is how
    user data is written at their carrier: what data_coding 0 means, and whether GSM-7 is packed.

    Never fails: what a coding lacks is U+FFFD where its alphabet is sure, else the text is None.
    """
    alphabet, is_packed = form.default_alphabet, form.packed
    headers = [read_header(one.data) if one.has_header else NO_HEADER for one in pieces]
    bodies = [one.data[header.octets :] for one, header in zip(pieces, headers, strict=True)]
    runs = [_run_of(*each, index) for index, each in enumerate(zip(pieces, headers, strict=True))]
    units = [
        _unpack(body, header) if is_packed and _is_septets(run.coding, alphabet) else body
        for run, header, body in zip(runs, headers, bodies, strict=True)
    ]
    texts = list(_decode_runs(runs, units, alphabet))
    text = None if None in texts else "".join(one for one in texts if one is not None)
    return Reading(text, b"".join(bodies), headers[0].others)


def coding_of(data_coding: int) -> Coding | None:
    """How text is written by this data_coding; None where it is no text."""
    if data_coding < 0x10:
        return _SMPP.get(data_coding)
    if data_coding < _GENERAL_END:
        return None if data_coding & _COMPRESSED else _GENERAL[data_coding >> 2 & 3]
    if data_coding in _WAITING_DISCARD:
        return "gsm7"
    if data_coding in _WAITING_UCS2:
        return "ucs2"
    return "gsm7" if data_coding >= 0xF0 and not data_coding & _CLASS_OCTETS else None


def _run_of(piece: Piece, header: Header, index: int) -> _Run:
    place = piece.number - index
    return _Run(coding_of(piece.data_coding), header.single, header.locking, place)


def _is_septets(coding: Coding | None, alphabet: Alphabet) -> bool:
    return coding == "gsm7" or (coding == "default" and alphabet == "gsm7")


def _unpack(body: bytes, header: Header) -> bytes:
    return packing.unpack(body, packing.fill_bits(header.octets))


def _decode_runs(
    runs: Sequence[_Run], units: Sequence[bytes], alphabet: Alphabet
) -> Iterator[str | None]:
    numbered = zip(runs, units, strict=True)
    for run, group in groupby(numbered, key=lambda one: one[0]):
        yield _decode(b"".join(unit for _, unit in group), run, alphabet)


def _decode(units: bytes, run: _Run, alphabet: Alphabet) -> str | None:
    coding = run.coding
    if coding is None:
        return None
    if coding == "ucs2":
        return ucs2.decode(units)
    if _is_septets(coding, alphabet):
        if run.single or run.locking:
            return national.decode(units, run.single, run.locking)
        return gsm7.decode(units)
    for codec in _CODECS.get(coding, ("latin-1",)):
        try:
            return units.decode(codec)
        except UnicodeDecodeError:
            continue
    return None
