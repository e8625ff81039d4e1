"""Segments of long messages from phones, kept until all have come or have been waited for.

A segment may come on any bind of its carrier, in any order, and again, where the carrier did not
see it acknowledged. What joins segments is what a phone would go by (3GPP TS 23.040 s9.2.3.24.1):
sender, destination, reference and their number; and the carrier. Numbered invariants:

1. A segment that was acknowledged is on disk, or in a message that was told; none is dropped.
2. Of each number the octets' digest is kept, also for a while once the message was told: the same
   octets again are the carrier's repetition. Others under that number begin another message: then
   the first one is told with what there is of it, for its reference is in use again.
3. Memory holds what rows say, and is read back from them at a start.

A row is a segment, its key the message's own id and the segment's number; number 0 stands for a
message that was told. What it comes to be told as is ``inbound``'s matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from smppd.store import keys
from smppd.store.changes import InboundArrived
from smppd.store.deadlines import Deadlines
from smppd.store.environment import Table
from smppd.store.records import InboundPart, decode_inbound_part, encode_record
from smppd.text.header import Concatenation, Joining

WAITING_MAX: Final = 20_000
"""Segments waited with, at most 700 octets of memory and some 300 of disk each; of more, the
message that has waited longest is told as it is."""

TOLD_MAX: Final = 20_000
"""Messages told of which repetitions are known, 33 a second for ten minutes; of more, the one told
first is forgotten."""

MARK: Final = b"\0"
"""Before the id of a message in ``deadlines``: keys of receipts begin with a carrier's name."""


