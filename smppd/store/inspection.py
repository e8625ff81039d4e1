"""A walk over the whole data file: every page that is in use, every row's checksum, the free list.

``startcheck`` makes it before LMDB may map the file, and ends it at the first finding; ``verify``
makes it to the end and looks into the rows too. It reads by ``pages`` alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Final
from zlib import crc32

import msgspec

from smppd.store import layout
from smppd.store.layout import TABLES, WHOLE
from smppd.store.pages import (
    BIG,
    META_PAGES,
    SUBTREE,
    UNWRITTEN_PAGES_MAX,
    Gap,
    Meta,
    PageFault,
    PageFile,
    Row,
    Tree,
    check_tree,
    read_tree,
)

_MAIN: Final = ""
FREE_LIST: Final = "free list"
"""What findings call LMDB's list of pages that are free; it is no table of ours."""

_ALWAYS_READ: Final = (_MAIN, "meta", FREE_LIST)
"""Whatever the bound: what the other tables, and all writing, hang on."""

_RECORD_OCTETS: Final = 48
_ID_OCTETS: Final = 8

ENDLESS: Final = 1 << 62
"""A bound that is none."""

ROWS_A_PAGE: Final = 16
"""A page of more rows counts as several where pages are bounded: it is their rows that take time,
and a page of the queue has eighty of them, one of messages eight."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is damaged: where it is known, the table, the page (from 0) and the key."""

    wrong: str
    table: str = ""
    page: int | None = None
    key: bytes | None = None

    def __str__(self) -> str:
        table = f"table {self.table}" if self.table in TABLES else self.table
        page = "" if self.page is None else f"page {self.page}"
        key = "" if self.key is None else f"row {show_key(self.key)}"
        where = ", ".join(part for part in (table, page, key) if part)
        return f"{where}: {self.wrong}" if where else self.wrong


def show_key(key: bytes) -> str:
    """A key for people: as it reads where it is text (an app and a ref), else in hexadecimal, also
    where a number's octets happen to be letters."""
    text = key.decode("ascii", "replace").replace("\0", " ")
    is_plain = text.isprintable() and "\ufffd" not in text
    is_text = is_plain and key[:1].isalnum() and key.count(0) <= 1
    return repr(text) if is_text else key.hex()


class LeafRows(msgspec.Struct, frozen=True, gc=False):
    """The rows of a leaf that can be read, each value with its checksum where it has one."""

    page: int
    rows: list[Row]


Note = Callable[[Finding], None]
Look = Callable[[str, bytes, bytes, int], None]
"""Called with table, key, value and page of every row that is whole."""


