"""A disk that may lose what was not flushed: which contents of a file a power cut could leave.

Between two flushes a disk may keep any of the sectors that were written, in any order; one sector
it keeps whole or not at all. A name outlives the cut once its directory was flushed. What file
systems promise beyond that (ext4 writes a new file's name with its octets) is not relied on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from tests.power.trace import (
    DirectoryFlushed,
    Flushed,
    Moment,
    Named,
    Sized,
    Unnamed,
    Written,
)

SECTOR_OCTETS: Final = 512
"""What a disk writes whole: LMDB's meta page (120 octets) lies in one."""

KEPT_SHARES: Final = (0.1, 0.5, 0.9, 0.99)
"""Of the sectors not flushed, in a drawn image: nearly none, some, nearly all."""


class Image(NamedTuple):
    """One content the file may have; None: it is not there."""

    kind: str
    octets: bytes | None


class _File:
    """What is on the disk for certain, and what was asked for since, in order."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.asked: list[Written | Sized] = []

    def flush(self, number: int | None) -> None:
        """All that was asked for is on disk, or the write ``number`` alone."""
        kept = [one for one in self.asked if number is None or _number_of(one) == number]
        self.asked = [one for one in self.asked if one not in kept]
        for one in kept:
            _apply(self.durable, one)

    def full(self) -> bytes:
        """All that was asked for."""
        octets = bytearray(self.durable)
        for one in self.asked:
            _apply(octets, one)
        return bytes(octets)

    def drawn(self, choices: random.Random) -> bytes:
        """The sectors on disk, and some of those asked for."""
        octets = bytearray(self.durable)
        share = choices.choice(KEPT_SHARES)
        for one in self.asked:
            if isinstance(one, Sized):
                if choices.random() < share:
                    _apply(octets, one)
                continue
            for start, end in _sectors(one):
                if choices.random() < share:
                    _put(octets, start, one.data[start - one.offset : end - one.offset])
        return bytes(octets)


class Disk:
    """The files of a trace below one directory, which was there before. ``root`` is its path;
    ``flushes`` were asked for so far."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: dict[str, _File | None] = {}
        self._durable: dict[str, _File | None] = {}
        self.flushes = 0

    def take(self, moment: Moment) -> None:
        """What happened to a file; sockets do not matter here."""
        if isinstance(moment, Written | Sized):
            self._file(moment.path).asked.append(moment)
        elif isinstance(moment, Flushed):
            self._file(moment.path).flush(moment.number)
            self.flushes += 1
        elif isinstance(moment, Named):
            made = None if moment.is_directory else _File()
            self._names[moment.path] = self._names.pop(moment.source) if moment.source else made
        elif isinstance(moment, Unnamed):
            self._names.pop(moment.path, None)
        elif isinstance(moment, DirectoryFlushed):
            self.flushes += 1
            self._keep_names(moment.path)

    def bare(self, path: str) -> Image:
        """Nothing but what was flushed."""
        if not self._is_kept(path):
            return Image("not there", None)
        file = self._durable[path]
        assert file is not None, f"{path} is a directory"
        return Image("flushed only", bytes(file.durable))

    def full(self, path: str) -> Image:
        """All that was written, as the kernel has it."""
        file = self._names.get(path)
        return Image("not there", None) if file is None else Image("all written", file.full())

    def drawn(self, path: str, choices: random.Random) -> Image:
        """What was flushed, and a part of the rest."""
        file = self._names.get(path)
        if file is None:
            return Image("not there", None)
        return Image("some written", file.drawn(choices))

    def is_settled(self, path: str) -> bool:
        """Whether only one content is possible."""
        file = self._names.get(path)
        return file is None or (self._is_kept(path) and not file.asked)

    def _file(self, path: str) -> _File:
        file = self._names[path]
        assert file is not None, f"{path} is a directory"
        return file

    def _keep_names(self, directory: str) -> None:
        for path in [*self._durable, *self._names]:
            if str(PurePosixPath(path).parent) != directory:
                continue
            if path in self._names:
                self._durable[path] = self._names[path]
            else:
                self._durable.pop(path, None)

    def _is_kept(self, path: str) -> bool:
        """Whether the name and those of the directories above it are on disk."""
        while path != self._root:
            if path not in self._durable:
                return False
            path = str(PurePosixPath(path).parent)
        return True


def _number_of(one: Written | Sized) -> int | None:
    return one.number if isinstance(one, Written) else None


def _apply(octets: bytearray, one: Written | Sized) -> None:
    if isinstance(one, Written):
        _put(octets, one.offset, one.data)
    elif len(octets) < one.octets:
        octets.extend(bytes(one.octets - len(octets)))
    elif not one.grows:
        del octets[one.octets :]


def _put(octets: bytearray, offset: int, data: bytes) -> None:
    if len(octets) < offset:
        octets.extend(bytes(offset - len(octets)))
    octets[offset : offset + len(data)] = data


def _sectors(one: Written) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in one sector each, as offsets in the file."""
    start, end = one.offset, one.offset + len(one.data)
    while start < end:
        border = min(start - start % SECTOR_OCTETS + SECTOR_OCTETS, end)
        yield start, border
        start = border
