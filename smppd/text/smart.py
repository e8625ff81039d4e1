"""Smart encoding: characters that GSM-7 lacks, written by ones it has that read the same.

Word processors and phones put typographic quotes, dashes, an ellipsis or a non-breaking space
where people typed plain ones, and one of them makes a message of 160 characters three of UCS-2.
A text is changed only where that brings all of it into GSM-7; else nothing is: a text that goes
as UCS-2 anyway loses its quotes for nothing. What would mean something else to a reader (an
accent, a symbol, an emoji) is never replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from smppd.text import gsm7, national
from smppd.text.national import has_locking

_GROUPS: Final[Mapping[str, str]] = {
    "'": "‘’‚‛‹›′‵ʹʻʼʽˈ`´",
    '"': "“”„‟«»″‶〝〞",
    "-": "‐‑‒–—―⁃−﹘﹣",
    "...": "…",
    "..": "‥",
    ".": "․",
    "*": "•‣◦∙▪●",
    "/": "⁄∕",
    "~": "∼",
    "ff": "ﬀ",
    "fi": "ﬁ",
    "fl": "ﬂ",
    "ffi": "ﬃ",
    "ffl": "ﬄ",
    "\n": "\x0b\x85\u2028\u2029",
    " ": "\t\xa0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))),
    # Soft hyphens, zero widths, joiners, direction marks, a byte order mark.
    "": "\xad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067"
    "\u2068\u2069\ufeff",
}

# A letter and its accent as two characters, as some systems write them, is the same letter.
_DECOMPOSED: Final = {
    unicodedata.normalize("NFD", letter): letter
    for letter in gsm7.BASIC
    if unicodedata.normalize("NFD", letter) != letter
}

_JOINERS: Final = "\u200c\u200d"
"""Zero-width non-joiner and joiner: nothing between Latin letters, and a matter of spelling in the
scripts of shift tables."""

REPLACEMENTS: Final[Mapping[str, str]] = {
    character: by for by, characters in _GROUPS.items() for character in characters
} | _DECOMPOSED
"""What may be replaced, and by what: every key has a character GSM-7 lacks, no value has one."""

_REPLACEABLE: Final = re.compile(
    "|".join(sorted(map(re.escape, REPLACEMENTS), key=len, reverse=True))
)


class Replacement(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """``character`` was replaced by ``by``, ``count`` times."""

    character: str
    by: str
    count: int


class Smart(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What smart encoding did to a message: each character once, in the order of the text, and
    how many segments fewer it has for it."""

    replaced: tuple[Replacement, ...]
    segments_saved: int


class Smartened(msgspec.Struct, frozen=True):
    """The ``text`` with its replacements."""

    text: str
    replaced: tuple[Replacement, ...]


def smarten(text: str, languages: tuple[int, ...] = ()) -> Smartened | None:
    """``text`` as GSM-7 has it, or the shift tables of ``languages``; None where it needs no
    replacement, or where replacing does not help."""
    if _is_written(text, languages):
        return None
    counts: Counter[str] = Counter(_REPLACEABLE.findall(text))
    replaced = _REPLACEABLE.sub(lambda match: REPLACEMENTS[match[0]], text)
    if any(joiner in counts for joiner in _JOINERS):
        languages = ()
    if not counts or not _is_written(replaced, languages):
        return None
    return Smartened(
        replaced, tuple(Replacement(one, REPLACEMENTS[one], counts[one]) for one in counts)
    )


def _is_written(text: str, languages: tuple[int, ...]) -> bool:
    if gsm7.encode(text) is not None:
        return True
    return any(
        national.encode(text, language, language if has_locking(language) else 0) is not None
        for language in languages
    )
