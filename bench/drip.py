"""An app that submits so many messages a second, evenly, and notes how each of them fared.

One socket, one thread, one loop, and like ``bench.load`` not ``smppd.client``. Run by
``bench.pauses`` as ``python -m bench.drip JSON``: it says ``ready`` once it is subscribed, submits
from the first line on its stdin on and until the second, waits for the last finals, leaves a
``DripResult`` as MessagePack in a file and says ``done``. A submit that is late, because this
process was, counts from the moment it is made.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from bench.load import FINALS, IDLE_SECONDS_MAX, RECEIVE_BYTES_MAX, TAKEN_EVENTS, Line

LINE: Final = (
    b'{"type":"submit","ref":"d%08d","to":"+4917%08d","from":"ACME",'
    b'"text":"#%08d Your parcel is on its way and arrives on Monday between ten and twelve."}\n'
)

TICK_SECONDS: Final = 0.001
"""The least that select(2) can wait: at a thousand a second a message or two at a time."""

BURST_MAX: Final = 50
"""Submits of one tick: who was kept from running does not make up for it in one flood."""

_decode_lines = msgspec.json.Decoder(Line).decode_lines


class Drip(msgspec.Struct, frozen=True):
    """What to do: ``rate`` submits a second as ``app`` on ``socket``; where the result goes."""

    socket: str
    app: str
    rate: float
    result: str


class DripResult(msgspec.Struct):
    """The ledger, and by message: when it was submitted (CLOCK_MONOTONIC), and after how many
    seconds its ``accepted`` and its final event were read; -1: never."""

    submitted: int
    accepted: int
    refused: int
    delivered: int
    other_finals: int
    doubles: int
    cpu_seconds: float
    at: list[float]
    accepted_after: list[float]
    final_after: list[float]


class Client:
    """The run's state."""

    def __init__(self, connection: socket.socket, rate: float) -> None:
        self._connection = connection
        self._rate = rate
        self._output = self._partial = b""
        self._seq = self._taken = 0
        self._answered = self._open = 0
        self._refused = self._delivered = self._other_finals = self._doubles = 0
        self._at: list[float] = []
        self._accepted_after: list[float] = []
        self._final_after: list[float] = []
        self._is_stopping = False

    def run(self) -> DripResult:
        """Submits until a line comes on stdin, and returns when all is final."""
        started = last = time.perf_counter()
        poll = select.poll()
        poll.register(0, select.POLLIN)
        while not self._is_stopping or self._open:
            now = time.perf_counter()
            if not self._is_stopping:
                self._submit(int((now - started) * self._rate) + 1 - len(self._at), now)
            wanted = select.POLLIN | (select.POLLOUT if self._output else 0)
            poll.register(self._connection, wanted)
            for descriptor, ready in poll.poll(TICK_SECONDS * 1000):
                if descriptor == 0:
                    self._is_stopping = True
                    poll.unregister(0)
                elif ready & select.POLLOUT:
                    self._output = self._output[self._connection.send(self._output) :]
                elif not self._read():
                    return self._conclude()
                else:
                    last = time.perf_counter()
            if time.perf_counter() - last > IDLE_SECONDS_MAX:
                break
        return self._conclude()

    def _submit(self, count: int, now: float) -> None:
        first = len(self._at)
        for index in range(first, first + min(max(count, 0), BURST_MAX)):
            self._output += LINE % (index, index, index)
            self._at.append(now)
            self._final_after.append(-1.0)
            self._open += 1
        if self._seq - self._taken >= TAKEN_EVENTS:
            self._taken = self._seq
            self._output += b'{"type":"taken","seq":%d}\n' % self._seq

    def _read(self) -> bool:
        data = self._connection.recv(RECEIVE_BYTES_MAX)
        now = time.perf_counter()
        end = data.rfind(b"\n") + 1
        lines = _decode_lines(self._partial + data[:end]) if end else []
        self._partial = data[end:] if end else self._partial + data
        for line in lines:
            if line.type == "event":
                self._seq = line.seq
                self._settle(line, now)
            else:
                self._refused += line.type != "accepted"
                self._open -= line.type != "accepted"
                self._accepted_after.append(now - self._at[self._answered])
                self._answered += 1
        return bool(data)

    def _settle(self, event: Line, now: float) -> None:
        if event.event not in FINALS or event.ref is None:
            return
        index = int(event.ref[1:])
        if self._final_after[index] >= 0:
            self._doubles += 1
            return
        self._final_after[index] = now - self._at[index]
        self._open -= 1
        self._delivered += event.event == "delivered"
        self._other_finals += event.event != "delivered"

    def _conclude(self) -> DripResult:
        unanswered = [-1.0] * (len(self._at) - self._answered)
        return DripResult(
            submitted=len(self._at),
            accepted=self._answered - self._refused,
            refused=self._refused,
            delivered=self._delivered,
            other_finals=self._other_finals,
            doubles=self._doubles,
            cpu_seconds=time.process_time(),
            at=self._at,
            accepted_after=self._accepted_after + unanswered,
            final_after=self._final_after,
        )


def connect(drip: Drip) -> socket.socket:
    """A connection that follows the app's events."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(IDLE_SECONDS_MAX)
    connection.connect(drip.socket)
    connection.sendall(b'{"type":"hello","app":"%s"}\n{"type":"subscribe"}\n' % drip.app.encode())
    answers = b""
    while answers.count(b"\n") < 2:
        answers += connection.recv(RECEIVE_BYTES_MAX) or b"nothing\n"
    if b'"type":"subscribed"' not in answers:
        raise SystemExit(f"bench.drip: subscribe was answered {answers.decode()!r}")
    connection.setblocking(False)
    return connection


def main() -> None:
    """See the module."""
    drip = msgspec.json.decode(sys.argv[1], type=Drip)
    with connect(drip) as connection:
        client = Client(connection, drip.rate)
        print("ready", flush=True)
        os.read(0, 100)
        result = client.run()
    Path(drip.result).write_bytes(msgspec.msgpack.encode(result))
    print("done", flush=True)


if __name__ == "__main__":
    main()
