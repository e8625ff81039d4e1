"""What must be looked at again, and when: packed rows, one a second and commit.

Every message has a deadline and nearly none is still waiting when it comes, so an entry is never
deleted when its reason ends: it is looked at when due and found settled. That makes a deadline
cost a share of one put, where a row each would cost two writes a message.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from smppd.store import keys
from smppd.store.environment import Table

_Entry = int | bytes
_encode = msgspec.msgpack.Encoder().encode
decode_entries = msgspec.msgpack.Decoder(list[_Entry]).decode


class Deadlines:
    """Entries are message ids (int), or keys of ``unmatched`` and of ``inbound_parts`` (bytes);
    seconds are rounded up, so a deadline is never early and at most a second late."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._fresh: dict[int, list[_Entry]] = {}
        self._earliest: int | None = None

    def load(self) -> None:
        """Finds the earliest deadline on disk."""
        for key in self._table.keys_from(b""):
            self._earliest = keys.read_deadline_second(key)
            break

    def add(self, at: int, entry: _Entry) -> None:
        """Looks at ``entry`` again once the wall clock has passed ``at`` (ms)."""
        second = -(-at // 1000)
        entries = self._fresh.get(second)
        if entries is None:
            self._fresh[second] = [entry]
        else:
            entries.append(entry)

    def next_at(self) -> int | None:
        """The millisecond of the earliest deadline on disk, or None."""
        return None if self._earliest is None else self._earliest * 1000

    def take_due(self, now: int, entries_max: int) -> list[_Entry]:
        """Removes and returns due entries: whole rows, at least one, up to ``entries_max``."""
        if self._earliest is None or self._earliest * 1000 > now:
            return []
        due: list[_Entry] = []
        self._earliest = None
        for key, value in self._table.rows_from(b""):
            second = keys.read_deadline_second(key)
            if second * 1000 > now or len(due) >= entries_max:
                self._earliest = second
                break
            due += decode_entries(value)
            self._table.delete(key)
        return due

    def flush(self, next_id: Callable[[], int]) -> None:
        """Writes this commit's entries, in rows told apart by ids of the store's."""
        for second, entries in self._fresh.items():
            self._table.put(keys.deadline_key(second, next_id()), _encode(entries))
            if self._earliest is None or second < self._earliest:
                self._earliest = second
        self._fresh.clear()
