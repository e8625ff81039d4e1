"""The one file that imports lmdb: tables, one transaction at a time, full sync.

Default sync and no writemap: what ``commit`` returned from survives power loss. The map is sparse
and grows by itself. The directory is locked, for LMDB would let a second process in. What goes
into the tables, and why, it does not know.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import lmdb

from smppd import faults
from smppd.errors import StoreError

DiskError = lmdb.Error
"""What a read or write raises when the disk or the file is at fault."""

TABLES: Final = (
    "messages",
    "inbound",
    "queue",
    "grants",
    "deadlines",
    "doubts",
    "smsc_ids",
    "smsc_ids_journal",
    "refs",
    "refs_journal",
    "unmatched",
    "events",
    "references",
    "tags",
    "meta",
)

_LIB_VERSION: Final = 0
"""LMDB 0.9's file format, said explicitly: py-lmdb 3 bundles two that cannot read each other."""


class Table:
    """One table, and what the open transaction will write to it.

    Writes gather in ``pending`` and reach LMDB in one sorted pass at the commit, for LMDB gives
    up the GIL at every put. ``get`` sees them; the range reads see only what is on disk.
    """

    __slots__ = ("_db", "_environment", "_fresh", "pending")

    def __init__(self, environment: Environment, db: lmdb._Database) -> None:
        self._environment = environment
        self._db = db
        self._fresh: set[bytes] = set()
        self.pending: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``, or None."""
        if key in self.pending:
            return self.pending[key]
        # Without buffers=True py-lmdb hands out bytes; its stub cannot say so.
        return cast(bytes | None, self._environment.transaction.get(key, db=self._db))

    def put(self, key: bytes, value: bytes) -> None:
        """Writes one row."""
        self.pending[key] = value

    def delete(self, key: bytes) -> None:
        """Deletes a row, if it is there."""
        self.pending[key] = None

    def insert(self, key: bytes, value: bytes) -> None:
        """Writes a row that is not there; one that is removed again before the commit is free."""
        if key not in self.pending:
            self._fresh.add(key)
        self.pending[key] = value

    def remove(self, key: bytes) -> None:
        """Takes back an ``insert``, of this transaction or of an earlier one."""
        if key in self._fresh:
            self._fresh.discard(key)
            del self.pending[key]
        else:
            self.pending[key] = None

    def flush(self) -> None:
        """Hands what is pending to LMDB, in key order; ``settled`` forgets it."""
        transaction = self._environment.transaction
        pending = self.pending
        ordered = sorted(pending)
        puts = [(key, value) for key in ordered if (value := pending[key]) is not None]
        with transaction.cursor(db=self._db) as cursor:
            cursor.putmulti(puts)
        if len(puts) < len(ordered):
            for key in ordered:
                if pending[key] is None:
                    transaction.delete(key, db=self._db)

    def settled(self) -> None:
        """The transaction has committed."""
        self.pending.clear()
        self._fresh.clear()

    def rows_from(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows with keys from ``start`` on, in key order."""
        with self._environment.transaction.cursor(db=self._db) as cursor:
            if cursor.set_range(start):
                yield from cast(Iterator[tuple[bytes, bytes]], cursor.iternext())

    def keys_from(self, start: bytes) -> Iterator[bytes]:
        """The keys from ``start`` on, in order, without reading their values."""
        with self._environment.transaction.cursor(db=self._db) as cursor:
            if cursor.set_range(start):
                yield from cast(Iterator[bytes], cursor.iternext(keys=True, values=False))

    def keys_before(self, end: bytes) -> Iterator[bytes]:
        """The keys below ``end``, the last one first."""
        with self._environment.transaction.cursor(db=self._db) as cursor:
            found = cursor.prev() if cursor.set_range(end) else cursor.last()
            if found:
                yield from cast(Iterator[bytes], cursor.iterprev(keys=True, values=False))

    def count(self) -> int:
        """How many rows there are on disk."""
        return int(self._environment.transaction.stat(self._db)["entries"])


class Environment:
    """An LMDB environment in ``directory``, made when it is not there.

    Raises StoreError when it cannot be opened, is damaged, or another process holds it.
    """

    def __init__(self, directory: Path, map_size: int) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._is_closed = False
        self._lock = _lock(directory)
        self._map_size = map_size
        try:
            self._env = lmdb.open(
                str(directory),
                map_size=map_size,
                max_dbs=len(TABLES) + 8,
                mode=0o600,
                lib_version=_LIB_VERSION,
            )
            self.tables = {name: Table(self, self._env.open_db(name.encode())) for name in TABLES}
        except lmdb.Error as error:
            self._lock.close()
            raise StoreError(f"the store in {directory} cannot be opened: {error}") from error
        self._transaction: lmdb.Transaction | None = None

    @property
    def transaction(self) -> lmdb.Transaction:
        """The open transaction; an assertion where there is none."""
        assert self._transaction is not None, "no transaction is open"
        return self._transaction

    def begin(self, *, write: bool) -> None:
        """Opens the transaction; it must end before anything is awaited."""
        assert self._transaction is None, "a transaction is open already"
        self._transaction = self._env.begin(write=write)

    def abort(self) -> None:
        """Ends the transaction, keeping nothing."""
        self.transaction.abort()
        self._transaction = None

    def commit(self) -> None:
        """Writes what is pending in every table and commits; on return it is on disk.

        A full map is doubled and all is written again: everything was decided before, so that
        needs no second decision. Raises StoreError when the disk may not have it.
        """
        changed = [table for table in self.tables.values() if table.pending]
        if not changed:
            return self.abort()
        while True:
            try:
                for table in changed:
                    table.flush()
                faults.reach("store.written")
                self.transaction.commit()
                break
            except lmdb.MapFullError:
                self.abort()
                faults.reach("store.growing")
                self._grow()
                self.begin(write=True)
            except lmdb.Error as error:
                raise StoreError(f"the store cannot be written: {error}") from error
        self._transaction = None
        for table in changed:
            table.settled()
        return None

    def close(self) -> None:
        """Closes the environment and gives the directory free; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._transaction is not None:
            self.abort()
        self._env.close()
        self._lock.close()

    def _grow(self) -> None:
        self._map_size *= 2
        try:
            self._env.set_mapsize(self._map_size)
        except lmdb.Error as error:
            raise StoreError(f"the map cannot grow to {self._map_size} bytes: {error}") from error


class _Lock:
    """An exclusive lock on the directory, gone with the process however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def _lock(directory: Path) -> _Lock:
    descriptor = os.open(directory / "smppd.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        reason = f"{directory} is in use by another smppd (pid {holder or 'unknown'})"
        raise StoreError(reason) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return _Lock(descriptor)
