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

JUMP: Final = 10**12
"""Numbers left out where a store is restored: more events than the original can have told since
(three years at ten thousand a second), and 9,000 of them fit the integers of every JSON reader."""

JUMP_MILLISECOND: Final = 1_000
"""And for every millisecond since the copy was made: more than can be told in one, so what is
restored later, from the same backup or an older one, begins beyond what was told before."""


class EventBounds(msgspec.Struct, frozen=True, gc=False):
    """``oldest`` kept and ``latest`` ever (0: none yet); ``oldest`` is ``latest + 1`` where
    nothing is kept. ``taken`` is the cursor, 0 at first. Where the store was restored, the numbers
    after ``cut_after`` and up to ``cut_until`` were left out: others have had them."""

    oldest: int
    latest: int
    taken: int
    cut_after: int = 0
    cut_until: int = 0

    def oldest_after(self, after: int) -> int:
        """The oldest one kept, for a reader that has those up to ``after``."""
        if self.cut_after <= after < self.cut_until:
            return max(self.oldest, self.cut_until + 1)
        return self.oldest

    def has_gap(self, after: int) -> bool:
        """Whether events above ``after`` are not kept here."""
        return after + 1 < self.oldest or after < self.cut_until

    @property
    def untaken(self) -> int:
        """How many the app has not taken."""
        cut = max(self.cut_until - max(self.taken, self.cut_after), 0)
        return max(self.latest - self.taken - cut, 0)


class EventBatch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive events ``first`` to ``last``, as JSON lines."""

    lines: bytes
    first: int
    last: int


class Cursor(msgspec.Struct, array_like=True):
    """An app's row of ``meta``; the fields are those of ``EventBounds``."""

    latest: int = 0
    taken: int = 0
    oldest: int = 1
    cut_after: int = 0
    cut_until: int = 0

    def skip_cut(self) -> None:
        """None of the numbers that were left out is kept."""
        if self.cut_after < self.oldest <= self.cut_until:
            self.oldest = self.cut_until + 1


_encode = msgspec.msgpack.Encoder().encode
decode_cursor = msgspec.msgpack.Decoder(Cursor).decode
META_APP: Final = b"app\0"
_META_FLOOR: Final = b"events_floor"


class EventLog:
    """All apps' logs. Mutates only between the store's ``begin`` and ``commit``."""

    def __init__(self, events: Table, meta: Table) -> None:
        self._events = events
        self._meta = meta
        self._cursors: dict[str, Cursor] = {}
        self._fresh: dict[str, list[bytes]] = {}
        self._floor = 0

    def load(self) -> None:
        """Reads every app's cursor."""
        self._floor = int(self._meta.get(_META_FLOOR) or 0)
        for key, value in self._meta.rows_from(META_APP):
            if not key.startswith(META_APP):
                break
            self._cursors[key[len(META_APP) :].decode()] = decode_cursor(value)

    def draw_seq(self, app: str) -> int:
        """The number of the app's next event, which must be appended before another is drawn."""
        cursor = self._cursors.get(app) or self._cursor(app)
        cursor.latest += 1
        return cursor.latest

    def append(self, app: str, line: bytes) -> None:
        """Adds the event whose number was drawn last."""
        lines = self._fresh.get(app)
        if lines is None:
            self._fresh[app] = [line]
        else:
            lines.append(line)

    def take(self, app: str, seq: int) -> bool:
        """Moves the cursor up to ``seq``; False when ``seq`` is above the latest."""
        cursor = self._cursor(app)
        if seq > cursor.latest:
            return False
        if seq > cursor.taken:
            cursor.taken = seq
            cursor.oldest = max(cursor.oldest, seq + 1)
            cursor.skip_cut()
            self._save(app)
        return True

    def jump(self, age: int) -> None:
        """From now on every app's events have numbers that none has seen: this log is a copy, made
        ``age`` ms ago, and the original went on. Once a restored store, before its first event."""
        assert not self._fresh, "an event of this commit has a number already"
        latest = max((cursor.latest for cursor in self._cursors.values()), default=0)
        self._floor = max(self._floor, latest) + JUMP + max(age, 0) * JUMP_MILLISECOND
        self._meta.put(_META_FLOOR, b"%d" % self._floor)
        for app, cursor in self._cursors.items():
            cursor.cut_after, cursor.cut_until = cursor.latest, self._floor
            cursor.latest = self._floor
            cursor.skip_cut()
            self._save(app)

    def bounds(self, app: str) -> EventBounds:
        """What of an app's log is kept."""
        cursor = self._cursors.get(app) or self._new_cursor()
        return EventBounds(
            cursor.oldest, cursor.latest, cursor.taken, cursor.cut_after, cursor.cut_until
        )

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
        """Deletes rows that are taken, or whose last event is older than ``before``: up to
        ``rows_max``, the apps taking turns. Whether there may be more."""
        apps = list(self._cursors)
        for number, app in enumerate(apps):
            rows_max -= self._sweep_app(app, before, rows_max)
            if rows_max <= 0:
                # Whoever used it up goes last the next time.
                order = [*apps[number + 1 :], *apps[: number + 1]]
                self._cursors = {name: self._cursors[name] for name in order}
                return True
        return False

    def _sweep_app(self, app: str, before: int, rows_max: int) -> int:
        """How many rows were deleted."""
        cursor = self._cursors[app]
        prefix = keys.events_key(app, 0)
        deleted = 0
        for key, value in self._events.rows_from(prefix):
            last = keys.read_u64(key[-8:])
            if key[:-8] != prefix[:-8] or deleted == rows_max:
                break
            if last > cursor.taken and keys.read_events_head(value)[0] >= before:
                break
            self._events.delete(key)
            deleted += 1
            if last >= cursor.oldest:
                cursor.oldest = last + 1
                cursor.skip_cut()
                self._save(app)
        return deleted

    def _cursor(self, app: str) -> Cursor:
        cursor = self._cursors.get(app)
        if cursor is None:
            cursor = self._cursors[app] = self._new_cursor()
        return cursor

    def _new_cursor(self) -> Cursor:
        """Of an app that has had no event here. Where the store was restored it may have had some
        of the original, so its numbers begin where everybody's do."""
        floor = self._floor
        return Cursor(floor, floor, floor + 1, 0, floor)

    def _save(self, app: str) -> None:
        self._meta.put(META_APP + app.encode(), _encode(self._cursors[app]))


def _lines_from(value: bytes, skip: int) -> bytes:
    """The lines of a row but its first ``skip``."""
    position = keys.EVENTS_HEAD_BYTES
    for _ in range(skip):
        position = value.index(b"\n", position) + 1
    return value[position:]
