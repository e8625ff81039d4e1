"""Aging out: everything has a key by which it goes, in batches too small to be noticed.

Once a second, as a part of some commit, each table is looked at from where the last look ended.
Messages and refs are found in the order of message ids, which is the order of their acceptance.

What has a key by something else goes with its message (doubts, tags), with its deadline, or by its
own age. Refs and the ids of carriers are in indexes that are told below which message id there is
nothing any more (``index``): nobody looks for the entries of a message that goes. What stays is
bounded by names in the configuration, ever: the cursor of an app and the mode of a carrier, for
either may come back, and the row of a bind's grants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.eventlog import EventLog
from smppd.store.records import SENT, Message, decode_message, decode_unmatched
from smppd.store.references import References

SWEEP_MILLISECONDS: Final = 1_000
REST_MILLISECONDS: Final = 600_000
"""Nothing ages out for so long after the clock was set: one that was set wrong, by a year ahead
say, is put right by then, and what would have gone for it is still there."""

AWAY_MILLISECONDS: Final = 86_400_000
"""A store not used for longer rests at its start: the daemon was away, or the clock is wrong."""

BEHIND_MILLISECONDS: Final = 4
"""Until the next sweep where the last one left aged rows: ten thousand of each a second."""

SWEEP_ROWS_MAX: Final = 40
"""Rows of a table looked at in a sweep: some two milliseconds where all tables have aged rows, for
a message takes its ids, its ref and its tag with it. Often and little, as all traffic waits."""

_SWEPT_REFS: Final = b"swept_refs"
"""The message id below which every ref is free."""

META_FORGOTTEN: Final = b"forgotten"
"""The message id from which on none was deleted: what names a lower one may have outlived it."""


class RetentionPeriods(msgspec.Struct, frozen=True):
    """Seconds, as ``[retention]`` gives them."""

    events: int = 14 * 86_400
    messages: int = 90 * 86_400
    refs: int = 7 * 86_400
    unmatched: int = 4 * 86_400
    quarantine: int = 30 * 86_400


class Forgets(Protocol):
    """Who deletes what has aged, with all that names it: the store."""

    def forget_message(self, message: Message) -> bool: ...
    def age_refs(self, floor: int) -> None: ...
    def age_ids(self, floor: int) -> None: ...
    def forget_unmatched(self, key: bytes) -> None: ...
    def age_quarantine(self, before: int, rows_max: int) -> bool: ...


class Retention:
    """``sweep`` inside a commit only."""

    def __init__(self, tables: Mapping[str, Table], periods: RetentionPeriods) -> None:
        self._messages = tables["messages"]
        self._inbound = tables["inbound"]
        self._unmatched = tables["unmatched"]
        self._meta = tables["meta"]
        self._references = References(tables["references"])
        self._periods = periods
        self._next_sweep = 0
        self.rests_until = 0
        self._used_at = 0
        self._swept_messages = b""
        self._swept_refs = b""
        self.forgotten = b""
        self._swept_unmatched = b""
        self._awaited = tables["awaited"]
        self._swept_awaited = b""

    def set_periods(self, periods: RetentionPeriods) -> None:
        """A reload has others."""
        self._periods = periods

    def load(self, used_at: int) -> None:
        """Finds where the last sweep of refs ended; ``used_at`` (ms): when the store was used
        last, 0 where it never was."""
        self._swept_refs = self._meta.get(_SWEPT_REFS) or b""
        self.forgotten = self._meta.get(META_FORGOTTEN) or b""
        self._used_at = used_at

    def rest(self, now: int) -> None:
        """The clock was set: for REST_MILLISECONDS nothing ages."""
        self.rests_until = now + REST_MILLISECONDS

    @property
    def swept_refs(self) -> int:
        """The message id below which every ref is free."""
        return keys.read_u64(self._swept_refs) if self._swept_refs else 0

    def ref_is_free(self, message: Message, now: int) -> bool:
        """Whether the message's ref may name another message now."""
        ended = message.state > SENT
        aged = message.last_event_at + self._periods.refs * 1000 < now
        return ended and aged and now >= self.rests_until

    def next_at(self) -> int:
        """When the next sweep is due (ms)."""
        return max(self._next_sweep, self.rests_until)

    def sweep(self, now: int, events: EventLog, store: Forgets) -> None:
        """Looks at some rows of every table; soon again where that was not all that has aged."""
        if self._used_at and now - self._used_at > AWAY_MILLISECONDS:
            self.rest(now)
        self._used_at = 0
        is_early = now < self._next_sweep <= now + SWEEP_MILLISECONDS  # else it was set back
        if is_early or now < self.rests_until:
            return
        before = now - self._periods.events * 1000
        is_behind = [
            events.sweep(before, SWEEP_ROWS_MAX),
            self._sweep_refs(now, store),
            self._sweep_messages(now, store),
            self._sweep_inbound(now),
            self._sweep_unmatched(now, store),
            self._sweep_awaited(now),
            self._references.sweep(now, SWEEP_ROWS_MAX),
            store.age_quarantine(now - self._periods.quarantine * 1000, SWEEP_ROWS_MAX),
        ]
        pause = BEHIND_MILLISECONDS if any(is_behind) else SWEEP_MILLISECONDS
        self._next_sweep = now + pause

    def _sweep_messages(self, now: int, store: Forgets) -> bool:
        before = now - self._periods.messages * 1000
        is_first = not self._swept_messages
        position = kept = gone = b""
        spent = 0  # a message of many segments has as many doubts
        for key, row in self._messages.rows_from(self._swept_messages):
            if keys.time_of_id(keys.read_u64(key)) >= before:
                kept = kept or key
                break
            if spent >= SWEEP_ROWS_MAX:
                kept, position = kept or key, key
                break
            message = decode_message(row)
            spent += 1
            is_aged = message.state > SENT and message.last_event_at < before
            if is_aged and store.forget_message(message):
                spent += len(message.parts) - 1
                gone = key
            else:
                kept = kept or key
        if gone:
            self._save_forgotten(keys.pack_u64(keys.read_u64(gone) + 1))
        if is_first and (kept or gone):
            store.age_ids(keys.read_u64(kept or self.forgotten))
        self._swept_messages = position
        return bool(gone and position)

    def _save_forgotten(self, until: bytes) -> None:
        if until > self.forgotten:
            self.forgotten = until
            self._meta.put(META_FORGOTTEN, until)

    def _sweep_refs(self, now: int, store: Forgets) -> bool:
        before = now - self._periods.refs * 1000
        for looked, (key, row) in enumerate(self._messages.rows_from(self._swept_refs)):
            message = decode_message(row)
            waiting = message.state <= SENT or message.last_event_at >= before
            if looked == SWEEP_ROWS_MAX or waiting:
                self._save_swept_refs(key, store)
                return not waiting
            self._swept_refs = keys.pack_u64(keys.read_u64(key) + 1)
        self._save_swept_refs(self._swept_refs, store)
        return False

    def _save_swept_refs(self, key: bytes, store: Forgets) -> None:
        """What is before ``key`` in ``messages``, and is there still, has a ref that is free."""
        self._swept_refs = key
        if key and self._meta.get(_SWEPT_REFS) != key:
            self._meta.put(_SWEPT_REFS, key)
            store.age_refs(keys.read_u64(key))

    def _sweep_inbound(self, now: int) -> bool:
        before = now - self._periods.messages * 1000
        for looked, key in enumerate(self._inbound.keys_from(b"")):
            if keys.time_of_id(keys.read_u64(key)) >= before:
                return False
            if looked == SWEEP_ROWS_MAX:
                return True
            self._inbound.delete(key)
        return False

    def _sweep_unmatched(self, now: int, store: Forgets) -> bool:
        before = now - self._periods.unmatched * 1000
        position = b""
        has_deleted = False
        for looked, (key, row) in enumerate(self._unmatched.rows_from(self._swept_unmatched)):
            if looked == SWEEP_ROWS_MAX:
                position = key
                break
            if key not in self._unmatched.pending and decode_unmatched(row).at < before:
                store.forget_unmatched(key)
                has_deleted = True
        self._swept_unmatched = position
        return has_deleted and bool(position)

    def _sweep_awaited(self, now: int) -> bool:
        """Those whose messages went without them: the carrier had another key then."""
        before = now - self._periods.messages * 1000
        position = b""
        has_deleted = False
        for looked, key in enumerate(self._awaited.keys_from(self._swept_awaited)):
            if looked == SWEEP_ROWS_MAX:
                position = key
                break
            number, _ = keys.unpack_tag(key[-keys.TAG_BYTES :])
            if keys.time_of_id(number) < before:
                self._awaited.delete(key)
                has_deleted = True
        self._swept_awaited = position
        return has_deleted and bool(position)
