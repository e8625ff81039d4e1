"""One text, or binary data, cut into the user data of its segments (3GPP TS 23.040 s9.2.3.24.1).

A single segment holds 160 septets, 140 octets or 70 UCS-2 units. What is longer is joined again
on the phone by a header on every segment, and a ``Form`` says how one carrier wants that told:

``udh8``     05 00 03, an 8-bit reference, total, number: 153 septets, 134 octets, 67 units
``udh16``    06 08 04 and a 16-bit reference: 152, 133, 66
``sar``      the sar_* TLVs of SMPP, and no header: the centre adds one, so the sizes are udh8's
``payload``  one submit_sm with everything in message_payload: the centre cuts, we count as udh8

What a reader would see torn is not torn (``cuts``).

A form may allow national language shift tables (``shifting``), whose header stands in every
segment, and may want septets packed (``packing``); the encoding is GSM-7 then as ever.

What this does not know: references (an argument, the store keeps them apart), which carrier has
which form, PDUs and TLVs, data_coding beyond the few numbers. ``plan`` and ``split`` share their
cuts, so what an app was told it will pay for is what goes out.

Empty text is one empty segment.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from smppd.errors import LocalProtocolError
from smppd.text import gsm7, packing, ucs2
from smppd.text.cuts import cut_characters, cut_latin, cut_octets, cut_septets, slices
from smppd.text.shifting import Shifted, shift_text

Encoding: TypeAlias = Literal["gsm7", "ucs2", "latin1", "binary"]
WantedEncoding: TypeAlias = Literal["auto", "gsm7", "ucs2", "latin1"]
LongMessage: TypeAlias = Literal["udh8", "udh16", "sar", "payload"]
Alphabet: TypeAlias = Literal["gsm7", "latin1", "ascii"]

SEGMENTS_MAX: Final = 255
"""Segments of one message: every header counts them in one octet."""

SINGLE_SEPTETS_MAX: Final = 160
"""Septets in a lone segment: 140 octets."""

SINGLE_OCTETS_MAX: Final = 140
"""Octets of user data a lone segment carries over the air, its header included."""

SINGLE_UNITS_MAX: Final = 70
"""UCS-2 units, of two octets, in a lone segment: 140 octets."""


class Form(msgspec.Struct, frozen=True, gc=False):
    """How one carrier wants user data: how a long message is told, and what data_coding 0 is.

    Where that alphabet is not GSM-7, ``gsm7`` means *the carrier's default alphabet*: the text is
    counted and cut as the GSM-7 it will be on the air, and written in the octets the carrier reads.

    ``languages`` are the identifiers of the national language shift tables it takes (``national``),
    the best liked first; ``packed`` that GSM-7 goes out packed, eight septets in seven octets.
    Neither goes with another default alphabet.
    """

    long_message: LongMessage = "udh8"
    default_alphabet: Alphabet = "gsm7"
    languages: tuple[int, ...] = ()
    packed: bool = False

    def for_flash(self) -> Form:
        """The form for class 0 messages: data_coding 0xF0 says GSM-7 whatever 0 means here."""
        return Form(self.long_message, languages=self.languages, packed=self.packed)


PLAIN_FORM: Final = Form()
"""What most carriers want."""


class Sizes(msgspec.Struct, frozen=True):
    """What one segment of several holds beside its header; seven septets are six octets and their
    fill bits."""

    septets: int
    octets: int
    units: int


SIZES: Final[dict[LongMessage, Sizes]] = {
    "udh8": Sizes(septets=153, octets=134, units=67),
    "udh16": Sizes(septets=152, octets=133, units=66),
    "sar": Sizes(septets=153, octets=134, units=67),
    "payload": Sizes(septets=153, octets=134, units=67),
}
"""3GPP TS 23.040 s9.2.3.24: 140 octets less the header of each form."""

UDH_8_BIT: Final = b"\x05\x00\x03"
"""Header length, the element of concatenation with an 8-bit reference, and its length."""

UDH_16_BIT: Final = b"\x06\x08\x04"
"""The same with a 16-bit reference."""

_JOINING_OCTETS: Final[dict[LongMessage, int]] = {"udh8": 5, "udh16": 6, "sar": 0, "payload": 0}
"""What the element that joins segments takes in a header, its own octets only."""

REFERENCE_MAX: Final[dict[LongMessage, int]] = {
    "udh8": 0xFF,
    "udh16": 0xFFFF,
    "sar": 0xFFFF,
    "payload": 0xFFFF,
}
"""The largest reference a form can write; payload writes none."""

_DATA_CODINGS: Final[dict[Encoding, int]] = {
    "gsm7": 0x00,
    "ucs2": 0x08,
    "latin1": 0x03,
    "binary": 0x04,
}

# 3GPP TS 23.038 s4: class 0 in the coding groups that have room for a class. Latin-1 is SMPP's
# own coding and has none.
_FLASH_DATA_CODINGS: Final[dict[Encoding, int]] = {
    "gsm7": 0xF0,
    "ucs2": 0x18,
    "latin1": 0x03,
    "binary": 0xF4,
}


class NotEncodable(msgspec.Struct, frozen=True):
    """It cannot go out as wanted; ``reason`` says why, and what to write."""

    reason: str


class TooLong(msgspec.Struct, frozen=True):
    """It needs ``segments``, more than there may be; it is never cut short."""

    segments: int
    reason: str


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What a text or data takes: its encoding, the segments that arrive at the phone (and are
    paid), and how many submit_sm carry them: as many elements ``split`` will give."""

    encoding: Encoding
    segments: int
    submits: int


