"""One app of a fairness run: streams of submits over one connection, and when each was sent.

One socket, one thread, one loop, and like ``bench.load`` not ``smppd.client``. Run by
``bench.fairness`` as ``python -m bench.fair_app SOCKET APP``. It says hello, subscribes, says
``ready``, and then takes orders, a JSON line each: the streams it submits from now on. It answers
``done`` once every submit of the streams that have a count was answered, and the last order with
its ledger, a line of JSON.

A stream with a rate submits at times drawn by a seed as if people caused them (exponential
distances): what comes at even distances can fall in step with a carrier's pace, and then sees
never or always that it must wait.
"""

from __future__ import annotations

import random
import select
import socket
import sys
import time
from typing import Final

import msgspec

from bench.load import FINALS, IDLE_SECONDS_MAX, LINES_MAX, RECEIVE_BYTES_MAX, TAKEN_EVENTS
from bench.submits import make_text

SLICE_SECONDS: Final = 0.1
"""Counts are kept by slices of time: two of the longest tick a paced carrier is served by, and
one message of a carrier of ten a second."""

KINDS: Final = ("sent", *sorted(FINALS))
"""Events that are asked for: not ``held``, of which a paused carrier makes a million."""

DUE_MAX: Final = LINES_MAX
"""Submits of one stream written at a time, however late the loop is."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one class, each to a number of its own that begins with ``+4917`` and the two
    ``digits``: ``rate`` a second until another order, or, where that is 0, ``count`` of them as
    fast as they are taken; a million at most."""

    name: str
    message_class: str
    digits: str
    rate: float = 0.0
    count: int = 0


class Order(msgspec.Struct, frozen=True):
    """What is submitted from now on, and nothing else; the last one has the ledger written."""

    streams: list[Stream] = []
    is_last: bool = False


class Sample(msgspec.Struct, array_like=True, gc=False):
    """One message: when it was submitted (monotonic seconds), and after how many milliseconds its
    ``accepted`` and its ``sent`` were read."""

    at: float
    accepted_ms: float
    sent_ms: float


class StreamResult(msgspec.Struct):
    """A stream's ledger: counts, counts by slice of SLICE_SECONDS (monotonic), and of a stream
    with a rate every message's times. ``doubles`` are ``sent`` beyond one a message."""

    name: str
    submitted: int = 0
    accepted: int = 0
    rejected: int = 0
    sent: int = 0
    finals: int = 0
    undelivered: int = 0
    doubles: int = 0
    submitted_slices: dict[int, int] = {}
    sent_slices: dict[int, int] = {}
    samples: list[Sample] = []


class AppResult(msgspec.Struct, frozen=True):
    """Of one app, by order of its streams' first mention; CPU seconds of the whole process."""

    app: str
    streams: list[StreamResult]
    cpu_seconds: float


class Line(msgspec.Struct, gc=False):
    """As much of an answer or event as is counted."""

    type: str
    event: str = ""
    ref: str | None = None
    seq: int = 0


_decode_lines = msgspec.json.Decoder(Line).decode_lines


class Source:
    """One stream's submits: those to be made, and what became of those made."""

    def __init__(self, name: str, number: int) -> None:
        self.result = StreamResult(name)
        self.next_at = 0.0
        self._number = number
        self._chance = random.Random(number)
        self._stream: Stream | None = None
        self._left = 0
        self._started: dict[int, float] = {}
        self._accepted: dict[int, float] = {}
        self._sent = bytearray()

    def set_stream(self, stream: Stream | None, now: float) -> None:
        """What is submitted from now on; None: nothing."""
        self._stream = stream
        self._left = stream.count if stream is not None else 0
        self.next_at = now + self._draw(stream.rate) if stream is not None and stream.rate else 0.0

    def is_answered(self) -> bool:
        """Whether all that was to be submitted at once has its answer."""
        result = self.result
        return not self._left and (
            self.next_at > 0 or result.accepted + result.rejected == result.submitted
        )

    def make_lines(self, now: float, text: str) -> bytes:
        """The submits that are due."""
        stream = self._stream
        if stream is None:
            return b""
        first = self.result.submitted
        count = self._count_due(stream, now)
        if not count:
            return b""
        if stream.rate:
            self._started |= dict.fromkeys(range(first, first + count), now)
        self.result.submitted += count
        _count(self.result.submitted_slices, now, count)
        self._sent += bytes(count)
        template = (
            f'{{"type":"submit","ref":"{self._number}-%d","to":"+4917{stream.digits}%06d",'
            f'"from":"ACME","class":"{stream.message_class}","text":"#%08d {text}"}}\n'
        )
        lines = [template % (index, index, index) for index in range(first, first + count)]
        return "".join(lines).encode("ascii")

    def _count_due(self, stream: Stream, now: float) -> int:
        if not stream.rate:
            count = min(self._left, LINES_MAX)
            self._left -= count
            return count
        count = 0
        while self.next_at <= now and count < DUE_MAX:
            count += 1
            self.next_at += self._draw(stream.rate)
        return count

    def _draw(self, rate: float) -> float:
        return self._chance.expovariate(rate)

    def take_answer(self, index: int, is_accepted: bool, now: float) -> None:
        """``accepted`` or ``rejected`` was read."""
        self.result.accepted += is_accepted
        self.result.rejected += not is_accepted
        started = self._started.get(index)
        if started is not None:
            self._accepted[index] = now - started

    def take_event(self, index: int, event: str, now: float) -> None:
        """One of KINDS was read."""
        result = self.result
        if event != "sent":
            result.finals += 1
            result.undelivered += event != "delivered"
            return
        result.doubles += self._sent[index]
        result.sent += not self._sent[index]
        self._sent[index] = 1
        _count(result.sent_slices, now, 1)
        started = self._started.pop(index, None)
        if started is not None:
            accepted = self._accepted.pop(index)
            result.samples.append(Sample(started, accepted * 1000, (now - started) * 1000))


