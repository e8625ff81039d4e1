"""Who holds the state directory: one process, on a local disk, allowed to write there.

LMDB would let a second process in, so the directory is locked with a file that names its holder.
What an operator has to put right is refused here, before anything is read, with a line that says
what and how.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from smppd.errors import StorageFull, StoreError, StoreRefused
from smppd.store.layout import DATA_FILE, LMDB_LOCK_FILE, LOCK_FILE
from smppd.store.place import check_place
from smppd.store.space import SPACE_ERRORS

PID_OCTETS: Final = 32
"""Of the lock file: written over in place, so a full disk has room for it."""

LMDB_LOCK_OCTETS: Final = 8192
"""LMDB's table of readers, for 126 of them. It is written through a map, where a full disk would
be SIGBUS and not an error, so it is allocated before."""

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
_NO_DIRECTORY: Final = frozenset({errno.ENOTDIR, errno.EEXIST})


class Claim:
    """The exclusive lock on ``directory``, made when it is not there; gone with the process
    however it ends. Raises StoreError, most often StoreRefused."""

    def __init__(self, directory: Path) -> None:
        try:
            _make(directory)
            _check_place(directory)
            self._descriptor = _lock(directory)
            try:
                _check_files(directory)
            except OSError:
                self.close()
                raise
        except OSError as error:
            raise refusal(directory, error) from error

    def close(self) -> None:
        """Gives the directory free."""
        os.close(self._descriptor)


def allocate_readers(directory: Path) -> None:
    """Before LMDB maps it; raises OSError."""
    path = directory / LMDB_LOCK_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, LMDB_LOCK_OCTETS)
    finally:
        os.close(descriptor)


def refusal(directory: Path, error: OSError) -> StoreError:
    """What ``error``, met in the directory, means to who runs the daemon."""
    where, number = error.filename or directory, error.errno
    if number in _DENIED:
        return StoreRefused(
            f"{where}: permission denied to uid {os.geteuid()}, as which smppd runs; the state "
            f"directory {directory} and all in it must be that user's (chown -R)",
            is_denied=True,
        )
    if number == errno.EROFS:
        return StoreRefused(
            f"{where} is on a read-only file system; mount it for writing (under systemd: "
            "StateDirectory= or ReadWritePaths=), or set [daemon] state to another directory"
        )
    if number in _NO_DIRECTORY:
        return StoreRefused(f"{where} is no directory; set [daemon] state to one")
    if number in SPACE_ERRORS:
        return StorageFull(f"{directory}: {error.strerror}; make room on that disk, then start")
    return StoreError(f"the store in {directory} cannot be opened: {error}")


def sync_directory(directory: Path) -> None:
    """The names in it are on disk on return."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(directory: Path) -> None:
    """Makes it and what is missing above it. Their names are on disk on return: without them a
    power cut would take the whole store away."""
    above = [path.parent for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in above:
        sync_directory(path)


def _check_place(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        check_place(descriptor, directory)
        _check_owner(directory, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _check_owner(directory: Path, status: os.stat_result) -> None:
    """Whoever can write there decides what is sent, and could lead us to another file by a link."""
    own = os.geteuid()
    if status.st_uid not in (0, own):
        raise StoreRefused(
            f"the state directory {directory} belongs to uid {status.st_uid}, and smppd runs as "
            f"uid {own}; start it as that user, or chown -R the directory"
        )
    if status.st_mode & stat.S_IWOTH:
        raise StoreRefused(
            f"every user of this host can write the state directory {directory}, and so decide "
            f"what is sent; chmod 0700 {directory}"
        )


def _check_files(directory: Path) -> None:
    """Those that are there may be another user's, of a start as root."""
    for name in (DATA_FILE, LMDB_LOCK_FILE):
        if (directory / name).exists():
            os.close(os.open(directory / name, os.O_RDWR | os.O_CLOEXEC))


def _lock(directory: Path) -> int:
    path = directory / LOCK_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode().ljust(PID_OCTETS), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, PID_OCTETS, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise StoreRefused(
            f"{directory} is in use by another smppd (pid {holder or 'unknown'}); stop that one "
            f"first, or give this one its own [daemon] state{_doubt_holder(holder)}"
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _doubt_holder(pid: str) -> str:
    """Those who only read lock it too, and leave no pid."""
    if not pid.isdecimal() or Path(f"/proc/{pid}").exists():
        return ""
    return (
        "; no process here has that pid: it may be `smppd verify` or `smppd salvage` that reads "
        "the store, or a smppd in another container"
    )
