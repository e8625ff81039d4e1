"""Whose a message from a phone is, by ``[[inbound]]`` rules: the first that fits has it.

Numbers are compared however they are written: with ``+``, with 00 or bare. What becomes of a
message that no rule fits, and whether an app is told at all, is the store's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

_AROUND_WORDS: Final = " \t\r\n.,;:!?\"'()[]<>«»„“”‘’¡¿…-*"
"""What a keyword may be wrapped in: people write "Stop." for STOP."""


class InboundRule(msgspec.Struct, frozen=True, gc=False):
    """``[[inbound]]``: a condition that is empty always fits.

    ``destination`` is our number or short code, ``keyword`` the first word (compared without
    case), ``prefix`` the first digits of the phone's number, ``carrier`` who brought it.
    """

    apps: tuple[str, ...]
    destination: str = ""
    keyword: str = ""
    prefix: str = ""
    carrier: str = ""

    def covers(self, other: InboundRule) -> bool:
        """Whether it fits wherever ``other`` does, which is never reached behind it."""
        return (
            self.destination in ("", other.destination)
            and self.keyword in ("", other.keyword)
            and self.carrier in ("", other.carrier)
            and other.prefix.startswith(self.prefix)
        )


def find_rule(
    rules: Sequence[InboundRule], carrier: str, source: str, destination: str, text: str
) -> InboundRule | None:
    """The first rule that fits a message; ``text`` is empty where it has none."""
    if not rules:
        return None
    source, destination = bare(source), bare(destination)
    word = first_word(text)
    for rule in rules:
        if (
            rule.carrier in ("", carrier)
            and rule.destination in ("", destination)
            and rule.keyword in ("", word)
            and source.startswith(rule.prefix)
        ):
            return rule
    return None


def first_word(text: str) -> str:
    """The first word of a message as a keyword is compared, without what it is wrapped in; empty
    where there is none.

    >>> first_word(" Stop. now"), first_word("...")
    ('stop', '')
    """
    words = text.lstrip(_AROUND_WORDS).split(None, 1)
    return words[0].rstrip(_AROUND_WORDS).casefold() if words else ""


def bare(address: str) -> str:
    """A number as it is compared; names and short codes stay as they are.

    >>> bare("+4917"), bare("004917"), bare("ACME")
    ('4917', '4917', 'ACME')
    """
    digits = address.removeprefix("+")
    return digits.removeprefix("00") if digits.isdigit() else digits
