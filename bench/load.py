"""The app of a throughput run: submits messages, counts what became of them, and costs little.

One socket, one thread, one loop. At most ``client_window`` messages are out: submitted and not
yet final at the app. So the daemon's queue stays as short as that, and time spent in it is part of
what is measured. A window of 0 has no bound: all messages are submitted at once, and wait.

It is not ``smppd.client``: what measures the daemon leans on nothing that is measured. Run by
``bench.throughput`` as ``python -m bench.load JSON``: it subscribes, says ``ready``, waits for a
line, and answers with its ``LoadResult`` as JSON.
"""

from __future__ import annotations

import gc
import select
import socket
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.submits import Encoding, is_lost, make_lines, make_text, number_of

RECEIVE_BYTES_MAX: Final = 256 * 1024
"""One read: more than a Unix socket buffers."""

LINES_MAX: Final = 500
"""Lines made at a time, so that reading never waits long: some 90 KB, half a millisecond."""

TAKEN_EVENTS: Final = 1_000
"""Events between two ``taken``: as an app does that keeps its own place once a second or so."""

IDLE_SECONDS_MAX: Final = 60.0
"""Without an octet from the daemon the run is over, and its ledger will not balance."""

FINALS: Final = frozenset(("delivered", "failed", "expired", "unconfirmed"))
"""Events after which nothing more is to come; ``sent`` is not one, as a receipt is asked for."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to submit: ``messages`` of ``segments`` each, at most ``client_window`` not final.

    With a ``rate`` they are due at even times, so many a second, whether earlier ones are final or
    not; a message that its window held up is written as soon as there is room. ``loss`` is the
    share of messages that get no receipt, by their destination; for those ``sent`` is the end.
    ``clocks`` is a file for the times of every message ("": none), see ``Clocks``. ``patience``
    is how many seconds to wait for an octet while something is owed.
    """

    socket: str
    messages: int
    client_window: int
    segments: int = 1
    encoding: Encoding = "gsm7"
    rate: float = 0.0
    loss: float = 0.0
    clocks: str = ""
    patience: float = IDLE_SECONDS_MAX


class LoadResult(msgspec.Struct, frozen=True):
    """The client's ledger, and what it measured.

    ``seconds`` run from the first octet written to the last final event. ``doubles`` are final
    events beyond one a message; ``undelivered`` are the messages without ``delivered``, by index.
    Latencies are milliseconds from the write of the submit's batch to the read of its answer or
    final event, median and 99th percentile; at a full window they are the window's length over the
    rate, and no property of the daemon. ``late_ms`` is how much later than due they were written.
    """

    accepted: int
    rejected: int
    errors: int
    sent: int
    delivered: int
    other_finals: int
    doubles: int
    seconds: float
    cpu_seconds: float
    accepted_ms: list[float]
    final_ms: list[float]
    late_ms: list[float] = []
    undelivered: list[int] = []


class Clocks:
    """When each message was written, accepted, told as sent, and final: seconds of CLOCK_MONOTONIC,
    which is one clock for all processes of a host. 0: not yet."""

    def __init__(self, messages: int) -> None:
        zeros = bytes(messages * 8)
        self.written = array("d", zeros)
        self.accepted = array("d", zeros)
        self.sent = array("d", zeros)
        self.final = array("d", zeros)

    def save(self, path: Path) -> None:
        """Writes the four, one after the other."""
        path.write_bytes(
            b"".join(
                each.tobytes() for each in (self.written, self.accepted, self.sent, self.final)
            )
        )

    @classmethod
    def load(cls, path: Path) -> Clocks:
        """What ``save`` wrote."""
        times = array("d", path.read_bytes())
        count = len(times) // 4
        clocks = cls(count)
        clocks.written, clocks.accepted, clocks.sent, clocks.final = (
            times[at * count : (at + 1) * count] for at in range(4)
        )
        return clocks


class Line(msgspec.Struct, gc=False):
    """As much of an answer or event as is counted."""

    type: str
    event: str = ""
    ref: str | None = None
    seq: int = 0


_decode_lines = msgspec.json.Decoder(Line).decode_lines