def _count(slices: dict[int, int], now: float, count: int) -> None:
    key = int(now / SLICE_SECONDS)
    slices[key] = slices.get(key, 0) + count


class FairApp:
    """The connection, its sources, and the orders."""

    def __init__(self, connection: socket.socket, app: str) -> None:
        self._connection = connection
        self._app = app
        self._sources: dict[str, Source] = {}
        self._by_number: list[Source] = []
        self._text = make_text(1)
        self._output = b""
        self._partial = b""
        self._seq = 0
        self._taken = 0
        self._is_owing = False
        self._is_over = False

    def run(self) -> AppResult:
        """Does as it is told until it is told to end."""
        poll = select.poll()
        poll.register(sys.stdin, select.POLLIN)
        while not self._is_over:
            self._fill()
            poll.register(self._connection, select.POLLIN | (select.POLLOUT if self._output else 0))
            for descriptor, what in poll.poll(self._milliseconds_left()):
                if descriptor == sys.stdin.fileno():
                    self._take_order(msgspec.json.decode(sys.stdin.readline(), type=Order))
                    continue
                if what & select.POLLOUT:
                    self._output = self._output[self._connection.send(self._output) :]
                if what & ~select.POLLOUT:
                    self._read(self._connection.recv(RECEIVE_BYTES_MAX))
            self._tell_answered()
        results = [source.result for source in self._by_number]
        return AppResult(self._app, results, round(time.process_time(), 2))

    def _take_order(self, order: Order) -> None:
        now = time.monotonic()
        self._is_over = order.is_last
        self._is_owing = not self._is_over
        for source in self._by_number:
            source.set_stream(None, now)
        for stream in order.streams:
            if stream.name not in self._sources:
                source = Source(stream.name, len(self._by_number))
                self._sources[stream.name] = source
                self._by_number.append(source)
            self._sources[stream.name].set_stream(stream, now)

    def _fill(self) -> None:
        """Makes what is due, once what was made before is written."""
        if self._output:
            return
        now = time.monotonic()
        for source in self._by_number:
            self._output += source.make_lines(now, self._text)
        if self._seq - self._taken >= TAKEN_EVENTS:
            self._taken = self._seq
            self._output += b'{"type":"taken","seq":%d}\n' % self._seq

    def _milliseconds_left(self) -> float | None:
        times = [source.next_at for source in self._by_number if source.next_at]
        return max((min(times) - time.monotonic()) * 1000, 0) if times else None

    def _tell_answered(self) -> None:
        if self._is_owing and all(source.is_answered() for source in self._by_number):
            self._is_owing = False
            print("done", flush=True)

    def _read(self, data: bytes) -> None:
        if not data:
            raise SystemExit("bench.fair_app: the daemon closed the connection")
        now = time.monotonic()
        end = data.rfind(b"\n") + 1
        lines = _decode_lines(self._partial + data[:end]) if end else []
        self._partial = data[end:] if end else self._partial + data
        for line in lines:
            if line.ref is None:
                raise SystemExit(f"bench.fair_app: the daemon said {line!r}")
            number, _, index = line.ref.partition("-")
            source = self._by_number[int(number)]
            if line.type == "event":
                self._seq = line.seq
                source.take_event(int(index), line.event, now)
            else:
                source.take_answer(int(index), line.type == "accepted", now)


def connect(path: str, app: str) -> socket.socket:
    """A connection that speaks for ``app`` and is subscribed to KINDS."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(IDLE_SECONDS_MAX)
    connection.connect(path)
    hello = {"type": "hello", "app": app}
    subscribe = {"type": "subscribe", "kinds": KINDS}
    connection.sendall(msgspec.json.Encoder().encode_lines([hello, subscribe]))
    answer = b""
    while answer.count(b"\n") < 2:
        answer += connection.recv(RECEIVE_BYTES_MAX) or b"nothing\nmore\n"
    if b'"subscribed"' not in answer:
        raise SystemExit(f"bench.fair_app: hello and subscribe were answered {answer.decode()!r}")
    connection.setblocking(False)
    return connection


def main() -> None:
    """Ready, orders, ledger."""
    with connect(sys.argv[1], sys.argv[2]) as connection:
        app = FairApp(connection, sys.argv[2])
        print("ready", flush=True)
        print(msgspec.json.encode(app.run()).decode(), flush=True)


if __name__ == "__main__":
    main()
