"""LMDB 0.9's data file as it lies on disk, read without LMDB.

LMDB trusts every page it maps: a damaged one ends the process with SIGBUS or SIGSEGV, or hides rows
in silence. Here every number is looked at before it is followed, and pages are read with pread(2),
so that the worst a file can do is to be reported. Source: ``mdb.c`` of LMDB 0.9 (``MDB_page``,
``MDB_node``, ``MDB_meta``, ``MDB_db``); integers are in the host's order, of a 64-bit build.

What a sound page is, beyond ``mdb.c``'s own asserts: its nodes fill it from ``upper`` to its end
without a gap (``mdb_node_add`` and ``mdb_node_del`` keep it so), so a count that lost a bit shows.

It knows pages, trees and rows, not what is in the rows.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from functools import cache
from operator import ge
from typing import Final

import msgspec

META_PAGES: Final = 2
PAGE_SIZES: Final = (4096, 8192, 16384, 32768, 512, 1024, 2048, 65536)
"""Octets; the likely ones first. The file says which, unless its first page is damaged."""

PAGE_SIZE_MAX: Final = 32768
"""LMDB 0.9's ``MAX_PAGESIZE``."""

NO_PAGE: Final = 2**64 - 1
"""The root of an empty tree."""

DEPTH_MAX: Final = 32
"""LMDB's ``CURSOR_STACK``."""

BRANCH: Final = 0x01
LEAF: Final = 0x02
OVERFLOW: Final = 0x04
META: Final = 0x08

INTEGER_KEYS: Final = 0x08
"""Of the free list's tree: its keys are transaction numbers in the host's order."""

_OF_ENVIRONMENT: Final = 0x4000
"""``MDB_NOSUBDIR``, which is kept in the same place where the file was made with it."""

_ASCENDING: Final = slice(None, None, -1 if sys.byteorder == "little" else 1)
"""The octets of such a key in the order in which they compare as numbers do."""

BIG: Final = 0x01
"""Of a node: its value is on pages of its own."""
SUBTREE: Final = 0x02
"""Of a node: its value is a ``MDB_db``, the root of a named table."""

_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_HEADER: Final = struct.Struct("=QHHHH")
HEADER_OCTETS: Final = _HEADER.size
_OVERFLOW_HEADER: Final = struct.Struct("=QHHI")
_NODE: Final = struct.Struct("=HHHH")
NODE_OCTETS: Final = _NODE.size
_META_HEAD: Final = struct.Struct("=IIQQ")
_META_TAIL: Final = struct.Struct("=QQ")
_TREE: Final = struct.Struct("=IHHQQQQQ")
_META_OCTETS: Final = HEADER_OCTETS + _META_HEAD.size + 2 * _TREE.size + _META_TAIL.size


class PageFault(Exception):
    """A page that cannot be what it must be; ``number`` is its own, from 0."""

    def __init__(self, number: int, wrong: str) -> None:
        super().__init__(f"page {number}: {wrong}")
        self.number = number
        self.wrong = wrong


class Tree(msgspec.Struct, frozen=True):
    """A ``MDB_db``: one table's root and what it counts."""

    pad: int
    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int

    @property
    def pages(self) -> int:
        """How many pages it says it has."""
        return self.branch_pages + self.leaf_pages + self.overflow_pages


class Meta(msgspec.Struct, frozen=True):
    """One of the two meta pages: a transaction's roots, and the last page it used."""

    page: int
    page_size: int
    free: Tree
    main: Tree
    last_page: int
    transaction: int


