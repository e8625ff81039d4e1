"""The event log of each app: numbered lines on disk, one cursor.

Rows hold up to ``EVENTS_ROW_MAX`` lines and are keyed by their last ``seq``, so the row that holds
``seq`` is the first whose key is not below it. An event is kept until it is taken or has aged out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.events import EVENTS_ROW_MAX


class EventBounds(msgspec.Struct, frozen=True, gc=False):
    """``oldest`` kept and ``latest`` ever (0: none yet); ``oldest`` is ``latest + 1`` where
    nothing is kept. ``taken`` is the cursor, 0 at first."""

    oldest: int
    latest: int
    taken: int


class EventBatch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive events ``first`` to ``last``, as JSON lines."""

    lines: bytes
    first: int
    last: int


class _Cursor(msgspec.Struct, array_like=True):
    latest: int = 0
    taken: int = 0
    oldest: int = 1


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Cursor).decode
_META: Final = b"app\0"


class EventLog:
    """All apps' logs. Mutates only between the store's ``begin`` and ``commit``."""

    def __init__(self, events: Table, meta: Table) -> None:
        self._events = events
        self._meta = meta
        self._cursors: dict[str, _Cursor] = {}
        self._fresh: dict[str, list[bytes]] = {}

    def load(self) -> None:
        """Reads every app's cursor."""
        for key, value in self._meta.rows_from(_META):
            if not key.startswith(_META):
                break
            self._cursors[key[len(_META) :].decode()] = _decode(value)

    def next_seq(self, app: str) -> int:
        """The number of the app's next event; ``append`` uses it up."""
        return self._cursor(app).latest + 1

    def append(self, app: str, line: bytes) -> None:
        """Adds the event numbered ``next_seq``."""
        self._cursor(app).latest += 1
        self._fresh.setdefault(app, []).append(line)

    def take(self, app: str, seq: int) -> bool:
        """Moves the cursor up to ``seq``; False when ``seq`` is above the latest."""
        cursor = self._cursor(app)
        if seq > cursor.latest:
            return False
        if seq > cursor.taken:
            cursor.taken = seq
            cursor.oldest = max(cursor.oldest, seq + 1)
            self._save(app)
        return True

    def bounds(self, app: str) -> EventBounds:
        """What of an app's log is kept."""
        cursor = self._cursors.get(app, _Cursor())
        return EventBounds(cursor.oldest, cursor.latest, cursor.taken)

    def flush(self, at: int) -> list[str]:
        """Writes this commit's events; the apps that have any."""
        apps = list(self._fresh)
        for app, lines in self._fresh.items():
            first = self._cursor(app).latest - len(lines) + 1
            for start in range(0, len(lines), EVENTS_ROW_MAX):
                row = lines[start : start + EVENTS_ROW_MAX]
                key = keys.events_key(app, first + start + len(row) - 1)
                head = keys.pack_events_head(at, first + start)
                self._events.put(key, head + b"".join(row))
            self._save(app)
        self._fresh.clear()
        return apps

    def read(self, app: str, after: int, bytes_max: int) -> EventBatch | None:
        """The events after ``after`` that are kept and on disk: whole rows up to ``bytes_max``
        (one row at least); None where there are none."""
        cursor = self._cursors.get(app)
        if cursor is None:
            return None
        start = max(after + 1, cursor.oldest)
        prefix = keys.events_key(app, start)
        lines: list[bytes] = []
        first, last, size = start, start - 1, 0
        for key, value in self._events.rows_from(prefix):
            if key[:-8] != prefix[:-8] or (lines and size + len(value) > bytes_max):
                break
            _, row_first = keys.read_events_head(value)
            if not lines:
                first = max(start, row_first)
            last = keys.read_u64(key[-8:])
            lines.append(_lines_from(value, start - row_first))
            size += len(value)
        return EventBatch(b"".join(lines), first, last) if lines else None

    def sweep(self, before: int, rows_max: int) -> bool:
        """Deletes rows that are taken, or whose last event is older than ``before``: of each app
        up to ``rows_max``. Whether there may be more."""
        is_behind = False
        for app, cursor in self._cursors.items():
            prefix = keys.events_key(app, 0)
            for number, (key, value) in enumerate(self._events.rows_from(prefix)):
                last = keys.read_u64(key[-8:])
                if key[:-8] != prefix[:-8]:
                    break
                if number == rows_max:
                    is_behind = True
                    break
                if last > cursor.taken and keys.read_events_head(value)[0] >= before:
                    break
                self._events.delete(key)
                if last >= cursor.oldest:
                    cursor.oldest = last + 1
                    self._save(app)
        return is_behind

    def _cursor(self, app: str) -> _Cursor:
        cursor = self._cursors.get(app)
        if cursor is None:
            cursor = self._cursors[app] = _Cursor()
        return cursor

    def _save(self, app: str) -> None:
        self._meta.put(_META + app.encode(), _encode(self._cursors[app]))


def _lines_from(value: bytes, skip: int) -> bytes:
    """The lines of a row but its first ``skip``."""
    position = keys.EVENTS_HEAD_BYTES
    for _ in range(skip):
        position = value.index(b"\n", position) + 1
    return value[position:]
