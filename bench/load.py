"""The app of a throughput run: submits messages, counts what became of them, and costs little.

One socket, one thread, one loop. At most ``client_window`` messages are out: submitted and not
yet final at the app. So the daemon's queue stays as short as that, and time spent in it is part of
what is measured. A window of 0 has no bound: all messages are submitted at once, and wait.

It is not ``smppd.client``: what measures the daemon leans on nothing that is measured. Run by
``bench.throughput`` as ``python -m bench.load JSON``: it subscribes, says ``ready``, waits for a
line, and answers with its ``LoadResult`` as JSON.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from typing import Final

import msgspec

RECEIVE_BYTES_MAX: Final = 256 * 1024
"""One read: more than a Unix socket buffers."""

LINES_MAX: Final = 500
"""Lines made at a time, so that reading never waits long: some 90 KB, half a millisecond."""

TAKEN_EVENTS: Final = 1_000
"""Events between two ``taken``: as an app does that keeps its own place once a second or so."""

IDLE_SECONDS_MAX: Final = 60.0
"""Without an octet from the daemon the run is over, and its ledger will not balance."""

TEXT_CHARACTERS: Final = 90
"""Of a single segment, and of the last one of several."""

SEGMENT_CHARACTERS: Final = 153
"""GSM-7 characters in each of several segments (3GPP TS 23.040 s9.2.3.24.1)."""

NUMBERS: Final = 100_000_000
"""Destinations there are: +4917 and eight digits, each a valid number."""

NUMBER_STRIDE: Final = 6_700_417
"""Coprime to NUMBERS, so that all destinations differ and neighbours are far apart."""

FINALS: Final = frozenset(("delivered", "failed", "expired", "unconfirmed"))
"""Events after which nothing more is to come; ``sent`` is not one, as a receipt is asked for."""

_WORDS: Final = "Your parcel is on its way and arrives on Monday between ten and twelve. "


class Load(msgspec.Struct, frozen=True):
    """What to submit: ``messages`` of ``segments`` each, at most ``client_window`` not final."""

    socket: str
    messages: int
    client_window: int
    segments: int = 1


class LoadResult(msgspec.Struct, frozen=True):
    """The client's ledger, and what it measured.

    ``seconds`` run from the first octet written to the last final event. ``doubles`` are final
    events beyond one a message. Latencies are milliseconds from the write of the submit's batch to
    the read of its answer or final event, median and 99th percentile; at a full window they are
    the window's length over the rate, and no property of the daemon.
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


class Line(msgspec.Struct, gc=False):
    """As much of an answer or event as is counted."""

    type: str
    event: str = ""
    ref: str | None = None
    seq: int = 0


_decode_lines = msgspec.json.Decoder(Line).decode_lines


def make_lines(first: int, last: int, text: str) -> bytes:
    """The submits ``first`` to ``last`` - 1: every ref, destination and text is another one."""
    template = (
        f'{{"type":"submit","ref":"%08d","to":"+4917%08d","from":"ACME","text":"#%08d {text}"}}\n'
    )
    return "".join(
        [template % (index, index * NUMBER_STRIDE % NUMBERS, index) for index in range(first, last)]
    ).encode("ascii")


def make_text(segments: int) -> str:
    """What follows the number in each text, so that it needs ``segments`` segments of GSM-7."""
    length = SEGMENT_CHARACTERS * (segments - 1) + TEXT_CHARACTERS - len("#00000000 ")
    return (_WORDS * (length // len(_WORDS) + 1))[:length]


class Client:
    """The run's state: how far submits, answers and finals have come."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self._connection = connection
        self._load = load
        self._text = make_text(load.segments)
        self._output = b""
        self._partial = b""
        self._submitted = 0
        self._answered = 0
        self._finals = bytearray(load.messages)
        self._settled = 0
        self._seq = 0
        self._taken = 0
        self._counts = dict.fromkeys(("accepted", "rejected", "error", "sent", "delivered"), 0)
        self._other_finals = 0
        self._started = [0.0] * load.messages
        self._accepted_after: list[float] = []
        self._final_after: list[float] = []

    def run(self) -> LoadResult:
        """Submits everything and returns when all is final, or nothing comes any more."""
        poll = select.poll()
        cpu, start = time.process_time(), time.perf_counter()
        last = start
        while self._settled < self._load.messages:
            self._fill()
            wanted = select.POLLIN | (select.POLLOUT if self._output else 0)
            poll.register(self._connection, wanted)
            ready = poll.poll(IDLE_SECONDS_MAX * 1000)
            if not ready:
                break
            if ready[0][1] & select.POLLOUT:
                self._output = self._output[self._connection.send(self._output) :]
            if ready[0][1] & ~select.POLLOUT:
                data = self._connection.recv(RECEIVE_BYTES_MAX)
                if not data:
                    break
                last = time.perf_counter()
                self._read(data, last)
        return self._conclude(last - start, time.process_time() - cpu)

    def _fill(self) -> None:
        """Makes submits up to the window, once the earlier ones are written."""
        if self._output:
            return
        load, first = self._load, self._submitted
        out_max = load.client_window or load.messages
        last = min(load.messages, self._settled + out_max, first + LINES_MAX)
        if last > first:
            self._output = make_lines(first, last, self._text)
            self._started[first:last] = [time.perf_counter()] * (last - first)
            self._submitted = last
        if self._seq - self._taken >= TAKEN_EVENTS:
            self._taken = self._seq
            self._output += b'{"type":"taken","seq":%d}\n' % self._seq

    def _read(self, data: bytes, now: float) -> None:
        end = data.rfind(b"\n") + 1
        lines = _decode_lines(self._partial + data[:end]) if end else []
        self._partial = data[end:] if end else self._partial + data
        counts, started = self._counts, self._started
        for line in lines:
            if line.type != "event":
                counts[line.type] += 1
                self._accepted_after.append(now - started[self._answered])
                self._answered += 1
                continue
            self._seq = line.seq
            if line.event in counts:
                counts[line.event] += 1
            if line.event in FINALS:
                assert line.ref is not None, "our events have our refs"
                self._settle(int(line.ref), line.event, now)

    def _settle(self, index: int, event: str, now: float) -> None:
        self._other_finals += event != "delivered"
        self._settled += not self._finals[index]
        self._finals[index] = min(self._finals[index] + 1, 255)
        self._final_after.append(now - self._started[index])

    def _conclude(self, seconds: float, cpu_seconds: float) -> LoadResult:
        counts = self._counts
        return LoadResult(
            accepted=counts["accepted"],
            rejected=counts["rejected"],
            errors=counts["error"],
            sent=counts["sent"],
            delivered=counts["delivered"],
            other_finals=self._other_finals,
            doubles=sum(count - 1 for count in self._finals if count > 1),
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            accepted_ms=_percentiles(self._accepted_after),
            final_ms=_percentiles(self._final_after),
        )


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
    load = msgspec.json.decode(sys.argv[1], type=Load)
    with connect(load) as connection:
        client = Client(connection, load)
        print("ready", flush=True)
        sys.stdin.readline()
        print(msgspec.json.encode(client.run()).decode(), flush=True)


if __name__ == "__main__":
    main()
