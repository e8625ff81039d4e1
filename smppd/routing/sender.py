"""Source addresses: what an app writes as ``from`` becomes source_addr with its TON and NPI.

Three shapes only, as the socket protocol promises. Knows neither apps nor carriers: a carrier
that wants other TON/NPI values says so in its own configuration. GSM-7 is known here as one
constant, because ``text`` is a sibling room; a test holds the two against each other.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

# SMPP 3.4 s5.2.5 addr_ton and s5.2.6 addr_npi.
TON_INTERNATIONAL = 1
TON_NETWORK_SPECIFIC = 3
TON_ALPHANUMERIC = 5
NPI_UNKNOWN = 0
NPI_ISDN = 1

ALPHANUMERIC_CHARACTERS_MAX = 11
"""3GPP TS 23.040 s9.1.2.5: an address field carries 11 seven-bit characters."""

SHORT_CODE_DIGITS = range(3, 9)
INTERNATIONAL_DIGITS = range(9, 16)
"""Digits without ``+`` that are an international number; 15 is E.164's bound."""

INTERNATIONAL_DIGITS_MIN = 7
"""The shortest international numbers there are (+290, +683); below it a ``+`` is a slip."""

PRINTABLE_GSM7 = frozenset(map(chr, range(0x20, 0x7F))) - {"`"}
"""Printable ASCII that 3GPP TS 23.038 s6.2.1 can carry, its extension table included."""

_READ_CHARACTERS_MAX = 16
"""The longest sender there can be: ``+`` and 15 digits."""

_MEMO_SENDERS_MAX = 4096
"""Senders remembered: an app uses a few over and over, and one is below 300 bytes."""


class Sender(msgspec.Struct, frozen=True, gc=False):
    """A source address in the SMPP spec's terms."""

    addr_ton: int
    addr_npi: int
    addr: str


class BadSender(msgspec.Struct, frozen=True, gc=False):
    """A sender that is refused; ``reason`` says what is wrong and what to write instead."""

    reason: str


def read_sender(text: str) -> Sender | BadSender:
    """The address ``text`` stands for: alphanumeric, a short code or an international number."""
    if len(text) > _READ_CHARACTERS_MAX:
        return BadSender(
            f"{text[:_READ_CHARACTERS_MAX]!r}… is longer than any sender; write a name of at most "
            f"{ALPHANUMERIC_CHARACTERS_MAX} characters, or a number of at most 15 digits"
        )
    return _read_short(text)


@lru_cache(_MEMO_SENDERS_MAX)
def _read_short(text: str) -> Sender | BadSender:
    if text.startswith("+"):
        return _read_international(text)
    if text.isascii() and text.isdigit():
        return _read_digits(text)
    return _read_alphanumeric(text)


def _read_international(text: str) -> Sender | BadSender:
    digits = text[1:]
    if not (digits.isascii() and digits.isdigit()):
        return BadSender(f"{text!r} is not '+' and digits; write +CC… with digits only")
    if digits[0] == "0":
        return BadSender(f"{text!r} has no country code after '+'; write it as +CC…")
    if not INTERNATIONAL_DIGITS_MIN <= len(digits) < INTERNATIONAL_DIGITS.stop:
        return BadSender(
            f"{text!r} has {len(digits)} digits; write an international number of "
            f"{INTERNATIONAL_DIGITS_MIN} to 15 digits, or a short code without '+'"
        )
    return Sender(TON_INTERNATIONAL, NPI_ISDN, digits)


def _read_digits(text: str) -> Sender | BadSender:
    if len(text) in SHORT_CODE_DIGITS:
        return Sender(TON_NETWORK_SPECIFIC, NPI_UNKNOWN, text)
    if len(text) not in INTERNATIONAL_DIGITS:
        return BadSender(
            f"{text!r} has {len(text)} digits; write a short code (3 to 8 digits) "
            "or an international number (9 to 15)"
        )
    if text[0] == "0":
        return BadSender(f"{text!r} is a national number; write it as +CC…")
    return Sender(TON_INTERNATIONAL, NPI_ISDN, text)


def _read_alphanumeric(text: str) -> Sender | BadSender:
    if not text:
        return BadSender("the sender is empty; write a name, a short code or a number")
    for character in text:
        if character not in PRINTABLE_GSM7:
            return BadSender(
                f"{text!r} holds {character!r}; write a sender in printable ASCII "
                "characters that are also in GSM-7"
            )
    if len(text) > ALPHANUMERIC_CHARACTERS_MAX:
        return BadSender(
            f"{text!r} has {len(text)} characters; write at most {ALPHANUMERIC_CHARACTERS_MAX}"
        )
    if not any(character.isalpha() for character in text):
        return BadSender(
            f"{text!r} has no letter; write a name with at least one, or a number of digits only"
        )
    return Sender(TON_ALPHANUMERIC, NPI_UNKNOWN, text)
