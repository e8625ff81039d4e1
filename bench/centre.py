"""What the SMSC of a bench run does on a link: it answers, sends receipts, and keeps a ledger.

It has an encoder of its own, as what measures the daemon leans on nothing that is measured, and
must cost a fraction of it. ``smppd.simulator`` is the SMSC with faults and manners; this one takes
any number of binds and accepts everything.

A receipt goes out on the link that its submit_sm came in on, ``receipt_window`` unacknowledged at
most on each. What a link had not acknowledged when it ended goes out on another one.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from bench.submits import NUMBERS, PREFIX, index_of, is_lost

SYSTEM_ID: Final = "bench"
PASSWORD: Final = "bench"

RECEIVE_BYTES_MAX: Final = 256 * 1024
"""One read: some 1,500 submit_sm, more than the windows of a usual link."""

COMMAND_LENGTH_MAX: Final = 70_000
"""A message_payload of 64 KiB and the fields around it."""

TEXT_OCTETS_MAX: Final = 20
"""Of a message's own text in its receipt (SMPP 3.4 appendix B)."""

BIND_RECEIVER: Final = 0x01
BIND_TRANSMITTER: Final = 0x02
SUBMIT_SM: Final = 0x04
DELIVER_SM: Final = 0x05
UNBIND: Final = 0x06
BIND_TRANSCEIVER: Final = 0x09
ENQUIRE_LINK: Final = 0x15
GENERIC_NACK: Final = 0x80000000
RESPONSE: Final = 0x80000000
BINDS: Final = (BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER)

ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDID: Final = 0x03
ESME_RINVBNDSTS: Final = 0x04
ESME_RINVPASWD: Final = 0x0E

_PREFIX: Final = PREFIX.encode()
_HEADER: Final = struct.Struct(">IIII")
_SUBMIT: Final = re.compile(
    rb".{12}(.{4})"  # sequence_number
    rb"[^\0]{0,5}\0"  # service_type
    rb"(..[^\0]{0,20}\0)"  # source_addr and its ton and npi
    rb"(..([^\0]{1,20})\0)"  # destination_addr and its ton and npi
    rb"(.)..[^\0]{0,16}\0[^\0]{0,16}\0"  # esm_class, priority, times
    rb"(.).(.).(.)",  # registered_delivery, data_coding, sm_length
    re.DOTALL,
)
"""A submit_sm from its header to its sm_length (SMPP 3.4 s4.4.1)."""

_RECEIPT: Final = (
    b"id:%b sub:001 dlvrd:001 submit date:%b done date:%b stat:DELIVRD err:000 text:%b"
)
_IS_RECEIPT: Final = b"\4" + bytes(8)
"""esm_class 4, a delivery receipt (s5.2.12), and eight fields that are 0 or empty."""


IdFormat: TypeAlias = Literal["hex", "dec", "uuid"]


class SinkLedger(msgspec.Struct, frozen=True):
    """What an SMSC reports at its end; None for what it does not say.

    ``accepted`` are submit_sm answered ESME_ROK, ``receipts_acked`` deliver_sm that were.
    ``destinations`` says how many of them had so many submit_sm, by that number; ``lost`` are
    those to which no receipt was sent.
    """

    accepted: int
    receipts_sent: int | None = None
    receipts_acked: int | None = None
    receipts_refused: int | None = None
    refused: int | None = None
    destinations: dict[str, int] | None = None
    lost: list[str] | None = None


class Options(NamedTuple):
    """What the SMSC does. ``loss`` is the share of receipts never sent; delays are in seconds."""

    id_format: IdFormat = "hex"
    receipt_delay: float = 0.0
    receipt_window: int = 100
    loss: float = 0.0


class Waiting(NamedTuple):
    """A receipt whose time has not come."""

    due: float
    link: Link
    body: bytes


