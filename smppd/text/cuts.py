"""Where a long text or long data is cut: positions only, the pieces are made elsewhere.

What a reader would see torn is not torn: the escape pair of an extension character, CR LF and a
surrogate pair never, a grapheme (UAX #29: flags, emoji sequences, combining marks, Hangul
syllables) only where it alone is longer than a segment.

Each function yields the end of every piece, the last one at the end of the whole; nothing at all
still gives one piece, an empty one. How much fits a piece is an argument: what the header takes
is the carrier's matter, and unknown here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import regex

from smppd.text import gsm7, ucs2

Whole = TypeVar("Whole", bytes, str, bytes | str)

# Between two characters of no special break class every grapheme rule says 'break', whatever
# stands before them; it saves walking the segment for nearly all cuts of real texts.
_SURE_BREAK: Final = regex.compile(r"\p{Grapheme_Cluster_Break=Other}{2}")
_GRAPHEMES: Final = regex.compile(r"\X")
_ESCAPE: Final = bytes((gsm7.ESC,))


def cut_septets(septets: bytes, size: int) -> Iterator[int]:
    """Pieces of at most ``size`` unpacked septets. Escape starts a pair wherever it stands, never
    ends one (3GPP TS 23.040 s9.2.3.24.1)."""
    end, length = 0, len(septets)
    while end + size < length:
        end += size
        if septets[end - 1] == gsm7.ESC or septets[end - 1 : end + 1] == b"\r\n":
            end -= 1
        yield end
    yield length


def cut_latin(octets: bytes, size: int) -> Iterator[int]:
    """Pieces of at most ``size`` octets of ISO 8859-1, in which CR LF is the only pair."""
    end, length = 0, len(octets)
    while end + size < length:
        end += size
        if octets[end - 1 : end + 1] == b"\r\n":
            end -= 1
        yield end
    yield length


def cut_octets(data: bytes, size: int) -> Iterator[int]:
    """Pieces of exactly ``size`` octets but for the last: nobody can say where data may be cut."""
    yield from range(size, len(data), size)
    yield len(data)


def cut_characters(text: str, size: int) -> Iterator[int]:
    """Pieces of at most ``size`` UCS-2 units, in characters: the last grapheme boundary that
    fits."""
    start, length = 0, len(text)
    while (end := _last_fitting(text, start, size)) < length:
        if not _SURE_BREAK.match(text, end - 1, end + 1):
            end = _grapheme_boundary(text, start, end)
        yield end
        start = end
    yield length


def cut_shifted(text: str, septets: bytes, size: int) -> Iterator[int]:
    """Pieces of at most ``size`` of ``septets``, which are ``text`` character by character, one
    septet or an escape and one: the last grapheme boundary that fits."""
    start = end = 0  # of a piece in the septets, and where it begins in the text
    begin = 0
    while end + size < len(septets):
        start, end = end, end + size
        if septets[end - 1] == gsm7.ESC:
            end -= 1
        stop = begin + end - start - septets.count(gsm7.ESC, start, end)
        if not _SURE_BREAK.match(text, stop - 1, stop + 1):
            boundary = _grapheme_boundary(text, begin, stop)
            end = _step_back(septets, end, stop - boundary)
            stop = boundary
        yield end
        begin = stop
    yield len(septets)


def slices(whole: Whole, cuts: Iterator[int]) -> list[Whole]:
    """The pieces that end at ``cuts``."""
    start = 0
    pieces: list[Whole] = []
    for end in cuts:
        pieces.append(whole[start:end])
        start = end
    return pieces


def _last_fitting(text: str, start: int, size: int) -> int:
    """The end of the longest run of whole characters from ``start`` within ``size`` units."""
    piece = text[start : start + size]
    units = ucs2.encode(piece)
    if len(units) <= 2 * size:
        return start + len(piece)
    # 'ignore' drops the half of a pair that the cut leaves at the end.
    return start + len(units[: 2 * size].decode("utf-16-be", "ignore"))


def _step_back(septets: bytes, end: int, characters: int) -> int:
    """Where the last ``characters`` before ``end`` begin; none begins behind an escape."""
    for _ in range(characters):
        end -= 2 if septets[end - 2 : end - 1] == _ESCAPE else 1
    return end


def _grapheme_boundary(text: str, start: int, end: int) -> int:
    """The last boundary from ``start``, itself one, to ``end``; ``end`` where there is none.

    One character past ``end`` is enough to see whether a grapheme reaches over it: the rules
    of UAX #29 look back, and only one character ahead. They look at a slice: told where to start
    in the whole, regex looks back to the beginning of a row of flags for each of them.
    """
    last = _GRAPHEMES.findall(text[start : end + 1])[-1]
    boundary = end + 1 - len(last)
    return boundary if boundary > start else end
