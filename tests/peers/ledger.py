"""An SMSC of another house as a process, and what it has written down.

Every peer that can be an SMSC writes the same ledger: one JSON object a line, fields by their names
in SMPP, read by that peer's own code.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from tests.processes import Child

SECONDS_MAX: Final = 20.0
"""Until something is in the ledger: a moment, on cores that have other work."""


class Row(msgspec.Struct, forbid_unknown_fields=False):
    """A line of the ledger; ``row`` says which of the fields have a meaning.

    ``text`` is what the peer read, ``hex:...`` where it knows no alphabet for it. ``status`` is -1
    for a submit that is never answered. ``joint`` holds reference, total and number, by each way
    they were told; ``header`` the header's elements in hexadecimal; ``tags`` those of the TLVs,
    where a peer says them.
    """

    row: Literal["bind", "submit", "message", "receipt_answer", "unbind", "alive", "asked"]
    port: int = 0
    kind: str = ""
    system_id: str = ""
    version: int = 0
    source: str = ""
    destination: str = ""
    command: str = ""
    status: int = 0
    message_id: str = ""
    text: str = ""
    header: str = ""
    joint: list[tuple[int, int, int]] = []
    parts: int = 0
    payload: bool = False
    data_coding: int = 0
    esm_class: int = 0
    registered_delivery: int = 0
    time_to_live: int | None = None
    vendor: str | None = None
    tags: list[int] = []


class Smsc:
    """A running peer: its process, and the file it writes its ledger to."""

    def __init__(self, child: Child, ledger: Path) -> None:
        self.child, self.ledger = child, ledger
        child.wait_for_output("ready")

    def rows(self, row: str, destination: str = "") -> list[Row]:
        """What it has written of one kind, to one destination where that is given."""
        whole = self.ledger.read_bytes() if self.ledger.exists() else b""
        lines = whole[: whole.rfind(b"\n") + 1].splitlines()
        rows = [msgspec.json.decode(line, type=Row) for line in lines]
        return [r for r in rows if r.row == row and destination in ("", r.destination)]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Returns once ``condition`` holds."""
        self.child.wait_until(condition, what, SECONDS_MAX)


def read_pdus(octets: bytes) -> list[tuple[int, int]]:
    """command_id and command_status of the whole PDUs at the start of ``octets``."""
    headers = []
    while len(octets) >= 16:
        length, command_id, status, _ = struct.unpack_from(">IIII", octets)
        if len(octets) < length:
            break
        headers.append((command_id, status))
        octets = octets[length:]
    return headers
