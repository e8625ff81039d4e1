"""One text, cut into the user data of its segments (3GPP TS 23.040 s9.2.3.24.1).

A single segment holds 160 septets or 70 UCS-2 units. A longer text gets a user data header
of six octets on every segment (05 00 03, reference, total, number), which leaves 153 or 67.
What a reader would see torn is not torn: the escape pair of an extension character and a
surrogate pair never, a grapheme (UAX #29: flags, emoji sequences, combining marks, Hangul
syllables, CR LF) only where it alone is longer than a segment.

What this does not know: references (an argument, the store keeps them apart), carriers,
PDUs, data_coding beyond the two numbers. ``plan`` and ``split`` share their cuts, so what an
app was told it will pay for is what goes out.

Empty text is one empty segment.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import AnyStr, Final, Literal, TypeAlias

import msgspec
import regex

from smppd.errors import LocalProtocolError
from smppd.text import gsm7, ucs2

Encoding: TypeAlias = Literal["gsm7", "ucs2"]
WantedEncoding: TypeAlias = Literal["auto", "gsm7", "ucs2"]

SEGMENTS_MAX: Final = 255
"""Segments of one message: the header counts them in one octet."""

SINGLE_SEPTETS_MAX: Final = 160
"""Septets in a lone segment: 140 octets."""

SEGMENT_SEPTETS_MAX: Final = 153
"""Septets beside a header of six octets, which takes seven septets with its fill bits."""

SINGLE_UNITS_MAX: Final = 70
"""UCS-2 units, of two octets, in a lone segment: 140 octets."""

SEGMENT_UNITS_MAX: Final = 67
"""UCS-2 units beside a header of six octets: 134 octets."""

UDH_CONCATENATED: Final = b"\x05\x00\x03"
"""Header length, the element of concatenation with an 8-bit reference, and its length."""

_DATA_CODINGS: Final[dict[Encoding, int]] = {"gsm7": 0x00, "ucs2": 0x08}

# Between two characters of no special break class every grapheme rule says 'break', whatever
# stands before them; it saves walking the segment for nearly all cuts of real texts.
_SURE_BREAK: Final = regex.compile(r"\p{Grapheme_Cluster_Break=Other}{2}")
_GRAPHEMES: Final = regex.compile(r"\X")


class NotEncodable(msgspec.Struct, frozen=True):
    """The text cannot go out in the wanted encoding; ``reason`` says why, and what to write."""

    reason: str


class TooLong(msgspec.Struct, frozen=True):
    """The text needs ``segments``, more than SEGMENTS_MAX; it is never cut short."""

    segments: int
    reason: str


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What a text takes: its encoding, and how many segments ``split`` will make of it."""

    encoding: Encoding
    segments: int


_SINGLE_GSM7: Final = Plan("gsm7", 1)
_SINGLE_UCS2: Final = Plan("ucs2", 1)


def plan(text: str, wanted: WantedEncoding) -> Plan | NotEncodable | TooLong:
    """The encoding and the exact number of segments of ``text``."""
    user_data = _encode(text, wanted)
    if isinstance(user_data, bytes):
        if len(user_data) <= SINGLE_SEPTETS_MAX:
            return _SINGLE_GSM7
        return _plan_cuts("gsm7", _cut_septets(user_data))
    if isinstance(user_data, str):
        if _fits_one_ucs2(user_data):
            return _SINGLE_UCS2
        return _plan_cuts("ucs2", _cut_characters(user_data))
    return user_data


def split(text: str, encoding: Encoding, reference: int) -> list[bytes]:
    """The ``short_message`` of each segment, in order, header included when there are several.

    ``reference`` is 0 to 255 and the same for all segments of one message. The text is one
    that ``plan`` took with this encoding; anything else is a LocalProtocolError.
    """
    user_data = _encode(text, encoding)
    if isinstance(user_data, NotEncodable):
        raise LocalProtocolError(f"split of a text that was not planned: {user_data.reason}")
    if isinstance(user_data, bytes):
        if len(user_data) <= SINGLE_SEPTETS_MAX:
            return [user_data]
        return _with_headers(_slices(user_data, list(_cut_septets(user_data))), reference)
    if _fits_one_ucs2(user_data):
        return [ucs2.encode(user_data)]
    pieces = _slices(user_data, list(_cut_characters(user_data)))
    return _with_headers([ucs2.encode(piece) for piece in pieces], reference)


