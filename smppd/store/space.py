"""The reserve: room on the disk that is ours already, for outcomes when the disk runs full.

LMDB's file is kept longer than its pages reach, and all of it is really allocated (fallocate(2)),
so that what may still become of the accepted messages can be written whatever others do to the
disk. It is topped up in steps while the disk has room; LMDB does not mind the length of its file,
nor do its tools. Where the file system cannot allocate ahead (ZFS, for one), the disk's free space
has to do: nothing is ours then until it is written.

Numbered invariants:

1. The file is allocated from its beginning up to ``_end``; LMDB's pages reach up to ``_used``.
2. Nothing is allocated in part: a disk that has not all that is wanted is left alone, so a
   ``reserve`` beyond reason eats nobody's disk.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

from smppd import faults

STEP_OCTETS: Final = 16 * 2**20
"""Allocated beyond the reserve at a time: a millisecond, every some ten thousand messages."""

LOOK_MILLISECONDS: Final = 1_000
"""Between two looks at a disk that was full: soon enough for people, and cheap."""

FAILED_MILLISECONDS: Final = 3_000
"""How long a failed write counts: longer than until it is tried again, so that its outcomes are
tried alone."""

SPACE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room: on the disk, in the quota, under the limit of file sizes (RLIMIT_FSIZE)."""

_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)


class Reserve:
    """``size`` octets beyond the used ones of the file at ``path``, which is there already; 0: none
    is kept, and the disk is full when a write has failed. ``now_ms`` is the commit's time.

    ``left`` is what is there of it now. ``can_allocate``: see the module.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        self.can_allocate = True
        self.left = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._used = 0
        self._end = 0
        self._looked_at: int | None = None
        self._failed_at: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing new can be taken: the disk does not have the whole reserve."""
        return self._failed_at is not None or self.left < self.size

    @property
    def is_low(self) -> bool:
        """Whether what is granted now might find no room for its outcome."""
        return self._failed_at is not None or self.left < self.size // 2

    def resize(self, size: int) -> None:
        """Another size, which the next look is for. What is allocated stays so."""
        if size != self.size:
            self.size, self._looked_at = size, None

    def look(self, used: int, now_ms: int) -> None:
        """LMDB's pages reach up to ``used``: tops up what they took, once a second where the disk
        was full. Raises OSError when the disk does not do what it says."""
        self._used = used
        if self._failed_at is not None and _is_over(self._failed_at, now_ms, FAILED_MILLISECONDS):
            self._failed_at = None
        self._count()
        if self.can_allocate and self.left >= self.size:
            return
        if self._looked_at is None or _is_over(self._looked_at, now_ms):
            self._top_up()
            self._count()
            is_topped_up = self.can_allocate and self.left >= self.size
            self._looked_at = None if is_topped_up else now_ms

    def fail(self, now_ms: int) -> None:
        """A write met a full disk all the same: for a while nothing more is tried."""
        self._failed_at = now_ms

    def has_room(self) -> bool:
        """Whether a write that failed had room. What was written in part before the disk was full
        says EIO, as a broken disk does; this tells them apart. The reserve is no proof: a disk that
        copies on write needs room to overwrite."""
        end = max(self._end, os.fstat(self._descriptor).st_size)
        try:
            return self._free() > 0 and (not self.can_allocate or self._allocate(end, STEP_OCTETS))
        except OSError:
            return True  # then it is no matter of room

    def close(self) -> None:
        """Gives the file back; what was allocated stays with it."""
        os.close(self._descriptor)

    def _count(self) -> None:
        if self.can_allocate:
            self.left = max(self._end - self._used, 0)

    def _top_up(self) -> None:
        if not self._end:
            self._find()
        wanted = self._used + self.size
        step = min(STEP_OCTETS, self.size)
        for end in (wanted + step, wanted):
            if self.can_allocate and self._end < wanted and self._grow(end):
                self._end = end
        if not self.can_allocate:
            self.left = self._free()

    def _find(self) -> None:
        """What an earlier start has allocated; and holes, where it wrote none, are filled."""
        length = os.fstat(self._descriptor).st_size
        self._end = length if self._allocate(0, length) else self._used

    def _grow(self, end: int) -> bool:
        return self._free() >= end - self._end and self._allocate(self._end, end - self._end)

    def _free(self) -> int:
        found = os.fstatvfs(self._descriptor)
        return found.f_bavail * found.f_frsize

    def _allocate(self, start: int, octets: int) -> bool:
        """Whether this part of the file is allocated now."""
        try:
            faults.reach("store.allocating")
            _fallocate(self._descriptor, start, octets)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                self.can_allocate = False
            elif error.errno not in SPACE_ERRORS:
                raise
            return False
        return True


def _is_over(since: int, now_ms: int, pause: int = LOOK_MILLISECONDS) -> bool:
    """Whether the pause has passed; a clock that was set ends it too."""
    return abs(now_ms - since) >= pause


def _fallocate(descriptor: int, start: int, octets: int) -> None:
    """fallocate(2) itself: ``os.posix_fallocate`` writes zeros where it is not supported, which
    takes long, and on ZFS allocates nothing. Raises OSError."""
    while _libc.fallocate(descriptor, 0, start, octets):
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