_SINGLE_MAX: Final[dict[Encoding, int]] = {
    "gsm7": SINGLE_SEPTETS_MAX,
    "latin1": SINGLE_OCTETS_MAX,
    "binary": SINGLE_OCTETS_MAX,
}
_SINGLE: Final[dict[Encoding, Plan]] = {each: Plan(each, 1, 1) for each in _DATA_CODINGS}
_SINGLE_GSM7: Final = _SINGLE["gsm7"]


def plan(
    text: str, wanted: WantedEncoding, form: Form = PLAIN_FORM
) -> Plan | NotEncodable | TooLong:
    """The encoding of ``text`` in a carrier's form, and exactly how many segments and submits.

    A text that GSM-7 has and the carrier's default alphabet lacks goes as UCS-2, also where GSM-7
    was wanted: there is no other way to show it. One that GSM-7 lacks goes under the shift tables
    that the form allows where these have all of it, and need fewer segments than UCS-2.
    """
    whole = _encode(text, wanted, form)
    if isinstance(whole, bytes):
        if wanted == "latin1":
            return _plan_whole("latin1", whole, form)
        return _SINGLE_GSM7 if len(whole) <= SINGLE_SEPTETS_MAX else _plan_long("gsm7", whole, form)
    planned = _plan_whole("ucs2", whole, form) if isinstance(whole, str) else whole
    if form.languages and wanted in ("auto", "gsm7"):
        return _plan_shifted(text, form, planned)
    return planned