class Leaf(msgspec.Struct, frozen=True, gc=False):
    """A leaf as its tree names it: its rows have keys from ``low`` on and below ``high`` (None:
    to the end). ``is_numbered``: they are integers in the host's order, as in the free list."""

    number: int
    low: bytes
    high: bytes | None
    is_numbered: bool = False


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row on a leaf; ``overflow`` is the first page of a value that lies elsewhere, else 0."""

    key: bytes
    value: bytes
    overflow: int = 0
    size: int = 0
    flags: int = 0


class Gap(msgspec.Struct, frozen=True):
    """What a damaged page has cost: the rows from ``low`` on and below ``high``."""

    page: int
    wrong: str
    low: bytes
    high: bytes | None


def read_tree(data: bytes, offset: int = 0) -> Tree:
    """The ``MDB_db`` at ``offset``."""
    return Tree(*_TREE.unpack_from(data, offset))


class PageFile:
    """The data file open at ``descriptor``: ``pages`` of ``page_size`` octets are in use."""

    def __init__(self, descriptor: int, page_size: int, pages: int) -> None:
        self._descriptor = descriptor
        self.page_size = page_size
        self.pages = pages
        self.seen = bytearray(self.pages)
        """One a page: 1 where a walk has come by. A page belongs to one tree, once."""

    def read(self, number: int) -> bytes:
        """A page as it is; PageFault where the file has none such or the disk fails."""
        if not META_PAGES <= number < self.pages:
            raise PageFault(number, f"is not one of the {self.pages} pages in use")
        return self.read_octets(number, 1)

    def read_octets(self, number: int, count: int) -> bytes:
        """``count`` pages from ``number`` on."""
        wanted = count * self.page_size
        try:
            data = os.pread(self._descriptor, wanted, number * self.page_size)
        except OSError as error:
            raise PageFault(number, f"cannot be read: {error.strerror}") from error
        if len(data) != wanted:
            raise PageFault(number, "is beyond the end of the file")
        return data

    def visit(self, number: int, count: int = 1) -> None:
        """A walk has come to these pages; PageFault where one has before."""
        end = number + count
        if number < META_PAGES or end > self.pages:
            raise PageFault(number, f"is not one of the {self.pages} pages in use")
        if any(self.seen[number:end]):
            raise PageFault(number, "is in use in two places")
        self.seen[number:end] = b"\1" * count

    # -- trees ---

    def leaves(
        self,
        tree: Tree,
        lose: Callable[[Gap], None],
        is_enough: Callable[[], bool] = lambda: False,
    ) -> Iterator[Leaf]:
        """The leaves of a tree, the last one first, without reading them; ``lose`` is told of every
        page above them that is damaged. Once it ``is_enough`` they are only known to be in use once
        and are not named any more: of a store of ten million messages there are a million."""
        if not _has_root(tree):
            return
        is_numbered = bool(tree.flags & INTEGER_KEYS)
        waiting = [(Leaf(tree.root, b"", None, is_numbered), 1)]
        while waiting:
            node, depth = waiting.pop()
            try:
                self.visit(node.number)
                if depth == tree.depth:
                    yield node
                    continue
                if depth == tree.depth - 1 and is_enough():
                    self._visit_leaves(node)
                    continue
                children = self._children(node)
            except PageFault as fault:
                lose(Gap(fault.number, fault.wrong, node.low, node.high))
                continue
            waiting += [(child, depth + 1) for child in children]

    def last_number(self, tree: Tree) -> int:
        """The last key of a tree of numbers; 0 where there is none, or none can be read."""
        for leaf in self.leaves(tree, lambda gap: None):
            try:
                return int.from_bytes(self.rows(leaf)[-1].key, sys.byteorder)
            except PageFault:
                break
        return 0

    def _visit_leaves(self, node: Leaf) -> None:
        """Looks at a branch, and at the numbers of its leaves."""
        seen, pages = self.seen, self.pages
        numbers, _ = self._read_branch(node)
        for number in numbers:
            if not META_PAGES <= number < pages or seen[number]:
                self.visit(number)  # says what is wrong with it
            seen[number] = 1

    def _children(self, node: Leaf) -> list[Leaf]:
        numbers, lows = self._read_branch(node)
        highs = [*lows[1:], node.high]
        numbered = [node.is_numbered] * len(lows)
        return [Leaf(*one) for one in zip(numbers, lows, highs, numbered, strict=True)]

    def _read_branch(self, node: Leaf) -> tuple[list[int], list[bytes]]:
        """The pages below a branch, and from which key on each; PageFault where it is not sound."""
        number, lows, numbers, ends = node.number, [], [], {}
        page = self.read(number)
        offsets, upper = _offsets(page, number, BRANCH, self.page_size)
        for offset in offsets:
            low, high, flags, key_size = _NODE.unpack_from(page, offset)
            end = offset + NODE_OCTETS + key_size
            ends[offset] = end + (end & 1)
            lows.append(page[offset + NODE_OCTETS : end])
            numbers.append(low | high << 16 | flags << 32)
        _check_filled(number, offsets, ends, upper, self.page_size)
        # The first child's key is not kept: whatever is there, it begins where the branch begins.
        lows[0] = node.low
        _check_order(number, lows, node)
        return numbers, lows

    # -- rows ---

    def rows(self, leaf: Leaf) -> list[Row]:
        """The rows of a leaf, in key order, values on other pages not read; PageFault where the
        page is not sound."""
        number, rows, ends = leaf.number, [], {}
        page = self.read(number)
        offsets, upper = _offsets(page, number, LEAF, self.page_size)
        for offset in offsets:
            row, end = read_row(page, offset)
            ends[offset] = end + (end & 1)
            rows.append(row)
        _check_filled(number, offsets, ends, upper, self.page_size)
        _check_order(number, [row.key for row in rows], leaf)
        return rows

    def value_of(self, row: Row) -> bytes:
        """The value of a row that lies on pages of its own; they are visited."""
        count = self._check_overflow(row)
        self.visit(row.overflow, count)
        return self.read_octets(row.overflow, count)[HEADER_OCTETS : HEADER_OCTETS + row.size]

    def _check_overflow(self, row: Row) -> int:
        """How many pages the value has."""
        first, needed = row.overflow, self.overflow_pages(row.size)
        number, _, flags, count = _OVERFLOW_HEADER.unpack_from(self.read(first))
        if number != first:
            raise PageFault(first, f"says that it is page {number}")
        if flags != OVERFLOW:
            raise PageFault(first, f"is no page of a long value (flags {flags:#x})")
        if count < needed or first + count > self.pages:
            raise PageFault(first, f"has {count} pages for a value that takes {needed}")
        return int(count)

    def overflow_pages(self, size: int) -> int:
        """How many pages a value of ``size`` octets takes."""
        return (HEADER_OCTETS - 1 + size) // self.page_size + 1


def read_row(page: bytes, offset: int) -> tuple[Row, int]:
    """The node at ``offset`` of a leaf, and where it ends; cut short where the page ends before."""
    low, high, flags, key_size = _NODE.unpack_from(page, offset)
    middle = offset + NODE_OCTETS + key_size
    key = page[offset + NODE_OCTETS : middle]
    size = low | high << 16
    if not flags & BIG:
        return Row(key, page[middle : middle + size], 0, size, flags), middle + size
    first = int.from_bytes(page[middle : middle + 8], sys.byteorder)
    return Row(key, b"", first, size, flags), middle + 8


def _offsets(page: bytes, number: int, kind: int, page_size: int) -> tuple[tuple[int, ...], int]:
    """Where each node of the page begins, in key order, and where the first of them lies."""
    own, _, flags, lower, upper = _HEADER.unpack_from(page)
    if own != number:
        raise PageFault(number, f"says that it is page {own}")
    if flags != kind:
        raise PageFault(number, f"is no {_KINDS[kind]} (flags {flags:#x})")
    if not HEADER_OCTETS < lower <= upper < page_size or (lower | upper) & 1:
        raise PageFault(number, f"has bounds that cannot be (lower {lower}, upper {upper})")
    offsets = _numbers((lower - HEADER_OCTETS) // 2).unpack_from(page, HEADER_OCTETS)
    if max(offsets) > page_size - NODE_OCTETS:
        raise PageFault(number, f"has a node at {max(offsets)}, out of its bounds")
    return offsets, upper


def _check_filled(
    number: int, offsets: tuple[int, ...], ends: dict[int, int], upper: int, page_size: int
) -> None:
    """The nodes fill the page from ``upper`` on: none is missing, none reaches into another."""
    at, count = upper, 0
    while at < page_size:
        end = ends.get(at)
        if end is None:
            raise PageFault(number, f"has no node at {at}, where one must be")
        at, count = end, count + 1
    if at != page_size or count != len(offsets):
        raise PageFault(number, "has nodes that reach into each other")


def _check_order(number: int, found: list[bytes], node: Leaf) -> None:
    """Keys go up, and are those that the page above has it for."""
    low, high = node.low, node.high
    if node.is_numbered:
        found, low = [key[_ASCENDING] for key in found], low[_ASCENDING]
        high = None if high is None else high[_ASCENDING]
    if any(map(ge, found, found[1:])):
        raise PageFault(number, "has its keys out of order")
    if found[0] < low or (high is not None and found[-1] >= high):
        raise PageFault(number, "has keys that are not in its place")


@cache
def _numbers(count: int) -> struct.Struct:
    """So many, of two octets: at most PAGE_SIZE_MAX // 2 on a page."""
    return struct.Struct(f"={count}H")


