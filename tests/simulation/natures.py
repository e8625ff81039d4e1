"""What a carrier is like for good: how it spells ids, marks receipts, takes long messages; and the
configuration that fits. Drawn once a world, as an operator has found out and written it down."""

from __future__ import annotations

import random
from typing import Any, Final, TypeAlias

import msgspec

Table: TypeAlias = dict[str, Any]

TAKEN_STATUS: Final = 0x407
"""An error code that means "taken" to these carriers."""

STATUSES: Final[Table] = {
    "0x401": {"verdict": "retry"},
    "0x402": {"verdict": "slow"},
    "0x403": {"verdict": "refuse", "meaning": "barred"},
    "0x404": {"verdict": "other_carrier"},
    "0x405": {"verdict": "rebind"},
    "0x406": {"verdict": "pause", "pause": 5.0},
    "0x407": {"verdict": "taken"},
}
"""``[status]`` of every carrier."""

TOUCHY: Final[Table] = {"share": 0.3, "minimum": 3, "window": 20.0, "cool_down": 5.0}
"""A breaker that opens whenever it can; the others have the usual one."""

PASSING: Final = frozenset({0x08, 0x14, 0x58, 0x401, 0x402, 0x405, 0x406, TAKEN_STATUS})
"""Refusals no message may fail for."""


class Nature(msgspec.Struct, frozen=True):
    """``config``: keys of the carrier's file; ``behaviour``: what the simulator is to do always.

    ``ids`` of responses: its own, or ``constant``; of receipts ``unrelated`` to them. Receipts are
    ``unmarked`` by their esm_class, or one ``covers`` all segments.
    """

    config: Table = {}
    behaviour: dict[str, object] = {}
    ids: str = "own"
    unmarked: bool = False
    covers: bool = False

    @property
    def is_old(self) -> bool:
        """It speaks SMPP 3.3."""
        return self.config.get("interface_version") == "3.3"

    @property
    def packed(self) -> bool:
        """What data_coding 0 means is packed."""
        return bool(self.config.get("packed"))


def draw_nature(chance: random.Random) -> Nature:
    """Half of them are as most are."""
    config: Table = {"status": STATUSES}
    if chance.random() < 0.6:
        config["breaker"] = TOUCHY
    behaviour: dict[str, object] = {}
    kind = chance.choice(["plain", "plain", "plain", "old", "constant", "unrelated", "message"])
    is_old = kind == "old"
    ids = kind if kind in ("constant", "unrelated") else "own"
    unmarked = chance.random() < 0.15
    if is_old:
        config |= {"interface_version": "3.3", "bind": "pair", "long_message": "udh16"}
    elif chance.random() < 0.2:
        config["submit_command"] = "data_sm"
    if not is_old and chance.random() < 0.4:
        config["long_message"] = chance.choice(["udh16", "sar"])
    if not is_old and chance.random() < 0.2:
        behaviour["deliver_command"] = "data_sm"
    if not is_old and ids == "own" and not unmarked:
        behaviour["receipt"] = chance.choice(["text", "text", "text+tlv", "tlv", "payload"])
    if ids != "own":
        config["match_receipts"] = "address"
    else:
        behaviour["id_format"] = chance.choice(["hex", "hex", "dec", "uuid"])
    if behaviour.get("id_format") == "hex" and chance.random() < 0.3:
        behaviour["receipt_id_format"] = "dec"
        config["message_id"] = chance.choice(["auto", "hex_to_dec"])
    if kind == "message":
        config["receipt_covers"] = "message"
    if unmarked:
        config["unmarked_receipts"] = True
    _draw_alphabet(chance, config, behaviour)
    return Nature(config, behaviour, ids, unmarked, kind == "message")


def _draw_alphabet(chance: random.Random, config: Table, behaviour: dict[str, object]) -> None:
    lot = chance.random()
    if lot < 0.1:
        config["default_alphabet"] = behaviour["default_alphabet"] = "latin1"
    elif lot < 0.5:
        config["national_languages"] = ["tr", "es", "pt"]
        config["packed"] = chance.random() < 0.3