def plan_data(data: bytes, udh: bytes, form: Form = PLAIN_FORM) -> Plan | NotEncodable | TooLong:
    """The same for binary user data. With a header of the app's own (length octet included) it is
    one segment: nobody but the app could say how its header reads on the next one."""
    if not udh:
        return _plan_whole("binary", data, form)
    if udh[0] != len(udh) - 1:
        return NotEncodable(
            f"udh is {len(udh)} octets and its first one says that {udh[0]} follow; "
            "write the whole header, its length octet first"
        )
    octets = len(udh) + len(data)
    if octets <= SINGLE_OCTETS_MAX:
        return _SINGLE["binary"]
    return TooLong(
        -(-octets // SINGLE_OCTETS_MAX),
        f"udh and data are {octets} octets and {SINGLE_OCTETS_MAX} is the most beside a header of "
        "your own; cut the data yourself, with a header on each part, or leave udh out",
    )


def split(text: str, encoding: Encoding, form: Form, reference: int) -> list[bytes]:
    """The user data of each submit_sm, in order: with its header in the forms that have one.

    ``reference`` is at most ``REFERENCE_MAX`` and the same for all segments of one message. The
    text is one that ``plan`` took with this encoding and form; else it is a LocalProtocolError.
    """
    whole = _encode(text, encoding, form)
    if isinstance(whole, bytes):
        if encoding == "gsm7" and len(whole) <= SINGLE_SEPTETS_MAX:
            return [whole if form is PLAIN_FORM else _octets(whole, encoding, form)]
    elif isinstance(whole, NotEncodable):
        if encoding == "gsm7" and (shifted := _shift(text, form)) is not None:
            return _split_shifted(shifted, form, reference)
        raise LocalProtocolError(f"split of a text that was not planned: {whole.reason}")
    if isinstance(whole, str) != (encoding == "ucs2") or encoding == "binary":
        raise LocalProtocolError(f"split as {encoding} of a text that was planned otherwise")
    return _split_whole(encoding, whole, form, reference)


def split_data(data: bytes, udh: bytes, form: Form, reference: int) -> list[bytes]:
    """The same for data that ``plan_data`` took; ``udh`` stands before it."""
    if udh:
        return [udh + data]
    return _split_whole("binary", data, form, reference)


def has_shift(text: str, encoding: Encoding, form: Form) -> bool:
    """Whether ``split`` gives each segment a header that names shift tables, a lone one too."""
    return bool(form.languages) and encoding == "gsm7" and gsm7.encode(text) is None


def data_coding_of(encoding: Encoding, *, flash: bool = False) -> int:
    """The data_coding of SMPP 3.4 s5.2.19; ``flash`` wherever class 0 has a coding."""
    if flash:
        return _FLASH_DATA_CODINGS[encoding]
    return _DATA_CODINGS[encoding]


def _encode(text: str, wanted: WantedEncoding | Encoding, form: Form) -> bytes | str | NotEncodable:
    """Septets where it is GSM-7, octets where ISO 8859-1 is wanted; the text itself where it is
    UCS-2, which is cut as text."""
    if wanted == "latin1":
        return _encode_latin1(text)
    if wanted != "ucs2":
        septets = gsm7.encode(text)
        if septets is not None:
            if form.default_alphabet == "gsm7" or _is_in(form.default_alphabet, text):
                return septets
        elif wanted == "gsm7":
            character = gsm7.first_unencodable(text)
            assert character is not None, "gsm7.encode refused what it has"
            return _missing(character, "GSM 03.38")
    surrogate = ucs2.first_lone_surrogate(text)
    return text if surrogate is None else _lone_surrogate(surrogate)


def _encode_latin1(text: str) -> bytes | NotEncodable:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        return _missing(text[error.start], "ISO 8859-1")


def _is_in(alphabet: Alphabet, text: str) -> bool:
    return text.isascii() if alphabet == "ascii" else max(text, default="") <= "\xff"


def _missing(character: str, alphabet: str) -> NotEncodable:
    name = unicodedata.name(character, "no named character")
    return NotEncodable(
        f"{character!r} (U+{ord(character):04X}, {name}) is not in {alphabet}; "
        'replace it, or write encoding "ucs2" or "auto"'
    )


def _lone_surrogate(character: str) -> NotEncodable:
    return NotEncodable(
        f"{character!r} (U+{ord(character):04X}) is half of a surrogate pair and no character; "
        "write the whole character"
    )


def _plan_whole(encoding: Encoding, whole: bytes | str, form: Form) -> Plan | TooLong:
    return _SINGLE[encoding] if _fits_one(encoding, whole) else _plan_long(encoding, whole, form)


def _plan_long(encoding: Encoding, whole: bytes | str, form: Form) -> Plan | TooLong:
    segments = sum(1 for _ in _cuts(encoding, whole, form))
    return _plan_segments(encoding, segments, 1 if form.long_message == "payload" else segments)


def _plan_segments(encoding: Encoding, segments: int, submits: int) -> Plan | TooLong:
    if segments <= SEGMENTS_MAX:
        return Plan(encoding, segments, submits)
    return TooLong(
        segments,
        f"it needs {segments} segments in {encoding} and {SEGMENTS_MAX} is the most; "
        "send it as several messages",
    )


def _shift(text: str, form: Form) -> Shifted | None:
    return shift_text(text, form.languages, _JOINING_OCTETS[form.long_message])


def _plan_shifted(
    text: str, form: Form, planned: Plan | NotEncodable | TooLong
) -> Plan | NotEncodable | TooLong:
    """What was planned without shift tables, or the fewer segments that they need."""
    shifted = _shift(text, form)
    if shifted is None:
        return planned
    segments = len(shifted.pieces)
    if not isinstance(planned, NotEncodable) and planned.segments <= segments:
        return planned
    return _plan_segments("gsm7", segments, segments)


def _split_shifted(shifted: Shifted, form: Form, reference: int) -> list[bytes]:
    elements = shifted.shift.elements
    is_lone = len(shifted.pieces) == 1
    header = 1 + (0 if is_lone else _JOINING_OCTETS[form.long_message]) + len(elements)
    pieces = [elements + _pack(piece, form, header) for piece in shifted.pieces]
    if is_lone:
        return [bytes((len(elements),)) + pieces[0]]
    return _with_headers(pieces, form, reference, len(elements))


def _split_whole(encoding: Encoding, whole: bytes | str, form: Form, reference: int) -> list[bytes]:
    if _fits_one(encoding, whole) or form.long_message == "payload":
        return [_octets(whole, encoding, form)]
    pieces = slices(whole, _cuts(encoding, whole, form))
    header = 1 + joining if (joining := _JOINING_OCTETS[form.long_message]) else 0
    written = [_octets(piece, encoding, form, header) for piece in pieces]
    return _with_headers(written, form, reference)


def _fits_one(encoding: Encoding, whole: bytes | str) -> bool:
    if isinstance(whole, bytes):
        return len(whole) <= _SINGLE_MAX[encoding]
    return len(whole) <= SINGLE_UNITS_MAX and len(ucs2.encode(whole)) <= 2 * SINGLE_UNITS_MAX


def _cuts(encoding: Encoding, whole: bytes | str, form: Form) -> Iterator[int]:
    sizes = SIZES[form.long_message]
    if isinstance(whole, str):
        return cut_characters(whole, sizes.units)
    if encoding == "gsm7":
        return cut_septets(whole, sizes.septets)
    cut = cut_latin if encoding == "latin1" else cut_octets
    return cut(whole, sizes.octets)


def _octets(piece: bytes | str, encoding: Encoding, form: Form, header_octets: int = 0) -> bytes:
    """A piece as the carrier reads it, behind a header of so many octets."""
    if isinstance(piece, str):
        return ucs2.encode(piece)
    if encoding != "gsm7" or form.default_alphabet == "gsm7":
        return _pack(piece, form, header_octets) if form.packed and encoding == "gsm7" else piece
    return gsm7.decode(piece).encode("latin-1")  # of which ASCII is the lower half


def _pack(septets: bytes, form: Form, header_octets: int) -> bytes:
    """``septets`` as the form wants them, behind a header of so many octets."""
    if not form.packed:
        return septets
    is_one_of_the_air = len(septets) <= SINGLE_SEPTETS_MAX
    octets_max = SINGLE_OCTETS_MAX - header_octets if is_one_of_the_air else packing.OCTETS_MAX
    return packing.pack(septets, packing.fill_bits(header_octets), octets_max)


def _with_headers(
    pieces: list[bytes], form: Form, reference: int, elements_octets: int = 0
) -> list[bytes]:
    """The pieces joined by the form's header; they begin with its other elements, that long."""
    if len(pieces) > SEGMENTS_MAX or not 0 <= reference <= REFERENCE_MAX[form.long_message]:
        raise LocalProtocolError(f"{len(pieces)} segments under reference {reference}")
    if form.long_message == "sar":
        return pieces
    if form.long_message == "udh16":
        head = UDH_16_BIT + reference.to_bytes(2)
    else:
        head = UDH_8_BIT + bytes((reference,))
    if elements_octets:
        head = bytes((head[0] + elements_octets,)) + head[1:]
    head += bytes((len(pieces),))
    return [head + bytes((number,)) + piece for number, piece in enumerate(pieces, 1)]
