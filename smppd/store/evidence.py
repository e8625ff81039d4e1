"""The rows of the quarantine: PDUs that nobody could read, as they came (``quarantine``).

Bounded for each carrier, so that one that sends rubbish costs the others nothing; of too many the
oldest go, and what goes is counted. A row's key is its carrier and its id, which grows with time.
Which rows there are is in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.records import QuarantinedPdu, decode_quarantined, encode_record

ROWS_MAX: Final = 100
"""Of one carrier: enough to see what it does wrong, and how often."""


class Evidence:
    """The table, and its keys by carrier, oldest first."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ids: dict[str, deque[int]] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))

    def load(self) -> None:
        """Finds what is kept; inside a transaction."""
        for key in self._table.keys_from(b""):
            carrier, number = read_key(key)
            self._ids.setdefault(carrier, deque()).append(number)

    def keep(self, row: QuarantinedPdu) -> None:
        """Keeps one more; of too many of its carrier the oldest goes."""
        ids = self._ids.setdefault(row.carrier, deque())
        ids.append(row.id)
        self._table.put(make_key(row.carrier, row.id), encode_record(row))
        if len(ids) > ROWS_MAX:
            self._table.delete(make_key(row.carrier, ids.popleft()))
            self.dropped += 1

    def drop(self, number: int) -> bool:
        """Deletes one; False where there is none such."""
        carrier = self._carrier_of(number)
        if carrier is None:
            return False
        self._ids[carrier].remove(number)
        self._table.delete(make_key(carrier, number))
        if not self._ids[carrier]:
            del self._ids[carrier]
        return True

    def age(self, before_ms: int, rows_max: int) -> bool:
        """Deletes what came before a time, at most so many; whether there may be more."""
        aged: list[int] = []
        for ids in self._ids.values():
            for number in ids:
                if keys.time_of_id(number) >= before_ms or len(aged) > rows_max:
                    break
                aged.append(number)
        for number in aged[:rows_max]:
            self.drop(number)
        return len(aged) > rows_max

    def ids(self, carrier: str | None = None) -> Iterator[int]:
        """The ids of what is kept, of one carrier or of all; each carrier's oldest first."""
        if carrier is not None:
            return iter(self._ids.get(carrier, ()))
        return (number for ids in self._ids.values() for number in ids)

    def get(self, number: int) -> QuarantinedPdu | None:
        """One row; None where there is none such."""
        carrier = self._carrier_of(number)
        row = None if carrier is None else self._table.get(make_key(carrier, number))
        return None if row is None else decode_quarantined(row)

    def _carrier_of(self, number: int) -> str | None:
        return next((carrier for carrier, ids in self._ids.items() if number in ids), None)


def make_key(carrier: str, number: int) -> bytes:
    """The key of a row."""
    return b"%b\0%b" % (carrier.encode(), keys.pack_u64(number))


def read_key(key: bytes) -> tuple[str, int]:
    """The carrier and id in a row's key; ValueError or struct.error where it is none."""
    carrier, nul, number = key[:-9].decode(), key[-9:-8], key[-8:]
    if nul != b"\0" or not carrier:
        raise ValueError("its key names no carrier and id")
    return carrier, keys.read_u64(number)
