"""What is in a pcap file of ours, read by its own headers."""

from __future__ import annotations

import struct


def records_of(capture: bytes) -> list[bytes]:
    """The packets of a file, as its own headers cut it."""
    magic, major, minor, _, _, _, linktype = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor, linktype) == (0xA1B2C3D4, 2, 4, 101)
    packets = []
    offset = 24
    while offset < len(capture):
        _, _, kept, there = struct.unpack_from("<IIII", capture, offset)
        assert kept == there
        packets.append(capture[offset + 16 : offset + 16 + kept])
        offset += 16 + kept
    return packets


def carried_by(packet: bytes) -> bytes:
    """What is behind the headers of IPv4 and TCP."""
    return packet[20 + (packet[32] >> 4) * 4 :]
