"""The disk that may lose what was not flushed: what it may hold, and what it may not."""

from __future__ import annotations

import random

from tests.power.disk import SECTOR_OCTETS, Disk
from tests.power.trace import DirectoryFlushed, Flushed, Named, Sized, Unnamed, Written

DATA = "/site/data.mdb"
PAGE = 8 * SECTOR_OCTETS


def make_disk() -> Disk:
    """An empty data file whose name is on disk."""
    disk = Disk("/site")
    disk.take(Named(DATA))
    disk.take(DirectoryFlushed("/site"))
    return disk


def draw(disk: Disk, times: int = 200) -> set[bytes]:
    choices = random.Random(1)
    return {disk.drawn(DATA, choices).octets or b"" for _ in range(times)}


def test_what_was_flushed_is_in_every_image() -> None:
    disk = make_disk()
    disk.take(Written(DATA, 1, 0, b"a" * PAGE))
    disk.take(Flushed(DATA))
    disk.take(Written(DATA, 2, PAGE, b"b" * PAGE))
    assert disk.bare(DATA).octets == b"a" * PAGE
    assert disk.full(DATA).octets == b"a" * PAGE + b"b" * PAGE
    assert all(image.startswith(b"a" * PAGE) for image in draw(disk))


def test_sectors_are_kept_or_lost_whole_and_each_by_itself() -> None:
    disk = make_disk()
    disk.take(Written(DATA, 1, 0, b"a" * PAGE))
    disk.take(Flushed(DATA))
    disk.take(Written(DATA, 2, 0, b"b" * PAGE))
    images = draw(disk)
    sectors = [
        {image[start : start + SECTOR_OCTETS] for image in images}
        for start in range(0, PAGE, SECTOR_OCTETS)
    ]
    assert sectors == [{b"a" * SECTOR_OCTETS, b"b" * SECTOR_OCTETS}] * 8
    assert len(images) > 8


def test_synced_write_is_on_disk_and_what_was_written_before_it_is_not() -> None:
    disk = make_disk()
    disk.take(Written(DATA, 1, 0, b"a" * PAGE))
    disk.take(Flushed(DATA))
    disk.take(Written(DATA, 2, SECTOR_OCTETS, b"page"))
    disk.take(Written(DATA, 3, 0, b"meta"))
    disk.take(Flushed(DATA, 3))
    assert disk.bare(DATA).octets == b"meta" + b"a" * (PAGE - 4)


def test_length_is_flushed_with_the_octets() -> None:
    disk = make_disk()
    disk.take(Sized(DATA, PAGE, grows=True))
    assert disk.bare(DATA).octets == b""
    disk.take(Flushed(DATA))
    assert disk.bare(DATA).octets == bytes(PAGE)
    disk.take(Sized(DATA, 1, grows=True))
    assert disk.full(DATA).octets == bytes(PAGE)
    disk.take(Sized(DATA, 1, grows=False))
    assert disk.full(DATA).octets == bytes(1)


def test_name_is_there_once_its_directory_and_those_above_were_flushed() -> None:
    disk = Disk("/site")
    disk.take(Named("/site/state", is_directory=True))
    disk.take(Named("/site/state/new"))
    disk.take(Named("/site/state/data", source="/site/state/new"))
    disk.take(DirectoryFlushed("/site/state"))
    assert disk.bare("/site/state/data").octets is None
    disk.take(DirectoryFlushed("/site"))
    assert disk.bare("/site/state/data").octets == b""
    disk.take(Unnamed("/site/state/data"))
    assert disk.bare("/site/state/data").octets == b""
    disk.take(DirectoryFlushed("/site/state"))
    assert disk.bare("/site/state/data").octets is None
