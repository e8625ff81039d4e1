"""A byte stream cut into PDUs.

It knows the header and nothing of what follows it: not which commands exist, not who may send
them. Reads may be cut anywhere; the frames are the same. What is left of a PDU at the end of a
read waits for the next one, and it is the only thing kept, so memory is bounded by one PDU and
one read.

A command_length that cannot be is the one fault that is fatal: nothing says any more where the
next PDU begins. It comes back as the last element of the list, after every whole PDU.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from smppd.smpp.constants import ESME_RINVCMDLEN
from smppd.smpp.pdu import HEADER, HEADER_OCTETS

# The longest honest PDU is a deliver_sm or data_sm whose message_payload uses all of its
# two-octet length: 64 KiB, some 200 octets of mandatory fields, and a few more TLVs. 72 KiB
# holds that; the next thing seen in practice is 'HTTP' read as a length of 1.2 GB.
PDU_BYTES_MAX: Final = 72 * 1024

LOST_OCTETS_MAX: Final = 256
"""Kept of what stood where a PDU should have begun: enough to see what the peer took us for."""

_LENGTH: Final = struct.Struct(">I")

# What the first octets of a wrong port look like when they are read as a command_length.
OTHER_PROTOCOLS: Final[dict[bytes, str]] = {
    b"HTTP": "HTTP",
    b"GET ": "HTTP",
    b"POST": "HTTP",
    b"PUT ": "HTTP",
    b"HEAD": "HTTP",
    b"OPTI": "HTTP",
    b"PRI ": "HTTP/2",
    b"AMQP": "AMQP",
    b"SSH-": "SSH",
    b"220 ": "SMTP or FTP",
    b"\x16\x03\x00": "TLS",
    b"\x16\x03\x01": "TLS",
    b"\x16\x03\x02": "TLS",
    b"\x16\x03\x03": "TLS",
    b"\x15\x03\x00": "TLS",
    b"\x15\x03\x01": "TLS",
    b"\x15\x03\x02": "TLS",
    b"\x15\x03\x03": "TLS",
}


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One PDU: its header, and what follows it, unread."""

    command_id: int
    command_status: int
    sequence_number: int
    body: bytes


class FramingFault(msgspec.Struct, frozen=True, gc=False):
    """The stream is lost: why, and what a generic_nack should say (sequence_number 0: unknown)."""

    reason: str
    command_status: int
    sequence_number: int


class FrameBuffer:
    """The octets of a stream that are not yet a whole PDU; ``lost`` after a fault, whose first
    octets are ``lost_octets``."""

    def __init__(self) -> None:
        self._rest = b""
        self.lost = False
        self.lost_octets = b""

    @property
    def rest(self) -> bytes:
        """What has come of a PDU whose end has not."""
        return self._rest

    @property
    def octets_waiting(self) -> int:
        """Octets of a PDU whose end has not come."""
        return len(self._rest)

    def receive(self, data: bytes | bytearray) -> list[Frame | FramingFault]:
        """Take one read; return the PDUs that are now whole. Nothing follows a fault, ever."""
        if self.lost:
            return []
        octets = self._rest + data if self._rest else bytes(data)
        frames: list[Frame | FramingFault] = []
        end = len(octets)
        offset = 0
        while end - offset >= HEADER_OCTETS:
            length, command_id, command_status, sequence_number = HEADER.unpack_from(octets, offset)
            if not HEADER_OCTETS <= length <= PDU_BYTES_MAX:
                break
            body = offset + HEADER_OCTETS
            offset += length
            if offset > end:
                offset -= length
                break
            frames.append(Frame(command_id, command_status, sequence_number, octets[body:offset]))
        self._rest = octets[offset:]
        if fault := _find_fault(self._rest):
            self.lost_octets = self._rest[:LOST_OCTETS_MAX]
            self._rest = b""
            self.lost = True
            frames.append(fault)
        return frames


def _find_fault(octets: bytes) -> FramingFault | None:
    """Judge a command_length, and always at the same octet however the reads were cut.

    One that names another protocol or is too short is judged at once, as no header may follow
    it. One that is merely too long waits for its header, whose sequence_number the nack echoes.
    """
    if len(octets) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(octets)
    if HEADER_OCTETS <= length <= PDU_BYTES_MAX:
        return None
    protocol = OTHER_PROTOCOLS.get(octets[:4]) or OTHER_PROTOCOLS.get(octets[:3])
    if protocol:
        return FramingFault(f"the peer speaks {protocol}, not SMPP", ESME_RINVCMDLEN, 0)
    if length < HEADER_OCTETS:
        reason = f"command_length {length} is less than a header"
        return FramingFault(reason, ESME_RINVCMDLEN, 0)
    if len(octets) < HEADER_OCTETS:
        return None
    reason = f"command_length {length} is more than {PDU_BYTES_MAX} octets"
    return FramingFault(reason, ESME_RINVCMDLEN, HEADER.unpack_from(octets)[3])
