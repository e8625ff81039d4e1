"""A pcap file of what went over SMPP links, for Wireshark and tshark.

Nothing is captured: the octets of a link are laid into made-up TCP segments of a made-up network,
so no right to capture is needed, and what TLS hides on the wire is readable here. Each connection
has a port of its own on our side; lengths, checksums and sequence numbers are true. Read it with
``wireshark -d tcp.port==2775,smpp FILE``, as 2775 is every carrier's port here.

The classic format (libpcap's, little-endian, microseconds) with bare IPv4 packets (LINKTYPE_RAW,
101): every reader knows it. It has no clock: times are microseconds since the Unix epoch. What a
PDU says is not known here; ``redaction`` hides what is nobody's business.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from smppd.smpp.framing import PDU_BYTES_MAX
from smppd.smpp.pdu import HEADER_OCTETS

SMSC_PORT: Final = 2775
"""SMPP's registered port, at which Wireshark looks for it."""

OWN_ADDRESS: Final = bytes((192, 0, 2, 1))
SMSC_ADDRESS: Final = bytes((198, 51, 100, 1))
"""Of the networks for documentation (RFC 5737): nobody's."""

OWN_PORT_FIRST: Final = 49_152
OWN_PORTS: Final = 16_384
"""The dynamic ports (RFC 6335 s6); connections beyond their number begin again with the first."""

SEGMENT_OCTETS_MAX: Final = 16_384
"""Of one made-up packet: an IPv4 packet ends at 65,535, and readers show one a line."""

_LENGTH: Final = struct.Struct(">I")  # command_length
_FILE_HEADER: Final = struct.Struct("<IHHiIII")
_RECORD_HEADER: Final = struct.Struct("<IIII")  # seconds, microseconds, octets kept, octets there
_IP_HEADER: Final = struct.Struct(">BBHHHBBH4s4s")
_TCP_HEADER: Final = struct.Struct(">HHIIBBHHH")
_PSEUDO_HEADER: Final = struct.Struct(">4s4sBBH")  # RFC 9293 s3.1

_LINKTYPE_RAW: Final = 101
_SNAPLEN: Final = 65_535
_TCP: Final = 6
_FIN, _SYN, _PUSH, _ACK = 0x01, 0x02, 0x08, 0x10

# RFC 7323: a window of a gigabyte, so that a reader never finds one full that nobody kept to; and
# the largest segments, for the same reader.
_WINDOW: Final = 0xFFFF
_SYN_OPTIONS: Final = bytes((2, 4, 0xFF, 0xD7, 1, 3, 3, 14))


def file_header() -> bytes:
    """What a pcap file begins with."""
    return _FILE_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, _LINKTYPE_RAW)


class PduCutter:
    """One direction of a stream as whole PDUs, octet for octet: what cannot be cut is one piece,
    for what is seen here is often looked at because something is wrong with it."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_lost = False

    def cut(self, octets: bytes) -> list[bytes]:
        """The PDUs that are whole now. After a command_length that cannot be, all that comes."""
        octets = self._rest + octets
        pdus: list[bytes] = []
        start = 0
        while not self._is_lost and len(octets) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(octets, start)
            if not HEADER_OCTETS <= length <= PDU_BYTES_MAX:
                self._is_lost = True
            elif len(octets) - start < length:
                break
            else:
                pdus.append(octets[start : start + length])
                start += length
        self._rest = b"" if self._is_lost else octets[start:]
        if self._is_lost and start < len(octets):
            pdus.append(octets[start:])
        return pdus

    def take_rest(self) -> list[bytes]:
        """What began and never ended; nothing more comes after it."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def as_it_is(pdu: bytes) -> bytes:
    """Hides nothing."""
    return pdu