class Inspection:
    """See the module. ``note`` is told of every finding, and may raise to end the walk; ``lose`` of
    the rows that a finding has cost, where ``salvage`` wants to know.

    ``pages_max`` bounds the leaves (and pages of long values) that are read: of the smallest tables
    first, of each from its end, where what is new stands; one of many rows counts as several.
    Branches are all read, and every leaf is known to be in use once. The tables of ``first`` come
    before the others, ``meta`` before all.
    ``is_start``: pages that are neither in use nor free cost room and nothing else, and LMDB itself
    may leave some behind (its own copy minds "page leaks"), so no start is refused for them.
    """

    def __init__(
        self,
        file: PageFile,
        meta: Meta,
        note: Note,
        look: Look | None = None,
        *,
        lose: Callable[[str, Gap], None] | None = None,
        pages_max: int = ENDLESS,
        first: tuple[str, ...] = (),
        is_start: bool = False,
    ) -> None:
        self._file = file
        self._meta = meta
        self._note = note
        self._look = look
        self._lose = lose
        self._left = pages_max
        self._first = first
        self._is_start = is_start
        self._is_sound = True
        self.has_checksums = False
        self.tables: dict[str, Tree] = {}
        self.rows: dict[str, int] = {}
        self.free = bytearray(
            max(file.pages, min(meta.last_page + 1, file.pages + UNWRITTEN_PAGES_MAX))
        )
        """One a page: 1 where the free list names it."""
        self.has_free_list = False
        """Whether that list could be read whole."""

    @property
    def is_complete(self) -> bool:
        """Whether the bound was not met: everything was read."""
        return self._left >= 0

    def run(self) -> None:
        """Walks the file."""
        self._find_tables()
        meta = [*self._leaves_of("meta")]
        self.has_checksums = any(are_sealed("meta", leaf.rows) for leaf in meta)
        self._look_at("meta", iter(meta))
        for name in sorted(self.tables, key=self._turn_of):
            if name != "meta":
                self._look_at(name, self._find_checksums(name, self._leaves_of(name)))
        self._look_at_free_list()

    def _turn_of(self, name: str) -> tuple[int, int]:
        first = self._first
        turn = first.index(name) if name in first else len(first)
        return turn, self.tables[name].pages

    def _find_checksums(self, name: str, leaves: Iterator[LeafRows]) -> Iterator[LeafRows]:
        """Where ``meta`` is too damaged to tell, the other tables do."""
        if self.has_checksums or self._is_sound:
            return leaves
        first = [*islice(leaves, 1)]
        self.has_checksums = any(are_sealed(name, leaf.rows) for leaf in first)
        return chain(first, leaves)

    def _found(self, finding: Finding) -> None:
        self._is_sound = False
        self._note(finding)

    def _lost(self, name: str, gap: Gap) -> None:
        self._found(Finding(gap.wrong, name or TABLES_LIST, gap.page))
        if self._lose is not None:
            self._lose(name, gap)

    def _lost_row(self, name: str, page: int, key: bytes, wrong: str) -> None:
        self._found(Finding(wrong, name or TABLES_LIST, page, key))
        if self._lose is not None:
            self._lose(name, Gap(page, wrong, key, key + b"\0"))

    # -- tables ---

    def _find_tables(self) -> None:
        for leaf in self._leaves(_MAIN, self._meta.main):
            for row in leaf.rows:
                self._find_table(row, leaf.page)

    def _find_table(self, row: Row, page: int) -> None:
        name = row.key.decode("ascii", "replace")
        if name not in TABLES or row.flags != SUBTREE or len(row.value) != _RECORD_OCTETS:
            wrong = f"names a table {name!r}, which this smppd does not have; has a newer one?"
            return self._lost(_MAIN, Gap(page, wrong, row.key, row.key + b"\0"))
        tree = read_tree(row.value)
        if wrong_record := check_tree(tree):
            self._lost(name, Gap(page, wrong_record, b"", None))
        self.tables[name] = tree
        return None

    def _leaves_of(self, name: str) -> Iterator[LeafRows]:
        tree = self.tables.get(name)
        return iter(()) if tree is None else self._leaves(name, tree)

    def _leaves(self, name: str, tree: Tree) -> Iterator[LeafRows]:
        """The rows of a tree, leaf by leaf from its end; its counts are held against what there
        is."""
        file, count, was_sound = self._file, 0, self._is_sound
        before = file.seen.count(1)

        def is_enough() -> bool:
            return self._left < 0 and name not in _ALWAYS_READ

        for leaf in file.leaves(tree, lambda gap: self._lost(name, gap), is_enough):
            self._left -= 1
            if is_enough():
                continue
            try:
                rows = file.rows(leaf)
            except PageFault as fault:
                self._lost(name, Gap(fault.number, fault.wrong, leaf.low, leaf.high))
                continue
            count += len(rows)
            self._left -= len(rows) // ROWS_A_PAGE
            if any(row.flags for row in rows):
                rows = self._read_values(name, leaf.number, rows)
            yield LeafRows(leaf.number, rows)
        self.rows[name] = count
        if self.is_complete and self._is_sound == was_sound:
            self._check_counts(name, tree, count, file.seen.count(1) - before)

    def _read_values(self, name: str, page: int, rows: list[Row]) -> list[Row]:
        """The rows with the values that lie on pages of their own, those that can be read."""
        read = []
        for row in rows:
            if row.flags != BIG:
                if row.flags & ~(SUBTREE if name == _MAIN else 0):
                    self._lost_row(name, page, row.key, f"has flags {row.flags:#x}")
                else:
                    read.append(row)
                continue
            self._left -= self._file.overflow_pages(row.size)
            try:
                value = self._file.value_of(row)
            except PageFault as fault:
                self._lost_row(name, fault.number, row.key, fault.wrong)
                continue
            read.append(Row(row.key, value))
        return read

    def _check_counts(self, name: str, tree: Tree, rows: int, pages: int) -> None:
        if (rows, pages) != (tree.entries, tree.pages):
            wrong = (
                f"has {rows} rows on {pages} pages, and its record says {tree.entries} on "
                f"{tree.pages}"
            )
            self._found(Finding(wrong, name or TABLES_LIST))

    def _look_at(self, name: str, leaves: Iterator[LeafRows]) -> None:
        seed, look = layout.seed_of(name), self._look
        has_checksums = self.has_checksums
        end = -layout.CHECKSUM_OCTETS if has_checksums else None
        for leaf in leaves:
            for row in reversed(leaf.rows):  # the last one first, as the leaves come
                key, value = row.key, row.value
                if has_checksums and crc32(value, crc32(key, seed)) != WHOLE:
                    self._found(Finding("its checksum does not fit", name, leaf.page, key))
                elif look is not None:
                    look(name, key, value[:end], leaf.page)

    # -- the free list ---

    def _look_at_free_list(self) -> None:
        """LMDB writes over whatever this list names: nothing that is in use may be in it."""
        was_sound, self._is_sound = self._is_sound, True
        for leaf in self._leaves(FREE_LIST, self._meta.free):
            for row in leaf.rows:
                if wrong := self._free(row):
                    self._found(Finding(wrong, FREE_LIST, leaf.page))
        self._look_for_cut_pages()
        self.has_free_list = self._is_sound
        self._is_sound &= was_sound
        if self._is_sound and self.is_complete and not self._is_start:
            self._look_for_lost_pages()

    def _look_for_cut_pages(self) -> None:
        """What is beyond the end of the file must be free."""
        pages = self._file.pages
        cut = next((page for page in range(pages, len(self.free)) if not self.free[page]), None)
        if cut is not None:
            wrong = f"the file ends before it: {pages} pages, where {len(self.free)} are in use"
            self._found(Finding(wrong, page=cut))

    def _look_for_lost_pages(self) -> None:
        seen, free = self._file.seen, self.free
        used = range(META_PAGES, min(len(seen), self._meta.last_page + 1))
        lost = [page for page in used if not seen[page] and not free[page]]
        if lost:
            wrong = f"{len(lost)} pages from this one on are neither in use nor free"
            self._found(Finding(wrong, FREE_LIST, lost[0]))

    def _free(self, row: Row) -> str | None:
        """Marks the pages that one row lists; what is wrong with it."""
        if len(row.key) != _ID_OCTETS or len(row.value) % _ID_OCTETS or not row.value:
            return "has a row that is none"
        numbers = struct.unpack(f"={len(row.value) // _ID_OCTETS}Q", row.value)
        if not numbers[0]:
            return None  # room that LMDB had reserved, and did not need after all
        if numbers[0] != len(numbers) - 1:
            return f"has a row of {len(numbers) - 1} pages that says {numbers[0]}"
        before = len(self.free)
        for number in numbers[1:]:
            if not META_PAGES <= number < before:
                return f"lists page {number} where it cannot be"
            if self.free[number]:
                return f"lists page {number} twice"
            if number < self._file.pages and self._file.seen[number]:
                return f"lists page {number}, which is in use"
            self.free[number] = 1
            before = number
        return None


TABLES_LIST: Final = "list of tables"
"""What findings call the tree that names the tables and their roots."""


def are_sealed(name: str, rows: list[Row]) -> bool:
    """Whether rows of this table have checksums: one that fits cannot be chance."""
    seed = layout.seed_of(name)
    return any(layout.is_whole(seed, row.key, row.value) for row in rows)
