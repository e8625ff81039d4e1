"""A page of an index's entries: packed in order, read whole for a merge, looked into for one key.

A key has its CRC-32 before it, and is called a name then: names are spread evenly, whatever the
keys. A block is the number of its entries; their checksums (four octets each) and where in the
block they begin (two), both in the order of this machine, as LMDB's own numbers; and a msgpack map
of names and values. So a merge reads it at the speed of a decoder, and a lookup one entry alone.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add
from typing import Final
from zlib import crc32

import msgspec

BLOCK_OCTETS: Final = 4_070
"""Of entries: with a block's own head, its checksum and LMDB's head it is a page at most."""

CRC_OCTETS: Final = 4
"""Of the checksum that a name begins with."""

_COUNT: Final = struct.Struct("<H")
_START: Final = struct.Struct("=H")
HEAD_OCTETS: Final = CRC_OCTETS + _START.size
"""Of a block, for each entry before the map."""

pack_crc: Final = struct.Struct(">I").pack
_encode_map = msgspec.msgpack.Encoder().encode
_decode_map = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


def name_of(key: bytes) -> bytes:
    """A key as runs have it: its CRC-32 before it."""
    return pack_crc(crc32(key)) + key


def crcs_of(names: Sequence[bytes]) -> list[int]:
    """The checksums that names begin with."""
    return [*struct.unpack(f">{len(names)}I", b"".join([name[:4] for name in names]))]


def pack_block(
    names: Sequence[bytes], values: Sequence[bytes], crcs: Sequence[int], sizes: Sequence[int]
) -> bytes:
    """``names`` are in order; ``crcs`` and ``sizes`` are those of all of them."""
    count = len(names)
    at = _COUNT.size + HEAD_OCTETS * count + (1 if count < 16 else 3)
    starts = array("H", accumulate(sizes[:-1], initial=at))
    packed = _encode_map(dict(zip(names, values, strict=True)))
    return b"".join((_COUNT.pack(count), array("I", crcs).tobytes(), starts.tobytes(), packed))


def sizes_of(names: Sequence[bytes], values: Sequence[bytes]) -> list[int]:
    """Octets that each entry takes in a block's map; values are below 256."""
    octets = map(add, map(len, names), map(len, values))
    if max(map(len, names)) < 256:
        return [*map(add, octets, repeat(4))]
    return [*map(add, octets, (4 if len(name) < 256 else 5 for name in names))]


def unpack_block(block: bytes) -> dict[bytes, bytes]:
    """Its entries, in their order."""
    head = _COUNT.size + HEAD_OCTETS * int(_COUNT.unpack_from(block)[0])
    return _decode_map(memoryview(block)[head:])


def find_in_block(block: bytes, crc: int, name: bytes) -> bytes | None:
    """The value of one entry, or None."""
    count = int(_COUNT.unpack_from(block)[0])
    starts_at = _COUNT.size + CRC_OCTETS * count
    crcs = memoryview(block)[_COUNT.size : starts_at].cast("I")
    index = bisect_left(crcs, crc)
    size = len(name)
    head = b"\xc4%c" % size if size < 256 else b"\xc5" + size.to_bytes(2)
    while index < count and crcs[index] == crc:
        (at,) = _START.unpack_from(block, starts_at + 2 * index)
        end = at + len(head) + size
        if block[at:end] == head + name:
            return block[end + 2 : end + 2 + block[end + 1]]
        index += 1
    return None


def check_block(fence: bytes, block: bytes) -> dict[bytes, bytes]:
    """Its entries, none of them below ``fence``; raises ValueError where it is no block."""
    entries = unpack_block(block)
    names = [*entries]
    if not names or names != sorted(names) or fence > names[0]:
        raise ValueError("its entries are not in order")
    if any(name_of(name[4:]) != name for name in names):
        raise ValueError("an entry has the checksum of another key")
    values = [*entries.values()]
    if pack_block(names, values, crcs_of(names), sizes_of(names, values)) != block:
        raise ValueError("its entries are not where it says")
    return entries
