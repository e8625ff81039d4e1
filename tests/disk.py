"""Disks that run full: by word of the fault points, or really, on a small tmpfs."""

from __future__ import annotations

import errno
import math
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smppd import faults
from smppd.errors import StorageFull

FULL_COMMIT = "store.written"
FULL_ALLOCATION = "store.allocating"


@contextmanager
def nothing_to_allocate() -> Iterator[None]:
    """Nobody gets any more of the disk; what is allocated can be written to."""

    def hook(name: str) -> None:
        if name == FULL_ALLOCATION:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    faults.arm(hook)
    try:
        yield
    finally:
        faults.arm(None)


class FullDisk:
    """While armed and ``is_full``, a commit that has something to write finds no room, ``times``
    times at most; ``failed`` counts them."""

    def __init__(self, times: float = math.inf) -> None:
        self.is_full = True
        self.failed = 0
        self._times = times

    def __enter__(self) -> FullDisk:
        faults.arm(self._reach)
        return self

    def __exit__(self, *_: object) -> None:
        faults.arm(None)

    def _reach(self, name: str) -> None:
        if self.is_full and name == FULL_COMMIT:
            self.failed += 1
            self.is_full = self.failed < self._times
            raise StorageFull("no room, says the test")
        if self.is_full and name == FULL_ALLOCATION:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def full_for_meta_pages(data: Path) -> Iterator[None]:
    """What LMDB writes through the handle that syncs each write, its meta pages, finds no room: the
    handle it has for them in this process leads to /dev/full meanwhile."""
    (synced,) = [number for number in _descriptors_of(data) if _flags_of(number) & os.O_DSYNC]
    kept, full = os.dup(synced), os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(full, synced)
        yield
    finally:
        os.dup2(kept, synced)
        os.close(kept)
        os.close(full)


def _descriptors_of(path: Path) -> list[int]:
    links = {entry.name: entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}
    return [int(name) for name, link in links.items() if os.readlink(link) == str(path)]


def _flags_of(descriptor: int) -> int:
    text = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    return int(text.split("flags:")[1].split()[0], 8)


@contextmanager
def small_disk(directory: Path, octets: int) -> Iterator[Path]:
    """``directory``, with a tmpfs of its own while it lasts; skips, loudly, where nobody may
    mount."""
    directory.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={octets},mode=0700", "none", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}: NOT tested here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path, leave: int = 0) -> Path:
    """A file that takes all of the disk but ``leave`` octets; its path."""
    found = os.statvfs(directory)
    path = directory / "filler"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - leave)
    return path
