"""The SMSC of a run, whoever is its client: started, and its ledger read.

It is ``bench.sink``, or whatever ``--sink-command`` names; bench.throughput says what such a
command must do.
"""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path

import msgspec

from bench.processes import Child, RunFailed, free_ports, is_listening, python


class _Ledger(msgspec.Struct, frozen=True):
    """As much of its report as every SMSC has."""

    accepted: int


class Smsc:
    """A running SMSC that answers at once, with hex ids. Leaves with ``stack``."""

    def __init__(self, stack: ExitStack, directory: Path, command: str = "") -> None:
        (self.port,) = free_ports(1)
        self._report = directory / "sink.json"
        self._child = stack.enter_context(Child(self._words(command), directory / "sink.log"))
        self._child.wait_until(lambda: is_listening(self.port), "listening")

    def cpu_seconds(self) -> float:
        """Its CPU seconds so far."""
        return self._child.cpu_seconds()

    def stop(self) -> int:
        """Ends it; the submit_sm that it answered ESME_ROK. RunFailed where it does not tell."""
        self._child.stop()
        try:
            return msgspec.json.decode(self._report.read_bytes(), type=_Ledger).accepted
        except (OSError, msgspec.DecodeError) as error:
            raise RunFailed(f"the SMSC left no report with 'accepted': {error}") from error

    def _words(self, command: str) -> list[str]:
        if not command:
            return python("bench.sink", "--port", str(self.port), "--report", str(self._report))
        places = {
            "port": self.port,
            "report": self._report,
            "id_format": "hex",
            "receipt_delay": 0.0,
        }
        return [word.format(**places) for word in shlex.split(command)]
