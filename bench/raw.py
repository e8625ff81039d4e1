"""A flood: submit_sm made before the clock starts, on one bind, and every receipt acknowledged.

It does nothing that a program could leave out, so no daemon can be faster on the same SMSC and
socket. It is in Python as its SMSC is, and what it reaches is a lower bound of what the two ends
of a wire can do; ``bench.compare flood --flood-command`` runs another one in its place.

Run as ``python -m bench.raw JSON``; it answers with its ``FloodResult`` as JSON, and exits with 0
if each message was accepted and has its receipt.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from bench.centre import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    PASSWORD,
    RESPONSE,
    SUBMIT_SM,
    SYSTEM_ID,
    UNBIND,
)
from bench.submits import HEAD, make_text, number_of

RECEIVE_BYTES_MAX: Final = 256 * 1024
"""One read: more than a window of responses and receipts."""

SILENCE_SECONDS_MAX: Final = 60.0
"""Without an octet from the SMSC the flood is over, and its ledger will not balance."""

_HEADER: Final = struct.Struct(">IIII")
_ACK: Final = struct.Struct(">IIIIx")


class Flood(msgspec.Struct, frozen=True):
    """What to submit. ``window`` is submit_sm without their response; written without reading, it
    must fit the buffers of a socket, some 200 KB."""

    port: int
    messages: int
    window: int


class FloodResult(msgspec.Struct, frozen=True):
    """The ledger; ``seconds`` run from the first submit_sm out to the last receipt answered."""

    accepted: int
    refused: int
    receipts: int
    seconds: float
    messages_per_second: float
    cpu_seconds: float


def make_pdu(command: int, sequence: int, body: bytes) -> bytes:
    """A request (SMPP 3.4 s3.2)."""
    return _HEADER.pack(_HEADER.size + len(body), command, 0, sequence) + body


def make_submits(messages: int) -> list[bytes]:
    """The submit_sm of messages 0 to ``messages`` - 1, each asking for a receipt (s4.4.1)."""
    text = make_text(1)
    return [
        make_pdu(SUBMIT_SM, index + 1, _make_body(number_of(index), f"{HEAD % index}{text}"))
        for index in range(messages)
    ]


def _make_body(number: str, text: str) -> bytes:
    return b"\0\5\0ACME\0\1\1%b\0\0\0\0\0\0\1\0\0\0%c%b" % (
        number.encode(),
        len(text),
        text.encode(),  # where ASCII and GSM-7 agree
    )


def read_headers(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Length, command, status and sequence_number of each PDU that is whole."""
    at, end = 0, len(data)
    while end - at >= _HEADER.size:
        header = _HEADER.unpack_from(data, at)
        at += header[0]
        if at > end:
            return
        yield header


def bind(connection: socket.socket) -> None:
    """Binds a transceiver; SystemExit where the SMSC refuses."""
    body = b"%b\0%b\0\0\x34\0\0\0" % (SYSTEM_ID.encode(), PASSWORD.encode())
    connection.sendall(make_pdu(BIND_TRANSCEIVER, 0, body))
    answer = b""
    while not (headers := list(read_headers(answer))):
        octets = connection.recv(RECEIVE_BYTES_MAX)
        if not octets:
            raise SystemExit("bench.raw: the SMSC closed the connection")
        answer += octets
    if headers[0][2]:
        raise SystemExit(f"bench.raw: bind was answered with command_status {headers[0][2]:#x}")


class Flooder:
    """The flood's state: how far submit_sm, responses and receipts have come."""

    def __init__(self, connection: socket.socket, submits: list[bytes], window: int) -> None:
        self._connection = connection
        self._submits = submits
        self._window = window
        self._sent = 0
        self._accepted = 0
        self._refused = 0
        self._receipts = 0
        self._rest = b""

    def run(self) -> FloodResult:
        """Returns when each has its response and its receipt, or nothing comes any more."""
        cpu, start = time.process_time(), time.perf_counter()
        last, output = start, self._take_submits()
        while self._answered < len(self._submits) or self._receipts < self._accepted:
            self._connection.sendall(output)
            try:
                octets = self._connection.recv(RECEIVE_BYTES_MAX)
            except TimeoutError:
                break
            if not octets:
                break
            output = self._read(octets) + self._take_submits()
            last = time.perf_counter()
        self._connection.sendall(output)
        return self._conclude(last - start, time.process_time() - cpu)

    @property
    def _answered(self) -> int:
        return self._accepted + self._refused

    def _take_submits(self) -> bytes:
        first, self._sent = self._sent, min(self._answered + self._window, len(self._submits))
        return b"".join(self._submits[first : self._sent])

    def _read(self, octets: bytes) -> bytes:
        """Counts what is whole; the deliver_sm_resp to it."""
        data = self._rest + octets
        acks, at = [], 0
        for length, command, status, sequence in read_headers(data):
            at += length
            if command == DELIVER_SM:
                acks.append(_ACK.pack(_ACK.size, DELIVER_SM | RESPONSE, 0, sequence))
            elif command == SUBMIT_SM | RESPONSE:
                self._accepted += not status
                self._refused += bool(status)
        self._rest = data[at:]
        self._receipts += len(acks)
        return b"".join(acks)

    def _conclude(self, seconds: float, cpu_seconds: float) -> FloodResult:
        return FloodResult(
            accepted=self._accepted,
            refused=self._refused,
            receipts=self._receipts,
            seconds=seconds,
            messages_per_second=self._receipts / seconds if seconds else 0.0,
            cpu_seconds=cpu_seconds,
        )


def main() -> None:
    """The flood of the command line."""
    flood = msgspec.json.decode(sys.argv[1], type=Flood)
    submits = make_submits(flood.messages)
    with socket.create_connection(("127.0.0.1", flood.port), SILENCE_SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bind(connection)
        result = Flooder(connection, submits, flood.window).run()
        connection.sendall(make_pdu(UNBIND, flood.messages + 1, b""))
    print(msgspec.json.encode(result).decode())
    if not result.accepted == result.receipts == flood.messages:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
