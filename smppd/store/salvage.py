"""``smppd salvage``: what can be read of a damaged store, into a new one; the old stays as it is.

1. The trees are walked, and every row whose checksum fits and that decodes is taken over.
2. Where pages of them are damaged, every page of the file that is not free is looked at for rows of
   the keys that were lost: those on the damaged pages themselves, and on leaves that no branch
   leads to any more. A row's checksum says which table it is of.
3. What can be had from the messages is built from them: queue, grants and tags always, so that they
   agree; deadlines, doubts, ids of carriers and refs where rows of them were lost. Threads are not:
   one that was lost is a ``reply_to`` less.

What is read in the last commit's trees is the newest there is. A row that is found elsewhere while
the free list cannot be read, or no meta page says which commit was the last, may be an old version
of itself: then the new store gets the row ``restored``, and its first start doubts all that waits
(``restore``), so that nothing is sent twice in silence.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from smppd.errors import StoreError
from smppd.store import keys, layout, rows
from smppd.store.book import META_RESTORED
from smppd.store.environment import Environment
from smppd.store.index import decode_entries
from smppd.store.inspection import Finding, Inspection
from smppd.store.layout import META_CHECKSUMS, TABLES
from smppd.store.offline import Offline, Roots, find_roots, opened
from smppd.store.pages import (
    BIG,
    HEADER_OCTETS,
    LEAF,
    META_PAGES,
    NODE_OCTETS,
    PAGE_SIZES,
    Gap,
    PageFault,
    PageFile,
    Row,
    read_row,
)
from smppd.store.rebuild import Rebuilding, Rebuilt
from smppd.store.records import Message

BATCH_ROWS: Final = 5_000
"""Rows a transaction of the new store: some megabytes."""

FINDINGS_MAX: Final = 1_000
"""Kept and shown; the rest is counted."""

_PLAIN: Final = ("refs", "smsc_ids", "threads")
_JOURNALED: Final = {f"{name}_journal": name for name in _PLAIN}
_RUN: Final = {f"{name}_runs": name for name in _PLAIN}

_FIRST: Final = ("messages", *_JOURNALED, *_RUN, *_PLAIN)
"""In this order: what a journal says of a key counts more than what a run does, and least of all
the plain rows. All of it becomes plain rows, which the daemon makes runs of again."""

_DERIVED: Final = frozenset({"queue", "grants", "tags"})


class SavedTable(msgspec.Struct, frozen=True):
    """Rows of a table that were taken over, rows that were built anew, and its damaged places."""

    table: str
    saved: int
    built: int
    damaged: int


class LostMessage(msgspec.Struct, frozen=True):
    """A message that is gone, by its id and what else still names it."""

    id: str
    app: str = ""
    ref: str = ""


class Salvaged(msgspec.Struct, frozen=True):
    """What became of it. ``findings`` (and ``more`` of them) is all that was damaged; ``lost`` are
    the messages that are known to be gone; ``is_doubtful``: what waits may be old news."""

    file: str
    directory: str
    tables: list[SavedTable]
    findings: list[Finding]
    more: int
    lost: list[LostMessage]
    is_doubtful: bool


def salvage(old: Path, new: Path, now_ms: int) -> Salvaged:
    """Makes a store in ``new`` of what can be read in ``old`` (or of a data file by itself).

    Raises StoreError where ``new`` is not empty or cannot be written, where there is nothing to
    read in ``old``, and where a daemon runs on it.
    """
    with opened(old) as offline:
        if new.exists() and (not new.is_dir() or any(new.iterdir())):
            raise StoreError(f"{new} is not an empty directory; name one that is not there yet")
        environment = Environment(new, max(1 << 26, 2 * offline.octets))
        try:
            return _Salvage(offline, environment).run(new, now_ms)
        finally:
            environment.close()


class _Salvage:
    def __init__(self, offline: Offline, environment: Environment) -> None:
        self._offline = offline
        self._environment = environment
        self._tables = environment.tables
        self._saved = dict.fromkeys(TABLES, 0)
        self._findings: list[Finding] = []
        self._more = 0
        self._gaps: dict[str, list[Gap]] = {}
        self._harmed: set[str] = set()
        self._harmed_pages: set[int] = set()
        self._damaged: Counter[str] = Counter()
        self._hidden: set[tuple[str, bytes]] = set()
        self._named: set[int] = set()
        self._is_doubtful = False
        self._is_newest = True
        self._written = 0

    def run(self, new: Path, now_ms: int) -> Salvaged:
        self._environment.begin(write=True)
        roots = find_roots(self._offline)
        if roots.fault is not None:
            self._note(Finding(roots.fault.wrong, page=roots.fault.number))
        self._walk(roots)
        # Without a cursor an app's events would be numbered as others were, which it has had.
        self._is_doubtful |= not self._is_newest or "meta" in self._harmed
        if self._is_doubtful:
            self._tables["meta"].put(META_RESTORED, b"%d" % now_ms)
        self._commit()
        rebuilding = Rebuilding(self._environment, frozenset(self._harmed), self._named)
        rebuilt = rebuilding.run()
        return self._report(new, rebuilt)

    def _report(self, new: Path, rebuilt: Rebuilt) -> Salvaged:
        tables = [
            SavedTable(name, self._saved[name], rebuilt.rows.get(name, 0), self._damaged[name])
            for name in TABLES
        ]
        lost = [
            LostMessage(keys.show_id(number), *rebuilt.names.get(number, ("", "")))
            for number in sorted(rebuilt.lost)
        ]
        path = str(self._offline.path)
        return Salvaged(path, str(new), tables, self._findings, self._more, lost, self._is_doubtful)

    # -- the trees ---

    def _walk(self, roots: Roots) -> None:
        meta, offline = roots.meta, self._offline
        self._is_newest = roots.is_newest
        if meta is None:
            self._gaps = {name: [_everything()] for name in TABLES}
            file = PageFile(offline.descriptor, *_guess(offline.octets))
            return self._scan(file, None, file.pages)
        file = PageFile(offline.descriptor, meta.page_size, offline.octets // meta.page_size)
        inspection = Inspection(file, meta, self._note, self._look, lose=self._lose, first=_FIRST)
        inspection.run()
        end = meta.last_page + 1
        if any(file.seen[end:]):
            wrong = f"says that page {meta.last_page} is the last one, and later ones are in use"
            self._note(Finding(wrong, page=meta.page))
        missing = [name for name in TABLES if name not in inspection.tables]
        if missing and self._gaps.pop("", []):
            self._gaps |= {name: [_everything()] for name in missing}
        if not roots.is_newest:
            self._gaps = {name: [_everything()] for name in TABLES}
        if self._gaps:
            self._harmed.update(self._gaps)
            # What a commit that came to nothing has left behind is beyond the last page.
            is_all = not roots.is_newest or any(file.seen[end:])
            self._scan(file, inspection, file.pages if is_all else min(end, file.pages))
        return None

    def _note(self, finding: Finding) -> None:
        self._harmed.add(finding.table)
        self._damaged[finding.table] += 1
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(finding)
        else:
            self._more += 1

    def _lose(self, table: str, gap: Gap) -> None:
        self._gaps.setdefault(table, []).append(gap)
        self._harmed_pages.add(gap.page)

    def _look(self, table: str, key: bytes, value: bytes, page: int) -> None:
        """A row that is whole."""
        try:
            said = rows.read_row(table, key, value)
        except rows.UNREADABLE as error:
            self._note(Finding(f"is no row of it: {error}", table, page, key))
            return
        self._saved[table] += 1
        if table in _DERIVED:
            self._named.update(_ids_in(said))
        self._keep(table, key, value)

    def _keep(self, table: str, key: bytes, value: bytes) -> None:
        if table in _JOURNALED:
            # Rows come the last one first, as young runs do; in a row the last entry counts.
            for name, bound in reversed(decode_entries(value)):
                self._bind(_JOURNALED[table], name, bound)
        elif table in _RUN:
            entries = rows.read_runs(key, value)
            if isinstance(entries, rows.Entries):
                for name, bound in entries.bound.items():
                    self._bind(_RUN[table], name, bound)
        elif table in _PLAIN:
            self._bind(table, key, value)
        elif table not in _DERIVED and (table, key) != ("meta", META_CHECKSUMS):
            self._put(table, key, value)

    def _bind(self, table: str, name: bytes, bound: bytes) -> None:
        """A ref or an id of a carrier, unless it was bound; an empty one was forgotten."""
        if (table, name) in self._hidden or self._tables[table].get(name) is not None:
            return
        if bound:
            self._put(table, name, bound)
        else:
            self._hidden.add((table, name))

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._tables[table].put(key, value)
        self._written += 1
        if self._written % BATCH_ROWS == 0:
            self._commit()
            self._environment.begin(write=True)

    def _commit(self) -> None:
        self._environment.commit()

    # -- the pages ---

    def _scan(self, file: PageFile, inspection: Inspection | None, end: int) -> None:
        """Looks for rows in the gaps on every page before ``end`` that no tree has led to, and on
        damaged ones."""
        damaged = self._harmed_pages
        has_free_list = inspection is not None and inspection.has_free_list and self._is_newest
        for number in range(META_PAGES, end):
            if number not in damaged and file.seen[number]:
                continue
            try:
                page = file.read(number)
            except PageFault:
                continue
            is_free = has_free_list and inspection is not None and bool(inspection.free[number])
            if is_free and int.from_bytes(page[:8], sys.byteorder) not in damaged:
                continue  # else it is a page that was written to a wrong place
            for row, is_named in _rows_on(page, number in damaged):
                self._offer(file, row, is_trusted=is_named and has_free_list)

    def _offer(self, file: PageFile, row: Row, *, is_trusted: bool) -> None:
        """A row that may be one of those that were lost."""
        value = row.value
        if row.flags & BIG:
            try:
                value = file.value_of(row)
            except PageFault:
                return
        for table, gaps in self._gaps.items():
            is_wanted = table in TABLES and any(_is_in(gap, row.key) for gap in gaps)
            if is_wanted and layout.is_whole(layout.seed_of(table), row.key, value):
                self._take(table, row.key, value[: -layout.CHECKSUM_OCTETS], is_trusted)
                return

    def _take(self, table: str, key: bytes, value: bytes, is_trusted: bool) -> None:
        kept = self._tables[table].get(key)
        if kept is None:
            self._is_doubtful |= not is_trusted and table == "messages"
            self._look(table, key, value, 0)
        elif table == "messages" and not is_trusted:
            newer, older = rows.read_message(key, value), rows.read_message(key, kept)
            if _progress(newer) > _progress(older):
                self._is_doubtful = True
                self._put(table, key, value)


def _ids_in(said: object) -> list[int]:
    """The messages that a row of a table in _DERIVED names."""
    if isinstance(said, list):
        return [one if isinstance(one, int) else keys.unpack_tag(one)[0] for one in said]
    return [said] if isinstance(said, int) else []


def _everything() -> Gap:
    return Gap(0, "", b"", None)


def _is_in(gap: Gap, key: bytes) -> bool:
    return gap.low <= key and (gap.high is None or key < gap.high)


def _guess(octets: int) -> tuple[int, int]:
    """Page size and pages of a file whose meta pages say nothing."""
    return PAGE_SIZES[0], octets // PAGE_SIZES[0]


def _rows_on(page: bytes, is_damaged: bool) -> Iterator[tuple[Row, bool]]:
    """The rows of what may be a leaf, and whether the page names them; of a damaged one also what
    else looks like a row: its checksum will tell."""
    flags, lower, upper = struct.unpack_from("=HHH", page, HEADER_OCTETS - 6)
    if not is_damaged and flags != LEAF:
        return
    last = len(page) - NODE_OCTETS
    named = set()
    if HEADER_OCTETS < lower <= len(page):
        count = (lower - HEADER_OCTETS) // 2
        offsets = struct.unpack_from(f"={count}H", page, HEADER_OCTETS)
        named = {offset for offset in offsets if max(upper, HEADER_OCTETS) <= offset <= last}
    for offset in sorted(named):
        yield read_row(page, offset)[0], True
    if is_damaged:
        for offset in range(HEADER_OCTETS, last, 2):
            if offset not in named:
                yield read_row(page, offset)[0], False


def _progress(message: Message) -> tuple[int, int, int, int]:
    """Grows with every step of a message, as far as one record can be told from another."""
    parts = message.parts
    return (
        message.last_event_at,
        message.steps_dropped + len(message.steps),
        max(max(part.granted_at, part.answered_at, part.receipt_at) for part in parts),
        message.state,
    )