class Assembled(msgspec.Struct, frozen=True, gc=False):
    """The segments of one message that came, by their numbers, of ``total``."""

    parts: dict[int, InboundPart]
    total: int

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of those that did not."""
        return tuple(one for one in range(1, self.total + 1) if one not in self.parts)


class _Identity(NamedTuple):
    """By what the segments of one message know each other."""

    carrier: str
    source: str
    destination: str
    joining: Joining
    reference: int
    total: int


class _Assembly:
    """A message of which segments have come; ``digests`` by number."""

    __slots__ = ("digests", "id", "identity", "until")

    def __init__(self, identity: _Identity, number: int, until: int) -> None:
        self.identity = identity
        self.id = number
        self.until = until
        self.digests: dict[int, int] = {}


class Reassembly:
    """See the module; changes inside a commit only."""

    def __init__(self, table: Table, deadlines: Deadlines) -> None:
        self._table = table
        self._deadlines = deadlines
        self._known: dict[_Identity, _Assembly] = {}
        self._open: dict[int, _Assembly] = {}  # by id, the oldest first
        self._told: dict[int, _Assembly] = {}  # the one told first first
        self.waiting = 0

    def load(self) -> None:
        """Reads what is waited with."""
        for key, value in self._table.rows_from(b""):
            part = decode_inbound_part(value)
            number, segment = keys.read_u64(key), key[-1]
            if number in self._told:  # an old row that came back with a salvage
                continue
            assembly = self._open.get(number)
            if assembly is None:
                assembly = self._begin(_identity_of(part), number, part.until)
            if segment:
                self._remember(assembly, segment, crc32(part.data))
            else:
                assembly.digests = dict(part.digests)
                self._told[number] = self._open.pop(number)

    def add(
        self, change: InboundArrived, joined: Concatenation, timeout: int, number: int
    ) -> list[Assembled] | None:
        """Keeps a segment; the messages that are to be told now, which may be none or several.
        None: it has come before. ``timeout`` in milliseconds; ``number`` is a new id, for a
        message that begins with it."""
        identity = _Identity(
            change.carrier,
            change.source,
            change.destination,
            joined.joining,
            joined.reference,
            joined.total,
        )
        assembly = self._known.get(identity)
        digest = crc32(change.data)
        told: list[Assembled] = []
        if assembly is not None:
            if assembly.digests.get(joined.number) == digest:
                return None
            if assembly.id in self._told or joined.number in assembly.digests:
                told += self._end(assembly)
                assembly = None
        if assembly is None:
            assembly = self._begin(identity, number, change.at + timeout)
            self._deadlines.add(assembly.until, MARK + keys.pack_u64(number))
        self._put(assembly, joined.number, change)
        self._remember(assembly, joined.number, digest)
        if len(assembly.digests) == joined.total:
            until = change.at + timeout
            self._deadlines.add(until, MARK + keys.pack_u64(assembly.id))
            told.append(self._tell(assembly, until))
        while self.waiting > WAITING_MAX:
            told += self._end(next(iter(self._open.values())))
        while len(self._told) > TOLD_MAX:
            self._end(next(iter(self._told.values())))
        return told

    def look_at(self, number: int, now: int, timeout_of: Callable[[str], int]) -> list[Assembled]:
        """The message may have waited long enough: then it is told as it is, and what comes of it
        again is known for as long once more. ``timeout_of`` a carrier in milliseconds."""
        assembly = self._find(number)
        if assembly is None:
            return []
        until = now + timeout_of(assembly.identity.carrier)
        if now < assembly.until <= until:
            return []
        if number in self._told:
            return self._end(assembly)
        self._deadlines.add(until, MARK + keys.pack_u64(number))
        return [self._tell(assembly, until)]

    def hasten(self, now: int, timeout_of: Callable[[str], int]) -> None:
        """The clock was set back: what would wait for longer than it should is looked at before,
        and is late enough then."""
        for assembly in (*self._open.values(), *self._told.values()):
            until = now + timeout_of(assembly.identity.carrier)
            if assembly.until > until:
                self._deadlines.add(until, MARK + keys.pack_u64(assembly.id))

    def knows(self, number: int) -> bool:
        """Whether segments wait under this id, or their message was told a while ago."""
        return self._find(number) is not None

    def forget(self, number: int) -> bool:
        """A message goes with all that is known of it; whether it was still to be told."""
        assembly = self._find(number)
        return assembly is not None and bool(self._end(assembly))

    def _find(self, number: int) -> _Assembly | None:
        return self._open.get(number) or self._told.get(number)

    def _put(self, assembly: _Assembly, segment: int, change: InboundArrived) -> None:
        identity = assembly.identity
        part = InboundPart(
            identity.source,
            identity.destination,
            identity.carrier,
            identity.joining,
            identity.reference,
            identity.total,
            assembly.until,
            change.data,
            change.data_coding,
            change.esm_class,
            change.at,
        )
        self._table.insert(keys.part_key(assembly.id, segment), encode_record(part))

    def _begin(self, identity: _Identity, number: int, until: int) -> _Assembly:
        assembly = _Assembly(identity, number, until)
        self._known[identity] = self._open[number] = assembly
        return assembly

    def _remember(self, assembly: _Assembly, segment: int, digest: int) -> None:
        assembly.digests[segment] = digest
        self.waiting += 1

    def _tell(self, assembly: _Assembly, until: int) -> Assembled:
        """Its rows become one that says what has come; it is there until the deadline."""
        found = self._take(assembly)
        identity = assembly.identity
        row = InboundPart(*_fields(identity), until, digests=tuple(assembly.digests.items()))
        self._table.insert(keys.part_key(assembly.id, 0), encode_record(row))
        self.waiting -= len(assembly.digests)
        assembly.until = until
        self._told[assembly.id] = self._open.pop(assembly.id)
        return found

    def _end(self, assembly: _Assembly) -> list[Assembled]:
        """Nothing is known of it any more; what there is to be told of it."""
        if self._known.get(assembly.identity) is assembly:
            del self._known[assembly.identity]
        if self._told.pop(assembly.id, None) is not None:
            self._table.remove(keys.part_key(assembly.id, 0))
            return []
        del self._open[assembly.id]
        self.waiting -= len(assembly.digests)
        return [self._take(assembly)]

    def _take(self, assembly: _Assembly) -> Assembled:
        parts: dict[int, InboundPart] = {}
        for segment in sorted(assembly.digests):
            key = keys.part_key(assembly.id, segment)
            row = self._table.get(key)
            assert row is not None, "a segment that is waited with has no row"
            parts[segment] = decode_inbound_part(row)
            self._table.remove(key)
        return Assembled(parts, assembly.identity.total)


def _identity_of(part: InboundPart) -> _Identity:
    return _Identity(
        part.carrier, part.source, part.destination, part.joining, part.reference, part.total
    )


def _fields(identity: _Identity) -> tuple[str, str, str, Joining, int, int]:
    """As they stand in a record."""
    return (
        identity.source,
        identity.destination,
        identity.carrier,
        identity.joining,
        identity.reference,
        identity.total,
    )
