"""A box for Kannel: submits messages to its bearerbox, and counts acks and receipts.

Kannel is two programs and more: the bearerbox has the binds and the queues, and boxes connect to
it over TCP with everything else. This is the least box there can be, so that the bearerbox is
what is measured: it submits, asks for receipts, and acks each one as smsbox does.

A packet is its length (4 octets, itself not counted) and its fields. A number is 4 octets, two's
complement; a string is its length as a number, and its octets; a UUID is a string of 36. What is
not set is -1, number or string. The first field is the type. All of it most significant octet
first. The source is Kannel 1.4.5, ``gw/msg-decl.h``.

Run by ``bench.kannel`` as ``python -m bench.box JSON``; it says ``ready``, waits for a line, and
answers with its ``BoxResult`` as JSON.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from bench.submits import HEAD, make_text, number_of

ADMIN: Final = 1
SMS: Final = 2
ACK: Final = 3

IDENTIFY: Final = 3
"""The admin command that gives a box its name, by which receipts find their way back."""

MT_PUSH: Final = 2
"""The sms_type of a message to a phone that answers none."""

REPORT_MO: Final = 3
"""The sms_type of a receipt that comes from an SMSC."""

CODING_7BIT: Final = 0

DLR_DELIVERED: Final = 1
DLR_FAILED: Final = 2
"""Of dlr_mask: which receipts are asked for, and which one this is."""

ACK_TAKEN: Final = frozenset((0, 3))
"""Of nack: the bearerbox has the message, or has it in its queue."""

UNSET: Final = -1
"""A field that is not set, number or string."""

RECEIVE_BYTES_MAX: Final = 256 * 1024
"""One read: more than a socket buffers at first."""

SILENCE_SECONDS_MAX: Final = 60.0
"""Without an octet from the bearerbox the run is over, and its ledger will not balance."""

PACKETS_MAX: Final = 500
"""Made at a time, so that reading never waits long: some 150 KB."""

NAME: Final = b"bench"
"""Of this box. One octet a character, as everything here."""

_NUMBER: Final = struct.Struct(">i")
_UUID: Final = b"00000000-0000-4000-8000-%012d"

_FIELDS_OF_ACK: Final = 4
_FIELDS_OF_SMS: Final = 21
"""Up to dlr_url, the last one that is read here; the type is the first."""

_STRINGS: Final = {
    ACK: frozenset((3,)),
    SMS: frozenset((1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 20)),
}
"""Which fields of a type are strings."""


class BoxLoad(msgspec.Struct, frozen=True):
    """What to submit: ``messages``, at most ``client_window`` of them without their receipt."""

    port: int
    messages: int
    client_window: int


class BoxResult(msgspec.Struct, frozen=True):
    """The box's ledger; ``seconds`` run from the first octet out to the last receipt in."""

    acked: int
    refused: int
    delivered: int
    other_receipts: int
    doubles: int
    seconds: float
    cpu_seconds: float


class Ack(NamedTuple):
    """What the bearerbox says to a message: ``nack`` is in ACK_TAKEN where it has it."""

    nack: int


class Receipt(NamedTuple):
    """A receipt: its own ``id``, the kind in ``dlr_mask``, and what the message had as dlr_url."""

    id: bytes
    dlr_mask: int
    dlr_url: bytes


def encode_packet(*fields: int | bytes) -> bytes:
    """A packet of these fields, the type first."""
    body = b"".join([_encode_field(field) for field in fields])
    return _NUMBER.pack(len(body)) + body


def _encode_field(field: int | bytes) -> bytes:
    if isinstance(field, int):
        return _NUMBER.pack(field)
    return _NUMBER.pack(len(field)) + field


def encode_identify(name: bytes) -> bytes:
    """The first packet of a box."""
    return encode_packet(ADMIN, IDENTIFY, name)


def encode_ack(of: bytes, now: int) -> bytes:
    """The box has the receipt whose id is ``of``."""
    return encode_packet(ACK, 0, now, of)


def encode_sms(index: int, text: bytes) -> bytes:
    """The message ``index``: text, number and reference are another one's in every message."""
    return encode_packet(
        SMS,
        *(b"ACME", b"+%b" % number_of(index).encode()),
        *(UNSET, b"%b%b" % ((HEAD % index).encode(), text)),  # udhdata, msgdata
        *(UNSET, UNSET, UNSET, UNSET, UNSET, UNSET),  # time to account
        *(_UUID % index, MT_PUSH, UNSET, UNSET, CODING_7BIT),  # id, sms_type, mclass, mwi, coding
        *(UNSET, UNSET, UNSET),  # compress, validity, deferred
        *(DLR_DELIVERED | DLR_FAILED, b"%08d" % index),
        *(UNSET, UNSET, UNSET, UNSET),  # pid, alt_dcs, rpi, charset
        *(NAME, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET),  # boxc_id to meta_data
    )


