"""Aging out: everything has a key by which it goes, in batches too small to be noticed.

Once a second, as a part of some commit, each table is looked at from where the last look ended.
Messages and refs are found in the order of message ids, which is the order of their acceptance.

What has a key by something else goes with its message (ids of carriers, doubts, tags), with its
deadline, or by its own age. What stays is bounded by names in the configuration, ever: the cursor
of an app and the mode of a carrier, for either may come back, and the row of a bind's grants.
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

BEHIND_MILLISECONDS: Final = 20
"""Until the next sweep where the last one left aged rows: ten thousand of each a second."""

SWEEP_ROWS_MAX: Final = 200
"""Rows of a table looked at in a sweep: about a millisecond."""

_SWEPT_REFS: Final = b"swept_refs"


class RetentionPeriods(msgspec.Struct, frozen=True):
    """Seconds, as ``[retention]`` gives them."""

    events: int = 14 * 86_400
    messages: int = 90 * 86_400
    refs: int = 7 * 86_400
    unmatched: int = 4 * 86_400


class Forgets(Protocol):
    """Who deletes what has aged, with all that names it: the store."""

    def forget_message(self, message: Message) -> bool: ...
    def forget_ref(self, message: Message) -> None: ...
    def forget_unmatched(self, key: bytes) -> None: ...


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
        self._swept_unmatched = b""

    def set_periods(self, periods: RetentionPeriods) -> None:
        """A reload has others."""
        self._periods = periods

    def load(self, used_at: int) -> None:
        """Finds where the last sweep of refs ended; ``used_at`` (ms): when the store was used
        last, 0 where it never was."""
        self._swept_refs = self._meta.get(_SWEPT_REFS) or b""
        self._used_at = used_at

    def rest(self, now: int) -> None:
        """The clock was set: for REST_MILLISECONDS nothing ages."""
        self.rests_until = now + REST_MILLISECONDS

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
            self._references.sweep(now, SWEEP_ROWS_MAX),
        ]
        pause = BEHIND_MILLISECONDS if any(is_behind) else SWEEP_MILLISECONDS
        self._next_sweep = now + pause

    def _sweep_messages(self, now: int, store: Forgets) -> bool:
        before = now - self._periods.messages * 1000
        position = b""
        has_deleted = False
        spent = 0  # a message of many segments is found by as many ids
        for key, row in self._messages.rows_from(self._swept_messages):
            if keys.time_of_id(keys.read_u64(key)) >= before:
                break
            if spent >= SWEEP_ROWS_MAX:
                position = key
                break
            message = decode_message(row)
            spent += 1
            if message.state > SENT and message.last_event_at < before:
                spent += len(message.parts) - 1
                has_deleted = store.forget_message(message) or has_deleted
        self._swept_messages = position
        return has_deleted and bool(position)

    def _sweep_refs(self, now: int, store: Forgets) -> bool:
        before = now - self._periods.refs * 1000
        for looked, (key, row) in enumerate(self._messages.rows_from(self._swept_refs)):
            message = decode_message(row)
            waiting = message.state <= SENT or message.last_event_at >= before
            if looked == SWEEP_ROWS_MAX or waiting:
                self._save_swept_refs(key)
                return not waiting
            store.forget_ref(message)
            self._swept_refs = keys.pack_u64(keys.read_u64(key) + 1)
        return False

    def _save_swept_refs(self, key: bytes) -> None:
        self._swept_refs = key
        if self._meta.get(_SWEPT_REFS) != key:
            self._meta.put(_SWEPT_REFS, key)

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
