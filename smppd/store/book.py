"""The open book: every table and index of the store, and the one way a message's step is kept.

What a change means stands in ``proposals``, ``outcomes``, ``receipts`` and ``orders``, as functions
on this book; ``ledger`` calls them in order. The book knows tables, no transaction: ``store`` opens
and ends that. Nothing here is on disk before the commit returns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from smppd.smpp.message_id import rule_between
from smppd.store import keys, life
from smppd.store.awaited import Awaited
from smppd.store.changes import ReceiptArrived
from smppd.store.deadlines import Deadlines
from smppd.store.environment import Table
from smppd.store.eventlog import EventLog
from smppd.store.events import encode_event
from smppd.store.evidence import Evidence
from smppd.store.grants import Grants
from smppd.store.hints import Hints
from smppd.store.index import SpilledIndex
from smppd.store.matching import Matching
from smppd.store.messages import Messages
from smppd.store.modes import Modes
from smppd.store.reassembly import Reassembly
from smppd.store.records import GRANTED, QUEUED, SENT, CarrierProfile, Message
from smppd.store.references import References
from smppd.store.retention import Retention
from smppd.store.retiming import Retiming
from smppd.store.rules import LedgerRules
from smppd.store.said import Fact
from smppd.store.shared_ids import SharedIds
from smppd.store.tags import Tags
from smppd.store.threads import Threads
from smppd.store.waiting import Waiting
from smppd.text.segment import PLAIN_FORM

_META_LAST_ID: Final = b"last_id"

META_RESTORED: Final = b"restored"
"""In a copy: Unix milliseconds of when it was made, in decimal digits (``restore``)."""

_GONE: Final = CarrierProfile()
"""What is assumed of a carrier whose file was taken away while messages were on their way."""

COUNTS: Final = (
    "accepted",
    "duplicates",
    "matched",
    "unmatched",
    "late",
    "contradictory",
    "unreadable",
    "inbound",
    "inbound_incomplete",
    "inbound_repeated",
    "storage_full",
    "by_order",
)


class Book:
    """See the module. ``now`` is the commit's (ms); ``released`` are the messages this batch left
    waiting, for the granter; ``counts`` and ``told`` (events by name) are since start;
    ``is_full``: no new message is kept, ``is_low``: none is granted, for want of disk;
    ``is_restored``: the store is a copy whose doubts are not all told yet (``restore``)."""

    def __init__(self, tables: Mapping[str, Table], rules: LedgerRules) -> None:
        self.tables = tables
        self.messages = Messages(tables["messages"])
        self.waiting = Waiting(tables["queue"])
        self.grants = Grants(tables["grants"])
        self.events = EventLog(tables["events"], tables["meta"])
        self.deadlines = Deadlines(tables["deadlines"])
        self.retention = Retention(tables, rules.periods)
        self.retiming = Retiming()
        self.reassembly = Reassembly(tables["inbound_parts"], self.deadlines)
        self.threads = Threads(_index(tables, "threads"), self.messages)
        self.tags = Tags(tables["tags"])
        self.modes = Modes(tables["meta"])
        self.evidence = Evidence(tables["quarantine"])
        self.refs = _index(tables, "refs")
        self.smsc_ids = _index(tables, "smsc_ids")
        self.references = References(tables["references"])
        self.shared_ids = SharedIds(tables["meta"])
        self.awaited = Awaited(tables["awaited"], self.messages.peek)
        self.matching = Matching(
            tables["unmatched"], tables["doubts"], self.find_tag, self.shared_ids, self._note_rule,
            self.awaiting_to,
        )  # fmt: skip
        self.hints = Hints()
        self.now = 0
        self.last_id = 0
        self._saved_id = 0
        self.is_full = self.is_low = False
        self.is_restored = False
        self.counts = dict.fromkeys(COUNTS, 0)
        self.told: defaultdict[str, int] = defaultdict(int)
        self.released: list[Message] = []
        self.set_rules(rules)

    def set_rules(self, rules: LedgerRules) -> None:
        """From the next change on these count."""
        self.rules = rules
        self._eventless = rules.eventless_apps
        self._currency = rules.currency
        self._profiles = rules.carriers
        ruled = (app for rule in rules.inbound for app in rule.apps)
        self.threads.set_apps({*rules.inbound_apps, *ruled} - rules.eventless_apps)
        self.by_address = frozenset(
            name for name, one in rules.carriers.items() if one.match_receipts == "address"
        )
        self.odd_receipts = {
            name: one
            for name, one in rules.carriers.items()
            if one.accepted_is_final or one.receipt_covers == "message"
        }
        self.retention.set_periods(rules.periods)
        forms = {name: profile.form for name, profile in rules.carriers.items()}
        self._forms = {name: form for name, form in forms.items() if form != PLAIN_FORM}

    def load(self) -> None:
        """Takes up what the last commit left; inside a transaction."""
        tables = self.tables
        self.events.load()
        self.deadlines.load()
        self.refs.load()
        self.smsc_ids.load()
        self.matching.load()
        self.reassembly.load()
        self.threads.load()
        self.shared_ids.load()
        self.waiting.load()
        self.grants.load()
        self.modes.load()
        self.evidence.load()
        self.is_restored = tables["meta"].get(META_RESTORED) is not None
        last_id = tables["meta"].get(_META_LAST_ID)
        self.last_id = self._saved_id = 0 if last_id is None else keys.read_u64(last_id)
        self.now = keys.time_of_id(self.last_id)
        self.retention.load(self.now)
        self.refs.age(self.retention.swept_refs)

    def flush(self) -> list[str]:
        """Hands everything the batch did to the tables; the apps that have new events."""
        tables = self.tables
        apps = self.events.flush(self.now)
        self.waiting.flush()
        self.messages.flush()
        self.grants.flush()
        self.awaited.flush()
        self.tags.flush()
        self.deadlines.flush(self.next_id)
        self.refs.write()
        self.smsc_ids.write()
        self.threads.write()
        if self.last_id != self._saved_id:
            tables["meta"].put(_META_LAST_ID, keys.pack_u64(self.last_id))
            self._saved_id = self.last_id
        return apps

    # -- what the changes have in common ---

    def message(self, message_id: int) -> Message | None:
        """The message, or None. Inside a commit only, and not to be kept beyond it."""
        return self.messages.get(message_id)

    def find(self, app: str, message_id: str | None, ref: str | None) -> int | None:
        """The number of a message by its id or its ref; None where there is none such."""
        if message_id is not None:
            return keys.read_id(message_id)
        bound = self.refs.get(keys.ref_key(app, ref or ""))
        return None if bound is None else keys.read_u64(bound)

    def next_id(self) -> int:
        """Ids grow, also over restarts and when the clock goes back."""
        next_id = self.last_id + 1
        first = self.now << keys.ID_COUNTER_BITS
        self.last_id = first if first > next_id else next_id
        return self.last_id

    def tell(self, message: Message, facts: list[Fact], at: int) -> None:
        """Keeps a step of ``message``: its record, its events, its place in the queue."""
        self.messages.touch(message)
        if facts:
            self.append_events(message, facts, at)
        if life.is_waiting(message):
            self.released.append(message)
        elif message.queue_group:
            self.waiting.remove(message)

    def append_events(self, message: Message, facts: list[Fact], at: int) -> None:
        """What the app is told; its place in the queue stays as it is."""
        message.last_event_at = at
        app, events = message.app, self.events
        is_kept = app not in self._eventless
        for fact in facts:
            self.told[fact.event] += 1
            if is_kept:
                line = encode_event(message, fact, events.draw_seq(app), at, self._currency)
                events.append(app, line)

    def profile_of(self, carrier: str) -> CarrierProfile:
        """What is configured of the carrier, or the defaults where it is gone."""
        return self._profiles.get(carrier, _GONE)

    def find_tag(self, key: bytes) -> bytes | None:
        """The tag of the segment with a carrier's name for it, while its message is there and the
        name means one at all."""
        if key in self.shared_ids.constant:
            return None
        tag = self.smsc_ids.get(key)
        if tag is None or tag >= self.retention.forgotten:
            return tag
        return tag if self.message(keys.unpack_tag(tag)[0]) is not None else None

    def to_of(self, tag: bytes) -> str | None:
        """The destination of the message a segment's tag names."""
        message = self.messages.peek(keys.unpack_tag(tag)[0])
        return None if message is None else message.to

    def awaiting_to(self, tag: bytes, since: int = 0) -> str | None:
        """The same, while that segment, taken after ``since`` (ms), waits for its receipt."""
        number, index = keys.unpack_tag(tag)
        message = self.messages.peek(number)
        if message is None or message.state not in (QUEUED, SENT):
            return None
        part, is_asked = message.parts[index], index >= len(message.parts) - message.receipts
        is_waiting = is_asked and part.receipt_state == -1 and part.answered_at >= since
        return message.to if is_waiting else None

    def _note_rule(self, change: ReceiptArrived, tag: bytes) -> None:
        """Rule ``auto`` has found a receipt's message by another form of its id."""
        number, index = keys.unpack_tag(tag)
        message = self.messages.peek(number)
        name = "" if message is None else message.parts[index].smsc_id
        rules = {rule_between(name, one) for one in change.receipt.ids} - {"auto", "same"}
        what = f"ids_{rules.pop()}" if len(rules) == 1 else "ids_respelt"
        self.hints.note(change.carrier, what, f"{name} = {' '.join(change.receipt.ids)}")

    # -- aging out ---

    def forget_message(self, seen: Message) -> bool:
        """Deletes an aged message with all that names it but its ref and ids, which age by
        themselves; False where this very commit, or a carrier, still has to do with it."""
        message = self.messages.peek(seen.id)
        is_granted = message is not None and any(part.state == GRANTED for part in message.parts)
        if message is None or message.state <= SENT or is_granted:
            return False
        for index, part in enumerate(message.parts):
            tag = keys.pack_tag(message.id, index)
            if part.doubted:
                self.matching.forget_doubt(message, tag)
            if message.carrier in self.by_address:
                self.awaited.forget(message, tag)
        self.tags.forget(message)
        self.messages.delete(message)
        return True

    def age_refs(self, floor: int) -> None:
        """The refs of messages with ids below ``floor`` may name others."""
        self.refs.age(floor)

    def age_ids(self, floor: int) -> None:
        """Of messages with ids below ``floor`` none is left that a carrier could speak of."""
        self.smsc_ids.age(floor)
        self.threads.age(floor)

    def forget_unmatched(self, key: bytes) -> None:
        """Deletes an aged receipt that nobody claimed."""
        self.matching.forget_unmatched(key)

    def age_quarantine(self, before: int, rows_max: int) -> bool:
        """What was quarantined before a time (ms) goes; whether more is left than may go now."""
        return self.evidence.age(before, rows_max)


def _index(tables: Mapping[str, Table], name: str) -> SpilledIndex:
    return SpilledIndex(tables[name], tables[f"{name}_journal"], tables[f"{name}_runs"])
