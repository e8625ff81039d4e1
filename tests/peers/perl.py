"""Net::SMPP's SMSC as a process."""

from __future__ import annotations

import shutil

from tests.peers.ledger import Smsc
from tests.peers.needs import HERE, require
from tests.processes import Site


class PerlSmsc(Smsc):
    """A running ``smsc.pl`` that listens on ``ports`` and calls ``outbinds``."""

    def __init__(self, site: Site, ports: list[int], outbinds: list[int]) -> None:
        require("Net::SMPP")
        ledger = site.directory / "perl.jsonl"
        child = site.start(
            str(HERE / "smsc.pl"),
            str(ledger),
            *map(str, ports),
            *(f"outbind:{port}" for port in outbinds),
            log="perl.log",
            program=shutil.which("perl") or "",
        )
        super().__init__(child, ledger)
