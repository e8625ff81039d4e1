"""A store that no daemon runs on, opened to be looked at: nothing in its directory is written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from smppd.errors import StoreError, StoreRefused
from smppd.store.layout import DATA_FILE, FAILED_FILE, LOCK_FILE
from smppd.store.pages import Meta, PageFault, find_current, read_metas
from smppd.store.startcheck import has_store


class Offline(msgspec.Struct, frozen=True):
    """The data file, open for reading."""

    path: Path
    descriptor: int
    octets: int


class Roots(msgspec.Struct, frozen=True):
    """Where a damaged file is read from: ``meta`` is the best there is (None: there is none), and
    ``fault`` why it is not simply the current one. ``is_newest``: it is the last commit's."""

    meta: Meta | None
    fault: PageFault | None
    is_newest: bool


@contextmanager
def opened(directory: Path) -> Iterator[Offline]:
    """The store in ``directory`` (or a data file by itself); no daemon can start on it meanwhile.

    Raises StoreRefused where one runs or we may not read, StoreDamaged where a store was there, and
    StoreError where there is nothing to read.
    """
    path = directory / DATA_FILE if directory.is_dir() else directory
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise StoreRefused(
            f"{path} cannot be read: {error.strerror}; look as the user it belongs to, or as root",
            is_denied=True,
        ) from error
    except OSError as error:
        if directory.is_dir():
            has_store(directory)
        reason = f"{path} cannot be read: {error.strerror}"
        raise StoreError(f"{reason}; name the directory of a store, or of a backup") from error
    try:
        with _unused(path.parent):
            yield Offline(path, descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


@contextmanager
def _unused(directory: Path) -> Iterator[None]:
    try:
        lock = os.open(directory / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield  # a copy
        return
    except OSError as error:
        raise StoreError(f"{directory / LOCK_FILE} cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").split()
        pid = holder[0] if holder else "unknown"
        raise StoreRefused(
            f"a smppd runs on {directory} (pid {pid}); stop it first, or look at a copy that "
            "`smppctl backup` made"
        ) from None
    finally:
        with suppress(OSError):
            os.close(lock)


def find_roots(offline: Offline) -> Roots:
    """The meta page to read from, of a file that may be damaged."""
    metas = read_metas(offline.descriptor, offline.octets)
    has_failed = (offline.path.parent / FAILED_FILE).exists()
    current = find_current(offline.descriptor, metas, offline.octets, has_failed=has_failed)
    if isinstance(current, Meta):
        return Roots(current, None, is_newest=True)
    sound = [meta for meta in metas if isinstance(meta, Meta)]
    best = max(sound, key=lambda meta: meta.transaction, default=None)
    # A file cut off at its end still has the last commit's roots.
    uncut = find_current(offline.descriptor, metas, 1 << 62, has_failed=has_failed)
    is_newest = isinstance(uncut, Meta)
    return Roots(best, current, is_newest)
