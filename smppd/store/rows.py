"""What a row of each table must look like, for those who read a store that nobody opened.

``read_row`` gives what the row says, as far as others are held against it: ids, tags, times. It
raises one of UNREADABLE where the row is not what its table holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import msgspec

from smppd.store import eventlog, evidence, index, keys, runs
from smppd.store.awaited import DIGEST_OCTETS
from smppd.store.blocks import CRC_OCTETS
from smppd.store.deadlines import decode_entries
from smppd.store.layout import META_CHECKSUMS, META_SCHEMA
from smppd.store.records import (
    SCHEMA_VERSION,
    Message,
    decode_inbound,
    decode_inbound_part,
    decode_message,
    decode_quarantined,
    decode_unmatched,
)
from smppd.store.sieve import SIEVE, is_sieve_row

UNREADABLE: Final = (msgspec.DecodeError, struct.error, ValueError, IndexError)

_TAG_OCTETS: Final = keys.TAG_BYTES


def read_message(key: bytes, value: bytes) -> Message:
    """A row of ``messages``."""
    message = decode_message(value)
    _same(message.id, _id(key))
    return message


def read_grants(key: bytes, value: bytes) -> list[bytes]:
    """A row of ``grants``: the tags open on one bind."""
    carrier, _, bind = key.decode().partition("\0")
    if not carrier or not bind.isdecimal():
        raise ValueError("its key names no carrier and bind")
    return cut(value, _TAG_OCTETS)


def read_ids(value: bytes) -> list[int]:
    """A row of ``tags``."""
    return [keys.read_u64(piece) for piece in cut(value, 8)]


def read_queue(key: bytes, value: bytes) -> int:
    """A row of ``queue``: the id of the message that waits."""
    _empty(value)
    address = keys.QueueAddress(key)
    if keys.queue_row(address.prefix, keys.read_queue_tail(key)) != key or address.lane > 2:
        raise ValueError("its key is none of the queue")
    return keys.read_queue_tail(key)[1]


def read_event_rows(key: bytes, value: bytes) -> tuple[int, int]:
    """A row of ``events``: the numbers of its first event and of its last."""
    last = keys.read_u64(key[-8:])
    _, first = keys.read_events_head(value)
    lines = value[keys.EVENTS_HEAD_BYTES :].splitlines()
    _same(len(lines), last - first + 1)
    for line in lines:
        msgspec.json.decode(line)
    return first, last


def cut(value: bytes, octets: int) -> list[bytes]:
    """A packed row in its pieces."""
    if len(value) % octets:
        raise ValueError(f"its {len(value)} octets are not in pieces of {octets}")
    return [value[start : start + octets] for start in range(0, len(value), octets)]


def _read_meta(key: bytes, value: bytes) -> object:
    if key == META_SCHEMA and int(value) > SCHEMA_VERSION:
        raise ValueError(f"a newer smppd wrote this store (schema {int(value)})")
    if key.startswith(eventlog.META_APP):
        return eventlog.decode_cursor(value)
    if key == META_CHECKSUMS or key.startswith(b"mode\0"):
        return value.decode()
    return value


def _read_ref(key: bytes, value: bytes) -> object:
    key.decode()
    return keys.read_u64(value)


def _read_smsc_id(key: bytes, value: bytes) -> object:
    return keys.unpack_tag(value)


def _read_journal(key: bytes, value: bytes) -> object:
    _id(key)
    return index.decode_entries(value)


class Entries(msgspec.Struct, frozen=True):
    """A block of a run: whose it is, and the values by their keys."""

    run: int
    tier: int
    bound: dict[bytes, bytes]


def read_runs(key: bytes, value: bytes) -> Entries | runs.Catalogue | None:
    """A row of ``refs_runs`` or ``smsc_ids_runs``; None of a sieve."""
    if key[:1] == runs.BLOCK:
        number, tier, named = runs.read_block(key, value)
        return Entries(number, tier, {name[CRC_OCTETS:]: named[name] for name in named})
    if key == runs.CATALOGUE:
        return runs.decode_catalogue(value)
    if key[:1] == SIEVE and is_sieve_row(key, value):
        return None
    raise ValueError("it is neither a block nor a sieve's")


def _read_deadlines(key: bytes, value: bytes) -> object:
    keys.read_deadline_second(key)
    return decode_entries(value)


def _read_doubt(key: bytes, value: bytes) -> object:
    _empty(value)
    return keys.unpack_tag(key[-_TAG_OCTETS:])


def _read_awaited(key: bytes, value: bytes) -> object:
    if len(value) not in (0, DIGEST_OCTETS):
        raise ValueError(f"a digest has {DIGEST_OCTETS} octets, this {len(value)}")
    return keys.unpack_tag(key[-_TAG_OCTETS:])


def _read_inbound(key: bytes, value: bytes) -> object:
    _same(decode_inbound(value).id, _id(key))
    return None


def _read_quarantined(key: bytes, value: bytes) -> object:
    row = decode_quarantined(value)
    if evidence.read_key(key) != (row.carrier, row.id):
        raise ValueError("its key is another row's")
    return None


def _read_inbound_part(key: bytes, value: bytes) -> object:
    _same(len(key), 9)
    part = decode_inbound_part(value)
    _same(bool(part.digests), key[-1] == 0)
    if key[-1] > part.total:
        raise ValueError(f"it is segment {key[-1]} of {part.total}")
    return None


def _read_thread(key: bytes, value: bytes) -> object:
    _same(len(key), 4)
    return keys.read_u64(value)


def _read_reference(key: bytes, value: bytes) -> object:
    key.decode("ascii")
    if len(value) not in (9, 10):
        raise ValueError(f"a reference has 10 octets, this {len(value)}")
    return None


_READ: Final[dict[str, Callable[[bytes, bytes], object]]] = {
    "messages": read_message,
    "inbound": _read_inbound,
    "queue": read_queue,
    "grants": read_grants,
    "deadlines": _read_deadlines,
    "doubts": _read_doubt,
    "awaited": _read_awaited,
    "smsc_ids": _read_smsc_id,
    "smsc_ids_journal": _read_journal,
    "smsc_ids_runs": read_runs,
    "refs": _read_ref,
    "refs_journal": _read_journal,
    "refs_runs": read_runs,
    "unmatched": lambda _, value: decode_unmatched(value),
    "events": read_event_rows,
    "references": _read_reference,
    "tags": lambda _, value: read_ids(value),
    "inbound_parts": _read_inbound_part,
    "threads": _read_thread,
    "threads_journal": _read_journal,
    "threads_runs": read_runs,
    "quarantine": _read_quarantined,
    "meta": _read_meta,
}


def read_row(table: str, key: bytes, value: bytes) -> object:
    """What a row says; raises one of UNREADABLE."""
    return _READ[table](key, value)


def _id(key: bytes) -> int:
    _same(len(key), 8)
    return keys.read_u64(key)


def _same(found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"it says {found} where {wanted} must be")


def _empty(value: bytes) -> None:
    if value:
        raise ValueError("it has a value where there is none")
