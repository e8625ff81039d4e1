"""What each change does to the records: decided in order, against what the batch left before.

The ledger is the store inside a commit: what a change means, what falls due, what the granter may
ask and do. It knows tables, no transaction: ``store.py`` opens and ends that. Nothing here is on
disk before the commit returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

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
from smppd.store.environment import Table
from smppd.store.eventlog import EventLog
from smppd.store.events import encode_event, encode_inbound
from smppd.store.grants import Grants
from smppd.store.index import SpilledIndex
from smppd.store.matching import Matching, is_same_address
from smppd.store.messages import Messages
from smppd.store.records import (
    GRANTED,
    QUEUED,
    SENT,
    TAKEN,
    CarrierProfile,
    Inbound,
    Message,
    Segment,
    encode_record,
)
from smppd.store.references import References
from smppd.store.retention import Retention, RetentionPeriods
from smppd.store.waiting import Waiting

DUE_MAX: Final = 500
"""Deadlines looked at in one commit: a few milliseconds even when every one is a disk read."""

BACKLOG_RETRY_SECONDS: Final = 60
"""What ``backlog_full`` advises: a backlog of ten million does not end sooner."""

_META_LAST_ID: Final = b"last_id"


_GONE: Final = CarrierProfile()
"""What is assumed of a carrier whose file was taken away while messages were on their way."""


class LedgerRules(msgspec.Struct, frozen=True):
    """What the configuration says about keeping: who is told what, and how long it stays.

    ``carriers`` are those configured now; ``eventless_apps`` have ``events = false``.
    """

    carriers: Mapping[str, CarrierProfile]
    currency: str
    eventless_apps: frozenset[str] = frozenset()
    inbound_apps: tuple[str, ...] = ()
    backlog_max: int = 10_000_000
    periods: RetentionPeriods = RetentionPeriods()


class Ledger:
    """See the module. ``released`` are the messages this batch left waiting, for the granter;
    ``counts`` are since start."""

    def __init__(self, tables: Mapping[str, Table], rules: LedgerRules) -> None:
        self._carriers = rules.carriers
        self._currency = rules.currency
        self._eventless = rules.eventless_apps
        self._inbound_apps = rules.inbound_apps
        self._backlog_max = rules.backlog_max
        self._tables = tables
        self.messages = Messages(tables["messages"])
        self.waiting = Waiting(tables["queue"])
        self.grants = Grants(tables["grants"])
        self.events = EventLog(tables["events"], tables["meta"])
        self.deadlines = Deadlines(tables["deadlines"])
        self.retention = Retention(tables, rules.periods)
        self._refs = SpilledIndex()
        self._smsc_ids = SpilledIndex()
        self._references = References(tables["references"])
        self.matching = Matching(
            tables["unmatched"], tables["doubts"], tables["smsc_ids"], self._smsc_ids
        )
        self._last_id = 0
        self._saved_id = 0
        self._now = 0
        self.counts = dict.fromkeys(
            (
                "accepted",
                "duplicates",
                "matched",
                "unmatched",
                "late",
                "contradictory",
                "unreadable",
                "inbound",
            ),
            0,
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

    def load(self) -> None:
        """Takes up what the last commit left; inside a transaction."""
        tables = self._tables
        self.events.load()
        self.deadlines.load()
        self._refs.load([*tables["refs_journal"].rows_from(b"")])
        self._smsc_ids.load([*tables["smsc_ids_journal"].rows_from(b"")])
        self.matching.load()
        self.retention.load()
        self.waiting.load()
        self.grants.load()
        last_id = tables["meta"].get(_META_LAST_ID)
        self._last_id = self._saved_id = 0 if last_id is None else keys.read_u64(last_id)

    def decide(self, changes: list[Change], now_ms: int) -> list[Result]:
        """Applies a batch in order, then looks at what has fallen due or aged."""
        self._now = now_ms
        apply = self._apply
        results = [apply[type(change)](change) for change in changes]
        self._look_at_due()
        self.retention.sweep(now_ms, self.events, self)
        return results

    def flush(self) -> list[str]:
        """Hands everything the batch did to the tables; the apps that have new events."""
        tables = self._tables
        apps = self.events.flush(self._now)
        self.waiting.flush()
        self.messages.flush()
        self.grants.flush()
        self.deadlines.flush(self._next_id)
        self._refs.write(tables["refs"], tables["refs_journal"])
        self._smsc_ids.write(tables["smsc_ids"], tables["smsc_ids_journal"])
        if self._last_id != self._saved_id:
            tables["meta"].put(_META_LAST_ID, keys.pack_u64(self._last_id))
            self._saved_id = self._last_id
        return apps

    def find(self, app: str, message_id: str | None, ref: str | None) -> int | None:
        """The number of a message by its id or its ref; None where there is none such."""
        if message_id is not None:
            return keys.read_id(message_id)
        bound = self._refs.get(keys.ref_key(app, ref or ""), self._tables["refs"].get)
        return None if bound is None else keys.read_u64(bound)

    # -- what the granter asks and does ---

    def message(self, message_id: int) -> Message | None:
        """The message, or None. Inside a commit only, and not to be kept beyond it."""
        return self.messages.get(message_id)

    def enqueue(self, message: Message, group: bytes) -> None:
        """Gives a waiting message its row in ``group``, by its acceptance or its next retry."""
        self.waiting.add(message, group)
        self.messages.touch(message)

    def dequeue(self, message: Message) -> None:
        """Takes the message's row away, if it has one."""
        self.waiting.remove(message)
        self.messages.touch(message)

    def queue_addresses(self) -> list[keys.QueueAddress]:
        """Every lane of every app in every group that has a waiting message on disk."""
        return self.waiting.addresses()

    def queue_rows(
        self, prefix: bytes, after: tuple[int, int], rows_max: int
    ) -> list[tuple[int, int]]:
        """The first ``(due, message id)`` below ``prefix`` and after a row."""
        return self.waiting.rows(prefix, after, rows_max)

    def open_grants(self, carrier: str, bind: int) -> int:
        """Segments granted to a bind and not answered yet, taken by its link or not."""
        return self.grants.count(carrier, bind)

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
        tags = []
        for index in indexes:
            part = message.parts[index]
            part.state = GRANTED
            message.flagged = message.flagged or part.doubted
            tags.append(keys.pack_tag(message.id, index))
        self.grants.open(carrier, bind, tags)
        self.messages.touch(message)
        if not life.is_waiting(message):
            self.waiting.remove(message)
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

    # -- the changes ---

    def _propose(self, change: Propose) -> Result:
        key = keys.ref_key(change.app, change.ref)
        bound = self._refs.get(key, self._tables["refs"].get)
        if bound is not None:
            message = self.messages.peek(keys.read_u64(bound))
            if message is not None and not self.retention.ref_is_free(message, self._now):
                return self._answer_bound_ref(message, bound[8:] == change.digest)
        if isinstance(change.message, Rejection):
            return change.message
        if len(self.waiting) >= self._backlog_max:
            reason = f"{len(self.waiting)} messages are waiting already; send again later"
            return Rejection("backlog_full", reason, BACKLOG_RETRY_SECONDS)
        message = self._keep(change, change.message)
        self._refs.put(key, keys.pack_u64(message.id) + change.digest)
        return Accepted(keys.show_id(message.id), len(message.parts), message.encoding, False)

    def _answer_bound_ref(self, message: Message, same_content: bool) -> Result:
        if not same_content:
            return RefConflict(keys.show_id(message.id))
        self.counts["duplicates"] += 1
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
        self.messages.add(message)
        self.deadlines.add(new.expires_at, message.id)
        self.released.append(message)
        self.counts["accepted"] += 1
        return message

    def _take(self, change: Take) -> TakenResult:
        ok = self.events.take(change.app, change.seq)
        return TakenResult(ok, self.events.bounds(change.app).latest)

    def _answered(self, change: Answered) -> None:
        message_id, index = keys.unpack_tag(change.tag)
        self.grants.close(change.carrier, change.bind, change.tag)
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
        if part.doubted and change.verdict is Verdict.TAKEN:
            self.matching.forget_doubt(message, change.tag)
        self._wait_for_receipts(message, change.at, was)
        self._tell(message, facts, change.at)
        if change.verdict is Verdict.TAKEN and self.matching.has_unmatched():
            self._claim_unmatched(message, index, change)

    def _doubted(self, change: Doubted) -> None:
        profile = self._carriers.get(change.carrier)
        for message, indexes in self._end_grants(change.carrier, change.bind, change.tags):
            policy = "stop" if profile is None else profile.uncertain or message.uncertain
            facts = life.doubt(message, indexes, change.at, policy)
            for index in indexes:
                if message.parts[index].doubted:
                    self.matching.remember_doubt(message, keys.pack_tag(message.id, index))
            self._tell(message, facts, change.at)

    def _given_back(self, change: GivenBack) -> None:
        for message, indexes in self._end_grants(change.carrier, change.bind, change.tags):
            facts = [fact for index in indexes for fact in life.give_back(message, index)]
            self._tell(message, facts, change.at)

    def _receipt_arrived(self, change: ReceiptArrived) -> None:
        receipt = change.receipt
        self.counts["contradictory"] += receipt.is_contradictory
        self.counts["unreadable"] += receipt.stat is not None and receipt.state is None
        rule = self._carriers[change.carrier].message_id
        tag = self.matching.find(change, rule, self._to_of)
        if tag is None:
            self.counts["unmatched"] += 1
            key = self.matching.keep_unmatched(change, self._next_id)
            self.deadlines.add(change.at + self.matching.PATIENCE_MILLISECONDS, key)
            return
        self._receive(change, tag, change.at)

    def _inbound_arrived(self, change: InboundArrived) -> None:
        if change.unmarked is not None:
            rule = self._carriers[change.carrier].message_id
            tag = self.matching.find(change.unmarked, rule, self._to_of)
            if tag is not None and is_same_address(self._to_of(tag), change.source):
                self._receive(change.unmarked, tag, change.at)
                return
        self.counts["inbound"] += 1
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
        self._tables["inbound"].put(keys.pack_u64(inbound.id), encode_record(inbound))
        for app in self._inbound_apps:
            if app not in self._eventless:
                self.events.append(app, encode_inbound(inbound, self.events.next_seq(app)))

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
        self.counts["matched" if counted else "late"] += 1
        if message.parts[index].doubted and counted:
            self.matching.forget_doubt(message, tag)
        self._tell(message, facts, at)

    def _claim_unmatched(self, message: Message, index: int, change: Answered) -> None:
        rule = self._carriers[change.carrier].message_id
        receipt = self.matching.claim(change.carrier, change.smsc_id, rule, message.to)
        if receipt is not None:
            self._receive(receipt, keys.pack_tag(message.id, index), change.at)

    def _look_at_due(self) -> None:
        for entry in self.deadlines.take_due(self._now, DUE_MAX):
            if isinstance(entry, bytes):
                self._settle_doubt_by_receipt(entry)
                continue
            # Nearly all are settled: those must not push live messages out of memory.
            seen = self.messages.peek(entry)
            if seen is None or seen.state not in (QUEUED, SENT):
                continue
            message = self.message(entry)
            if message is None or self._now < life.deadline_of(message):
                continue
            if message.state == QUEUED:
                facts = life.expire(message, self._now)
            else:
                facts = life.unconfirm(message)
            if facts:
                self._tell(message, facts, self._now)

    def _settle_doubt_by_receipt(self, key: bytes) -> None:
        found = self.matching.settle_doubt(key, self.message)
        if found is None:
            self._look_again(key)
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

    def _look_again(self, key: bytes) -> None:
        """A receipt may be older than the doubt it settles, as our own timers are slow to give
        up: it is looked at again, after ever longer waits."""
        arrived_at = self.matching.arrived_at(key)
        if arrived_at is not None:
            age = max(self._now - arrived_at, self.matching.PATIENCE_MILLISECONDS)
            self.deadlines.add(self._now + age, key)

    def _wait_for_receipts(self, message: Message, at: int, was: tuple[int, int]) -> None:
        """Once the first segment was taken, and once all were: sets the time from which the rest,
        or the receipts, are late. ``was`` is the state and first_taken_at before this step."""
        became_sent = message.state == SENT and was[0] != SENT
        became_taken = message.state == QUEUED and message.first_taken_at != was[1]
        if became_sent or became_taken:
            # A receipt may settle a doubt of a carrier that is no longer configured.
            profile = self._carriers.get(message.carrier, _GONE)
            timeout = profile.receipt_timeout
            message.receipt_deadline = at + timeout * 1000
            self.deadlines.add(message.receipt_deadline, message.id)

    def _receipts_asked(self, message: Message, carrier: str) -> int:
        rule = self._carriers[carrier].receipts
        if not message.receipt or rule == "none":
            return 0
        return 1 if rule == "last" else len(message.parts)

    # -- small steps ---

    def _tell(self, message: Message, facts: list[life.Fact], at: int) -> None:
        """Records a step of ``message``: its events, its place in the queue."""
        self.messages.touch(message)
        for fact in facts:
            message.last_event_at = at
            if message.app not in self._eventless:
                seq = self.events.next_seq(message.app)
                line = encode_event(message, fact, seq, at, self._currency)
                self.events.append(message.app, line)
        if life.is_waiting(message):
            self.released.append(message)
        elif message.queue_group:
            self.waiting.remove(message)

    def _end_grants(
        self, carrier: str, bind: int, tags: list[bytes]
    ) -> list[tuple[Message, list[int]]]:
        """Closes the grants and groups them by message, in their order."""
        grouped: dict[int, list[int]] = {}
        for tag in tags:
            self.grants.close(carrier, bind, tag)
            message_id, index = keys.unpack_tag(tag)
            grouped.setdefault(message_id, []).append(index)
        found = ((self.message(number), indexes) for number, indexes in grouped.items())
        return [(message, indexes) for message, indexes in found if message is not None]

    def _next_id(self) -> int:
        self._last_id = max(self._last_id + 1, keys.first_id_at(self._now))
        return self._last_id

    def _to_of(self, tag: bytes) -> str | None:
        message = self.messages.peek(keys.unpack_tag(tag)[0])
        return None if message is None else message.to

    # -- aging out ---

    def forget_message(self, message: Message) -> None:
        """Deletes an aged message with all that names it."""
        for index, part in enumerate(message.parts):
            if part.smsc_id:
                key = keys.smsc_key(message.carrier, part.smsc_id)
                tag = keys.pack_tag(message.id, index)
                if self._smsc_ids.get(key, self._tables["smsc_ids"].get) == tag:
                    self._smsc_ids.forget(key)
            if part.doubted:
                self.matching.forget_doubt(message, keys.pack_tag(message.id, index))
        self.forget_ref(message)
        self.messages.delete(message)

    def forget_ref(self, message: Message) -> None:
        key = keys.ref_key(message.app, message.ref)
        bound = self._refs.get(key, self._tables["refs"].get)
        if bound is not None and keys.read_u64(bound) == message.id:
            self._refs.forget(key)

    def forget_unmatched(self, key: bytes) -> None:
        """Deletes an aged receipt that nobody claimed."""
        self.matching.forget_unmatched(key)
