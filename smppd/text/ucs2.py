"""UCS-2 as SMPP data_coding 8 means it: UTF-16, big endian, no byte order mark.

Phones have long read surrogate pairs, so characters beyond U+FFFF go out as pairs. A lone
surrogate is no character, and is refused before it comes here. What arrives is not guessed
at: little endian or a mark in front is a fault of the sender that stays visible.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

codecs.lookup("utf-16-be")
"""A codec is a file that is read when first used, and then there may be no descriptor left."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encode(text: str) -> bytes:
    """``text`` in UTF-16BE, two octets a unit; the text must hold no lone surrogate."""
    return text.encode("utf-16-be")


def decode(data: bytes) -> str:
    """The text of UTF-16BE octets; never fails: what is broken becomes U+FFFD."""
    return data.decode("utf-16-be", "replace")


def first_lone_surrogate(text: str) -> str | None:
    """The first surrogate code point of ``text``; None if it has none."""
    match = _SURROGATE.search(text)
    return match[0] if match else None
