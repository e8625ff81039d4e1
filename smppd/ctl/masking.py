"""What smppctl hides until it is told ``--reveal``: numbers, and the words of a message.

The daemon answers its operator whole; here is decided what a screen, a shell's history and a
ticket get of it. Applied to answers as they are, before anything is made a table or JSON.
"""

from __future__ import annotations

import re
from typing import Final

from smppd.client import JsonObject
from smppd.log import mask
from smppd.terminal import count_of

NUMBER_FIELDS: Final = frozenset({"to", "from"})
"""Where numbers stand, in any object of the protocol."""

_PUNCTUATION: Final = re.compile(r"[ ().\-]")
"""What people write numbers with."""

_QUOTED_NUMBER: Final = re.compile(r"(?<=')\+?[0-9 ().\-]{3,}(?=')|\+?\b[0-9]{7,15}\b")
"""A number in a reason, which quotes what was asked; digits of a fingerprint are none."""

# The text of a receipt ends with the first characters of the message (SMPP 3.4 appendix B); where
# its octets are UCS-2 every other one is NUL.
_RECEIPT_TEXT: Final = re.compile("(t\0?e\0?x\0?t\0? ?\0?[:=]).*", re.IGNORECASE | re.DOTALL)


def hide(value: JsonObject) -> JsonObject:
    """``value`` with every number in it masked, of a text its length and receipts' words cut,
    however deep."""
    return {key: _hide_field(key, item) for key, item in value.items()}


def hide_number(number: str) -> str:
    """``+49 151-23456789`` is ``+4915****6789``; a name stays as it is."""
    digits = _PUNCTUATION.sub("", number)
    masked = mask(digits)
    return number if masked == digits else masked


def _hide_field(key: str, value: object) -> object:
    if isinstance(value, dict):
        return value if key == "meta" else hide(value)
    if isinstance(value, list):
        return [_hide_field(key, item) for item in value]
    if not isinstance(value, str):
        return value
    if key in NUMBER_FIELDS:
        return hide_number(value)
    if key == "text" and value:  # of a trace the daemon itself has emptied it
        return f"({count_of(len(value), 'character')})"
    if key == "data" and value:  # in hexadecimal, of a message from a phone that is no text
        return f"({count_of(len(value) // 2, 'octet')})"
    if key == "reason":
        return _QUOTED_NUMBER.sub(lambda found: hide_number(found[0]), value)
    return _RECEIPT_TEXT.sub(r"\1", value) if key == "detail" else value
