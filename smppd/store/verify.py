"""``smppd verify``: every page, every row, and whether the rows agree with each other.

It reads the file by itself (``pages``), so it tells of any damage and falls over none. Numbered,
what is held against each other beyond what ``inspection`` looks at:

1. Every row decodes, and is what its table holds (``rows``).
2. An open grant names a segment that is GRANTED, and such a segment has a grant.
3. A row of the queue names a message that waits there, and such a message has its row.
4. A ref and a tag name messages that are there; a ref may outlive a message that has aged out.
5. Each app's events follow each other up to its last one.
6. The runs of the indexes have as many entries as their catalogue says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from smppd.store import eventlog, keys, rows
from smppd.store.inspection import Finding, Inspection
from smppd.store.offline import Offline, find_roots, opened
from smppd.store.pages import PageFile
from smppd.store.records import GRANTED, Message
from smppd.store.retention import META_FORGOTTEN
from smppd.store.rows import Entries
from smppd.store.runs import WHOLE, Catalogue
from smppd.store.waiting import queue_key_of

FINDINGS_MAX: Final = 1_000
"""Kept and shown; a file with more is known to be damaged all over, and the rest is counted."""

FIRST: Final = ("messages", "refs_journal", "refs_runs")
"""Looked at before the rest, which is held against them."""


class TableCount(msgspec.Struct, frozen=True):
    """How much of a table could be read."""

    table: str
    rows: int
    pages: int


class Verified(msgspec.Struct, frozen=True):
    """What ``verify`` found; ``findings`` is empty where the store is sound. ``more`` are findings
    beyond FINDINGS_MAX."""

    file: str
    octets: int
    has_checksums: bool
    tables: list[TableCount]
    findings: list[Finding]
    more: int


def verify(directory: Path) -> Verified:
    """Looks at all of the store in ``directory``, or of a data file by itself.

    Raises StoreRefused where a daemon runs on it, and StoreError where there is nothing to read.
    """
    with opened(directory) as offline:
        return _Verification(offline).run()


class _Verification:
    def __init__(self, offline: Offline) -> None:
        self._offline = offline
        self._findings: list[Finding] = []
        self._more = 0
        self._messages: set[int] = set()
        self._granted: set[bytes] = set()
        self._waiting: dict[int, bytes] = {}
        self._hidden: set[bytes] = set()
        self._forgotten = 0
        self._entries: Counter[tuple[str, int, int]] = Counter()
        self._whole: dict[tuple[str, int, int], int] = {}
        self._cursors: dict[bytes, eventlog.Cursor] = {}
        self._events: dict[bytes, list[tuple[int, int]]] = {}

    def run(self) -> Verified:
        roots = find_roots(self._offline)
        if roots.fault is not None:
            self._note(Finding(roots.fault.wrong, page=roots.fault.number))
        tables: list[TableCount] = []
        has_checksums = False
        if roots.meta is not None:
            meta = roots.meta
            pages = min(meta.last_page + 1, self._offline.octets // meta.page_size)
            file = PageFile(self._offline.descriptor, meta.page_size, pages)
            inspection = Inspection(file, meta, self._note, self._look, first=FIRST)
            inspection.run()
            self._look_at_the_whole()
            has_checksums = inspection.has_checksums
            tables = [
                TableCount(name, inspection.rows.get(name, 0), tree.pages)
                for name, tree in sorted(inspection.tables.items())
            ]
        path, octets = str(self._offline.path), self._offline.octets
        return Verified(path, octets, has_checksums, tables, self._findings, self._more)

    def _note(self, finding: Finding) -> None:
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(finding)
        else:
            self._more += 1

    def _look(self, table: str, key: bytes, value: bytes, page: int) -> None:
        try:
            said = rows.read_row(table, key, value)
        except rows.UNREADABLE as error:
            return self._note(Finding(f"is no row of it: {error}", table, page, key))
        if wrong := self._hold(table, key, said):
            self._note(Finding(wrong, table, page, key))
        return None

    def _hold(self, table: str, key: bytes, said: object) -> str | None:
        """Keeps what a row says, or holds it against what others said; what is wrong with it."""
        if isinstance(said, Message):
            self._keep(said)
        if table == "queue" and isinstance(said, int):
            return self._hold_queue(said, key)
        if table == "grants" and isinstance(said, list):
            return self._hold_grants(said)
        if (table, key) == ("meta", META_FORGOTTEN) and isinstance(said, bytes):
            self._forgotten = keys.read_u64(said)
        if table == "refs" and isinstance(said, int) and key not in self._hidden:
            return self._hold_ref(said)
        if table == "refs_journal" and isinstance(said, list):
            return self._hold_refs(said)
        if isinstance(said, Entries):
            self._entries[table, said.run, said.tier] += len(said.bound)
            return self._hold_refs(said.bound.items()) if table == "refs_runs" else None
        if isinstance(said, Catalogue):
            self._whole |= {
                (table, run.number, run.tier): run.entries
                for run in said.runs
                if run.state == WHOLE
            }
        if table == "tags" and isinstance(said, list):
            return next((wrong for one in said if (wrong := self._hold_id(one))), None)
        if table == "events" and isinstance(said, tuple):
            self._events.setdefault(key[:-9], []).append(said)
        if isinstance(said, eventlog.Cursor):
            self._cursors[key[len(eventlog.META_APP) :]] = said
        return None

    def _keep(self, message: Message) -> None:
        self._messages.add(message.id)
        if message.queue_group:
            self._waiting[message.id] = queue_key_of(message)
        self._granted.update(
            keys.pack_tag(message.id, index)
            for index, part in enumerate(message.parts)
            if part.state == GRANTED
        )

    def _hold_id(self, number: int) -> str | None:
        if number in self._messages:
            return None
        return f"names message {keys.show_id(number)}, which is not there"

    def _hold_refs(self, bound: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Refs that hide the same in plain rows; empty is one that was forgotten."""
        wrong = None
        for ref, value in bound:
            self._hidden.add(ref)
            if value:
                wrong = wrong or self._hold_ref(keys.read_u64(value))
        return wrong

    def _hold_ref(self, number: int) -> str | None:
        return None if number < self._forgotten else self._hold_id(number)

    def _hold_queue(self, number: int, key: bytes) -> str | None:
        expected = self._waiting.pop(number, None)
        if expected == key:
            return None
        return self._hold_id(number) or f"message {keys.show_id(number)} does not wait here"

    def _hold_grants(self, tags: list[bytes]) -> str | None:
        for tag in tags:
            if tag not in self._granted:
                number, index = keys.unpack_tag(tag)
                name = f"segment {index + 1} of message {keys.show_id(number)}"
                return self._hold_id(number) or f"{name} is not granted"
        self._granted.difference_update(tags)
        return None

    def _look_at_the_whole(self) -> None:
        for number in self._waiting:
            wrong = "waits, and has no row in the queue"
            self._note(Finding(wrong, "messages", key=keys.pack_u64(number)))
        for tag in self._granted:
            wrong = "has a segment that is granted, and no open grant"
            self._note(Finding(wrong, "messages", key=tag[:8]))
        for (table, number, tier), count in self._whole.items():
            if (found := self._entries[table, number, tier]) != count:
                wrong = f"run {number} of tier {tier} has {found} entries, not {count}"
                self._note(Finding(wrong, table))
        for app, cursor in self._cursors.items():
            self._look_at_events(app, cursor, sorted(self._events.pop(app, [])))
        for app in self._events:
            wrong = "has no row of its app, whose events are there"
            self._note(Finding(wrong, "meta", key=eventlog.META_APP + app))

    def _look_at_events(
        self, app: bytes, cursor: eventlog.Cursor, found: list[tuple[int, int]]
    ) -> None:
        """The rows that are kept follow each other, up to the last event."""
        following = min(found[0][0], cursor.oldest) if found else cursor.oldest
        for first, last in [*found, (cursor.latest + 1, 0)]:
            if following == cursor.cut_after + 1 and first > cursor.cut_until:
                following = cursor.cut_until + 1  # left out where a copy was restored
            if first != following:
                name = app.decode("ascii", "replace")
                wrong = f"events {following} to {first - 1} of {name} are not there"
                self._note(Finding(wrong, "events"))
            following = last + 1
