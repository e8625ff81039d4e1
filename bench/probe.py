"""An app that submits one message at a time and waits for its answer: what it waits is the loop.

Beside a load it shows the pauses of the daemon; by itself some 500 a second, each with a commit.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Final

import msgspec

from bench.processes import RunFailed
from bench.stand import Stand
from bench.submits import number_of

RECEIVE_BYTES_MAX: Final = 256 * 1024

PART_MESSAGES: Final = 500
"""At once: neither their lines nor their events fill a socket."""


class _Line(msgspec.Struct, gc=False):
    type: str
    event: str = ""
    seq: int = 0


_decode_lines = msgspec.json.Decoder(_Line).decode_lines


class Probe:
    """Refs are ``NAME-number``; ``count`` is how many were submitted and accepted."""

    def __init__(self, stand: Stand, name: str) -> None:
        self.count = 0
        self._name = name
        self._partial = b""
        self._accepted = self._delivered = self._seq = 0
        self._connection = stand.connect()
        self._connection.sendall(b'{"type":"subscribe"}\n')

    def submit(self, count: int) -> None:
        """``count`` messages; returns when all are delivered, and their events taken."""
        for _ in range(0, count, PART_MESSAGES):
            part = min(PART_MESSAGES, count)
            count -= part
            lines = b"".join(self._make_line(self.count + index) for index in range(part))
            self.count += part
            self._connection.sendall(lines)
            self.finish()

    def finish(self) -> None:
        """Returns when every message is delivered; takes their events."""
        while self._delivered < self.count or self._accepted < self.count:
            self._read()
        self._connection.sendall(b'{"type":"taken","seq":%d}\n' % self._seq)

    def time_while(self, goes_on: Callable[[], bool]) -> list[float]:
        """Submits one after the other; the seconds from each to its ``accepted``."""
        times = []
        while goes_on():
            line = self._make_line(self.count)
            self.count += 1
            started = time.perf_counter()
            self._connection.sendall(line)
            while self._accepted < self.count:
                self._read()
            times.append(time.perf_counter() - started)
        return times

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _make_line(self, number: int) -> bytes:
        to = number_of(number)
        return (
            f'{{"type":"submit","ref":"{self._name}-{number}","to":"+{to}","from":"ACME",'
            f'"text":"#{number:08d} Your parcel is on its way and arrives on Monday."}}\n'
        ).encode()

    def _read(self) -> None:
        data = self._connection.recv(RECEIVE_BYTES_MAX)
        if not data:
            raise RunFailed("the daemon closed a probe's connection")
        end = data.rfind(b"\n") + 1
        lines = _decode_lines(self._partial + data[:end]) if end else []
        self._partial = data[end:] if end else self._partial + data
        for line in lines:
            if line.type == "accepted":
                self._accepted += 1
            elif line.type == "event":
                self._seq = line.seq
                self._delivered += line.event == "delivered"
            elif line.type in ("rejected", "error"):
                raise RunFailed(f"a probe was answered {line}")


class Asked:
    """A question to the daemon, and whether its answer has come."""

    def __init__(self, stand: Stand, line: bytes) -> None:
        self.answer = b""
        self._connection: socket.socket = stand.connect()
        self._started = time.perf_counter()
        self.seconds = 0.0
        self._connection.sendall(line)

    def is_open(self) -> bool:
        """Whether it has not been answered yet; waits for nothing."""
        while select.select([self._connection], [], [], 0)[0]:
            data = self._connection.recv(RECEIVE_BYTES_MAX)
            self.answer += data
            if not data or self.answer.endswith(b"\n"):
                self.seconds = time.perf_counter() - self._started
                self._connection.close()
                return False
        return True
