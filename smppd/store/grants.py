"""Open grants: what may be on a wire. After a crash they are the doubt.

One row a bind holds all its open tags, packed: a window's worth, written once a commit, where a
row a segment would cost two writes each.
"""

from __future__ import annotations

from functools import lru_cache

from smppd.store.changes import Doubted
from smppd.store.environment import Table

_TAG_OCTETS = 10


class Grants:
    """By carrier and bind; invariant: a tag is here exactly while its segment is GRANTED."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._open: dict[bytes, dict[bytes, None]] = {}
        self._changed: set[bytes] = set()

    def load(self) -> None:
        """Reads what was open at the last commit."""
        for slot, packed in self._table.rows_from(b""):
            starts = range(0, len(packed), _TAG_OCTETS)
            tags = (packed[start : start + _TAG_OCTETS] for start in starts)
            self._open[slot] = dict.fromkeys(tags)

    def open(self, carrier: str, bind: int, tags: list[bytes]) -> None:
        """Leave, once it is on disk, to put these segments on the bind's wire."""
        slot = _slot_key(carrier, bind)
        granted = self._open.setdefault(slot, {})
        for tag in tags:
            granted[tag] = None
        self._changed.add(slot)

    def close(self, carrier: str, bind: int, tag: bytes) -> None:
        """The segment was answered, given back or doubted; an unknown tag changes nothing."""
        slot = _slot_key(carrier, bind)
        granted = self._open.get(slot)
        if granted is not None and tag in granted:
            del granted[tag]
            self._changed.add(slot)

    def count(self, carrier: str, bind: int) -> int:
        """Segments granted to the bind and not answered yet, taken by its link or not."""
        return len(self._open.get(_slot_key(carrier, bind), ()))

    def as_doubts(self, at: int) -> list[Doubted]:
        """Every open grant as the doubt it is after a crash."""
        doubts = []
        for slot, tags in self._open.items():
            if tags:
                carrier, _, bind = slot.decode().partition("\0")
                doubts.append(Doubted(carrier, int(bind), list(tags), at))
        return doubts

    def flush(self) -> None:
        """Writes the row of every bind whose grants changed."""
        for slot in self._changed:
            self._table.put(slot, b"".join(self._open[slot]))
        self._changed.clear()


@lru_cache(maxsize=4096)
def _slot_key(carrier: str, bind: int) -> bytes:
    return f"{carrier}\0{bind}".encode()
