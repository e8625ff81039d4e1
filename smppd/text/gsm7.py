"""GSM 03.38, the default alphabet of 3GPP TS 23.038: text to unpacked septets and back.

One octet a septet, as SMPP carries data_coding 0; packing is for the centre. The alphabet is
the basic table of 127 characters plus escape, and the ten of the extension table, form feed
included. It holds the section sign (0x5F) and neither backtick nor small c-cedilla. Shift
tables of national languages are ``national``: they need a user data header, and no phone
expects them unasked.

The codec is the C charmap codec over one table, which is why extension characters first
become single octets from 0x80 up (``_SHIFTED`` | their septet) and then pairs. That codec is
only fast when its slot 0 is NUL, so COMMERCIAL AT, which lives at 0, takes slot 0x80
meanwhile: nothing of the extension table is at septet 0.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

ESC: Final = 0x1B
"""The septet that shifts the next one to the extension table."""

_ESC_CHARACTER: Final = "\x1b"
_SHIFTED: Final = 0x80
_UNDEFINED: Final = "\ufffe"

# 3GPP TS 23.038 s6.2.1, sixteen septets a row.
BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
"""The basic table; ``BASIC[septet]`` is its character (escape at 0x1B)."""

# 3GPP TS 23.038 s6.2.1.1: the septet after escape.
EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""The extension table: the septet that follows escape, and its character."""


def _encoding_slots() -> str:
    slots = list(BASIC) + [_UNDEFINED] * 128
    slots[ESC] = _UNDEFINED
    slots[0], slots[_SHIFTED] = "\0", BASIC[0]
    for septet, character in EXTENSION.items():
        slots[_SHIFTED | septet] = character
    return "".join(slots)


_ENCODING_MAP: Final = codecs.charmap_build(_encoding_slots())
_PAIRS: Final = [(bytes([_SHIFTED | septet]), bytes([ESC, septet])) for septet in sorted(EXTENSION)]
_ALIKE: Final = bytes(
    septet for septet in range(128) if septet != ESC and BASIC[septet] == chr(septet)
)
_AT: Final = (bytes([_SHIFTED]), b"\0")
_DECODING_SLOTS: Final = BASIC + "\ufffd" * 128
# What stands after escape was first decoded by the basic table, so that is the key here.
_AFTER_ESC: Final = {BASIC[septet]: character for septet, character in EXTENSION.items()}
_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)


def encode(text: str) -> bytes | None:
    """The septets of ``text``, one an octet, escape pairs included; None if any is missing."""
    # Most texts are what ASCII and GSM-7 write alike; deleting that is ten times as quick as
    # looking up every character.
    if text.isascii() and not (octets := text.encode("ascii")).translate(None, _ALIKE):
        return octets
    try:
        septets = codecs.charmap_encode(text, "strict", _ENCODING_MAP)[0]
    except UnicodeEncodeError:
        return None
    if b"\0" in septets:  # NUL itself: the only character that slot 0 stands for
        return None
    if septets.isascii():
        return septets
    for shifted, pair in _PAIRS:
        septets = septets.replace(shifted, pair)
    return septets.replace(*_AT)


def decode(septets: bytes) -> str:
    """The text of unpacked septets; never fails.

    After escape, a septet the extension table lacks is read from the basic table (3GPP TS
    23.038 s6.2.1.1); a second escape, or escape at the end, is a space. Octets above 0x7F are
    no septets and become U+FFFD.
    """
    text = codecs.charmap_decode(septets, "strict", _DECODING_SLOTS)[0]
    return _ESCAPED.sub(_unescape, text) if _ESC_CHARACTER in text else text


def first_unencodable(text: str) -> str | None:
    """The first character of ``text`` that GSM 03.38 lacks; None if it has them all."""
    end = len(text)
    try:
        codecs.charmap_encode(text, "strict", _ENCODING_MAP)
    except UnicodeEncodeError as error:
        end = error.start
    nul = text.find("\0", 0, end)
    return text[nul] if nul >= 0 else text[end : end + 1] or None


def _unescape(match: re.Match[str]) -> str:
    character = match[1]
    if character in ("", _ESC_CHARACTER):
        return " "
    return _AFTER_ESC.get(character, character)
