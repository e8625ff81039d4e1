"""One simulated carrier: what it answers, what it delivers, and what it has seen.

It awaits nothing and owns no socket: links hand it the submits of a read, and take what is to be
delivered. ``now`` is the links' clock; the wall clock gives dates and nothing else.

A delivery is in exactly one place: due later, ready, or unanswered on one link. A link that ends
gives back what it has, and whichever link comes next sends it again: so no receipt is lost but
those the behaviour loses, and one may come twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from smppd.simulator.behaviour import Behaviour
from smppd.simulator.decisions import Decisions
from smppd.simulator.deliveries import (
    Delivery,
    HeldAnswer,
    build_inbound,
    build_receipt,
    receipt_date,
    wants_receipt,
)
from smppd.simulator.ledger import Ledger, SubmitRecord
from smppd.simulator.schedule import Schedule
from smppd.smpp.constants import (
    ESME_RINVPASWD,
    ESME_RINVSYSID,
    ESME_RMSGQFUL,
    ESME_ROK,
    ESME_RTHROTTLED,
)
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import BindReceived, DeliverAnswered, SubmitReceived

DELIVERIES_WAITING_MAX: Final = 500_000
"""Receipts kept for a client that does not take them, at some 700 octets each: more than ten
seconds of delay at the highest rate. Beyond it submits are answered ESME_RMSGQFUL."""


class CarrierStatistics(msgspec.Struct):
    """Counts since the start.

    ``throttled`` are ESME_RTHROTTLED and ESME_RMSGQFUL, ``refused`` all other errors, and
    ``unanswered`` what a fault swallowed. ``answers_lost`` had not been handed to the socket when
    their link ended. ``receipts_lost`` were never to be sent; ``receipts_sent`` counts each one
    once, ``deliveries_resent`` every time after the first. ``waiting`` is what is due, ready or
    unanswered now. ``outstanding_max`` is the most submits a link had read and not answered.
    ``duplicates`` are accepted submits with the source, destination and user data of an earlier
    one; only a ledger sees them. The times are Unix seconds, 0 before the first submit.
    """

    binds: int = 0
    binds_refused: int = 0
    submits: int = 0
    accepted: int = 0
    refused: int = 0
    throttled: int = 0
    unanswered: int = 0
    answers_lost: int = 0
    receipts_sent: int = 0
    receipts_acked: int = 0
    receipts_lost: int = 0
    inbound_sent: int = 0
    inbound_acked: int = 0
    deliveries_resent: int = 0
    deliveries_refused: int = 0
    waiting: int = 0
    outstanding_max: int = 0
    duplicates: int = 0
    first_submit_at: float = 0.0
    last_submit_at: float = 0.0


class SimulatedCarrier:
    """See the module. ``ledger`` is True to keep every submit, or a file to append it to.

    ``wall`` gives Unix seconds.
    """

    def __init__(
        self,
        name: str,
        system_id: str,
        password: str,
        behaviour: Behaviour | None = None,
        *,
        ledger: bool | Path = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.system_id = system_id
        self.password = password
        self.behaviour = behaviour or Behaviour()
        path = ledger if isinstance(ledger, Path) else None
        self._ledger = Ledger(name, path) if ledger else None
        self._wall = wall
        # A restart begins 65,536 ids further for each second gone by: no run gives out as many.
        first_id = self.behaviour.first_id or (int(wall()) & 0xFFFF) << 16
        self._decisions = Decisions(self.behaviour, name, first_id)
        self._reference = 0
        self._wakes: dict[object, Callable[[], None]] = {}
        self._later: Schedule[Delivery] = Schedule(self._wake_links)
        self._ready: deque[Delivery] = deque()
        self._unacknowledged = 0
        self._counts = CarrierStatistics()

    def statistics(self) -> CarrierStatistics:
        """A copy of the counts as they stand."""
        duplicates = self._ledger.duplicates if self._ledger else 0
        return msgspec.structs.replace(self._counts, waiting=self._waiting, duplicates=duplicates)

    def records(self) -> list[SubmitRecord]:
        """Every submit so far; empty unless it was made with ``ledger=True``."""
        return self._ledger.records() if self._ledger else []

    def inbound(self, source: str, destination: str, text: str) -> None:
        """Send what a phone wrote, as soon as a session is bound; a long text in segments.

        ``ValueError`` for a text or an address that no deliver_sm can carry.
        """
        self._reference = (self._reference + 1) % 256
        pdus = build_inbound(source, destination, text, self._reference)
        self._make_ready([Delivery(pdu) for pdu in pdus])

    # For links

    def fits(self, signal: BindReceived) -> int:
        """How well the credentials fit: 2 are ours, 1 are ours but for the password."""
        if signal.system_id != self.system_id:
            return 0
        return 1 + (signal.password == self.password)

    def judge_bind(self, signal: BindReceived) -> int:
        """The command_status of its bind_transceiver_resp."""
        status = self.behaviour.bind_status
        if not status and signal.system_id != self.system_id:
            status = ESME_RINVSYSID
        elif not status and signal.password != self.password:
            status = ESME_RINVPASWD
        if status:
            self._counts.binds_refused += 1
        else:
            self._counts.binds += 1
        return status

    def enter(self, link: object, wake: Callable[[], None]) -> None:
        """A link is bound; ``wake`` is called whenever there is something to deliver."""
        self._wakes[link] = wake
        wake()

    def leave(self, link: object, unacknowledged: list[Delivery], answers_lost: int) -> None:
        """A link has ended. What it did not get acknowledged is sent again, before all else."""
        self._wakes.pop(link, None)
        self._counts.answers_lost += answers_lost
        self._unacknowledged -= len(unacknowledged)
        self._ready.extendleft(reversed(unacknowledged))
        self._wake_links()

    def answer(
        self, signals: list[SubmitReceived], answers: Schedule[SubmitAnswer], now: float
    ) -> None:
        """Decide on the submits of one read; ``answers`` gets their answers."""
        behaviour = self.behaviour
        made = self._answer(signals, now)
        self._record(signals, made)
        receipts = self._build_receipts(signals, made)
        deliveries = [receipt for receipt in receipts if receipt]
        receipt_at = response_at = now + behaviour.response_delay
        if behaviour.receipts_before_responses:
            receipt_at = now
            made = _hold(made, receipts, answers, response_at)
        answers.put(made, response_at)
        receipt_at += behaviour.receipt_delay
        if receipt_at > now:
            self._later.put(deliveries, receipt_at)
        else:
            self._make_ready(deliveries)

    def swallow(self, signals: list[SubmitReceived]) -> None:
        """Submits that will never be answered."""
        if signals:
            self._counts.unanswered += len(signals)
            self._record(signals, [None] * len(signals))

    def settle(self, signals: list[DeliverAnswered]) -> None:
        """These were answered. An error is the end of it, as with most centres."""
        counts = self._counts
        self._unacknowledged -= len(signals)
        for signal in signals:
            delivery = signal.tag
            assert isinstance(delivery, Delivery), f"a Delivery, not {delivery!r}"
            if signal.command_status:
                counts.deliveries_refused += 1
            elif delivery.is_receipt:
                counts.receipts_acked += 1
            else:
                counts.inbound_acked += 1

    def note_outstanding(self, count: int) -> None:
        """A link has ``count`` submits that it did not answer yet."""
        self._counts.outstanding_max = max(self._counts.outstanding_max, count)

    def next_at(self, now: float) -> float:
        """When there is something to deliver; ``math.inf`` if nothing waits."""
        return now if self._ready else self._later.next_at()

    def take_deliveries(self, room: int, now: float) -> list[Delivery]:
        """At most ``room`` of what is to be delivered, the oldest first."""
        ready = self._ready
        if self._later.next_at() <= now:
            ready += self._later.take(now)
        taken = [ready.popleft() for _ in range(min(room, len(ready)))]
        self._unacknowledged += len(taken)
        for delivery in taken:
            self._count_sent(delivery)
        return taken

    # What becomes of submits

    def _answer(self, signals: list[SubmitReceived], now: float) -> list[SubmitAnswer]:
        statuses = self._decisions.statuses(signals, now)
        if self._waiting >= DELIVERIES_WAITING_MAX:
            statuses = [ESME_RMSGQFUL] * len(signals)
        ids = iter(self._decisions.message_ids(statuses.count(ESME_ROK)))
        return [
            SubmitAnswer(signal.sequence_number, status, "" if status else next(ids))
            for signal, status in zip(signals, statuses, strict=True)
        ]

    def _build_receipts(
        self, signals: list[SubmitReceived], answers: list[SubmitAnswer]
    ) -> list[Delivery | None]:
        """A receipt for each submit, or None where there is to be none."""
        date = receipt_date(self._wall())
        return [
            None if answer.command_status else self._build_receipt(signal.pdu, answer, date)
            for signal, answer in zip(signals, answers, strict=True)
        ]

    def _build_receipt(
        self, submit: SubmitSm, answer: SubmitAnswer, date: bytes
    ) -> Delivery | None:
        outcome = self._decisions.outcome()
        if not wants_receipt(submit.registered_delivery, outcome):
            return None
        if self._decisions.loses_receipt():
            self._counts.receipts_lost += 1
            return None
        receipt_id = self._decisions.receipt_id(answer.message_id)
        with_tlvs = self.behaviour.receipt == "text+tlv"
        pdu = build_receipt(submit, receipt_id, outcome, date, with_tlvs=with_tlvs)
        return Delivery(pdu, is_receipt=True)

    # Counts and wakes

    @property
    def _waiting(self) -> int:
        return len(self._later) + len(self._ready) + self._unacknowledged

    def _record(
        self, signals: list[SubmitReceived], answers: Sequence[SubmitAnswer | None]
    ) -> None:
        counts = self._counts
        wall = self._wall()
        statuses = [answer.command_status for answer in answers if answer]
        accepted = statuses.count(ESME_ROK)
        throttled = statuses.count(ESME_RTHROTTLED) + statuses.count(ESME_RMSGQFUL)
        counts.submits += len(signals)
        counts.accepted += accepted
        counts.throttled += throttled
        counts.refused += len(statuses) - accepted - throttled
        counts.first_submit_at = counts.first_submit_at or wall
        counts.last_submit_at = wall
        if self._ledger:
            self._ledger.write(signals, answers, wall)

    def _count_sent(self, delivery: Delivery) -> None:
        counts = self._counts
        if delivery.is_sent:
            counts.deliveries_resent += 1
        elif delivery.is_receipt:
            counts.receipts_sent += 1
        else:
            counts.inbound_sent += 1
        delivery.is_sent = True

    def _make_ready(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            self._ready += deliveries
            self._wake_links()

    def _wake_links(self) -> None:
        for wake in self._wakes.values():
            wake()


def _hold(
    made: list[SubmitAnswer],
    receipts: list[Delivery | None],
    answers: Schedule[SubmitAnswer],
    due: float,
) -> list[SubmitAnswer]:
    """Tie each answer to its receipt; return those that have none."""
    free: list[SubmitAnswer] = []
    for answer, receipt in zip(made, receipts, strict=True):
        if receipt:
            receipt.held = HeldAnswer(answers, answer, due)
        else:
            free.append(answer)
    return free
