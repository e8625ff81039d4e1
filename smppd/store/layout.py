"""What a store's directory holds: its files, its tables, and the checksum that every row ends in.

The checksum is a CRC-32 (zlib's) over the table's name, the key and the value, in four octets after
the value. The name is in it because a page that is used twice brings whole rows of another table.
Stores of before there were checksums lack the row ``checksums`` in ``meta``, and are read as they
are; ``salvage`` writes them anew with checksums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

DATA_FILE: Final = "data.mdb"
"""LMDB's; it is renamed to this name when it is whole, so a short one is never a new one."""

NEW_FILE: Final = "data.new"
"""A data file that is being made."""

LMDB_LOCK_FILE: Final = "lock.mdb"
LOCK_FILE: Final = "smppd.lock"

FAILED_FILE: Final = "smppd.failed"
"""A commit could not be written, and none has been since."""

FORMAT_FILE: Final = "smppd.format"
"""Says that a store is, or was, in this directory: a data file that is gone is missed."""

FORMAT_TEXT: Final = b"smppd store, format 1: data.mdb belongs beside this file\n"

TABLES: Final = (
    "messages",
    "inbound",
    "queue",
    "grants",
    "deadlines",
    "doubts",
    "awaited",
    "smsc_ids",
    "smsc_ids_journal",
    "smsc_ids_runs",
    "refs",
    "refs_journal",
    "refs_runs",
    "unmatched",
    "events",
    "references",
    "tags",
    "inbound_parts",
    "threads",
    "threads_journal",
    "threads_runs",
    "quarantine",
    "meta",
)

META_SCHEMA: Final = b"schema"
META_CHECKSUMS: Final = b"checksums"
CHECKSUMS: Final = b"crc32"
"""The value of that row, which has its checksum too."""

CHECKSUM_OCTETS: Final = 4

WHOLE: Final = 0x2144DF1C
"""The CRC-32 of anything that is followed by its own CRC-32, least octet first."""

pack_checksum: Final = struct.Struct("<I").pack


def seed_of(table: str) -> int:
    """Where the checksums of a table's rows begin."""
    return crc32(table.encode())


def seal(seed: int, key: bytes, value: bytes) -> bytes:
    """The value with its checksum, as it is on disk."""
    return value + pack_checksum(crc32(value, crc32(key, seed)))


def seal_all(
    seed: int, rows: Mapping[bytes, bytes | None], order: Iterable[bytes]
) -> list[tuple[bytes, bytes]]:
    """``seal`` for the rows of a commit that have a value, in ``order``."""
    crc, pack = crc32, pack_checksum
    return [
        (key, value + pack(crc(value, crc(key, seed))))
        for key in order
        if (value := rows[key]) is not None
    ]


def is_whole(seed: int, key: bytes, sealed: bytes) -> bool:
    """Whether key and value are as they were written."""
    return crc32(sealed, crc32(key, seed)) == WHOLE
