"""node-smpp's SMSC as a process."""

from __future__ import annotations

import shutil
from typing import Final, Literal

from tests.peers.ledger import Smsc
from tests.peers.needs import HERE, require
from tests.processes import Site

CODECS: Final = {"gsm7": "ASCII", "latin1": "LATIN1"}
"""Default alphabets by the names node-smpp has for them."""


class NodeSmsc(Smsc):
    """A running ``smsc.js`` on ``ports``; it ends with the site."""

    def __init__(self, site: Site, alphabet: Literal["gsm7", "latin1"], *ports: int) -> None:
        require("npm's smpp")
        name = f"node-{alphabet}"
        ledger = site.directory / f"{name}.jsonl"
        child = site.start(
            str(HERE / "smsc.js"),
            str(ledger),
            CODECS[alphabet],
            *map(str, ports),
            log=f"{name}.log",
            program=shutil.which("node") or "",
        )
        super().__init__(child, ledger)
