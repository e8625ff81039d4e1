"""An app of a real daemon, as the tests of the peers need one."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from typing import Final

import msgspec

from tests.peers.ledger import SECONDS_MAX
from tests.processes import Table

FINAL_EVENTS: Final = ("delivered", "failed", "expired", "cancelled")


class App:
    """An app on the daemon's socket that has read all of its events."""

    def __init__(self, path: Path) -> None:
        self.events: list[dict[str, object]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(SECONDS_MAX)
        self._socket.connect(str(path))
        self._octets = b""
        self._numbers = itertools.count(1)
        self._write([{"type": "subscribe"}])
        self._read_answer()

    def close(self) -> None:
        self._socket.close()

    def submit(self, to: str, content: str | Table) -> str:
        """The ref of a text, or of what these fields say, once it is accepted."""
        line = self._submit_of(to, content)
        self._write([line])
        self._read_accepted()
        return str(line["ref"])

    def submit_together(self, numbers: list[str], content: str | Table) -> list[str]:
        """The refs of the same content to each of them, in one write."""
        lines = [self._submit_of(number, content) for number in numbers]
        self._write(lines)
        for _ in lines:
            self._read_accepted()
        return [str(line["ref"]) for line in lines]

    def wait_for(self, ref: str, *names: str) -> dict[str, object]:
        """The first event of these names for ``ref``."""
        while True:
            for event in self.events:
                if event.get("ref") == ref and event["event"] in names:
                    return event
            self._read()

    def wait_for_inbound(self, number: str) -> dict[str, object]:
        """The first message that the phone ``number`` has sent."""
        while True:
            for event in self.events:
                if event["event"] == "inbound" and event["from"] == number:
                    return event
            self._read()

    def story(self, ref: str) -> list[object]:
        """The events of ``ref`` so far, by name."""
        return [event["event"] for event in self.events if event.get("ref") == ref]

    def _submit_of(self, to: str, content: str | Table) -> dict[str, object]:
        fields = {"text": content} if isinstance(content, str) else content
        ref = f"m-{next(self._numbers)}"
        return {"type": "submit", "ref": ref, "to": f"+{to}", "from": "ACME", **fields}

    def _write(self, lines: list[dict[str, object]]) -> None:
        self._socket.sendall(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def _read_accepted(self) -> None:
        answer = self._read_answer()
        assert answer["type"] == "accepted", answer

    def _read_answer(self) -> dict[str, object]:
        while (answer := self._read()) is None:
            pass
        return answer

    def _read(self) -> dict[str, object] | None:
        while b"\n" not in self._octets:
            octets = self._socket.recv(65536)
            assert octets, "the daemon closed the connection"
            self._octets += octets
        line, _, self._octets = self._octets.partition(b"\n")
        row = msgspec.json.decode(line, type=dict[str, object])
        if row["type"] != "event":
            return row
        self.events.append(row)
        return None
