"""Aging out: everything has a key by which it goes, in batches too small to be noticed.

Once a second, as a part of some commit, each table is looked at from where the last look ended.
Messages and refs are found in the order of message ids, which is the order of their acceptance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.eventlog import EventLog
from smppd.store.records import SENT, Message, decode_message, decode_unmatched
from smppd.store.references import References

SWEEP_MILLISECONDS: Final = 1_000
SWEEP_ROWS_MAX: Final = 200
"""Rows of a table looked at in a sweep: 17 million a day, in about a millisecond a second."""

_SWEPT_REFS: Final = b"swept_refs"


class RetentionPeriods(msgspec.Struct, frozen=True):
    """Seconds, as ``[retention]`` gives them."""

    events: int = 14 * 86_400
    messages: int = 90 * 86_400
    refs: int = 7 * 86_400
    unmatched: int = 4 * 86_400


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
        self._swept_messages = b""
        self._swept_refs = b""
        self._swept_unmatched = b""

    def load(self) -> None:
        """Finds where the last sweep of refs ended."""
        self._swept_refs = self._meta.get(_SWEPT_REFS) or b""

    def ref_is_free(self, message: Message, now: int) -> bool:
        """Whether the message's ref may name another message now."""
        ended = message.state > SENT
        return ended and message.last_event_at + self._periods.refs * 1000 < now

    def sweep(
        self,
        now: int,
        events: EventLog,
        forget_message: Callable[[Message], None],
        forget_ref: Callable[[Message], None],
    ) -> None:
        """Looks at some rows of every table, at most once in ``SWEEP_MILLISECONDS``."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_MILLISECONDS
        events.sweep(now - self._periods.events * 1000, SWEEP_ROWS_MAX)
        self._sweep_refs(now, forget_ref)
        self._sweep_messages(now, forget_message)
        self._sweep_inbound(now)
        self._sweep_unmatched(now)
        self._references.sweep(now, SWEEP_ROWS_MAX)

    def _sweep_messages(self, now: int, forget: Callable[[Message], None]) -> None:
        before = now - self._periods.messages * 1000
        position = b""
        for looked, (key, row) in enumerate(self._messages.rows_from(self._swept_messages)):
            if keys.time_of_id(keys.read_u64(key)) >= before:
                break
            if looked == SWEEP_ROWS_MAX:
                position = bytes(key)
                break
            message = decode_message(row)
            if message.state > SENT and message.last_event_at < before:
                forget(message)
        self._swept_messages = position

    def _sweep_refs(self, now: int, forget: Callable[[Message], None]) -> None:
        before = now - self._periods.refs * 1000
        for looked, (key, row) in enumerate(self._messages.rows_from(self._swept_refs)):
            message = decode_message(row)
            waiting = message.state <= SENT or message.last_event_at >= before
            if looked == SWEEP_ROWS_MAX or waiting:
                self._save_swept_refs(bytes(key))
                return
            forget(message)
            self._swept_refs = keys.pack_u64(keys.read_u64(key) + 1)

    def _save_swept_refs(self, key: bytes) -> None:
        self._swept_refs = key
        if self._meta.get(_SWEPT_REFS) != key:
            self._meta.put(_SWEPT_REFS, key)

    def _sweep_inbound(self, now: int) -> None:
        before = now - self._periods.messages * 1000
        for looked, key in enumerate(self._inbound.keys_from(b"")):
            if looked == SWEEP_ROWS_MAX or keys.time_of_id(keys.read_u64(key)) >= before:
                break
            self._inbound.delete(bytes(key))

    def _sweep_unmatched(self, now: int) -> None:
        before = now - self._periods.unmatched * 1000
        position = b""
        for looked, (key, row) in enumerate(self._unmatched.rows_from(self._swept_unmatched)):
            if looked == SWEEP_ROWS_MAX:
                position = bytes(key)
                break
            if decode_unmatched(row).at < before:
                self._unmatched.delete(bytes(key))
        self._swept_unmatched = position
