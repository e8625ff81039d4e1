"""Before LMDB maps the data file: is it there, is it whole, and is it sound?

A damaged file would end the process in LMDB's hands, or hide messages in silence; an empty one in
the place of a used one would begin anew as if nothing had been accepted. So the start looks first,
and refuses with the file, the page and what to do. It changes nothing in the directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from smppd.errors import StoreDamaged, StoreError
from smppd.store.inspection import Finding, Inspection
from smppd.store.layout import DATA_FILE, FAILED_FILE, FORMAT_FILE, LMDB_LOCK_FILE
from smppd.store.pages import PageFault, PageFile, find_current, read_metas

CHECKED_PAGES_MAX = 10_000
"""Pages of rows read at a start, up to 40 MB: 0.1 s of CPU on a slow core, as a page of many rows
counts as several. It is all of a store of some 30,000 messages with their events. Of a larger one
it is all branches (0.1 s for a million messages that wait), the small tables and the newest rows of
the others; what is read later has its checksum looked at then, and ``smppd verify`` reads it
all."""


def has_store(directory: Path) -> bool:
    """Whether there is a data file; StoreDamaged where one is missed."""
    if (directory / DATA_FILE).exists():
        return True
    for name in (FORMAT_FILE, LMDB_LOCK_FILE):
        if (directory / name).exists():
            raise StoreDamaged(
                f"{directory / DATA_FILE} is missing, and {name} says that a store was there; put "
                "the file back, or one of a backup; for a new store give an empty directory"
            )
    return False


def check_at_start(directory: Path) -> bool:
    """Looks at the data file, and tells whether its rows have checksums.

    Raises StoreDamaged with the first finding, and StoreError where it cannot be read.
    """
    path = directory / DATA_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _check(path, descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, descriptor: int) -> bool:
    octets = os.fstat(descriptor).st_size

    def refuse(finding: Finding) -> NoReturn:
        raise StoreDamaged(
            f"{path} is damaged: {finding}; it was left as it is: `smppd verify` shows all that is "
            "damaged, `smppd salvage --to DIR` takes out what can be read"
        )

    if not octets:
        refuse(Finding("it is empty"))
    meta = find_current(
        descriptor,
        read_metas(descriptor, octets),
        octets,
        has_failed=(path.parent / FAILED_FILE).exists(),
    )
    if isinstance(meta, PageFault):
        refuse(Finding(meta.wrong, page=meta.number))
    pages = min(meta.last_page + 1, octets // meta.page_size)
    file = PageFile(descriptor, meta.page_size, pages)
    inspection = Inspection(file, meta, refuse, pages_max=CHECKED_PAGES_MAX, is_start=True)
    inspection.run()
    return inspection.has_checksums
