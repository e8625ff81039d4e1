"""A copy of the store, made while it is written to.

LMDB writes a compact copy of one commit's state into a pipe, in a thread of its own; whoever calls
``run`` empties the pipe into the file. So the copy can be stopped at any time by closing the pipe,
and has to be before the map grows, which LMDB does not allow beside a reader. Traffic goes on, but
pages that it frees meanwhile are not used again before the copy is done: the data file grows by
what is written in that time.

The copy is ``data.mdb`` in a directory of its own, and has that name only once it is whole and on
disk. It holds the row ``restored``, by which the start on it knows what it is (``restore``).
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from smppd import faults
from smppd.store.book import META_RESTORED
from smppd.store.claim import sync_directory
from smppd.store.environment import DiskError, Environment
from smppd.store.layout import DATA_FILE

PARTIAL_FILE: Final = "data.mdb.partial"
"""What is not whole yet, or never will be."""

CHUNK_OCTETS: Final = 1 << 20
"""Read from the pipe at once, and LMDB's own buffer."""

SYNC_OCTETS: Final = 8 << 20
"""Written before they are synced: the disk takes them a little at a time, so that no commit's
fsync has to wait for gigabytes of ours."""

SLACK_OCTETS: Final = 16 << 20
"""Kept free beside the copy: for what is committed while it is made."""

FaultCode = Literal["bad_request", "busy", "storage"]


class Copied(msgspec.Struct, frozen=True):
    """A backup that is whole and on disk; ``messages`` are those in it."""

    path: str
    octets: int
    messages: int


class NotCopied(msgspec.Struct, frozen=True):
    """Why there is none, and what to do: nothing of it is left behind."""

    code: FaultCode
    reason: str


