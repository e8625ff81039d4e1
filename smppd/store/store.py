"""The store: one transaction a batch, the truth about every message.

``commit`` runs a batch in two steps. *Decide*: the ledger applies the changes, one by one. *Grant*:
whoever grants (``traffic/dispatch.py``) sees what the batch accepted and released, binds messages
to carriers, and its grants go into the same write. Then one transaction, one fsync. A crash before
it leaves nothing of the batch, a crash after it all.

Only the ``Committer`` calls ``commit``. No clock, no I/O but LMDB's, no logging.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from smppd import faults
from smppd.errors import StorageFull, StoreError, StoreRefused
from smppd.store import keys
from smppd.store.backup import Backup, is_unfinished
from smppd.store.changes import (
    CarrierMode,
    Change,
    Doubted,
    DoubtRestored,
    Propose,
    Restored,
    Result,
)
from smppd.store.environment import READ_FAULTS, Environment
from smppd.store.eventlog import EventBatch, EventBounds
from smppd.store.hints import Hint
from smppd.store.known import SLICE_ROWS, Found, KnownRecord, Place, Slice, show_known, slice_of
from smppd.store.layout import META_SCHEMA
from smppd.store.ledger import Ledger
from smppd.store.proposals import refuse
from smppd.store.quarantine import QuarantineView, view_quarantined
from smppd.store.records import SCHEMA_VERSION, Message
from smppd.store.rules import LedgerRules
from smppd.store.search import (
    DoubtSlice,
    FindSlice,
    Wanted,
    find_messages,
    look_at_doubts,
    show_doubtful,
)
from smppd.store.trace import TraceView, trace_message
from smppd.store.view import FoundMessage, MessageView, show_found, view_message

FIND_ROWS_MAX: Final = 500
"""Messages looked at in one slice of a search: some five milliseconds."""


class Granter(Protocol):
    """Who decides which waiting messages may go on the wire now."""

    def grant(self, ledger: Ledger, now_ms: int) -> None:
        """Takes ``ledger.released`` over and grants what the windows and paces allow; nothing
        while ``ledger.is_low``."""

    def rebuild(self, ledger: Ledger) -> None:
        """What it saw and granted in the last commit never happened: begins again from what is
        on disk. Inside a transaction that reads."""


class Committed(msgspec.Struct, frozen=True):
    """What a commit did: one result a change, and the apps that have new events."""

    results: list[Result]
    apps: list[str]


class StoreStatistics(msgspec.Struct, frozen=True):
    """Counts since start, and what is waiting now; ``told`` are events by name.

    ``octets`` are the data file's in use, ``map_octets`` how far it may grow before its map must;
    ``reserve`` is configured and ``reserve_left`` there. ``full``: submits are rejected with
    ``storage_full``; ``low``: nothing is granted either. ``reserve_allocated``: the reserve is
    ours already; where the file system cannot do that, it is the disk's free space.
    Of messages from phones, ``inbound_waiting`` are segments that wait for the others,
    ``inbound_incomplete`` those told without some, ``inbound_repeated`` segments that came again.
    ``quarantine`` are the PDUs kept that nobody could read.
    """

    accepted: int
    duplicates: int
    queued: int
    live: int
    unmatched: int
    receipts_matched: int
    receipts_unmatched: int
    receipts_without_effect: int
    receipts_contradictory: int
    receipts_unreadable: int
    inbound: int
    commits: int
    storage_full: int
    told: dict[str, int]
    octets: int = 0
    map_octets: int = 0
    reserve: int = 0
    reserve_left: int = 0
    full: bool = False
    low: bool = False
    reserve_allocated: bool = True
    inbound_waiting: int = 0
    inbound_incomplete: int = 0
    inbound_repeated: int = 0
    receipts_by_order: int = 0
    quarantine: int = 0


class Store:
    """The messages, their events and their indexes, in one LMDB environment in ``directory``.

    Raises StoreError when the directory is in use, was written by a newer schema, or the disk
    does not do what it says.
    """

    def __init__(self, directory: Path, rules: LedgerRules, *, map_size: int) -> None:
        if is_unfinished(directory):
            reason = f"{directory} holds a backup that was never finished; take another one"
            raise StoreRefused(reason)
        self._directory = directory
        self._env = Environment(directory, map_size, rules.reserve)
        self._ledger = Ledger(self._env.tables, rules)
        self._commits = 0
        try:
            self._env.begin(write=True)
            self._check_schema()
            self._ledger.load()
            self._env.commit()
        except READ_FAULTS as error:
            self._env.close()
            raise self._env.unreadable(error) from error
        except BaseException:
            self._env.close()
            raise

    def commit(self, changes: list[Change], granter: Granter | None, now_ms: int) -> Committed:
        """Decides ``changes`` in order, grants, and returns once all of it is on disk.

        Raises StorageFull where the disk has no room for it: then nothing of it has happened, on
        disk, here or with the granter.
        """
        self._look_at_disk(now_ms)
        ledger = self._ledger
        before = dict(ledger.counts), dict(ledger.told)
        try:
            self._env.begin(write=True)
            results = ledger.decide(changes, now_ms)
            if granter is not None:
                granter.grant(ledger, now_ms)
            apps = ledger.flush()
            faults.reach("store.decided")
            self._env.commit()
        except StorageFull:
            self._abandon(granter, before, now_ms)
            raise
        except READ_FAULTS as error:
            self._env.close()
            raise self._env.unreadable(error) from error
        except BaseException:
            self._env.close()
            raise
        self._commits += 1
        ledger.messages.settled()
        return Committed(results, apps)

    def doubt_restored(self, now_ms: int) -> Restored | None:
        """The first start on a copy of a store (``restore``): a batch of what waited in it becomes
        doubt. To be called until it is done; None: the store is no copy, or was done with."""
        if not self._ledger.is_restored:
            return None
        (result,) = self.commit([DoubtRestored()], None, now_ms).results
        assert result is None or isinstance(result, Restored), f"{result!r} answers no such change"
        return result

    def backup(self, directory: Path, at: int) -> Backup:
        """A copy to be made in ``directory``, by ``run`` in a thread; ``end_backup`` follows it,
        whatever came of it, before there can be another. ``at`` is the time of day (ms)."""
        assert self._env.before_remapping is None, "a backup is under way already"
        reserve = self._ledger.rules.reserve
        copy = Backup(self._env, self._directory, directory, at, reserve)
        self._env.before_remapping = copy.stop_and_wait
        return copy

    def end_backup(self) -> None:
        """The copy was made, or nothing came of it."""
        self._env.before_remapping = None

    def set_rules(self, rules: LedgerRules) -> None:
        """A reload's rules, from the next commit on. What a message costs stays in the currency of
        the table that it was bound by."""
        self._ledger.set_rules(rules)
        self._env.reserve.resize(rules.reserve)

    def refuse(self, proposals: Sequence[Propose]) -> list[Result]:
        """What proposals are answered that a commit had no room for: ``storage_full``, or as
        always where their ref is bound. Only reads."""
        with self._reading():
            return [refuse(self._ledger, proposal) for proposal in proposals]

    def clock_was_set(self, now_ms: int) -> None:
        """The wall clock says ``now_ms`` since a moment: nothing ages out until it has proved
        itself (``retention``)."""
        self._ledger.retention.rest(now_ms)

    def used_at(self) -> int:
        """The time in the newest id (ms), which no later clock should be below; 0: none yet."""
        return keys.time_of_id(self._ledger.last_id)

    def next_deadline(self) -> int | None:
        """The wall time (ms) at which a commit is wanted though nothing happens, or None."""
        if self._ledger.retiming.is_behind:
            return self._ledger.now
        deadline, sweep = self._ledger.deadlines.next_at(), self._ledger.retention.next_at()
        return sweep if deadline is None else min(deadline, sweep)

    def standing_hints(self) -> list[Hint]:
        """What the operator was told of them since start."""
        return self._ledger.hints.standing()

    def take_hints(self) -> list[Hint]:
        """What carriers' receipts have shown of them, where it is time to tell the operator."""
        return self._ledger.hints.take_due()

    def open_grants(self, carrier: str, bind: int) -> int:
        """Segments granted to a bind and not answered yet, taken by its link or not."""
        return self._ledger.grants.count(carrier, bind)

    # -- reading, outside a commit ---

    def message_of(self, tag: bytes) -> tuple[Message, int] | None:
        """The message and segment a granted tag names."""
        message_id, index = keys.unpack_tag(tag)
        message = self._ledger.messages.get_live(message_id)
        if message is None:
            with self._reading():
                message = self._ledger.messages.get(message_id)
        return None if message is None else (message, index)

    def query(
        self, app: str, *, message_id: str | None = None, ref: str | None = None
    ) -> MessageView | None:
        """The whole life of one of the app's messages; None where it has none such."""
        with self._reading():
            message = self._find(app, message_id, ref)
            return None if message is None else view_message(message, self._currency)

    def trace(
        self, *, message_id: str | None = None, ref: str | None = None, app: str | None = None
    ) -> TraceView | None:
        """Every step of one message, by its id (``app`` None: whosesoever it is) or by its app's
        ref; None where there is none such."""
        with self._reading():
            message = self._find(app, message_id, ref)
            return None if message is None else trace_message(message, self._currency)

    def find(
        self,
        *,
        to: str | None = None,
        tag: str | None = None,
        app: str | None = None,
        state: str | None = None,
        since: int = 0,
        until: int = 0,
        before: int = 0,
        rows_max: int = FIND_ROWS_MAX,
    ) -> FindSlice:
        """Messages that fit, newest first: one slice, of ``rows_max`` looked at below ``before``
        (see ``Wanted``). The caller goes on until it is done, and lets others run between."""
        wanted = Wanted(to, tag, app, state, since, until)
        with self._reading():
            return find_messages(self._ledger, wanted, before, rows_max)

    def look_at_doubts(self, before: DoubtSlice) -> DoubtSlice:
        """Which messages have a segment nobody can know of: one slice more of that list."""
        with self._reading():
            return look_at_doubts(self._ledger, before)

    def show_doubtful(self, numbers: Sequence[int]) -> list[FoundMessage]:
        """Those of them, DOUBTFUL_ROWS_MAX at most, of which that is still so."""
        with self._reading():
            return show_doubtful(self._ledger, numbers)

    def know(
        self,
        place: Place,
        number: str,
        after: bytes = b"",
        *,
        told: frozenset[str] = frozenset(),
        rows_max: int = SLICE_ROWS,
    ) -> Slice:
        """The rows of one table that know a phone number: one slice, of ``rows_max`` looked at
        after the key ``after`` (see ``known``)."""
        with self._reading():
            return slice_of(self._ledger, place, number, after, rows_max, told)

    def show_known(self, place: Place, found: Found) -> KnownRecord | None:
        """What one of them holds; None where it has gone meanwhile."""
        with self._reading():
            return show_known(self._ledger, place, found.key)

    def find_by_id(self, number: int) -> FoundMessage | None:
        """A message in one line, by the number of its id."""
        with self._reading():
            message = self._ledger.messages.peek(number)
            return None if message is None else show_found(message)

    def quarantined(
        self, *, carrier: str | None = None, number: int | None = None, rows_max: int = 1
    ) -> list[QuarantineView]:
        """What nobody could read, newest first: of one carrier or all, ``rows_max`` at most; or
        one row, with its octets."""
        evidence = self._ledger.evidence
        with self._reading():
            if number is not None:
                row = evidence.get(number)
                return [] if row is None else [view_quarantined(row)]
            newest = heapq.nlargest(rows_max, evidence.ids(carrier))
            rows = [row for one in newest if (row := evidence.get(one)) is not None]
            return [view_quarantined(row, has_pdu=False) for row in rows]

    def quarantined_ids(self, carrier: str) -> list[int]:
        """What of a carrier nobody could read."""
        return list(self._ledger.evidence.ids(carrier))

    def message_by_id(self, message_id: str) -> Message | None:
        """A message by its id; None where there is none such. It is the store's: only look."""
        with self._reading():
            number = keys.read_id(message_id)
            return None if number is None else self._ledger.messages.peek(number)

    def modes(self) -> dict[str, CarrierMode]:
        """The carriers that an operator has paused or drained."""
        return self._ledger.modes.all()

    def events_after(self, app: str, after: int, bytes_max: int) -> EventBatch | None:
        """The app's kept events after ``after``, about ``bytes_max`` of them; None: no more."""
        if self._ledger.events.bounds(app).latest <= after:
            return None
        with self._reading():
            return self._ledger.events.read(app, after, bytes_max)

    def event_bounds(self, app: str) -> EventBounds:
        """What of the app's log is kept."""
        return self._ledger.events.bounds(app)

    def open_tags(self, at: int) -> list[Doubted]:
        """Every open grant, as the doubt it is after a crash; for the first commit of a start."""
        return self._ledger.grants.as_doubts(at)

    def statistics(self) -> StoreStatistics:
        """Counts since start."""
        ledger, reserve = self._ledger, self._env.reserve
        counts = ledger.counts
        return StoreStatistics(
            accepted=counts["accepted"],
            duplicates=counts["duplicates"],
            queued=len(ledger.waiting),
            live=len(ledger.messages),
            unmatched=ledger.matching.unmatched_count(),
            receipts_matched=counts["matched"],
            receipts_unmatched=counts["unmatched"],
            receipts_without_effect=counts["late"],
            receipts_contradictory=counts["contradictory"],
            receipts_unreadable=counts["unreadable"],
            receipts_by_order=counts["by_order"],
            inbound=counts["inbound"],
            commits=self._commits,
            storage_full=counts["storage_full"],
            told=dict(ledger.told),
            octets=self._env.octets(),
            map_octets=self._env.map_size,
            reserve=reserve.size,
            reserve_left=min(reserve.left, reserve.size),
            full=reserve.is_full,
            low=reserve.is_low,
            reserve_allocated=reserve.can_allocate,
            inbound_waiting=ledger.reassembly.waiting,
            inbound_incomplete=counts["inbound_incomplete"],
            inbound_repeated=counts["inbound_repeated"],
            quarantine=len(ledger.evidence),
        )

    def close(self) -> None:
        """Closes the environment; nothing is pending between commits."""
        self._env.close()

    @property
    def _currency(self) -> str:
        return self._ledger.rules.currency

    def _find(self, app: str | None, message_id: str | None, ref: str | None) -> Message | None:
        number = self._ledger.find(app or "", message_id, ref)
        message = None if number is None else self._ledger.messages.peek(number)
        return message if message is not None and app in (None, message.app) else None

    def _look_at_disk(self, now_ms: int) -> None:
        env = self._env
        env.look_at_disk(now_ms)
        self._ledger.is_full, self._ledger.is_low = env.reserve.is_full, env.reserve.is_low

    def _abandon(
        self, granter: Granter | None, before: tuple[dict[str, int], dict[str, int]], now_ms: int
    ) -> None:
        """The commit came to nothing: everything in memory is what it was, read anew from disk
        as a start does. Raises StoreError where that cannot be read."""
        env = self._env
        env.abandon()
        env.reserve.fail(now_ms)
        ledger = Ledger(env.tables, self._ledger.rules)
        ledger.counts, told = before
        ledger.told.update(told)
        ledger.is_full = ledger.is_low = True
        ledger.retention.rests_until = self._ledger.retention.rests_until
        ledger.hints = self._ledger.hints
        try:
            with self._reading():
                ledger.load()
                if granter is not None:
                    granter.rebuild(ledger)
        except BaseException:
            env.close()
            raise
        self._ledger = ledger

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A read transaction, ended before anybody waits."""
        try:
            self._env.begin(write=False)
            try:
                yield
            finally:
                self._env.abort()
        except READ_FAULTS as error:
            raise self._env.unreadable(error) from error

    def _check_schema(self) -> None:
        value = self._env.tables["meta"].get(META_SCHEMA)
        version = SCHEMA_VERSION if value is None else int(value)
        if version > SCHEMA_VERSION:
            reason = (
                f"the store was written by a newer smppd (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); run that version, or give this one another state directory"
            )
            raise StoreError(reason)
        if value is None or version < SCHEMA_VERSION:
            self._env.tables["meta"].put(META_SCHEMA, b"%d" % SCHEMA_VERSION)
