"""The SMSC of node-smpp as a process, and what it has written down."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import pytest

from tests.processes import Child, Site

HERE: Final = Path(__file__).parent
PACKAGE: Final = HERE / "node_modules" / "smpp"
CODECS: Final = {"gsm7": "ASCII", "latin1": "LATIN1"}
"""Default alphabets by the names node-smpp has for them."""

SECONDS_MAX: Final = 20.0
"""Until something is in the ledger: a moment, on cores that have other work."""


class Row(msgspec.Struct, forbid_unknown_fields=False):
    """A line of the ledger; ``row`` says which of the fields have a meaning.

    ``text`` is what the peer read, ``hex:...`` where it knows no alphabet for it. ``status`` is -1
    for a submit that is never answered. ``joint`` holds reference, total and number, by each way
    they were told; ``header`` the header's elements in hexadecimal.
    """

    row: Literal["bind", "submit", "message", "receipt_answer"]
    port: int = 0
    kind: str = ""
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


class NodeSmsc:
    """A running ``smsc.js`` on ``ports``; it ends with the site."""

    def __init__(self, site: Site, alphabet: Literal["gsm7", "latin1"], *ports: int) -> None:
        name = f"node-{alphabet}"
        self.ledger = site.directory / f"{name}.jsonl"
        self.child: Child = site.start(
            str(HERE / "smsc.js"),
            str(self.ledger),
            CODECS[alphabet],
            *map(str, ports),
            log=f"{name}.log",
            program=require_node(),
        )
        self.child.wait_for_output("ready")

    def rows(self, row: str, destination: str = "") -> list[Row]:
        """What it has written of one kind, to one destination where that is given."""
        whole = self.ledger.read_bytes() if self.ledger.exists() else b""
        lines = whole[: whole.rfind(b"\n") + 1].splitlines()
        rows = [msgspec.json.decode(line, type=Row) for line in lines]
        return [r for r in rows if r.row == row and destination in ("", r.destination)]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Returns once ``condition`` holds."""
        self.child.wait_until(condition, what, SECONDS_MAX)


def require_node() -> str:
    """The path of node. Skips the test where node or its packages are missing; fails it in CI."""
    missing = find_missing()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return shutil.which("node") or ""


def find_missing() -> str:
    """What these tests lack on this machine, and the remedy; empty where they can run."""
    if shutil.which("node") is None:
        return "there is no node here: install nodejs and npm, then run make test"
    if not PACKAGE.is_dir():
        return "npm's smpp is not installed: run make test, which does that where there is npm"
    return ""


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