class CapturedLink:
    """One connection of the file, the ``number``-th from 0. Each method returns records, to be
    written after ``file_header`` in the order of the calls; ``at`` never goes back.

    Packets begin with a PDU wherever that can be, as Wireshark overlooks a header that was cut.
    Every PDU goes through ``redact``, which must not change its length.
    """

    def __init__(self, number: int, redact: Callable[[bytes], bytes] = as_it_is) -> None:
        self._own_port = OWN_PORT_FIRST + number % OWN_PORTS
        self._redact = redact
        self._sent = PduCutter()
        self._received = PduCutter()
        self._own_sequence = 0
        self._smsc_sequence = 0
        self._packets = 0

    def begin(self, at: int) -> bytes:
        """The three packets that open a connection: we call."""
        option = _SYN_OPTIONS
        call = self._record(b"", _SYN, at, is_ours=True, options=option)
        self._own_sequence += 1
        answer = self._record(b"", _SYN | _ACK, at, is_ours=False, options=option)
        self._smsc_sequence += 1
        return call + answer + self._record(b"", _ACK, at, is_ours=True)

    def sent(self, octets: bytes, at: int) -> bytes:
        """What we wrote, cut anywhere."""
        return self._carry(self._sent.cut(octets), at, is_ours=True)

    def received(self, octets: bytes, at: int) -> bytes:
        """What the SMSC wrote, cut anywhere."""
        return self._carry(self._received.cut(octets), at, is_ours=False)

    def end(self, at: int) -> bytes:
        """What was left of a PDU, and the packets that close the connection, whoever did: all a
        reader needs is that it has ended."""
        left = self._carry(self._sent.take_rest(), at, is_ours=True)
        left += self._carry(self._received.take_rest(), at, is_ours=False)
        ours = self._record(b"", _FIN | _ACK, at, is_ours=True)
        self._own_sequence += 1
        theirs = self._record(b"", _FIN | _ACK, at, is_ours=False)
        self._smsc_sequence += 1
        return left + ours + theirs + self._record(b"", _ACK, at, is_ours=True)

    def _carry(self, pdus: list[bytes], at: int, *, is_ours: bool) -> bytes:
        records: list[bytes] = []
        for data in _pack([self._redact(pdu) for pdu in pdus]):
            records.append(self._record(data, _PUSH | _ACK, at, is_ours=is_ours))
            if is_ours:
                self._own_sequence += len(data)
            else:
                self._smsc_sequence += len(data)
        return b"".join(records)

    def _record(
        self, data: bytes, flags: int, at: int, *, is_ours: bool, options: bytes = b""
    ) -> bytes:
        segment = self._segment(data, flags, options, is_ours=is_ours)
        packet = self._packet(segment, is_ours=is_ours)
        seconds, microseconds = divmod(at, 1_000_000)
        size = len(packet)
        return _RECORD_HEADER.pack(seconds & 0xFFFFFFFF, microseconds, size, size) + packet

    def _segment(self, data: bytes, flags: int, options: bytes, *, is_ours: bool) -> bytes:
        ports = (self._own_port, SMSC_PORT)
        numbers = (self._own_sequence & 0xFFFFFFFF, self._smsc_sequence & 0xFFFFFFFF)
        source, destination = ports if is_ours else ports[::-1]
        sequence, acknowledged = numbers if is_ours else numbers[::-1]
        offset = (_TCP_HEADER.size + len(options)) << 2
        if not flags & _ACK:
            acknowledged = 0

        def header(checksum: int) -> bytes:
            return _TCP_HEADER.pack(
                source, destination, sequence, acknowledged, offset, flags, _WINDOW, checksum, 0
            )

        octets = len(data) + (offset >> 2)
        pseudo = _PSEUDO_HEADER.pack(*_addresses(is_ours=is_ours), 0, _TCP, octets)
        return header(_checksum(pseudo + header(0) + options + data)) + options + data

    def _packet(self, segment: bytes, *, is_ours: bool) -> bytes:
        self._packets += 1
        number = self._packets & 0xFFFF
        length = _IP_HEADER.size + len(segment)
        source, destination = _addresses(is_ours=is_ours)

        def header(checksum: int) -> bytes:
            return _IP_HEADER.pack(
                0x45, 0, length, number, 0x4000, 64, _TCP, checksum, source, destination
            )

        return header(_checksum(header(0))) + segment


def _pack(pdus: list[bytes]) -> Iterator[bytes]:
    """PDUs together in packets of SEGMENT_OCTETS_MAX; only a longer one is cut."""
    packet = b""
    for pdu in pdus:
        if packet and len(packet) + len(pdu) > SEGMENT_OCTETS_MAX:
            yield packet
            packet = b""
        packet += pdu
        while len(packet) > SEGMENT_OCTETS_MAX:
            yield packet[:SEGMENT_OCTETS_MAX]
            packet = packet[SEGMENT_OCTETS_MAX:]
    if packet:
        yield packet


def _addresses(*, is_ours: bool) -> tuple[bytes, bytes]:
    return (OWN_ADDRESS, SMSC_ADDRESS) if is_ours else (SMSC_ADDRESS, OWN_ADDRESS)


def _checksum(octets: bytes) -> int:
    """RFC 1071: the complement of the one's complement sum of 16-bit words, which is the octets as
    one number, modulo 65,535."""
    padded = octets + b"\0" if len(octets) % 2 else octets
    return 0xFFFF - int.from_bytes(padded, "big") % 0xFFFF