def make_ids(id_format: IdFormat) -> Iterator[bytes]:
    """message_ids as centres write them: 8 digits of ``hex``, 10 of ``dec``, or a random ``uuid``.

    The first follows from the clock, so that a restart repeats none.
    """
    if id_format == "uuid":
        while True:
            digits = os.urandom(16 * 256).hex().encode()
            for at in range(0, len(digits), 32):
                parts = digits[at : at + 8], digits[at + 8 : at + 12], digits[at + 12 : at + 16]
                yield b"-".join((*parts, digits[at + 16 : at + 20], digits[at + 20 : at + 32]))
    template = {"hex": b"%08X", "dec": b"%010d"}[id_format]
    number = time.time_ns() // 1_000_000
    while True:
        number = (number + 1) & 0xFFFFFFFF
        yield template % number


class Centre:
    """All links' ledger, and the receipts that wait for their time or for a link."""

    def __init__(self, options: Options, stamps: array[float] | None = None) -> None:
        self.options = options
        self.ids = make_ids(options.id_format)
        self.accepted = 0
        self.refused = 0
        self.receipts_sent = 0
        self.receipts_acked = 0
        self.receipts_refused = 0
        self.lost: list[str] = []
        self.homeless: deque[bytes] = deque()
        self.waiting: deque[Waiting] = deque()
        self.stamps = stamps
        self._submits = bytearray()
        self._minute = 0
        self.date = b""

    def look_at_clock(self) -> float:
        """CLOCK_MONOTONIC in seconds; and ``date`` is now, as receipts write it in UTC."""
        minute = int(time.time()) // 60
        if minute != self._minute:
            self._minute = minute
            self.date = time.strftime("%y%m%d%H%M", time.gmtime(minute * 60)).encode()
        return time.monotonic()

    def note(self, number: bytes, now: float) -> None:
        """Counts a submit_sm to ``number``, and when its message was first seen."""
        if number[:-8] != _PREFIX:
            return  # none of ours: counted, and not by destination
        index = index_of(number[-8:])
        if index >= len(self._submits):
            self._submits.extend(
                bytes(min(max(index + 1, 2 * index), NUMBERS) - len(self._submits))
            )
        seen = self._submits[index]
        self._submits[index] = min(seen + 1, 255)
        if self.stamps is not None and not seen:
            self.stamps.extend([0.0] * (index + 1 - len(self.stamps)))
            self.stamps[index] = now

    def next_due(self) -> float | None:
        """When the next receipt's time comes (monotonic); None while none waits."""
        return self.waiting[0].due if self.waiting else None

    def take_due(self, now: float) -> set[Link]:
        """Hands every receipt whose time has come to its link; the links that got one."""
        links = set()
        while self.waiting and self.waiting[0].due <= now:
            waiting = self.waiting.popleft()
            waiting.link.give([waiting.body])
            links.add(waiting.link)
        return links

    def ledger(self) -> SinkLedger:
        """All that was counted."""
        counted = Counter(self._submits)
        del counted[0]
        return SinkLedger(
            accepted=self.accepted,
            receipts_sent=self.receipts_sent,
            receipts_acked=self.receipts_acked,
            receipts_refused=self.receipts_refused,
            refused=self.refused,
            destinations={str(times): count for times, count in sorted(counted.items())},
            lost=sorted(set(self.lost)),
        )