_KINDS: Final = {BRANCH: "branch", LEAF: "leaf"}


def _has_root(tree: Tree) -> bool:
    return tree.root != NO_PAGE and 0 < tree.depth <= DEPTH_MAX


def check_tree(tree: Tree) -> str | None:
    """What is wrong with a tree's own record; None: nothing."""
    if tree.pad or tree.flags or not _is_consistent(tree):
        root = "none" if tree.root == NO_PAGE else tree.root
        return (
            f"its record cannot be (flags {tree.flags:#x}, depth {tree.depth}, {tree.pages} pages, "
            f"{tree.entries} rows, root {root})"
        )
    return None


def _is_consistent(tree: Tree) -> bool:
    """Whether it is empty in every respect, or in none."""
    is_empty = tree.root == NO_PAGE
    counts = (tree.depth, tree.pages, tree.entries)
    return tree.depth <= DEPTH_MAX and all(is_empty != bool(count) for count in counts)


# -- the meta pages ---


def read_metas(descriptor: int, octets: int) -> list[Meta | PageFault]:
    """Both meta pages, or what is wrong with each."""
    first = _read_meta(descriptor, 0, 0)
    if isinstance(first, Meta):
        return [first, _read_meta(descriptor, 1, first.page_size)]
    for size in PAGE_SIZES:
        second = _read_meta(descriptor, 1, size)
        if isinstance(second, Meta) and second.page_size == size:
            return [first, second]
    return [first, _read_meta(descriptor, 1, PAGE_SIZES[0])]


