"""The one file that imports lmdb: tables, one transaction at a time, full sync.

Default sync and no writemap: what ``commit`` returned from survives power loss. The map is sparse
and grows by itself. The directory is locked, for LMDB would let a second process in. What goes
into the tables, and why, it does not know.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, cast
from zlib import crc32

import lmdb
import msgspec

from smppd import faults
from smppd.errors import StorageFull, StoreError
from smppd.store import layout
from smppd.store.claim import Claim, allocate_readers, refusal, sync_directory
from smppd.store.inspection import show_key
from smppd.store.layout import CHECKSUM_OCTETS, TABLES, WHOLE
from smppd.store.space import SPACE_ERRORS, Reserve
from smppd.store.startcheck import check_at_start, has_store

DiskError = lmdb.Error
"""What a read or write raises when the disk or the file is at fault."""

READ_FAULTS: Final = (lmdb.Error, msgspec.DecodeError, UnicodeDecodeError)
"""What reading a row may end with: LMDB cannot get at it, or it is not what it must be."""

_LIB_VERSION: Final = 0
"""LMDB 0.9's file format, said explicitly: py-lmdb 3 bundles two that cannot read each other."""


MARK_OCTETS: Final = 1 << 20
"""Of map beyond a copy's own length, for the pages that one row more takes."""


_DAMAGE: Final = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)


