"""What a carrier's receipts have shown of it, and the key of its file that fits: for the log.

Counted where something went another way than the plain one, which costs the plain one nothing.
A hint is due once it has been seen often enough to be no accident, and again only when it was seen
ten times as often. Pure: whoever asks tells the operator.
"""

from __future__ import annotations

from typing import Final

import msgspec

AGAIN: Final = 10
"""Times as often as when it was told last, before a hint is told again."""

EXAMPLE_CHARACTERS_MAX: Final = 64
"""Of an id or a word that a hint quotes: an id has no more (SMPP 3.4 s4.4.2)."""


class HintKind(msgspec.Struct, frozen=True):
    """``often``: how many make a hint; ``remedy`` is what to write in the carrier's file."""

    often: int
    remedy: str


KINDS: Final[dict[str, HintKind]] = {
    "ids_hex_to_dec": HintKind(10, 'message_id = "hex_to_dec"'),
    "ids_dec_to_hex": HintKind(10, 'message_id = "dec_to_hex"'),
    "ids_respelt": HintKind(10, 'message_id = "auto", as it is: zeros or case of its ids change'),
    "id_constant": HintKind(1, 'match_receipts = "address": its message_id names no message'),
    "ids_missing": HintKind(10, 'match_receipts = "address": its answers have no message_id'),
    "receipts_unmarked": HintKind(10, "unmarked_receipts = true"),
    "receipt_per_message": HintKind(
        10, 'receipt_covers = "message", or receipts = "last": segments are left without a receipt'
    ),
    "stat_unknown": HintKind(10, "none: please report the word; its receipts decide nothing"),
}


class Hint(msgspec.Struct, frozen=True):
    """``what`` (of KINDS) was seen of a carrier ``count`` times since start; ``example`` is the
    last one."""

    carrier: str
    what: str
    count: int
    example: str
    remedy: str


class _Seen(msgspec.Struct):
    """How often, with what at last, and how often when it was told last."""

    count: int = 0
    example: str = ""
    told: int = 0


class Hints:
    """Of all carriers, since start; in number bounded by KINDS and the carriers configured."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, _Seen]] = {}

    def note(self, carrier: str, what: str, example: str = "") -> None:
        """It was seen once more."""
        seen = self._seen.setdefault(carrier, {}).setdefault(what, _Seen())
        seen.count += 1
        seen.example = example[:EXAMPLE_CHARACTERS_MAX]

    def standing(self) -> list[Hint]:
        """All that have been told."""
        return [
            Hint(carrier, what, seen.count, seen.example, KINDS[what].remedy)
            for carrier, kinds in self._seen.items()
            for what, seen in kinds.items()
            if seen.told
        ]

    def take_due(self) -> list[Hint]:
        """Those to be told now, which are then not due for a while."""
        due = []
        for carrier, kinds in self._seen.items():
            for what, seen in kinds.items():
                kind = KINDS[what]
                if seen.count >= max(kind.often, seen.told * AGAIN):
                    seen.told = seen.count
                    due.append(Hint(carrier, what, seen.count, seen.example, kind.remedy))
        return due