def _read_meta(descriptor: int, number: int, page_size: int) -> Meta | PageFault:
    try:
        data = os.pread(descriptor, _META_OCTETS, number * page_size)
    except OSError as error:
        return PageFault(number, f"cannot be read: {error.strerror}")
    if len(data) < _META_OCTETS:
        return PageFault(number, "is beyond the end of the file")
    own, _, flags, _, _ = _HEADER.unpack_from(data)
    magic, version, _, _ = _META_HEAD.unpack_from(data, HEADER_OCTETS)
    if magic != _MAGIC or version != _VERSION or own != number or flags != META:
        return PageFault(number, "is no meta page of LMDB 0.9")
    at = HEADER_OCTETS + _META_HEAD.size
    free, main = read_tree(data, at), read_tree(data, at + _TREE.size)
    last_page, transaction = _META_TAIL.unpack_from(data, at + 2 * _TREE.size)
    size = free.pad
    if size & (size - 1) or not min(PAGE_SIZES) <= size <= PAGE_SIZE_MAX:
        return PageFault(number, f"says that pages have {size} octets")
    if last_page < META_PAGES - 1:
        return PageFault(number, f"says that page {last_page} is the last one")
    return Meta(number, size, free, main, last_page, transaction)


UNWRITTEN_PAGES_MAX: Final = 1_024
"""By which a sound file may be short; ``inspection`` holds them against the free list."""


def find_current(
    descriptor: int, metas: list[Meta | PageFault], octets: int, *, has_failed: bool = False
) -> Meta | PageFault:
    """The meta page that counts, or why none can be believed.

    Commits write the two in turn, each one transaction on from the other, so two that are not
    neighbours are not what was written, whichever of them LMDB would take. Nor is one whose free
    list has an entry of a later commit: its own number is wrong. But ``has_failed``, a commit whose
    meta page could not be written leaves its roots under the number of the one before last: LMDB
    puts that back, so that they are not used (mdb_env_write_meta).
    """
    first, second = metas
    if isinstance(first, PageFault):
        return first
    if isinstance(second, PageFault):
        return second
    low, high = sorted((first, second), key=lambda meta: meta.transaction)
    if first.page_size != second.page_size:
        return PageFault(1, f"has pages of {second.page_size} octets, page 0 of {first.page_size}")
    is_new = high.transaction == 0
    is_next = high.transaction == low.transaction + 1 and high.transaction & 1 == high.page
    if not is_new and not is_next:
        numbers = f"{first.transaction} and {second.transaction}"
        return PageFault(high.page, f"does not follow the other (transactions {numbers})")
    current = first if is_new else high
    for meta in (low, high):
        there = os.fstat(descriptor).st_size // meta.page_size
        file = PageFile(descriptor, meta.page_size, min(meta.last_page + 1, there))
        is_undone = has_failed and meta is low
        if file.last_number(meta.free) > (high.transaction + 1 if is_undone else meta.transaction):
            return PageFault(
                meta.page, f"says it is of transaction {meta.transaction}, and is of a later one"
            )
    needed = (current.last_page + 1) * current.page_size
    # Pages that the last commit drew and gave back LMDB never wrote: they are in the free list.
    if needed > octets + UNWRITTEN_PAGES_MAX * current.page_size:
        short = f"the file ends before it: {octets} octets, where {needed} are in use"
        return PageFault(current.last_page, short)
    if wrong := check_tree(current.main):
        return PageFault(current.page, wrong)
    if current.free.flags & ~_OF_ENVIRONMENT != INTEGER_KEYS or not _is_consistent(current.free):
        return PageFault(current.page, "has a record of the free list that cannot be")
    return current
