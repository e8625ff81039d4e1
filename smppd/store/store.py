"""The store: one transaction a batch, the truth about every message.

``commit`` runs a batch in two steps. *Decide*: the ledger applies the changes, one by one. *Grant*:
whoever grants (``traffic/dispatch.py``) sees what the batch accepted and released, binds messages
to carriers, and its grants go into the same write. Then one transaction, one fsync. A crash before
it leaves nothing of the batch, a crash after it all.

Only the ``Committer`` calls ``commit``. No clock, no I/O but LMDB's, no logging.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from smppd import faults
from smppd.errors import StoreError
from smppd.store import keys
from smppd.store.changes import CarrierMode, Change, Doubted, Result
from smppd.store.environment import DiskError, Environment
from smppd.store.eventlog import EventBatch, EventBounds
from smppd.store.ledger import Ledger
from smppd.store.records import SCHEMA_VERSION, Message
from smppd.store.rules import LedgerRules
from smppd.store.search import FindSlice, Wanted, find_doubtful, find_messages
from smppd.store.trace import TraceView, trace_message
from smppd.store.view import FoundMessage, MessageView, view_message

_META_SCHEMA: Final = b"schema"

FIND_ROWS_MAX: Final = 500
"""Messages looked at in one slice of a search: some five milliseconds."""


class Granter(Protocol):
    """Who decides which waiting messages may go on the wire now."""

    def grant(self, ledger: Ledger, now_ms: int) -> None:
        """Takes ``ledger.released`` over and grants what the windows and paces allow."""


class Committed(msgspec.Struct, frozen=True):
    """What a commit did: one result a change, and the apps that have new events."""

    results: list[Result]
    apps: list[str]


class StoreStatistics(msgspec.Struct, frozen=True):
    """Counts since start, and what is waiting now; ``told`` are events by name."""

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


class Store:
    """The messages, their events and their indexes, in one LMDB environment in ``directory``.

    Raises StoreError when the directory is in use, was written by a newer schema, or the disk
    does not do what it says.
    """

    def __init__(self, directory: Path, rules: LedgerRules, *, map_size: int) -> None:
        self._env = Environment(directory, map_size)
        self._ledger = Ledger(self._env.tables, rules)
        self._commits = 0
        try:
            self._env.begin(write=True)
            self._check_schema()
            self._ledger.load()
            self._env.commit()
        except DiskError as error:
            self._env.close()
            raise StoreError(f"the store cannot be read: {error}") from error
        except BaseException:
            self._env.close()
            raise

    def commit(self, changes: list[Change], granter: Granter | None, now_ms: int) -> Committed:
        """Decides ``changes`` in order, grants, and returns once all of it is on disk."""
        ledger = self._ledger
        try:
            self._env.begin(write=True)
            results = ledger.decide(changes, now_ms)
            if granter is not None:
                granter.grant(ledger, now_ms)
            apps = ledger.flush()
            faults.reach("store.decided")
            self._env.commit()
        except DiskError as error:
            self._env.close()
            raise StoreError(f"the store cannot be read: {error}") from error
        except BaseException:
            self._env.close()
            raise
        self._commits += 1
        ledger.messages.settled()
        return Committed(results, apps)

    def set_rules(self, rules: LedgerRules) -> None:
        """A reload's rules, from the next commit on. What a message costs stays in the currency of
        the table that it was bound by."""
        self._ledger.set_rules(rules)

    def set_free(self, octets: int) -> None:
        """The disk's free space: below the rules' ``reserve`` proposals are ``storage_full``."""
        self._ledger.free = octets

    def next_deadline(self) -> int | None:
        """The wall time (ms) at which a commit is wanted though nothing happens, or None."""
        deadline, sweep = self._ledger.deadlines.next_at(), self._ledger.retention.next_at()
        return sweep if deadline is None else min(deadline, sweep)

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

    def doubtful(self, limit: int) -> list[FoundMessage]:
        """Messages with a segment nobody can know of, oldest first."""
        with self._reading():
            return find_doubtful(self._ledger, limit)

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
        ledger = self._ledger
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
            inbound=counts["inbound"],
            commits=self._commits,
            storage_full=counts["storage_full"],
            told=dict(ledger.told),
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

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A read transaction, ended before anybody waits."""
        try:
            self._env.begin(write=False)
            try:
                yield
            finally:
                self._env.abort()
        except DiskError as error:
            raise StoreError(f"the store cannot be read: {error}") from error

    def _check_schema(self) -> None:
        value = self._env.tables["meta"].get(_META_SCHEMA)
        version = SCHEMA_VERSION if value is None else int(value)
        if version > SCHEMA_VERSION:
            reason = (
                f"the store was written by a newer smppd (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); run that version, or give this one another state directory"
            )
            raise StoreError(reason)
        if value is None:
            self._env.tables["meta"].put(_META_SCHEMA, b"%d" % SCHEMA_VERSION)