class Table:
    """One table, and what the open transaction will write to it.

    Writes gather in ``pending`` and reach LMDB in one sorted pass at the commit, for LMDB gives
    up the GIL at every put. ``get`` sees them; the range reads see only what is on disk.

    Every row ends in its checksum (``layout``) but in stores of before there were any: put on here
    and taken off here. Reading one that does not fit raises StoreError, keys alone included: a key
    that nobody checked would be believed.
    """

    __slots__ = ("_db", "_environment", "_fresh", "_seed", "name", "pending")

    def __init__(
        self, environment: Environment, name: str, db: lmdb._Database, has_checksums: bool
    ) -> None:
        self.name = name
        self._environment = environment
        self._db = db
        self._seed = layout.seed_of(name) if has_checksums else None
        self._fresh: set[bytes] = set()
        self.pending: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``, or None."""
        if key in self.pending:
            return self.pending[key]
        environment, seed = self._environment, self._seed
        environment.reading = self.name, key
        # Without buffers=True py-lmdb hands out bytes; its stub cannot say so.
        sealed = cast(bytes | None, environment.transaction.get(key, db=self._db))
        if seed is None or sealed is None:
            return sealed
        if crc32(sealed, crc32(key, seed)) != WHOLE:
            raise environment.damaged("its checksum does not fit")
        return sealed[:-CHECKSUM_OCTETS]

    def put(self, key: bytes, value: bytes) -> None:
        """Writes one row."""
        self.pending[key] = value

    def put_all(self, rows: dict[bytes, bytes]) -> None:
        """Writes many rows."""
        self.pending.update(rows)

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

    def sealed(self, key: bytes, value: bytes) -> bytes:
        """The value as it is on disk."""
        return value if self._seed is None else layout.seal(self._seed, key, value)

    def flush(self) -> None:
        """Hands what is pending to LMDB, in key order; ``settled`` forgets it."""
        transaction = self._environment.transaction
        pending, seed = self.pending, self._seed
        ordered = sorted(pending)
        if seed is None:
            puts = [(key, value) for key in ordered if (value := pending[key]) is not None]
        else:
            puts = layout.seal_all(seed, pending, ordered)
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
        self._environment.reading = self.name, start
        with self._environment.transaction.cursor(db=self._db) as cursor:
            if cursor.set_range(start):
                yield from self._checked(cursor.iternext())

    def keys_from(self, start: bytes) -> Iterator[bytes]:
        """The keys from ``start`` on, in order."""
        return (key for key, _ in self.rows_from(start))

    def last_until(self, key: bytes) -> tuple[bytes, bytes] | None:
        """The last row on disk whose key is not beyond ``key``, or None."""
        environment, seed = self._environment, self._seed
        environment.reading = self.name, key
        with environment.transaction.cursor(db=self._db) as cursor:
            if not cursor.set_range(key):
                is_there = cursor.last()
            else:
                is_there = cursor.key() == key or cursor.prev()
            if not is_there:
                return None
            found, sealed = cast(tuple[bytes, bytes], cursor.item())
        if seed is None:
            return found, sealed
        if crc32(sealed, crc32(found, seed)) != WHOLE:
            environment.reading = self.name, found
            raise environment.damaged("its checksum does not fit")
        return found, sealed[:-CHECKSUM_OCTETS]

    def keys_before(self, end: bytes) -> Iterator[bytes]:
        """The keys below ``end``, the last one first."""
        self._environment.reading = self.name, end
        with self._environment.transaction.cursor(db=self._db) as cursor:
            found = cursor.prev() if cursor.set_range(end) else cursor.last()
            if found:
                yield from (key for key, _ in self._checked(cursor.iterprev()))

    def count(self) -> int:
        """How many rows there are on disk."""
        return int(self._environment.transaction.stat(self._db)["entries"])

    def _checked(self, rows: Iterator[object]) -> Iterator[tuple[bytes, bytes]]:
        environment, seed, name = self._environment, self._seed, self.name
        for key, sealed in cast(Iterator[tuple[bytes, bytes]], rows):
            environment.reading = name, key
            if seed is None:
                yield key, sealed
                continue
            if crc32(sealed, crc32(key, seed)) != WHOLE:
                raise environment.damaged("its checksum does not fit")
            yield key, sealed[:-CHECKSUM_OCTETS]


class Environment:
    """An LMDB environment in ``directory``, made when it is not there; ``reserve`` octets of the
    disk are kept for it.

    Raises StoreError when it cannot be opened, is damaged, or another process holds it.
    """

    def __init__(self, directory: Path, map_size: int, reserve: int = 0) -> None:
        self._is_closed = False
        self._lock = Claim(directory)
        self.map_size = map_size
        self._path = directory / layout.DATA_FILE
        self._failed = directory / layout.FAILED_FILE
        self._has_failed = self._failed.exists()
        self.reading = "", b""
        self.before_remapping: Callable[[], None] | None = None
        self._is_writing = False
        try:
            if not has_store(directory):
                _make(directory, map_size)
            has_checksums = check_at_start(directory)
            _mark_used(directory)
            allocate_readers(directory)
            self._env = _open(directory, map_size)
            self.tables = {
                name: Table(self, name, self._env.open_db(name.encode()), has_checksums)
                for name in TABLES
            }
            self._page_octets = int(self._env.stat()["psize"])
            self.map_size = int(self._env.info()["map_size"])  # it covers what is there already
            self.reserve = Reserve(self._path, reserve)
        except lmdb.Error as error:
            self._lock.close()
            raise StoreError(f"the store in {directory} cannot be opened: {error}") from error
        except OSError as error:
            self._lock.close()
            raise refusal(directory, error) from error
        except BaseException:
            self._lock.close()
            raise
        self._transaction: lmdb.Transaction | None = None

    @property
    def transaction(self) -> lmdb.Transaction:
        """The open transaction; an assertion where there is none."""
        assert self._transaction is not None, "no transaction is open"
        return self._transaction

    def damaged(self, why: str) -> StoreError:
        """What to raise where the row just read (``reading``: table and key) cannot be right."""
        table, key = self.reading
        return StoreError(
            f"{self._path} is damaged: table {table}, row {show_key(key)}: {why}; `smppd verify` "
            "shows all that is damaged, `smppd salvage --to DIR` takes out what can be read"
        )

    def unreadable(self, error: Exception) -> StoreError:
        """What to raise for one of READ_FAULTS."""
        if isinstance(error, lmdb.Error) and not isinstance(error, _DAMAGE):
            return StoreError(f"the store cannot be read: {error}")
        return self.damaged(f"it cannot be read: {error}")

    def begin(self, *, write: bool) -> None:
        """Opens the transaction; it must end before anything is awaited."""
        assert self._transaction is None, "a transaction is open already"
        self._transaction = self._env.begin(write=write)
        self._is_writing = write

    def abort(self) -> None:
        """Ends the transaction, keeping nothing."""
        if self._is_writing:
            self._end_copying()  # py-lmdb has the abort wait until no other thread is in LMDB
        self.transaction.abort()
        self._transaction = None

    def commit(self) -> None:
        """Writes what is pending in every table and commits; on return it is on disk.

        A full map is doubled and all is written again: everything was decided before, so that
        needs no second decision. Raises StorageFull where there is no room, and StoreError when
        the disk may not have it.
        """
        changed = [table for table in self.tables.values() if table.pending]
        if not changed:
            return self._end_unchanged()
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
                raise self._failure(error) from error
        self._transaction = None
        for table in changed:
            table.settled()
        if self._has_failed:
            self._has_failed = False
            with suppress(OSError):
                self._failed.unlink(missing_ok=True)
        return None

    def close(self) -> None:
        """Closes the environment and gives the directory free; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._end_copying()
        if self._transaction is not None:
            self.abort()
        self.reserve.close()
        self._env.close()
        self._lock.close()

    def abandon(self) -> None:
        """Ends a transaction that came to nothing, with all that was to be written."""
        if self._transaction is not None:
            self.abort()
        for table in self.tables.values():
            table.settled()

    def octets(self) -> int:
        """How far LMDB's pages reach in the data file."""
        return (int(self._env.info()["last_pgno"]) + 1) * self._page_octets

    def look_at_disk(self, now_ms: int) -> None:
        """Tops up the reserve; raises StoreError where the disk does not do what it says."""
        try:
            self.reserve.look(self.octets(), now_ms)
        except OSError as error:
            raise StoreError(f"the store cannot be written: {error}") from error

    def _failure(self, error: lmdb.Error) -> StoreError:
        """What a commit failed of. LMDB reports EIO for what was written in part, be it for want
        of room or because the disk is broken: which it is, the disk must say.

        After StorageFull the same handle is written and synced again, and nothing hangs on what
        the kernel may have dropped: LMDB writes over no page of a commit that was synced, and the
        next try writes every page of its own anew. Where it was the meta page that failed, LMDB
        opens no transaction any more (MDB_PANIC).
        """
        with suppress(OSError):
            self._failed.touch()  # for the next start, see ``pages.find_current``
        self._has_failed = True
        said = str(error)
        is_full = any(said.endswith(os.strerror(number)) for number in SPACE_ERRORS)
        if not is_full and said.endswith(os.strerror(errno.EIO)):
            is_full = not self.reserve.has_room()
        if is_full:
            return StorageFull(f"no room for a commit in {self._path}: {said}; make room there")
        return StoreError(f"the store cannot be written: {said}")

    def copy(self, descriptor: int) -> int:
        """Writes the last commit's state, compacted, to a pipe; how many messages are in it. For a
        thread of its own. Raises DiskError, also where nobody reads the pipe any more.

        ``before_remapping`` must end it: LMDB moves its map under a reader's feet.
        """
        with self._env.begin() as transaction:
            db = self._env.open_db(b"messages", txn=transaction, create=False)
            count = int(transaction.stat(db)["entries"])
            self._env.copyfd(descriptor, compact=True, txn=transaction)
        return count

    def mark_copy(self, path: Path, key: bytes, value: bytes) -> None:
        """Puts one row into ``meta`` of a copy that nobody uses yet, on disk on return."""
        size = path.stat().st_size + MARK_OCTETS
        with _open(path, size, subdir=False, lock=False) as copy:
            meta = copy.open_db(b"meta")
            with copy.begin(write=True) as transaction:
                transaction.put(key, self.tables["meta"].sealed(key, value), db=meta)

    def _end_unchanged(self) -> None:
        """LMDB writes and syncs nothing then, and it does not wait for a copy, as an abort does."""
        self.transaction.commit()
        self._transaction = None

    def _end_copying(self) -> None:
        if self.before_remapping is not None:
            self.before_remapping()

    def _grow(self) -> None:
        self._end_copying()
        self.map_size *= 2
        try:
            self._env.set_mapsize(self.map_size)
        except lmdb.Error as error:
            raise StoreError(f"the map cannot grow to {self.map_size} octets: {error}") from error