class Link:
    """One connection."""

    def __init__(self, connection: socket.socket, centre: Centre) -> None:
        self.connection = connection
        self.is_open = True
        self.is_watched_for_room = False
        self.output = bytearray()
        self._centre = centre
        self._input = b""
        self._can_submit = False
        self._can_receive = False
        self._ready: deque[bytes] = deque()
        self._unacked: dict[int, bytes] = {}
        self._sequence = 0
        self._is_ending = False

    def give(self, bodies: list[bytes]) -> None:
        """Receipts to send."""
        home = self._ready if self.is_open and self._can_receive else self._centre.homeless
        home.extend(bodies)

    def receive(self) -> None:
        """Reads once, and answers all that is whole."""
        try:
            octets = self.connection.recv(RECEIVE_BYTES_MAX)
        except OSError:
            octets = b""
        if not octets:
            return self.close()
        now = self._centre.look_at_clock()
        data = self._input + octets if self._input else octets
        at, end = 0, len(data)
        while end - at >= _HEADER.size:
            length, command, status, sequence = _HEADER.unpack_from(data, at)
            if not _HEADER.size <= length <= COMMAND_LENGTH_MAX:
                return self.close()
            if end - at < length:
                break
            if command == SUBMIT_SM:
                self._take_submit(data[at : at + length], now)
            elif command == DELIVER_SM | RESPONSE:
                self._take_ack(sequence, status)
            else:
                self._take_other(command, sequence, data[at + _HEADER.size : at + length])
            at += length
        self._input = data[at:]
        return self.send()

    def send(self) -> None:
        """The receipts there is room for, and then as much as the socket takes."""
        if self._can_receive:
            self._pump()
        if self.output and self.is_open:
            try:
                del self.output[: self.connection.send(self.output)]
            except BlockingIOError:
                return None
            except OSError:
                return self.close()
        if self._is_ending and not self.output:
            self.close()
        return None

    def close(self) -> None:
        """Once closed, what was not acknowledged is somebody else's."""
        if self.is_open:
            self.is_open = False
            self.connection.close()
            self._centre.homeless.extend([*self._unacked.values(), *self._ready])

    def _take_submit(self, pdu: bytes, now: float) -> None:
        centre = self._centre
        found = _SUBMIT.match(pdu)
        if found is None or not self._can_submit:
            centre.refused += 1
            status = ESME_RINVMSGLEN if self._can_submit else ESME_RINVBNDSTS
            return self._put(SUBMIT_SM | RESPONSE, status, _HEADER.unpack_from(pdu)[3])
        sequence, source, destination, number, esm, registered, coding, octets = found.groups()
        name = next(centre.ids)
        self.output += b"\0\0\0%c\x80\0\0\4\0\0\0\0%b%b\0" % (len(name) + 17, sequence, name)
        centre.accepted += 1
        centre.note(number, now)
        if registered[0] & 3 != 1:
            return None
        loss, delay = centre.options.loss, centre.options.receipt_delay
        if loss and is_lost(number, loss):
            return centre.lost.append(number.decode())
        has_text = not (coding[0] or esm[0] & 0x40)
        text = pdu[found.end() :][: min(octets[0], TEXT_OCTETS_MAX)] if has_text else b""
        said = _RECEIPT % (name, centre.date, centre.date, text)
        body = b"\0%b%b%b%c%b" % (destination, source, _IS_RECEIPT, len(said), said)
        if delay:
            centre.waiting.append(Waiting(now + delay, self, body))
        else:
            self.give([body])
        return None

    def _take_ack(self, sequence: int, status: int) -> None:
        if self._unacked.pop(sequence, None) is None:
            return
        if status:
            self._centre.receipts_refused += 1
        else:
            self._centre.receipts_acked += 1

    def _take_other(self, command: int, sequence: int, body: bytes) -> None:
        if command in BINDS:
            self._take_bind(command, sequence, body)
        elif command in (ENQUIRE_LINK, UNBIND):
            self._put(command | RESPONSE, 0, sequence)
            self._is_ending = command == UNBIND
        elif not command & RESPONSE:
            self._put(GENERIC_NACK, ESME_RINVCMDID, sequence)

    def _take_bind(self, command: int, sequence: int, body: bytes) -> None:
        if body.split(b"\0")[:2] != [SYSTEM_ID.encode(), PASSWORD.encode()]:
            return self._put(command | RESPONSE, ESME_RINVPASWD, sequence)
        self._can_submit = command != BIND_RECEIVER
        self._can_receive = command != BIND_TRANSMITTER
        version = b"\x02\x10\0\1\x34"  # sc_interface_version: 3.4
        return self._put(command | RESPONSE, 0, sequence, SYSTEM_ID.encode() + b"\0" + version)

    def _pump(self) -> None:
        centre, unacked = self._centre, self._unacked
        room = centre.options.receipt_window - len(unacked)
        while room > 0 and (waiting := self._ready or centre.homeless):
            room -= 1
            body = waiting.popleft()
            self._sequence = self._sequence % 0x7FFFFFFF + 1
            unacked[self._sequence] = body
            centre.receipts_sent += 1
            self._put(DELIVER_SM, 0, self._sequence, body)

    def _put(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        self.output += _HEADER.pack(_HEADER.size + len(body), command, status, sequence) + body
