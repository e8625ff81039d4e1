"""The carriers' ledger, read off the octets themselves: what passed each link, and when.

A ``Tap`` stands between a simulated carrier and its socket. It knows PDU headers and the few
fields that name a message, by their places in SMPP 3.4 s4.4 and s4.6, and nothing of the code it
watches. It can also break the link as networks do. Times are Unix milliseconds.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal, NamedTuple

import msgspec
import trio

SUBMIT_SM: Final = 0x00000004
SUBMIT_SM_RESP: Final = 0x80000004
DELIVER_SM: Final = 0x00000005
DELIVER_SM_RESP: Final = 0x80000005

UDHI: Final = 0x40
TYPE_MASK: Final = 0x3C
"""esm_class: user data header indicator, and the bits that say what a deliver_sm is."""

HALF_A_PDU: Final = struct.pack(">II", 32, SUBMIT_SM_RESP)
"""The first eight octets of thirty-two."""

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: close() sends RST."""

_HEADER: Final = struct.Struct(">IIII")
_RECEIPT: Final = re.compile(rb"id:(\S+) .*stat:(\S+)")

Break = Literal["reset", "fin", "half_a_pdu"]
BREAKS: Final[tuple[Break, ...]] = ("reset", "fin", "half_a_pdu")


class Part(NamedTuple):
    """One segment, as a carrier can name it: a destination's digits, and the segment from 0."""

    to: str
    segment: int


class Submit(msgspec.Struct):
    """A submit_sm that a carrier has read, and the answer it gave; ``answered_at`` 0: none."""

    carrier: str
    link: int
    number: int
    part: Part
    at: int
    answered_at: int = 0
    status: int = 0
    message_id: str = ""


class Deliver(msgspec.Struct):
    """A deliver_sm that a carrier has written; ``answered_at`` 0: no deliver_sm_resp came."""

    carrier: str
    link: int
    number: int
    source: str
    text: str
    at: int
    message_id: str = ""
    stat: str = ""
    answered_at: int = 0


class Wire:
    """All that passed, in order, over every link of every carrier."""

    def __init__(self) -> None:
        self.submits: list[Submit] = []
        self.delivers: list[Deliver] = []
        self.taps: list[Tap] = []
        self._links = 0
        self._quiet = trio.Event()
        self._quiet.set()

    def open(self, carrier: str, stream: trio.SocketStream) -> Tap:
        """A tap on a new link."""
        self._links += 1
        tap = Tap(self, carrier, self._links, stream)
        self.taps.append(tap)
        if self._quiet.is_set():  # else somebody may be waiting for it
            self._quiet = trio.Event()
        return tap

    def close(self, tap: Tap) -> None:
        """The link has ended: nothing more will be read of it."""
        self.taps.remove(tap)
        if not self.taps:
            self._quiet.set()

    async def wait_quiet(self) -> None:
        """Returns once no link is open and what was in their sockets has been read."""
        while self.taps:
            await self._quiet.wait()

    def seen(self) -> Counter[Part]:
        """How often each segment was submitted so far."""
        return Counter(submit.part for submit in self.submits)


class Tap(trio.abc.Stream):
    """One link's stream, as the carrier has it."""

    def __init__(self, wire: Wire, carrier: str, link: int, stream: trio.SocketStream) -> None:
        self.carrier = carrier
        self.link = link
        self._wire = wire
        self._stream = stream
        self._in = _Frames()
        self._out = _Frames()
        self._submits: dict[int, Submit] = {}
        self._delivers: dict[int, Deliver] = {}

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        for command_id, status, number, body in self._out.feed(bytes(data)):
            self._note_sent(command_id, status, number, body)
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        for command_id, _, number, body in self._in.feed(bytes(data)):
            self._note_received(command_id, number, body)
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()

    def break_off(self, how: Break) -> None:
        """Ends the link as a network or a carrier in trouble does."""
        with suppress(OSError):  # it may be at its end already
            if how == "reset":
                self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                return self._stream.socket.close()
            if how == "half_a_pdu":
                with suppress(BlockingIOError):
                    os.write(self._stream.socket.fileno(), HALF_A_PDU)
            self._stream.socket.shutdown(socket.SHUT_WR)
        return None

    def _note_received(self, command_id: int, number: int, body: bytes) -> None:
        if command_id == SUBMIT_SM:
            submit = Submit(self.carrier, self.link, number, read_part(body), _now())
            self._wire.submits.append(submit)
            self._submits[number] = submit
        elif command_id == DELIVER_SM_RESP:
            self._delivers[number].answered_at = _now()

    def _note_sent(self, command_id: int, status: int, number: int, body: bytes) -> None:
        if command_id == SUBMIT_SM_RESP:
            submit = self._submits[number]
            submit.answered_at, submit.status = _now(), status
            submit.message_id = body.rstrip(b"\0").decode("ascii")
        elif command_id == DELIVER_SM:
            fields = _Fields(body)
            found = _RECEIPT.search(fields.text) if fields.esm_class & TYPE_MASK else None
            name, stat = (one.decode() for one in found.groups()) if found else ("", "")
            text = fields.text.decode("latin-1")
            deliver = Deliver(
                self.carrier, self.link, number, fields.source, text, _now(), name, stat
            )
            self._wire.delivers.append(deliver)
            self._delivers[number] = deliver


def read_part(body: bytes) -> Part:
    """Whose segment a submit_sm carries: the last octet of a header is its number, from 1."""
    fields = _Fields(body)
    text = fields.text
    return Part(fields.destination, text[text[0]] - 1 if fields.esm_class & UDHI else 0)


class _Fields:
    """What submit_sm and deliver_sm have in common (SMPP 3.4 s4.4.1, s4.6.1)."""

    def __init__(self, body: bytes) -> None:
        _, rest = _cut(body)
        self.source, rest = _cut(rest[2:])
        self.destination, rest = _cut(rest[2:])
        self.esm_class = rest[0]
        _, rest = _cut(rest[3:])
        _, rest = _cut(rest)
        self.text = rest[5 : 5 + rest[4]]


class _Frames:
    """Octets to whole PDUs, however they were cut."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """``(command_id, command_status, sequence_number, body)`` of each."""
        self._data += data
        start = 0
        while len(self._data) - start >= _HEADER.size:
            length, command_id, status, number = _HEADER.unpack_from(self._data, start)
            if start + length > len(self._data):
                break
            yield command_id, status, number, self._data[start + _HEADER.size : start + length]
            start += length
        self._data = self._data[start:]


def _cut(data: bytes) -> tuple[str, bytes]:
    """A C-Octet String, and what is behind it."""
    text, _, rest = data.partition(b"\0")
    return text.decode("ascii"), rest


def _now() -> int:
    return time.time_ns() // 1_000_000