def data_coding_of(encoding: Encoding) -> int:
    """The data_coding of SMPP 3.4 s5.2.19: 0 for GSM-7, 8 for UCS-2."""
    return _DATA_CODINGS[encoding]


def _encode(text: str, wanted: WantedEncoding) -> bytes | str | NotEncodable:
    """Septets where it is GSM-7; the text itself where it is UCS-2, which is cut as text."""
    if wanted != "ucs2":
        septets = gsm7.encode(text)
        if septets is not None:
            return septets
        if wanted == "gsm7":
            return _not_in_gsm7(text)
    surrogate = ucs2.first_lone_surrogate(text)
    return text if surrogate is None else _lone_surrogate(surrogate)


def _not_in_gsm7(text: str) -> NotEncodable:
    character = gsm7.first_unencodable(text)
    assert character is not None, f"gsm7.encode refused what it has: {text!r}"
    name = unicodedata.name(character, "no named character")
    return NotEncodable(
        f"{character!r} (U+{ord(character):04X}, {name}) is not in GSM 03.38; "
        'replace it, or write encoding "ucs2" or "auto"'
    )


def _lone_surrogate(character: str) -> NotEncodable:
    return NotEncodable(
        f"{character!r} (U+{ord(character):04X}) is half of a surrogate pair and no character; "
        "write the whole character"
    )


def _plan_cuts(encoding: Encoding, cuts: Iterator[int]) -> Plan | TooLong:
    segments = sum(1 for _ in cuts)
    if segments <= SEGMENTS_MAX:
        return Plan(encoding, segments)
    return TooLong(
        segments,
        f"the text needs {segments} segments in {encoding} and {SEGMENTS_MAX} is the most; "
        "send it as several messages",
    )


def _fits_one_ucs2(text: str) -> bool:
    return len(text) <= SINGLE_UNITS_MAX and len(ucs2.encode(text)) <= 2 * SINGLE_UNITS_MAX


def _cut_septets(septets: bytes) -> Iterator[int]:
    """Where each segment ends. Escape starts a pair wherever it stands, never ends one."""
    end, length = 0, len(septets)
    while end + SEGMENT_SEPTETS_MAX < length:
        end += SEGMENT_SEPTETS_MAX
        if septets[end - 1] == gsm7.ESC or septets[end - 1 : end + 1] == b"\r\n":
            end -= 1
        yield end
    yield length


def _cut_characters(text: str) -> Iterator[int]:
    """Where each segment ends, in characters: the last grapheme boundary that fits."""
    start, length = 0, len(text)
    while (end := _last_fitting(text, start)) < length:
        if not _SURE_BREAK.match(text, end - 1, end + 1):
            end = _grapheme_boundary(text, start, end)
        yield end
        start = end
    yield length


def _last_fitting(text: str, start: int) -> int:
    """The end of the longest run of whole characters from ``start`` within one segment."""
    piece = text[start : start + SEGMENT_UNITS_MAX]
    units = ucs2.encode(piece)
    if len(units) <= 2 * SEGMENT_UNITS_MAX:
        return start + len(piece)
    # 'ignore' drops the half of a pair that the cut leaves at the end.
    return start + len(units[: 2 * SEGMENT_UNITS_MAX].decode("utf-16-be", "ignore"))


def _grapheme_boundary(text: str, start: int, end: int) -> int:
    """The last boundary from ``start``, itself one, to ``end``; ``end`` where there is none.

    One character past ``end`` is enough to see whether a grapheme reaches over it: the rules
    of UAX #29 look back, and only one character ahead.
    """
    last = _GRAPHEMES.findall(text, start, end + 1)[-1]
    boundary = end + 1 - len(last)
    return boundary if boundary > start else end


def _slices(whole: AnyStr, cuts: list[int]) -> list[AnyStr]:
    return [whole[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


def _with_headers(pieces: list[bytes], reference: int) -> list[bytes]:
    total = len(pieces)
    if total > SEGMENTS_MAX or not 0 <= reference <= 0xFF:
        raise LocalProtocolError(f"{total} segments under reference {reference}")
    head = UDH_CONCATENATED + bytes((reference, total))
    return [head + bytes((number,)) + piece for number, piece in enumerate(pieces, 1)]
