"""Damage done to a data file, each kind at random, and the pages that it has hit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from smppd.store.inspection import Inspection
from smppd.store.layout import DATA_FILE
from smppd.store.offline import Offline, find_roots
from smppd.store.pages import PageFile

PAGE: Final = 4096


def flip_bits(chance: Random, data: bytearray, count: int) -> None:
    for _ in range(count):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _flip_one(chance: Random, data: bytearray) -> None:
    flip_bits(chance, data, 1)


def _flip_some(chance: Random, data: bytearray) -> None:
    flip_bits(chance, data, chance.randint(2, 50))


def _flip_meta(chance: Random, data: bytearray) -> None:
    """A bit that means something in one of the two pages that say which commit was the last."""
    data[chance.randrange(2) * PAGE + chance.randrange(152)] ^= 1 << chance.randrange(8)


def _flip_headers(chance: Random, data: bytearray) -> None:
    """A bit of where a page says what it is and where its rows are."""
    page = chance.randrange(len(data) // PAGE)
    data[page * PAGE + chance.randrange(32)] ^= 1 << chance.randrange(8)


def _zero_page(chance: Random, data: bytearray) -> None:
    zero(data, chance.randrange(len(data) // PAGE))


def zero(data: bytearray, page: int) -> None:
    data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)


def _zero_sector(chance: Random, data: bytearray) -> None:
    start = chance.randrange(len(data) // 512) * 512
    data[start : start + 512] = bytes(512)


def _truncate(chance: Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def _swap_pages(chance: Random, data: bytearray) -> None:
    one, other = chance.sample(range(len(data) // PAGE), 2)
    kept = data[one * PAGE : (one + 1) * PAGE]
    data[one * PAGE : (one + 1) * PAGE] = data[other * PAGE : (other + 1) * PAGE]
    data[other * PAGE : (other + 1) * PAGE] = kept


KINDS: Final[tuple[Callable[[Random, bytearray], None], ...]] = (
    _flip_one,
    _flip_some,
    _flip_meta,
    _flip_headers,
    _zero_page,
    _zero_sector,
    _truncate,
    _swap_pages,
)


def damage(original: bytes, seed: int) -> bytes:
    """The file with one kind of damage; the same for the same seed."""
    data = bytearray(original)
    KINDS[seed % len(KINDS)](Random(seed), data)
    return bytes(data)


def zero_pages(directory: Path, *pages: int) -> None:
    """Pages of a store at rest are zeros from now on."""
    data = bytearray((directory / DATA_FILE).read_bytes())
    for page in pages:
        zero(data, page)
    (directory / DATA_FILE).write_bytes(data)


def damaged_copy(used: Path, to: Path, data: bytes) -> Path:
    """A state directory as ``used``, with ``data`` for its data file."""
    shutil.copytree(used, to)
    (to / DATA_FILE).write_bytes(data)
    return to


def leaf_of(directory: Path, table: str, index: int = 0) -> int:
    """The page of one of a table's leaves, the last one first."""
    return leaves_of(directory, table)[index]


def leaves_of(directory: Path, table: str) -> list[int]:
    """The pages of a table's leaves in a sound store, the last one first."""
    path = directory / DATA_FILE
    with path.open("rb") as opened:
        offline = Offline(path, opened.fileno(), path.stat().st_size)
        meta = find_roots(offline).meta
        assert meta is not None, "a sound store has one"
        file = PageFile(offline.descriptor, meta.page_size, meta.last_page + 1)
        found = Inspection(file, meta, _must_be_sound)
        found.run()
        again = PageFile(offline.descriptor, meta.page_size, meta.last_page + 1)
        return [leaf.number for leaf in again.leaves(found.tables[table], _must_be_sound)]


def _must_be_sound(finding: object) -> None:
    raise AssertionError(finding)
