"""What the benches submit: every message has a ref, a destination and a text of its own.

A message is a number from 0, its index. Destination and index follow from each other, so that
whoever has read one of them, the SMSC included, knows the other and keeps its ledger by it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Encoding: TypeAlias = Literal["gsm7", "gsm7-extended", "ucs2"]

NUMBERS: Final = 100_000_000
"""Destinations there are: +4917 and eight digits, each a valid number."""

NUMBER_STRIDE: Final = 6_700_417
"""Coprime to NUMBERS, so that all destinations differ and neighbours are far apart."""

PREFIX: Final = "4917"
_INVERSE: Final = pow(NUMBER_STRIDE, -1, NUMBERS)

SEGMENT_CHARACTERS: Final = 153
"""GSM-7 characters in each of several segments (3GPP TS 23.040 s9.2.3.24.1)."""

SEGMENT_CHARACTERS_UCS2: Final = 67
"""The same of UCS-2."""

TEXT_CHARACTERS: Final = 90
"""Of a single segment, and of the last one of several. An extension character counts twice."""

TEXT_CHARACTERS_UCS2: Final = 45
"""The same of UCS-2: as many octets."""

HEAD: Final = "#%08d "
"""What each text begins with: its index."""

_HEAD_CHARACTERS: Final = len(HEAD % 0)
_WORDS: Final = "Your parcel is on its way and arrives on Monday between ten and twelve. "
_WORDS_UCS2: Final = "您的包裹正在路上，将于周一十点到十二点之间送达。"

_WORDS_EXTENDED: Final = "Code {7} for €"
"""17 septets, a ninth of a segment: wherever it is cut, no extension character is cut in two."""

_SEPTETS_EXTENDED: Final = 17

LOSS_PARTS: Final = 10_000
"""Receipts are lost by the last four digits of the destination."""


def number_of(index: int) -> str:
    """The destination of message ``index``, without its ``+``."""
    return f"{PREFIX}{index * NUMBER_STRIDE % NUMBERS:08d}"


def index_of(digits: bytes | str) -> int:
    """The message whose destination ends in these eight digits."""
    return int(digits) * _INVERSE % NUMBERS


def is_lost(number: bytes | str, loss: float) -> bool:
    """Whether the receipts to this number are among the share ``loss`` (0 to 1) that is lost."""
    return int(number[-4:]) < loss * LOSS_PARTS


def make_text(segments: int, encoding: Encoding = "gsm7") -> str:
    """What follows HEAD in each text, so that it needs ``segments`` segments of ``encoding``."""
    if encoding == "ucs2":
        length = SEGMENT_CHARACTERS_UCS2 * (segments - 1) + TEXT_CHARACTERS_UCS2 - _HEAD_CHARACTERS
        return _repeat(_WORDS_UCS2, length)
    septets = SEGMENT_CHARACTERS * (segments - 1) + TEXT_CHARACTERS - _HEAD_CHARACTERS
    if encoding == "gsm7":
        return _repeat(_WORDS, septets)
    whole, rest = divmod(septets, _SEPTETS_EXTENDED)
    return _WORDS_EXTENDED * whole + _WORDS[:rest]


def _repeat(words: str, length: int) -> str:
    return (words * (length // len(words) + 1))[:length]


def make_lines(first: int, last: int, text: str) -> bytes:
    """The submits ``first`` to ``last`` - 1 as lines of JSON. ``text`` must have no ``%``."""
    to, said = f"+{PREFIX}%08d", f"{HEAD}{text}"
    template = f'{{"type":"submit","ref":"%08d","to":"{to}","from":"ACME","text":"{said}"}}\n'
    return "".join(
        [template % (index, index * NUMBER_STRIDE % NUMBERS, index) for index in range(first, last)]
    ).encode()