class Client:
    """The run's state: how far submits, answers and finals have come."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self.clocks = Clocks(load.messages)
        self._connection = connection
        self._load = load
        self._text = make_text(load.segments, load.encoding)
        self._output = b""
        self._partial = b""
        self._submitted = 0
        self._answered = 0
        self._finals = bytearray(load.messages)
        self._settled = 0
        self._seq = 0
        self._taken = 0
        self._counts = dict.fromkeys(("accepted", "rejected", "error", "sent", "delivered"), 0)
        self._delivered = bytearray(load.messages)
        self._start = 0.0
        self._heard = 0.0

    def run(self) -> LoadResult:
        """Submits everything and returns when all is final, or nothing comes any more."""
        cpu = time.process_time()
        self._start = self._heard = time.monotonic()
        while self._settled < self._load.messages:
            self._fill()
            wanted = [self._connection] if self._output else []
            readable, writable, _ = select.select([self._connection], wanted, [], self._timeout())
            if writable:
                self._output = self._output[self._connection.send(self._output) :]
            if readable:
                data = self._connection.recv(RECEIVE_BYTES_MAX)
                if not data:
                    break
                self._heard = time.monotonic()
                self._read(data)
            elif self._is_forgotten():
                break
        return self._conclude(self._heard - self._start, time.process_time() - cpu)

    def _fill(self) -> None:
        """Makes submits up to the window, as far as they are due, once the others are written."""
        if self._output:
            return
        first, last = self._submitted, self._last_due()
        if last > first:
            self._output = make_lines(first, last, self._text)
            self.clocks.written[first:last] = array("d", [time.monotonic()]) * (last - first)
            self._submitted = last
        if self._seq - self._taken >= TAKEN_EVENTS:
            self._taken = self._seq
            self._output += b'{"type":"taken","seq":%d}\n' % self._seq

    def _last_due(self) -> int:
        """The message before which all may be written now."""
        load = self._load
        last = min(self._window_end(), self._submitted + LINES_MAX)
        if load.rate:
            last = min(last, int((time.monotonic() - self._start) * load.rate) + 1)
        return last

    def _window_end(self) -> int:
        load = self._load
        return min(load.messages, self._settled + (load.client_window or load.messages))

    def _timeout(self) -> float:
        """Seconds until the next message is due, or until there is nothing to hope for."""
        load = self._load
        if load.rate and not self._output and self._submitted < self._window_end():
            return max(self._start + self._submitted / load.rate - time.monotonic(), 0.0)
        return load.patience

    def _is_forgotten(self) -> bool:
        """Whether something is owed, and nothing has come for too long."""
        is_owed = self._submitted > self._settled
        return is_owed and time.monotonic() - self._heard >= self._load.patience

    def _read(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        lines = _decode_lines(self._partial + data[:end]) if end else []
        self._partial = data[end:] if end else self._partial + data
        counts, now = self._counts, self._heard
        accepted, sent = self.clocks.accepted, self.clocks.sent
        loss = self._load.loss
        for line in lines:
            if line.type != "event":
                counts[line.type] += 1
                accepted[self._answered] = now
                self._answered += 1
                continue
            self._seq = line.seq
            assert line.ref is not None, "our events have our refs"
            index = int(line.ref)
            if line.event == "sent":
                counts["sent"] += 1
                sent[index] = now
                if loss and is_lost(number_of(index), loss):
                    self._settled += 1
            elif line.event in FINALS:
                self._settle(index, line.event)

    def _settle(self, index: int, event: str) -> None:
        if event == "delivered":
            self._counts["delivered"] += 1
            self._delivered[index] = 1
        self._settled += not self._finals[index]
        self._finals[index] = min(self._finals[index] + 1, 255)
        self.clocks.final[index] = self._heard

    def _conclude(self, seconds: float, cpu_seconds: float) -> LoadResult:
        counts, clocks, load = self._counts, self.clocks, self._load
        return LoadResult(
            accepted=counts["accepted"],
            rejected=counts["rejected"],
            errors=counts["error"],
            sent=counts["sent"],
            delivered=counts["delivered"],
            other_finals=sum(self._finals) - counts["delivered"],
            doubles=sum(count - 1 for count in self._finals if count > 1),
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            accepted_ms=_percentiles(differences(clocks.written, clocks.accepted)),
            final_ms=_percentiles(differences(clocks.written, clocks.final)),
            late_ms=_percentiles(self._lateness()) if load.rate else [],
            undelivered=[index for index, told in enumerate(self._delivered) if not told],
        )

    def _lateness(self) -> list[float]:
        rate, start = self._load.rate, self._start
        written = self.clocks.written[: self._submitted]
        return [time - (start + index / rate) for index, time in enumerate(written)]


def differences(starts: Sequence[float], ends: Sequence[float]) -> list[float]:
    """From each start to its end, of those that have both; in the order of the messages."""
    return [end - start for start, end in zip(starts, ends, strict=True) if start and end]


def _percentiles(seconds: list[float]) -> list[float]:
    """The 50th and 99th, in milliseconds; nothing of nothing."""
    ordered = sorted(seconds)
    return [round(ordered[len(ordered) * part // 100] * 1000, 2) for part in (50, 99) if ordered]


def connect(load: Load) -> socket.socket:
    """A subscribed connection."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(IDLE_SECONDS_MAX)
    connection.connect(load.socket)
    connection.sendall(b'{"type":"subscribe"}\n')
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.recv(RECEIVE_BYTES_MAX) or b"nothing\n"
    if not answer.startswith(b'{"type":"subscribed"'):
        raise SystemExit(f"bench.load: subscribe was answered {answer.decode()!r}")
    connection.setblocking(False)
    return connection


def main() -> None:
    """Between ``ready`` and the line that follows it, the runner reads the others' clocks."""
    gc.disable()  # nothing here refers in circles
    load = msgspec.json.decode(sys.argv[1], type=Load)
    with connect(load) as connection:
        client = Client(connection, load)
        print("ready", flush=True)
        sys.stdin.readline()
        result = client.run()
    if load.clocks:
        client.clocks.save(Path(load.clocks))
    print(msgspec.json.encode(result).decode(), flush=True)


if __name__ == "__main__":
    main()