def _open(path: Path, map_size: int, *, subdir: bool = True, lock: bool = True) -> lmdb.Environment:
    return lmdb.open(
        str(path),
        map_size=map_size,
        max_dbs=len(TABLES) + 8,
        mode=0o600,
        subdir=subdir,
        lock=lock,
        lib_version=_LIB_VERSION,
    )


def _make(directory: Path, map_size: int) -> None:
    """A new data file with all tables, under its name only when it is whole: however the process
    ends, a short one is never a new one."""
    new = directory / layout.NEW_FILE
    new.unlink(missing_ok=True)
    with (
        _open(new, map_size, subdir=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        dbs = {name: environment.open_db(name.encode(), txn=transaction) for name in TABLES}
        key, seed = layout.META_CHECKSUMS, layout.seed_of("meta")
        transaction.put(key, layout.seal(seed, key, layout.CHECKSUMS), db=dbs["meta"])
    new.rename(directory / layout.DATA_FILE)
    (directory / f"{layout.NEW_FILE}-lock").unlink(missing_ok=True)
    sync_directory(directory)


def _mark_used(directory: Path) -> None:
    """From now on a data file that is gone is missed."""
    path = directory / layout.FORMAT_FILE
    if path.exists():
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, layout.FORMAT_TEXT)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(directory)