class PacketReader:
    """Octets to acks and receipts; all else that a bearerbox says is passed over."""

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: bytes) -> list[Ack | Receipt]:
        """What is complete with these octets, in order."""
        data = self._rest + data
        found: list[Ack | Receipt] = []
        position = 0
        while len(data) - position >= _NUMBER.size:
            (length,) = _NUMBER.unpack_from(data, position)
            end = position + _NUMBER.size + length
            if end > len(data):
                break
            found += _decode(data, position + _NUMBER.size)
            position = end
        self._rest = data[position:]
        return found


def _decode(data: bytes, position: int) -> Iterator[Ack | Receipt]:
    (kind,) = _NUMBER.unpack_from(data, position)
    if kind == ACK:
        fields = _read_fields(data, position, _STRINGS[ACK], _FIELDS_OF_ACK)
        yield Ack(_number(fields[1]))
    elif kind == SMS:
        fields = _read_fields(data, position, _STRINGS[SMS], _FIELDS_OF_SMS)
        if fields[12] == REPORT_MO:
            yield Receipt(_string(fields[11]), _number(fields[19]), _string(fields[20]))


def _read_fields(
    data: bytes, position: int, strings: frozenset[int], count: int
) -> list[int | bytes]:
    """The first ``count`` fields of a packet whose type is at ``position``."""
    fields: list[int | bytes] = []
    for index in range(count):
        (value,) = _NUMBER.unpack_from(data, position)
        position += _NUMBER.size
        if index in strings and value != UNSET:
            fields.append(data[position : position + value])
            position += value
        else:
            fields.append(value)
    return fields


def _number(field: int | bytes) -> int:
    assert isinstance(field, int), f"a number, not {field!r}"
    return field


def _string(field: int | bytes) -> bytes:
    return field if isinstance(field, bytes) else b""


class Box:
    """The run's state: how far messages, acks and receipts have come."""

    def __init__(self, connection: socket.socket, load: BoxLoad) -> None:
        self._connection = connection
        self._load = load
        self._text = make_text(1).encode()
        self._output = b""
        self._reader = PacketReader()
        self._submitted = 0
        self._acked = 0
        self._refused = 0
        self._receipts = bytearray(load.messages)
        self._settled = 0
        self._delivered = 0
        self._others = 0

    def run(self) -> BoxResult:
        """Submits everything and returns when all is settled, or nothing comes any more."""
        poll = select.poll()
        cpu, start = time.process_time(), time.perf_counter()
        last = start
        while self._settled < self._load.messages:
            self._fill()
            poll.register(self._connection, select.POLLIN | (select.POLLOUT if self._output else 0))
            ready = poll.poll(SILENCE_SECONDS_MAX * 1000)
            if not ready:
                break
            if ready[0][1] & select.POLLOUT:
                self._output = self._output[self._connection.send(self._output) :]
            if ready[0][1] & ~select.POLLOUT:
                data = self._connection.recv(RECEIVE_BYTES_MAX)
                if not data:
                    break
                last = time.perf_counter()
                self._read(data)
        return self._conclude(last - start, time.process_time() - cpu)

    def _fill(self) -> None:
        """Makes messages up to the window, once the earlier ones are written."""
        load, first = self._load, self._submitted
        out_max = load.client_window or load.messages
        last = min(load.messages, self._settled + out_max, first + PACKETS_MAX)
        if not self._output and last > first:
            self._output = b"".join([encode_sms(index, self._text) for index in range(first, last)])
            self._submitted = last

    def _read(self, data: bytes) -> None:
        now = int(time.time())
        for packet in self._reader.receive(data):
            if isinstance(packet, Ack):
                taken = packet.nack in ACK_TAKEN
                self._acked += taken
                self._refused += not taken
                continue
            self._output += encode_ack(packet.id, now)
            self._settle(int(packet.dlr_url), packet.dlr_mask)

    def _settle(self, index: int, kind: int) -> None:
        self._delivered += kind == DLR_DELIVERED
        self._others += kind != DLR_DELIVERED
        self._settled += not self._receipts[index]
        self._receipts[index] = min(self._receipts[index] + 1, 255)

    def _conclude(self, seconds: float, cpu_seconds: float) -> BoxResult:
        return BoxResult(
            acked=self._acked,
            refused=self._refused,
            delivered=self._delivered,
            other_receipts=self._others,
            doubles=sum(count - 1 for count in self._receipts if count > 1),
            seconds=seconds,
            cpu_seconds=cpu_seconds,
        )


def main() -> None:
    """Between ``ready`` and the line that follows it, the runner reads the others' clocks."""
    load = msgspec.json.decode(sys.argv[1], type=BoxLoad)
    with socket.create_connection(("127.0.0.1", load.port), SILENCE_SECONDS_MAX) as connection:
        connection.sendall(encode_identify(NAME))
        connection.setblocking(False)
        box = Box(connection, load)
        print("ready", flush=True)
        sys.stdin.readline()
        print(msgspec.json.encode(box.run()).decode(), flush=True)


if __name__ == "__main__":
    main()
