"""Which messages have a tag: packed rows of ids, for ``cancel`` and ``find``.

A commit appends the ids it accepted under a tag as one row, keyed by the last of them, so the row
that holds an id is the first whose key is not below it. Untagged messages cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.records import Message

TAGS_ROW_MAX: Final = 128
"""Ids a row: 1 KiB, so a campaign costs a hundredth of a put a message, and a row stays small."""

_ID_OCTETS: Final = 8


class Tags:
    """By app and tag, in order of acceptance; mutates inside a commit only."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._fresh: dict[bytes, list[int]] = {}

    def add(self, message: Message) -> None:
        """A message with a tag was accepted."""
        assert message.tag is not None, "only tagged messages are kept here"
        self._fresh.setdefault(keys.tag_prefix(message.app, message.tag), []).append(message.id)

    def ids_after(self, app: str, tag: str, after: int) -> Iterator[int]:
        """The ids above ``after``, those of this commit too, the oldest first."""
        prefix = keys.tag_prefix(app, tag)
        for key in self._table.keys_from(prefix + keys.pack_u64(after + 1)):
            if not key.startswith(prefix):
                break
            yield from (number for number in self._read(key) if number > after)
        yield from (number for number in self._fresh.get(prefix, ()) if number > after)

    def ids_before(self, app: str, tag: str, before: int) -> Iterator[int]:
        """The ids below ``before`` that are on disk, the newest first."""
        prefix = keys.tag_prefix(app, tag)
        # The row that holds the one before has the first key at or above it.
        above = next(self._table.keys_from(prefix + keys.pack_u64(before)), None)
        if above is not None and above.startswith(prefix):
            yield from (number for number in reversed(self._read(above)) if number < before)
        for key in self._table.keys_before(prefix + keys.pack_u64(before)):
            if not key.startswith(prefix):
                break
            yield from reversed(self._read(key))

    def forget(self, message: Message) -> None:
        """The message has aged out."""
        if message.tag is None:
            return
        prefix = keys.tag_prefix(message.app, message.tag)
        key = next(self._table.keys_from(prefix + keys.pack_u64(message.id)), None)
        if key is None or not key.startswith(prefix):
            return
        packed = self._table.get(key) or b""
        place = _find(packed, keys.pack_u64(message.id))
        left = packed[:place] + packed[place + _ID_OCTETS :]
        if left:
            self._table.put(key, left)
        else:
            self._table.delete(key)

    def flush(self) -> None:
        """Writes this commit's ids."""
        for prefix, numbers in self._fresh.items():
            for start in range(0, len(numbers), TAGS_ROW_MAX):
                row = numbers[start : start + TAGS_ROW_MAX]
                key = prefix + keys.pack_u64(row[-1])
                self._table.put(key, b"".join(map(keys.pack_u64, row)))
        self._fresh.clear()

    def _read(self, key: bytes) -> list[int]:
        packed = self._table.get(key) or b""
        return [
            keys.read_u64(packed[start : start + _ID_OCTETS])
            for start in range(0, len(packed), _ID_OCTETS)
        ]


def _find(packed: bytes, number: bytes) -> int:
    """Where an id stands in a row, its end where it does not: as octets, for retention takes one
    after the other out of the same row, and decoding it each time costs more than all the rest."""
    place = packed.find(number)
    while place % _ID_OCTETS and place > 0:  # it only looks like it, across two others
        place = packed.find(number, place + 1)
    return place if place >= 0 else len(packed)
