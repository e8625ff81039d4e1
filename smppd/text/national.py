"""National language shift tables, 3GPP TS 23.038 annex A: septets that a phone reads as Turkish,
Hindi or Urdu because a user data header says so.

A *locking* shift table stands in the place of the GSM 7 bit default alphabet for the whole
segment, a *single* shift table in the place of the extension table behind escape. Each is named
by one octet, the national language identifier (``LANGUAGES``), 0 being the default alphabet. The
octets here are unpacked septets, one an octet, as ``gsm7`` has them; the header that names the
tables is ``segment``'s matter.

The tables of the Indian scripts share a frame of digits, punctuation and Latin letters; what a
script puts into it is written as the low octets of its code points, ``..`` where it has none.
In one place they follow what phones do and not the print of the standard: Kannada has DDA
(U+0CA1) at 0x24, where the standard repeats PA, which stands at 0x3D.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from smppd.text.gsm7 import BASIC, ESC, EXTENSION

LANGUAGES: Final[Mapping[str, int]] = {
    "tr": 1,
    "es": 2,
    "pt": 3,
    "bn": 4,
    "gu": 5,
    "hi": 6,
    "kn": 7,
    "ml": 8,
    "or": 9,
    "pa": 10,
    "ta": 11,
    "te": 12,
    "ur": 13,
}
"""ISO 639-1 names of the languages, and their identifiers (s6.2.1.2.4). Assamese is in ``bn``."""

_MISSING: Final = "\ufffd"
_NONE: Final = ".."

_TURKISH: Final = {0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş"} | {
    0x40: "İ",
    0x60: "ç",
}

_PORTUGUESE: Final = (
    "@£$¥êéúíóç\nÔô\rÁá"
    "Δ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ"
    " !\"#º%&'()*+,-./"
    "0123456789:;<=>?"
    "ÍABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÃÕÚÜ§"
    "~abcdefghijklmno"
    "pqrstuvwxyzãõ`üà"
)

# What all Indian locking tables have in common; a space stands where a script has its letters.
_LOCKING_FRAME: Final = (
    "          \n  \r  "
    "           \x1b    "
    " !      )(  , . "
    "0123456789:;   ?"
    "                "
    "                "
    " abcdefghijklmno"
    "pqrstuvwxyz     "
)
# And all Indian single shift tables: the capitals, and what the locking table has no room for.
_SINGLE_FRAME: Final = (
    "@£$¥¿\"¤%&'\f*+ -/"
    "<=>¡^¡_#*       "
    "        {}     \\"
    "            [~] "
    "|ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZ     "
    "     €          "
    "                "
)

_LATIN_LOCKING: Final[Mapping[int, str]] = {
    0: BASIC,
    1: "".join(_TURKISH.get(septet, character) for septet, character in enumerate(BASIC)),
    3: _PORTUGUESE,
}
"""The locking tables of the Latin script, a character a septet; Spanish has none."""

_LATIN_SINGLE: Final[Mapping[int, Mapping[int, str]]] = {
    0: EXTENSION,
    1: EXTENSION | {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"},
    2: EXTENSION
    | {0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú"}
    | {0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú"},
    3: EXTENSION
    | {0x05: "ê", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á"}
    | {0x12: "Φ", 0x13: "Γ", 0x15: "Ω", 0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê"}
    | {0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x5B: "Ã", 0x5C: "Õ"}
    | {0x61: "Â", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â"},
}
"""The single shift tables of the Latin script, a septet and its character."""

_LETTERS: Final[Mapping[int, tuple[int, str]]] = {
    4: (
        0x0900,
        "81 82 83 85 86 87 88 89 8A 8B 8C .. .. 8F 90 .. .. 93 94 95 96 97 98 99 9A 9B 9C "
        "9D 9E 9F A0 A1 A2 A3 A4 A5 A6 A7 A8 .. AA AB AC AD AE AF B0 .. B2 .. .. .. B6 B7 "
        "B8 B9 BC BD BE BF C0 C1 C2 C3 C4 .. .. C7 C8 .. .. CB CC CD CE D7 DC DD F0 F1",
    ),
    5: (
        0x0A00,
        "81 82 83 85 86 87 88 89 8A 8B 8C 8D .. 8F 90 91 .. 93 94 95 96 97 98 99 9A 9B 9C "
        "9D 9E 9F A0 A1 A2 A3 A4 A5 A6 A7 A8 .. AA AB AC AD AE AF B0 .. B2 B3 .. B5 B6 B7 "
        "B8 B9 BC BD BE BF C0 C1 C2 C3 C4 C5 .. C7 C8 C9 .. CB CC CD D0 E0 E1 E2 E3 F1",
    ),
    6: (
        0x0900,
        "01 02 03 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A 1B 1C "
        "1D 1E 1F 20 21 22 23 24 25 26 27 28 29 2A 2B 2C 2D 2E 2F 30 31 32 33 34 35 36 37 "
        "38 39 3C 3D 3E 3F 40 41 42 43 44 45 46 47 48 49 4A 4B 4C 4D 50 72 7B 7C 7E 7F",
    ),
    7: (
        0x0C00,
        ".. 82 83 85 86 87 88 89 8A 8B 8C .. 8E 8F 90 .. 92 93 94 95 96 97 98 99 9A 9B 9C "
        "9D 9E 9F A0 A1 A2 A3 A4 A5 A6 A7 A8 .. AA AB AC AD AE AF B0 B1 B2 B3 .. B5 B6 B7 "
        "B8 B9 BC BD BE BF C0 C1 C2 C3 C4 .. C6 C7 C8 .. CA CB CC CD D5 D6 E0 E1 E2 E3",
    ),
    8: (
        0x0D00,
        ".. 02 03 05 06 07 08 09 0A 0B 0C .. 0E 0F 10 .. 12 13 14 15 16 17 18 19 1A 1B 1C "
        "1D 1E 1F 20 21 22 23 24 25 26 27 28 .. 2A 2B 2C 2D 2E 2F 30 31 32 33 34 35 36 37 "
        "38 39 .. 3D 3E 3F 40 41 42 43 44 .. 46 47 48 .. 4A 4B 4C 4D 57 60 61 62 63 79",
    ),
    9: (
        0x0B00,
        "01 02 03 05 06 07 08 09 0A 0B 0C .. .. 0F 10 .. .. 13 14 15 16 17 18 19 1A 1B 1C "
        "1D 1E 1F 20 21 22 23 24 25 26 27 28 .. 2A 2B 2C 2D 2E 2F 30 .. 32 33 .. 35 36 37 "
        "38 39 3C 3D 3E 3F 40 41 42 43 44 .. .. 47 48 .. .. 4B 4C 4D 56 57 60 61 62 63",
    ),
    10: (
        0x0A00,
        "01 02 03 05 06 07 08 09 0A .. .. .. .. 0F 10 .. .. 13 14 15 16 17 18 19 1A 1B 1C "
        "1D 1E 1F 20 21 22 23 24 25 26 27 28 .. 2A 2B 2C 2D 2E 2F 30 .. 32 33 .. 35 36 .. "
        "38 39 3C .. 3E 3F 40 41 42 .. .. .. .. 47 48 .. .. 4B 4C 4D 51 70 71 72 73 74",
    ),
    11: (
        0x0B00,
        ".. 82 83 85 86 87 88 89 8A .. .. .. 8E 8F 90 .. 92 93 94 95 .. .. .. 99 9A .. 9C "
        ".. 9E 9F .. .. .. A3 A4 .. .. .. A8 A9 AA .. .. .. AE AF B0 B1 B2 B3 B4 B5 B6 B7 "
        "B8 B9 .. .. BE BF C0 C1 C2 .. .. .. C6 C7 C8 .. CA CB CC CD D0 D7 F0 F1 F2 F9",
    ),
    12: (
        0x0C00,
        "01 02 03 05 06 07 08 09 0A 0B 0C .. 0E 0F 10 .. 12 13 14 15 16 17 18 19 1A 1B 1C "
        "1D 1E 1F 20 21 22 23 24 25 26 27 28 .. 2A 2B 2C 2D 2E 2F 30 31 32 33 .. 35 36 37 "
        "38 39 .. 3D 3E 3F 40 41 42 43 44 .. 46 47 48 .. 4A 4B 4C 4D 55 56 60 61 62 63",
    ),
    13: (
        0x0600,
        "27 22 28 7B 80 7E A6 2A C2 7F 79 7D 7A 7C 2B 2C 81 84 83 85 86 87 2D 2E 2F 8C 88 "
        "89 8A 8F 8D 30 31 91 93 99 32 96 98 9A 33 34 35 36 37 38 39 41 42 A9 AA AB AF B3 "
        "B1 44 45 46 BA BB BC 48 C4 D5 C1 BE 21 CC D0 D2 4D 50 4F 57 54 55 51 53 56 70",
    ),
}
"""A.3.4 to A.3.13: where a script's code points begin, and its letters in the order of the
septets that the locking frame leaves to them."""

_SIGNS: Final[Mapping[int, str]] = {
    4: "E6 E7 E8 E9 EA EB EC ED EE EF DF E0 E1 E2 E3 F2 F3 F4 F5 F6 F7 F8 F9 FA",
    5: "0964 0965 E6 E7 E8 E9 EA EB EC ED EE EF",
    6: "64 65 66 67 68 69 6A 6B 6C 6D 6E 6F 51 52 53 54 58 59 5A 5B 5C 5D 5E 5F 60 61 62 63 70 71",
    7: "0964 0965 E6 E7 E8 E9 EA EB EC ED EE EF DE F1 F2",
    8: "0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 70 71 72 73 74 75 7A 7B 7C 7D 7E 7F",
    9: "0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 5C 5D 5F 70 71",
    10: "0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 59 5A 5B 5C 5E 75",
    11: "0964 0965 E6 E7 E8 E9 EA EB EC ED EE EF F3 F4 F5 F6 F7 F8 FA",
    12: ".. .. 66 67 68 69 6A 6B 6C 6D 6E 6F 58 59 78 79 7A 7B 7C 7D 7E 7F",
    13: "00 01 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9 0C 0D 0E 0F 10 11 12 13 14 1B 1F 40 52 58 6B 6C 72 73 "
    "CD D4",
}
"""A.2.4 to A.2.13: digits and rarer signs, in the order of the septets that the single shift
frame leaves to them; four digits are a whole code point, as the dandas are of another script."""

_LETTER_SEPTETS: Final = [
    septet for septet in range(128) if _LOCKING_FRAME[septet] == " " and septet != 0x20
]
# Rows 1 to 3 only: behind the digits and signs no script has anything but the frame. 0x0D is
# never used (a carriage return of the locking table), and the frame's spaces are no characters.
_SIGN_SEPTETS: Final = [
    septet for septet in range(0x10, 0x40) if _SINGLE_FRAME[septet] == " " and septet != ESC
]


def encode(text: str, single: int, locking: int) -> bytes | None:
    """The septets of ``text`` under these two identifiers, escape pairs included; None if any
    character is missing. 0 is the default table, and so is an identifier without such a table."""
    septets = _encoding(single, locking)
    try:
        return b"".join([septets[character] for character in text])
    except KeyError:
        return None


def count_septets(characters: Mapping[str, int], single: int, locking: int) -> int | None:
    """How many septets ``encode`` gives a text with so many of each character; None where it gives
    none."""
    septets = _encoding(single, locking)
    try:
        return sum(len(septets[character]) * count for character, count in characters.items())
    except KeyError:
        return None


def decode(septets: bytes, single: int, locking: int) -> str:
    """The text of unpacked septets under these two identifiers; never fails.

    An identifier that names no table is passed over, as s6.2.1.2 wants of a receiver. A septet
    behind escape that the single shift table lacks is read from the locking table; a second
    escape, or escape at the end, is a space. What stands for no character, and octets above
    0x7F, become U+FFFD.
    """
    base, shifted = _locking(locking), _single(single)
    text: list[str] = []
    escaped = False
    for septet in septets:
        if escaped:
            escaped = False
            text.append(" " if septet == ESC else shifted.get(septet) or _character(base, septet))
        elif septet == ESC:
            escaped = True
        else:
            text.append(_character(base, septet))
    return "".join(text) + " " * escaped


def has_locking(language: int) -> bool:
    """Whether the language has a locking shift table: Spanish, and the default, have none."""
    return language in _LETTERS or (language != 0 and language in _LATIN_LOCKING)


def _character(base: str, septet: int) -> str:
    return base[septet] if septet < len(base) else _MISSING


@functools.cache
def _encoding(single: int, locking: int) -> dict[str, bytes]:
    """Each character's septets. What the locking table has needs no escape; what a table has
    twice is written by the first of the two."""
    pairs = sorted(_single(single).items(), reverse=True)
    encoding = {character: bytes((ESC, septet)) for septet, character in pairs}
    for septet, character in reversed(list(enumerate(_locking(locking)))):
        if character != _MISSING and septet != ESC:
            encoding[character] = bytes((septet,))
    return encoding


@functools.cache
def _locking(language: int) -> str:
    if language not in _LETTERS:
        return _LATIN_LOCKING.get(language, BASIC)
    table = list(_LOCKING_FRAME)
    page, letters = _LETTERS[language]
    for septet, word in zip(_LETTER_SEPTETS, letters.split(), strict=True):
        table[septet] = _code_point(page, word)
    return "".join(table)


@functools.cache
def _single(language: int) -> Mapping[int, str]:
    if language not in _SIGNS:
        return _LATIN_SINGLE.get(language, EXTENSION)
    page, _ = _LETTERS[language]
    table = {septet: sign for septet, sign in enumerate(_SINGLE_FRAME) if sign != " "}
    for septet, word in zip(_SIGN_SEPTETS, _SIGNS[language].split(), strict=False):
        if word != _NONE:
            table[septet] = _code_point(page, word)
    return table


def _code_point(page: int, word: str) -> str:
    if word == _NONE:
        return _MISSING
    return chr(int(word, 16) if len(word) == 4 else page + int(word, 16))
