"""The store: every change in order, one transaction, the truth about every message.

``commit`` runs a batch in two steps. *Decide*: the changes, one by one, against the records as
this batch leaves them. *Grant*: whoever grants (``traffic/dispatch.py``) sees what the batch
accepted and released, binds messages to carriers, and its grants go into the same write. Then one
transaction, one fsync. A crash before it leaves nothing of the batch, a crash after it all.

Numbered invariants:

1. A message has a row in ``queue`` exactly while a segment of it is WAITING (``life.is_waiting``).
2. An open grant is in ``grants``, in ``_open``, and its segment is GRANTED; never one without
   the others.
3. ``_live`` holds the one copy of a message in memory; it leaves only between commits.

Only the ``Committer`` calls ``commit``. No clock, no I/O but LMDB's, no logging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from smppd.errors import StoreError
from smppd.store import keys, life
from smppd.store.changes import (
    Accepted,
    Answered,
    Change,
    Doubted,
    GivenBack,
    InboundArrived,
    NewMessage,
    Propose,
    ReceiptArrived,
    RefConflict,
    Rejection,
    Result,
    Take,
    TakenResult,
    Verdict,
)
from smppd.store.deadlines import Deadlines
from smppd.store.environment import DiskError, Environment
from smppd.store.eventlog import EventBatch, EventBounds, EventLog
from smppd.store.events import encode_event, encode_inbound
from smppd.store.index import SpilledIndex
from smppd.store.matching import Matching, is_same_address
from smppd.store.records import (
    DONE,
    GRANTED,
    LANES,
    QUEUED,
    SCHEMA_VERSION,
    SENT,
    TAKEN,
    CarrierProfile,
    Inbound,
    Message,
    Segment,
    decode_message,
    encode_record,
)
from smppd.store.references import References
from smppd.store.retention import Retention, RetentionPeriods
from smppd.store.view import MessageView, view_message

LIVE_MAX: Final = 50_000
"""Messages kept decoded, at about 1 KB each; older ones are read back when their receipt comes."""

DUE_MAX: Final = 500
"""Deadlines looked at in one commit: a few milliseconds even when every one is a disk read."""

BACKLOG_RETRY_SECONDS: Final = 60
"""What ``backlog_full`` advises: a backlog of ten million does not end sooner."""

_META_SCHEMA: Final = b"schema"
_META_LAST_ID: Final = b"last_id"


class Granter(Protocol):
    """Who decides which waiting messages may go on the wire now."""

    def grant(self, store: Store, now_ms: int) -> None:
        """Takes ``store.released`` over and grants what the windows and paces allow."""


class Committed(msgspec.Struct, frozen=True):
    """What a commit did: one result a change, and the apps that have new events."""

    results: list[Result]
    apps: list[str]


class StoreStatistics(msgspec.Struct, frozen=True):
    """Counts since start, and what is waiting now."""

    accepted: int
    duplicates: int
    queued: int
    live: int
    unmatched: int
    receipts_matched: int
    receipts_unmatched: int
    receipts_without_effect: int
    inbound: int
    commits: int


class Store:
    """The messages, their events and their indexes, in one LMDB environment.

    ``carriers`` are those configured now. Raises StoreError when the directory is in use, was
    written by a newer schema, or the disk does not do what it says.
    """

    def __init__(
        self,
        directory: Path,
        *,
        map_size: int,
        carriers: Mapping[str, CarrierProfile],
        currency: str,
        eventless_apps: frozenset[str] = frozenset(),
        inbound_apps: tuple[str, ...] = (),
        backlog_max: int = 10_000_000,
        periods: RetentionPeriods | None = None,
    ) -> None:
        self._env = Environment(directory, map_size)
        self._carriers = carriers
        self._currency = currency
        self._eventless = eventless_apps
        self._inbound_apps = inbound_apps
        self._backlog_max = backlog_max
        tables = self._env.tables
        self._messages = tables["messages"]
        self._queue = tables["queue"]
        self._grants = tables["grants"]
        self._meta = tables["meta"]
        self._inbound = tables["inbound"]
        self._deadlines = Deadlines(tables["deadlines"])
        self._events = EventLog(tables["events"], tables["meta"])
        self._refs = SpilledIndex()
        self._smsc_ids = SpilledIndex()
        self._references = References(tables["references"])
        self._matching = Matching(
            tables["unmatched"], tables["doubts"], tables["smsc_ids"], self._smsc_ids
        )
        self._retention = Retention(tables, periods or RetentionPeriods())
        self._live: dict[int, Message] = {}
        self._dirty: dict[int, Message] = {}
        self._unwritten_rows: dict[int, Message] = {}
        self._open: dict[bytes, dict[bytes, None]] = {}
        self._open_changed: set[bytes] = set()
        self._last_id = 0
        self._now = 0
        self._queued = 0
        self._counts = dict.fromkeys(
            ("accepted", "duplicates", "matched", "unmatched", "late", "inbound", "commits"), 0
        )
        self.released: list[Message] = []
        self._apply: dict[type, Callable[[Any], Result]] = {
            Propose: self._propose,
            Take: self._take,
            Answered: self._answered,
            Doubted: self._doubted,
            GivenBack: self._given_back,
            ReceiptArrived: self._receipt_arrived,
            InboundArrived: self._inbound_arrived,
        }
        try:
            self._load()
        except BaseException:
            self._env.close()
            raise

    # -- committing ---

    def commit(self, changes: list[Change], granter: Granter | None, now_ms: int) -> Committed:
        """Decides ``changes`` in order, grants, and returns once all of it is on disk."""
        self._now = now_ms
        last_id = self._last_id
        try:
            self._env.begin(write=True)
            apply = self._apply
            results = [apply[type(change)](change) for change in changes]
            self._look_at_due()
            self._retention.sweep(now_ms, self._events, self)
            if granter is not None:
                granter.grant(self, now_ms)
            apps = self._flush(last_id)
        except DiskError as error:
            self._env.close()
            raise StoreError(f"the store cannot be read: {error}") from error
        except BaseException:
            self._env.close()
            raise
        self._counts["commits"] += 1
        self._forget_settled()
        return Committed(results, apps)

    def next_deadline(self) -> int | None:
        """The wall time (ms) at which a commit is wanted though nothing happens, or None."""
        deadline, sweep = self._deadlines.next_at(), self._retention.next_at()
        return sweep if deadline is None else min(deadline, sweep)

    # -- what the granter asks and does, inside a commit ---

    def message(self, message_id: int) -> Message | None:
        """The message, or None. Inside a commit only, and not to be kept beyond it."""
        message = self._live.get(message_id)
        if message is not None:
            return message
        value = self._messages.get(keys.pack_u64(message_id))
        if value is None:
            return None
        message = self._live[message_id] = decode_message(value)
        return message

    def message_of(self, tag: bytes) -> tuple[Message, int] | None:
        """The live message and segment a granted tag names; outside a commit too."""
        message_id, index = keys.unpack_tag(tag)
        message = self._live.get(message_id)
        if message is None:
            self._env.begin(write=False)
            try:
                message = self.message(message_id)
            finally:
                self._env.abort()
        return None if message is None else (message, index)

    def enqueue(self, message: Message, group: bytes) -> None:
        """Gives a waiting message its row in ``group``, by its acceptance or its next retry."""
        self.dequeue(message)
        message.queue_due = message.retry_at or message.accepted_at
        message.queue_group = group
        self._unwritten_rows[message.id] = message
        self._dirty[message.id] = message
        self._queued += 1

    def grant(
        self, message: Message, indexes: list[int], carrier: str, bind: int, cost: str
    ) -> list[bytes]:
        """Binds the message and opens a grant for each segment; their tags."""
        if message.carrier != carrier:
            message.carrier = carrier
            message.cost = cost
            message.receipts = self._receipts_asked(message, carrier)
        message.bind = bind
        if message.reference < 0 and len(message.parts) > 1:
            message.reference = self._references.next(message.to, self._now)
        slot = slot_key(carrier, bind)
        granted = self._open.setdefault(slot, {})
        tags = []
        for index in indexes:
            part = message.parts[index]
            part.state = GRANTED
            message.flagged = message.flagged or part.doubted
            tag = keys.pack_tag(message.id, index)
            granted[tag] = None
            tags.append(tag)
        self._open_changed.add(slot)
        self._dirty[message.id] = message
        if not life.is_waiting(message):
            self.dequeue(message)
            message.retry_at = 0
        return tags

    def expire(self, message: Message) -> bool:
        """Ends a waiting message whose time is over; False when it is not."""
        facts = life.expire(message, self._now)
        self._tell(message, facts, self._now)
        return bool(facts)

    def fail(self, message: Message, code: str) -> None:
        """Ends a waiting message that no carrier is left for."""
        self._tell(message, life.fail(message, code), self._now)

    def open_grants(self, carrier: str, bind: int) -> int:
        """Segments granted to a bind and not answered yet, taken by its link or not."""
        return len(self._open.get(slot_key(carrier, bind), ()))

    def queue_addresses(self) -> list[keys.QueueAddress]:
        """Every lane of every app in every group that has a waiting message on disk."""
        addresses = []
        start = b""
        while (key := next(iter(self._queue.keys_from(start)), None)) is not None:
            addresses.append(keys.QueueAddress(key))
            start = addresses[-1].prefix + b"\xff" * 17
        return addresses

    def queue_rows(
        self, prefix: bytes, after: tuple[int, int], rows_max: int
    ) -> list[tuple[int, int]]:
        """The first ``(due, message id)`` below ``prefix`` and after a row, as this commit
        leaves them."""
        start = keys.queue_row(prefix, after) if after > (0, 0) else prefix
        self._write_queue_rows()
        pending = self._queue.pending
        rows = [key for key, value in pending.items() if value is not None]
        rows = [key for key in rows if key.startswith(prefix) and key > start]
        found = 0
        for key in self._queue.keys_from(start):
            if not key.startswith(prefix) or found == rows_max:
                break
            if key not in pending and key != start:
                rows.append(key)
                found += 1
        return [keys.read_queue_tail(key) for key in sorted(rows)[:rows_max]]

    # -- reading, outside a commit ---

    def query(
        self, app: str, *, message_id: str | None = None, ref: str | None = None
    ) -> MessageView | None:
        """The whole life of one of the app's messages; None where it has none such."""
        self._env.begin(write=False)
        try:
            number = self._find(app, message_id, ref)
            message = None if number is None else self._peek(number)
            if message is None or message.app != app:
                return None
            return view_message(message, self._currency)
        finally:
            self._env.abort()

    def events_after(self, app: str, after: int, bytes_max: int) -> EventBatch | None:
        """The app's kept events after ``after``, about ``bytes_max`` of them; None: no more."""
        if self._events.bounds(app).latest <= after:
            return None
        self._env.begin(write=False)
        try:
            return self._events.read(app, after, bytes_max)
        finally:
            self._env.abort()

    def event_bounds(self, app: str) -> EventBounds:
        """What of the app's log is kept."""
        return self._events.bounds(app)

    def open_tags(self, at: int) -> list[Doubted]:
        """Every open grant, as the doubt it is after a crash; for the first commit of a start."""
        doubts = []
        for slot, tags in self._open.items():
            carrier, bind = read_slot_key(slot)
            if tags:
                doubts.append(Doubted(carrier, bind, list(tags), at))
        return doubts

    def statistics(self) -> StoreStatistics:
        """Counts since start."""
        counts = self._counts
        return StoreStatistics(
            accepted=counts["accepted"],
            duplicates=counts["duplicates"],
            queued=self._queued,
            live=len(self._live),
            unmatched=self._matching.unmatched_count(),
            receipts_matched=counts["matched"],
            receipts_unmatched=counts["unmatched"],
            receipts_without_effect=counts["late"],
            inbound=counts["inbound"],
            commits=counts["commits"],
        )

    def close(self) -> None:
        """Closes the environment; nothing is pending between commits."""
        self._env.close()

    # -- the changes ---

    def _propose(self, change: Propose) -> Result:
        key = keys.ref_key(change.app, change.ref)
        bound = self._refs.get(key, self._env.tables["refs"].get)
        if bound is not None:
            message = self.message(keys.read_u64(bound))
            if message is not None and not self._retention.ref_is_free(message, self._now):
                return self._answer_bound_ref(message, bound[8:] == change.digest)
        if isinstance(change.message, Rejection):
            return change.message
        if self._queued >= self._backlog_max:
            reason = f"{self._queued} messages are waiting already; send again later"
            return Rejection("backlog_full", reason, BACKLOG_RETRY_SECONDS)
        message = self._keep(change, change.message)
        self._refs.put(key, keys.pack_u64(message.id) + change.digest)
        return Accepted(keys.show_id(message.id), len(message.parts), message.encoding, False)

    def _answer_bound_ref(self, message: Message, same_content: bool) -> Result:
        if not same_content:
            return RefConflict(keys.show_id(message.id))
        self._counts["duplicates"] += 1
        return Accepted(keys.show_id(message.id), len(message.parts), message.encoding, True)

    def _keep(self, change: Propose, new: NewMessage) -> Message:
        message = Message(
            self._next_id(),
            change.app,
            change.ref,
            new.to,
            new.addr_ton,
            new.addr_npi,
            new.addr,
            new.text,
            new.message_class,
            new.encoding,
            new.receipt,
            new.tag,
            new.meta,
            new.accepted_at,
            new.expires_at,
            new.uncertain,
            new.route_set,
            [Segment() for _ in range(new.segments)],
        )
        self._live[message.id] = self._dirty[message.id] = message
        self._deadlines.add(new.expires_at, message.id)
        self.released.append(message)
        self._counts["accepted"] += 1
        return message

    def _take(self, change: Take) -> TakenResult:
        ok = self._events.take(change.app, change.seq)
        return TakenResult(ok, self._events.bounds(change.app).latest)

    def _answered(self, change: Answered) -> None:
        message_id, index = keys.unpack_tag(change.tag)
        self._close_grant(slot_key(change.carrier, change.bind), change.tag)
        message = self.message(message_id)
        if message is None:
            return
        was = message.state, message.first_taken_at
        facts = life.answer(
            message, index, change.verdict, change.command_status, change.smsc_id, change.at
        )
        part = message.parts[index]
        if part.state == TAKEN and part.smsc_id:
            self._smsc_ids.put(keys.smsc_key(change.carrier, part.smsc_id), change.tag)
        if part.doubted:
            self._matching.forget_doubt(message, change.tag)
        self._wait_for_receipts(message, change.at, was)
        self._tell(message, facts, change.at)
        if change.verdict is Verdict.TAKEN and self._matching.has_unmatched():
            self._claim_unmatched(message, index, change)

    def _doubted(self, change: Doubted) -> None:
        profile = self._carriers.get(change.carrier)
        for message, indexes in self._end_grants(change.carrier, change.bind, change.tags):
            policy = "stop" if profile is None else profile.uncertain or message.uncertain
            facts = life.doubt(message, indexes, change.at, policy)
            for index in indexes:
                if message.parts[index].doubted:
                    self._matching.remember_doubt(message, keys.pack_tag(message.id, index))
            self._tell(message, facts, change.at)

    def _given_back(self, change: GivenBack) -> None:
        for message, indexes in self._end_grants(change.carrier, change.bind, change.tags):
            facts = [fact for index in indexes for fact in life.give_back(message, index)]
            self._tell(message, facts, change.at)

    def _receipt_arrived(self, change: ReceiptArrived) -> None:
        rule = self._carriers[change.carrier].message_id
        tag = self._matching.find(change, rule, self._to_of)
        if tag is None:
            self._counts["unmatched"] += 1
            key = self._matching.keep_unmatched(change, self._next_id)
            self._deadlines.add(change.at + self._matching.PATIENCE_MILLISECONDS, key)
            return
        self._receive(change, tag, change.at)

    def _inbound_arrived(self, change: InboundArrived) -> None:
        if change.unmarked is not None:
            rule = self._carriers[change.carrier].message_id
            tag = self._matching.find(change.unmarked, rule, self._to_of)
            if tag is not None and is_same_address(self._to_of(tag), change.source):
                self._receive(change.unmarked, tag, change.at)
                return
        self._counts["inbound"] += 1
        inbound = Inbound(
            self._next_id(),
            change.carrier,
            change.source,
            change.destination,
            change.text,
            change.data,
            change.data_coding,
            change.esm_class,
            change.at,
        )
        self._inbound.put(keys.pack_u64(inbound.id), encode_record(inbound))
        for app in self._inbound_apps:
            if app not in self._eventless:
                self._events.append(app, encode_inbound(inbound, self._events.next_seq(app)))

    # -- receipts and deadlines ---

    def _receive(self, change: ReceiptArrived, tag: bytes, at: int) -> None:
        message_id, index = keys.unpack_tag(tag)
        message = self.message(message_id)
        if message is None:
            return
        before = message.parts[index].receipt_state
        was = message.state, message.first_taken_at
        facts = life.receive(message, index, change.receipt, at, change.done_at or 0)
        counted = message.parts[index].receipt_state != before
        self._wait_for_receipts(message, at, was)
        self._counts["matched" if counted else "late"] += 1
        if message.parts[index].doubted and counted:
            self._matching.forget_doubt(message, tag)
        self._tell(message, facts, at)

    def _claim_unmatched(self, message: Message, index: int, change: Answered) -> None:
        rule = self._carriers[change.carrier].message_id
        receipt = self._matching.claim(change.carrier, change.smsc_id, rule, message.to)
        if receipt is not None:
            self._receive(receipt, keys.pack_tag(message.id, index), change.at)

    def _look_at_due(self) -> None:
        for entry in self._deadlines.take_due(self._now, DUE_MAX):
            if isinstance(entry, bytes):
                self._settle_doubt_by_receipt(entry)
                continue
            message = self.message(entry)
            if message is None or message.state not in (QUEUED, SENT):
                continue
            if self._now < life.deadline_of(message):
                continue
            if message.state == QUEUED:
                facts = life.expire(message, self._now)
            else:
                facts = life.unconfirm(message)
            if facts:
                self._tell(message, facts, self._now)

    def _settle_doubt_by_receipt(self, key: bytes) -> None:
        found = self._matching.settle_doubt(key, self.message)
        if found is None:
            return
        receipt, tag = found
        message_id, index = keys.unpack_tag(tag)
        message = self.message(message_id)
        assert message is not None, "a doubt names a message that is not there"
        name = receipt.receipt.ids[0] if receipt.receipt.ids else ""
        if name:
            message.parts[index].smsc_id = name
            self._smsc_ids.put(keys.smsc_key(receipt.carrier, name), tag)
        self._receive(receipt, tag, self._now)

    def _wait_for_receipts(self, message: Message, at: int, was: tuple[int, int]) -> None:
        """Once the first segment was taken, and once all were: sets the time from which the rest,
        or the receipts, are late. ``was`` is the state and first_taken_at before this step."""
        became_sent = message.state == SENT and was[0] != SENT
        became_taken = message.state == QUEUED and message.first_taken_at != was[1]
        if became_sent or became_taken:
            timeout = self._carriers[message.carrier].receipt_timeout
            message.receipt_deadline = at + timeout * 1000
            self._deadlines.add(message.receipt_deadline, message.id)

    def _receipts_asked(self, message: Message, carrier: str) -> int:
        rule = self._carriers[carrier].receipts
        if not message.receipt or rule == "none":
            return 0
        return 1 if rule == "last" else len(message.parts)

    # -- small steps ---

    def _tell(self, message: Message, facts: list[life.Fact], at: int) -> None:
        """Records a step of ``message``: its events, its place in the queue."""
        self._dirty[message.id] = message
        for fact in facts:
            message.last_event_at = at
            if message.app not in self._eventless:
                seq = self._events.next_seq(message.app)
                line = encode_event(message, fact, seq, at, self._currency)
                self._events.append(message.app, line)
        if life.is_waiting(message):
            self.released.append(message)
        elif message.queue_group:
            self.dequeue(message)

    def dequeue(self, message: Message) -> None:
        """Takes the message's row away, if it has one."""
        if not message.queue_group:
            return
        if self._unwritten_rows.pop(message.id, None) is None:
            self._queue.remove(_queue_key(message))
        message.queue_group = b""
        self._queued -= 1

    def _write_queue_rows(self) -> None:
        """A message that leaves in the commit that accepts it never touches the queue's table."""
        for message in self._unwritten_rows.values():
            self._queue.insert(_queue_key(message), b"")
        self._unwritten_rows.clear()

    def _close_grant(self, slot: bytes, tag: bytes) -> None:
        granted = self._open.get(slot)
        if granted is not None and tag in granted:
            del granted[tag]
            self._open_changed.add(slot)

    def _end_grants(
        self, carrier: str, bind: int, tags: list[bytes]
    ) -> list[tuple[Message, list[int]]]:
        """Closes the grants and groups them by message, in their order."""
        slot = slot_key(carrier, bind)
        grouped: dict[int, list[int]] = {}
        for tag in tags:
            self._close_grant(slot, tag)
            message_id, index = keys.unpack_tag(tag)
            grouped.setdefault(message_id, []).append(index)
        found = ((self.message(number), indexes) for number, indexes in grouped.items())
        return [(message, indexes) for message, indexes in found if message is not None]

    def _next_id(self) -> int:
        self._last_id = max(self._last_id + 1, keys.first_id_at(self._now))
        return self._last_id

    def _to_of(self, tag: bytes) -> str | None:
        message = self.message(keys.unpack_tag(tag)[0])
        return None if message is None else message.to

    def _find(self, app: str, message_id: str | None, ref: str | None) -> int | None:
        if message_id is not None:
            return keys.read_id(message_id)
        bound = self._refs.get(keys.ref_key(app, ref or ""), self._env.tables["refs"].get)
        return None if bound is None else keys.read_u64(bound)

    def _peek(self, message_id: int) -> Message | None:
        """The message without keeping it in memory: a query must not push live ones out."""
        message = self._live.get(message_id)
        if message is not None:
            return message
        value = self._messages.get(keys.pack_u64(message_id))
        return None if value is None else decode_message(value)

    # -- aging out ---

    def forget_message(self, message: Message) -> None:
        """Deletes an aged message with all that names it."""
        for index, part in enumerate(message.parts):
            if part.smsc_id:
                key = keys.smsc_key(message.carrier, part.smsc_id)
                tag = keys.pack_tag(message.id, index)
                if self._smsc_ids.get(key, self._env.tables["smsc_ids"].get) == tag:
                    self._smsc_ids.forget(key)
            if part.doubted:
                self._matching.forget_doubt(message, keys.pack_tag(message.id, index))
        self.forget_ref(message)
        self._messages.delete(keys.pack_u64(message.id))
        self._live.pop(message.id, None)

    def forget_ref(self, message: Message) -> None:
        key = keys.ref_key(message.app, message.ref)
        bound = self._refs.get(key, self._env.tables["refs"].get)
        if bound is not None and keys.read_u64(bound) == message.id:
            self._refs.forget(key)

    def forget_unmatched(self, key: bytes) -> None:
        """Deletes an aged receipt that nobody claimed."""
        self._matching.forget_unmatched(key)

    # -- loading and writing ---

    def _load(self) -> None:
        self._env.begin(write=True)
        tables = self._env.tables
        self._check_schema()
        self._events.load()
        self._deadlines.load()
        self._refs.load([*tables["refs_journal"].rows_from(b"")])
        self._smsc_ids.load([*tables["smsc_ids_journal"].rows_from(b"")])
        self._matching.load()
        self._retention.load()
        last_id = self._meta.get(_META_LAST_ID)
        self._last_id = 0 if last_id is None else keys.read_u64(last_id)
        self._queued = self._queue.count()
        for slot, packed in self._grants.rows_from(b""):
            tags = (packed[start : start + 10] for start in range(0, len(packed), 10))
            self._open[bytes(slot)] = dict.fromkeys(tags)
        self._env.commit()

    def _check_schema(self) -> None:
        value = self._meta.get(_META_SCHEMA)
        version = SCHEMA_VERSION if value is None else int(value)
        if version > SCHEMA_VERSION:
            reason = (
                f"the store was written by a newer smppd (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); run that version, or give this one another state directory"
            )
            raise StoreError(reason)
        if value is None:
            self._meta.put(_META_SCHEMA, b"%d" % SCHEMA_VERSION)

    def _flush(self, last_id: int) -> list[str]:
        """Writes what the batch did; ``last_id`` is the last one drawn before it."""
        self._write_queue_rows()
        apps = self._events.flush(self._now)
        messages = self._messages
        for message_id, message in self._dirty.items():
            if message_id in self._live:
                messages.put(keys.pack_u64(message_id), encode_record(message))
        for slot in self._open_changed:
            self._grants.put(slot, b"".join(self._open[slot]))
        self._deadlines.flush(self._next_id)
        tables = self._env.tables
        self._refs.write(tables["refs"], tables["refs_journal"])
        self._smsc_ids.write(tables["smsc_ids"], tables["smsc_ids_journal"])
        if self._last_id != last_id:
            self._meta.put(_META_LAST_ID, keys.pack_u64(self._last_id))
        self._env.commit()
        return apps

    def _forget_settled(self) -> None:
        """Between commits, drops what is final from memory, and the oldest when there is much."""
        live = self._live
        for message_id, message in self._dirty.items():
            if message.state >= DONE:
                live.pop(message_id, None)
        self._dirty.clear()
        self._open_changed.clear()
        while len(live) > LIVE_MAX:
            del live[next(iter(live))]


def _queue_key(message: Message) -> bytes:
    lane = LANES[message.message_class]
    return keys.queue_key(message.queue_group, lane, message.app, message.queue_due, message.id)


def slot_key(carrier: str, bind: int) -> bytes:
    """``grants``: one bind of one carrier."""
    return f"{carrier}\0{bind}".encode()


def read_slot_key(slot: bytes) -> tuple[str, int]:
    """``(carrier, bind)`` of a ``grants`` row."""
    carrier, _, bind = slot.decode().partition("\0")
    return carrier, int(bind)
