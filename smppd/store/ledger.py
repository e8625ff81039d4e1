"""The store inside a commit: a batch decided in order, and what the granter may ask and do.

Each change is a function on the book (``book``), found here by its type. It knows tables, no
transaction: ``store.py`` opens and ends that. Nothing here is on disk before the commit returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from smppd.store import (
    inbound,
    keys,
    life,
    orders,
    outcomes,
    privacy,
    proposals,
    quarantine,
    receipts,
    restore,
)
from smppd.store.book import Book
from smppd.store.changes import (
    Answered,
    Cancel,
    Change,
    Doubted,
    DoubtRestored,
    DropQuarantined,
    Forget,
    GivenBack,
    InboundArrived,
    Propose,
    Quarantined,
    ReceiptArrived,
    Resolve,
    Result,
    SetMode,
    Take,
)
from smppd.store.fitting import fit_message
from smppd.store.records import GRANTED, Message, Step, add_step
from smppd.store.rules import LedgerRules as LedgerRules

_WIDE: Final = ("udh16", "sar")
"""The forms of long messages whose reference has 16 bits."""

# What decides each change; those above the line are asked by apps and operators, and answer.
_DECIDE: Final[dict[type, Callable[[Any, Any], Result]]] = {
    Propose: proposals.propose,
    Take: proposals.take,
    Cancel: orders.cancel,
    Resolve: orders.resolve,
    Forget: privacy.forget,
    DoubtRestored: restore.doubt_restored,
    # ---
    SetMode: orders.set_mode,
    Answered: outcomes.answered,
    Doubted: outcomes.doubted,
    GivenBack: outcomes.given_back,
    ReceiptArrived: receipts.receipt_arrived,
    InboundArrived: inbound.inbound_arrived,
    Quarantined: quarantine.keep_quarantined,
    DropQuarantined: quarantine.drop_quarantined,
}


class Ledger(Book):
    """See the module."""

    def decide(self, changes: list[Change], now_ms: int) -> list[Result]:
        """Applies a batch in order, then looks at what has fallen due or aged."""
        before, self.now = self.now, now_ms
        self.retiming.follow(self, before)
        inbound.follow_clock(self, before)
        results = [_DECIDE[type(change)](self, change) for change in changes]
        if self.is_restored:
            # Nothing else is decided before all is told that is in doubt (``restore``).
            self.is_restored = restore.is_restored(self)
            return results
        outcomes.look_at_due(self)
        self.retiming.look(self)
        self.retention.sweep(now_ms, self.events, self)
        return results

    # -- what the granter asks and does ---

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

    def bind(self, message: Message, carrier: str, cost: str) -> bool:
        """Binds a waiting message to a carrier and plans it for the carrier's form; False, and
        nothing changed, where it cannot be written in that."""
        count = len(message.parts)
        form = self._forms.get(carrier)
        if form != message.form and not fit_message(message, form):
            return False
        if message.resent and not message.carrier:
            # Doubts that name no carrier: only a restored store has them, and they end here.
            for index in range(count):
                self.matching.forget_doubt(message, keys.pack_tag(message.id, index))
        message.carrier = carrier
        message.cost = cost
        message.currency = self.rules.currency
        message.receipts = self._receipts_asked(message, carrier)
        return True

    def grant(self, message: Message, indexes: list[int], bind: int) -> list[bytes]:
        """Opens a grant on a bind of the message's carrier for each segment; their tags."""
        if message.bind != bind:
            message.bind = bind
        if message.held:
            message.held = ""
        parts, now = message.parts, self.now
        if message.reference < 0 and len(parts) > 1:
            wide = message.form is not None and message.form.long_message in _WIDE
            message.reference = self.references.next(message.to, now, wide)
        for index in indexes:
            part = parts[index]
            part.state = GRANTED
            part.granted_at = now
            if part.doubted:
                message.flagged = True
                add_step(message, Step(now, "resend", index, message.carrier, bind))
        tags = [keys.pack_tag(message.id, index) for index in indexes]
        self.grants.open(message.carrier, bind, tags)
        self.messages.touch(message)
        if not life.is_waiting(message):
            self.waiting.remove(message)
            if message.retry_at:
                message.retry_at = 0
        return tags

    def expire(self, message: Message) -> bool:
        """Ends a waiting message whose time is over; False when it is not."""
        facts = life.expire(message, self.now)
        if facts:
            self.tell(message, facts, self.now)
        return bool(facts)

    def fail(self, message: Message, code: str) -> None:
        """Ends a waiting message that no carrier is left for."""
        self.tell(message, life.fail(message, code), self.now)

    def hold(self, message: Message, code: str) -> None:
        """A waiting message waits for more than room; its app is told once."""
        facts = life.hold(message, code, self.now)
        if facts:
            self.messages.touch(message)
            self.append_events(message, facts, self.now)

    def _receipts_asked(self, message: Message, carrier: str) -> int:
        if not message.receipt or (rule := self.profile_of(carrier).receipts) == "none":
            return 0
        return 1 if rule == "last" else len(message.parts)
