"""The keys of every table, built and read in this one place.

Integers are big-endian, so LMDB's byte order is their order; variable parts end in NUL, which
none of them may hold. A message id is ``milliseconds << 20 | counter``: new rows append.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Final

_U64: Final = struct.Struct(">Q")
_TAG: Final = struct.Struct(">QH")
_QUEUE_TAIL: Final = struct.Struct(">QQ")
_DEADLINE: Final = struct.Struct(">IQ")
_EVENTS: Final = struct.Struct(">QQ")
_ID: Final = re.compile(r"[0-9a-f]{16}")

ID_COUNTER_BITS: Final = 20
"""A million ids a millisecond before the id runs ahead of the clock, which it may do safely."""

TAG_BYTES: Final = _TAG.size
"""Octets of a segment's tag: message id and index."""

pack_u64 = _U64.pack
pack_tag = _TAG.pack
unpack_tag = _TAG.unpack


def read_u64(data: bytes) -> int:
    """The integer in the first eight octets of ``data``."""
    return int(_U64.unpack_from(data)[0])


def first_id_at(now_ms: int) -> int:
    """The smallest message id of this millisecond."""
    return now_ms << ID_COUNTER_BITS


def time_of_id(message_id: int) -> int:
    """The millisecond a message id was drawn in."""
    return message_id >> ID_COUNTER_BITS


def show_id(message_id: int) -> str:
    """A message id as apps see it: sixteen hexadecimal digits."""
    return f"{message_id:016x}"


def read_id(text: str) -> int | None:
    """The message id behind ``show_id``'s sixteen digits; None when they are not that."""
    return int(text, 16) if _ID.fullmatch(text) else None


def ref_key(app: str, ref: str) -> bytes:
    """``refs``: an app's own name for a message."""
    return f"{app}\0{ref}".encode()


def smsc_key(carrier: str, smsc_id: str) -> bytes:
    """``smsc_ids`` and ``unmatched``: a carrier's name for a segment."""
    return f"{carrier}\0{smsc_id}".encode("utf-8", "surrogateescape")


def part_key(number: int, segment: int) -> bytes:
    """``inbound_parts``: a segment of a message from a phone, by the id it waits under."""
    return _U64.pack(number) + bytes((segment,))


def doubt_prefix(carrier: str, to: str) -> bytes:
    """``doubts``: all doubtful segments of one carrier to one destination."""
    return f"{carrier}\0{to}\0".encode()


@lru_cache(maxsize=1024)
def tag_prefix(app: str, tag: str) -> bytes:
    """``tags``: one tag of one app. Its length stands before it, as a tag may hold anything."""
    name = tag.encode()
    return app.encode() + b"\0" + len(name).to_bytes(2) + name


def events_key(app: str, last_seq: int) -> bytes:
    """``events``: the row whose last event is ``last_seq``."""
    return app.encode() + b"\0" + _U64.pack(last_seq)


@lru_cache(maxsize=4096)
def queue_prefix(group: bytes, lane: int, app: str) -> bytes:
    """``queue``: one lane of one app in one group; groups are NUL-free or of fixed length 9."""
    return bytes((len(group),)) + group + bytes((lane,)) + app.encode() + b"\0"


def queue_key(group: bytes, lane: int, app: str, due: int, message_id: int) -> bytes:
    """``queue``: a waiting message; ``due`` in milliseconds: its acceptance, or its next retry,
    so that a retry stands among what was accepted when it is due."""
    return queue_prefix(group, lane, app) + _QUEUE_TAIL.pack(due, message_id)


def queue_row(prefix: bytes, row: tuple[int, int]) -> bytes:
    """``queue``: the key of ``(due, message id)`` below ``prefix``."""
    return prefix + _QUEUE_TAIL.pack(*row)


class QueueAddress:
    """A queue prefix taken apart: which group, lane and app its rows belong to."""

    __slots__ = ("app", "group", "lane", "prefix")

    def __init__(self, key: bytes) -> None:
        size = key[0]
        self.group = key[1 : 1 + size]
        self.lane = key[1 + size]
        self.app = key[2 + size : -17].decode()
        self.prefix = key[:-16]


def read_queue_tail(key: bytes) -> tuple[int, int]:
    """``(due, message id)`` of a queue row."""
    due, message_id = _QUEUE_TAIL.unpack_from(key, len(key) - 16)
    return due, message_id


def deadline_key(second: int, counter: int) -> bytes:
    """``deadlines``: a pack of things to look at again from ``second`` on."""
    return _DEADLINE.pack(second, counter)


def read_deadline_second(key: bytes) -> int:
    """The second of a ``deadlines`` row."""
    return int(_DEADLINE.unpack(key)[0])


def pack_events_head(at: int, first_seq: int) -> bytes:
    """The head of an ``events`` row: time of its last event, number of its first."""
    return _EVENTS.pack(at, first_seq)


def read_events_head(value: bytes) -> tuple[int, int]:
    """``(at, first_seq)`` of an ``events`` row."""
    at, first = _EVENTS.unpack_from(value)
    return at, first


EVENTS_HEAD_BYTES: Final = _EVENTS.size