class Backup:
    """One copy into ``directory``, which is absolute and is not there, or empty. ``at`` is the time
    of day (ms), ``state`` the store's own directory."""

    def __init__(
        self, environment: Environment, state: Path, directory: Path, at: int, reserve: int
    ) -> None:
        self._environment = environment
        self._state = state
        self._directory = directory
        self._at = at
        self._reserve = reserve
        self._lock = threading.Lock()
        self._is_begun = self._is_stopped = False
        self._has_read = threading.Event()
        self._rows = 0
        self._fault: DiskError | None = None

    def run(self) -> Copied | NotCopied:
        """Makes the copy; for a thread of its own, as it takes as long as the disk does."""
        try:
            with self._lock:
                self._is_begun = not self._is_stopped
            return self._refuse() or self._make()
        except OSError as error:
            return _describe(error, self._directory)
        except DiskError as error:
            return NotCopied("storage", f"the copy cannot be read: {error}; try another disk")
        finally:
            self._has_read.set()

    def stop(self) -> None:
        """Ends it soon; from any thread."""
        with self._lock:
            self._is_stopped = True

    def stop_and_wait(self) -> None:
        """The same, and returns when it does not read the store any more."""
        self.stop()
        if self._is_begun:
            self._has_read.wait()

    def _refuse(self) -> NotCopied | None:
        directory = self._directory
        if not directory.is_absolute():
            reason = f"backup: {str(directory)[:256]!r} is no absolute path; write it from / on"
            return NotCopied("bad_request", reason)
        if "\0" in str(directory):
            return NotCopied("bad_request", "backup: a path has no NUL in it; write another")
        # Path.resolve raises RuntimeError for links in a circle; what is made there says it better.
        state = Path(os.path.realpath(self._state))
        if Path(os.path.realpath(directory)).is_relative_to(state):
            reason = f"{directory} is in the state directory {state}; name one outside of it"
            return NotCopied("bad_request", reason)
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            reason = f"{directory} is there and not an empty directory; name a new one"
            return NotCopied("bad_request", reason)
        return self._refuse_for_space(directory)

    def _refuse_for_space(self, directory: Path) -> NotCopied | None:
        """A copy that does not fit is not begun; on the store's own disk its reserve is spared."""
        place = directory if directory.exists() else directory.parent
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize
        needed = self._environment.octets() + SLACK_OCTETS
        if place.stat().st_dev == self._state.stat().st_dev:
            needed += self._reserve
        if free >= needed:
            return None
        reason = (
            f"{place} has {free} octets free, and the copy may need {needed}; make room, or name "
            "a directory on another disk"
        )
        return NotCopied("storage", reason)

    def _make(self) -> Copied | NotCopied:
        directory, partial = self._directory, self._directory / PARTIAL_FILE
        with _undone_unless_whole(directory, partial):
            octets = self._copy(partial)
            if self._is_stopped or self._fault is not None:
                why = "the daemon needs the store for itself" if self._is_stopped else self._fault
                return NotCopied("storage", f"the copy was stopped: {why}; try again")
            self._environment.mark_copy(partial, META_RESTORED, b"%d" % self._at)
            faults.reach("backup.copied")
            os.rename(partial, directory / DATA_FILE)
            sync_directory(directory)
        return Copied(str(directory), octets, self._rows)

    def _copy(self, partial: Path) -> int:
        """Octets written, and on disk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(partial, flags, 0o600)
        try:
            octets = self._read_into(descriptor)
            self._has_read.set()
            os.fsync(descriptor)
            return octets
        finally:
            os.close(descriptor)

    def _read_into(self, descriptor: int) -> int:
        if self._is_stopped:
            return 0
        reading, writing = os.pipe()
        # No daemon thread: that would be cut off inside LMDB when the process ends.
        reader = threading.Thread(target=self._read_store, args=(writing,), name="backup")
        reader.start()
        try:
            return self._empty_pipe(reading, descriptor)
        finally:
            os.close(reading)  # LMDB stops at a pipe that nobody reads
            reader.join()

    def _read_store(self, writing: int) -> None:
        try:
            self._rows = self._environment.copy(writing)
        except DiskError as error:
            self._fault = error
        finally:
            os.close(writing)

    def _empty_pipe(self, reading: int, descriptor: int) -> int:
        written = synced = 0
        while not self._is_stopped and (data := os.read(reading, CHUNK_OCTETS)):
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            written += len(data)
            if written - synced >= SYNC_OCTETS:
                os.fdatasync(descriptor)
                synced = written
                faults.reach("backup.copying")
        return written


@contextmanager
def _undone_unless_whole(directory: Path, partial: Path) -> Iterator[None]:
    """Makes the directory; takes away what was made where the block does not come to its end with
    a copy under its name."""
    is_new = not directory.exists()
    if is_new:
        directory.mkdir(mode=0o700)
        sync_directory(directory.parent)
    try:
        yield
    finally:
        if not (directory / DATA_FILE).exists():
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):
                    directory.rmdir()


def is_unfinished(directory: Path) -> bool:
    """Whether a backup was begun there and never came to its end."""
    # Path.exists raises where the directory may not be looked into; the claim says that better.
    return os.path.exists(directory / PARTIAL_FILE) and not os.path.exists(directory / DATA_FILE)


_CLOSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def _describe(error: OSError, directory: Path) -> NotCopied:
    """What to do about an error of the operating system."""
    said = f"{directory}: {error.strerror}"
    if error.errno in _CLOSED:
        remedy = (
            "the daemon writes it, as its own user; name a directory that this one may write to, "
            "under systemd one that its unit leaves it (StateDirectory=, ReadWritePaths=)"
        )
        return NotCopied("bad_request", f"{said}; {remedy}")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotCopied("bad_request", f"{said}; make the directory above it first")
    if error.errno in (errno.ELOOP, errno.EEXIST, errno.ENAMETOOLONG):
        return NotCopied("bad_request", f"{said}; name another directory")
    return NotCopied("storage", f"{said}; nothing of the copy was kept; make room, or name another")
