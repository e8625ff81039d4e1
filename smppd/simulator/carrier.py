"""One simulated carrier: what it answers, what it delivers, and what it has seen.

It awaits nothing and owns no socket: links hand it the submits of a read, and take what is to be
delivered. ``now`` is the links' clock; the wall clock gives dates and nothing else. What it does
is decided elsewhere (``decisions``, ``timetable``, ``phones``); here is the order of it.

Two submits of a read, a receipt of one and a cancel_sm for the other meet here, and nowhere else:
so this is where the truth is that ``statistics``, ``records`` and query_sm tell.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from smppd.simulator.batch import (
    Batch,
    build_doubles,
    build_early_receipts,
    build_one_receipt,
    decide,
    find_answers,
)
from smppd.simulator.behaviour import Behaviour
from smppd.simulator.decisions import Decisions
from smppd.simulator.deliveries import DELETED, Delivery, build_inbound, wants_receipt
from smppd.simulator.join import Joiner, MessageRecord, SubmitRecord
from smppd.simulator.ledger import Ledger, describe
from smppd.simulator.messages import Answered, Messages
from smppd.simulator.outgoing import Outgoing
from smppd.simulator.phones import Phones
from smppd.simulator.profile import Profile
from smppd.simulator.schedule import Schedule
from smppd.simulator.statistics import CarrierStatistics
from smppd.simulator.timetable import find_behaviour, find_next_change
from smppd.smpp.constants import (
    ESME_RALYBND,
    ESME_RINVPASWD,
    ESME_RINVSYSID,
    ESME_RMSGQFUL,
    ESME_ROK,
    ESME_RTHROTTLED,
    ESME_RX_T_APPN,
)
from smppd.smpp.requests import CancelAnswer, QueryAnswer
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import (
    BindReceived,
    CancelReceived,
    DeliverAnswered,
    QueryReceived,
    SubmitReceived,
)
from smppd.smpp.sundry import AlertNotification

DELIVERIES_WAITING_MAX: Final = 500_000
"""Receipts kept for a client that does not take them, at some 700 octets each: more than ten
seconds of delay at the highest rate. Beyond it submits are answered ESME_RMSGQFUL, and phones
write nothing."""

NOT_NOW: Final = (ESME_RMSGQFUL, ESME_RX_T_APPN)
"""What a client answers to a delivery that it has no room for (SMPP 3.4 s5.1.3)."""

AGAIN_SECONDS: Final = 10.0
"""Until such a delivery comes again."""

ALERTS_WAITING_MAX: Final = 1_000
"""alert_notification kept while nobody is bound that may hear them; older ones are forgotten."""


class SimulatedCarrier:
    """See the module. ``ledger`` is True to keep every submit, or a file to append it to.

    ``wall`` gives Unix seconds. ``behaviour`` is what holds now, which a profile changes at
    ``changes_at``; ``holds_answers``: some answers wait for their receipts to be sent.
    """

    def __init__(
        self,
        name: str,
        system_id: str,
        password: str,
        behaviour: Behaviour | Profile | None = None,
        *,
        ledger: bool | Path = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.system_id = system_id
        self.password = password
        self.profile = (
            behaviour if isinstance(behaviour, Profile) else Profile(behaviour or Behaviour())
        )
        self.behaviour = self.profile.behaviour
        path = ledger if isinstance(ledger, Path) else None
        alphabet = self.behaviour.default_alphabet
        self._ledger = Ledger(name, path, alphabet) if ledger else None
        self._wall = wall
        # A restart begins 65,536 ids further for each second gone by: no run gives out as many.
        first_id = self.behaviour.first_id or (int(wall()) & 0xFFFF) << 16
        self._decisions = Decisions(self.behaviour.seed, name, first_id)
        self._phones = Phones(self.profile, self.behaviour.seed, name)
        self._joiner = Joiner()
        self._messages = Messages()
        self._wakes: dict[object, Callable[[], None]] = {}
        self._counts = CarrierStatistics()
        self._outgoing = Outgoing(self._wake_links, self._counts)
        self._alerts: deque[AlertNotification] = deque(maxlen=ALERTS_WAITING_MAX)
        self._began_at: float | None = None
        self._tick_time = 0.0  # seconds from the start
        self.changes_at = math.inf
        phases = [phase.changes for phase in self.profile.phases]
        self.holds_answers = self.behaviour.receipts_before_responses or any(
            changes.get("receipts_before_responses") for changes in phases
        )

    def statistics(self) -> CarrierStatistics:
        """A copy of the counts as they stand."""
        duplicates = self._ledger.duplicates if self._ledger else 0
        waiting = self._outgoing.waiting
        return msgspec.structs.replace(self._counts, waiting=waiting, duplicates=duplicates)

    def records(self) -> list[SubmitRecord]:
        """Every submit so far; empty unless it was made with ``ledger=True``."""
        return self._ledger.records() if self._ledger else []

    def messages(self) -> list[MessageRecord]:
        """What was accepted so far, segments joined; empty unless made with ``ledger=True``."""
        return self._ledger.messages() if self._ledger else []

    def inbound(self, source: str, destination: str, text: str) -> None:
        """Send what a phone wrote, as soon as a session is bound; a long text in segments.

        ``ValueError`` for a text or an address that no deliver_sm can carry.
        """
        reference, alphabet = self._phones.next_reference(), self.behaviour.default_alphabet
        pdus = build_inbound(source, destination, text, reference, alphabet=alphabet)
        self._outgoing.put([Delivery(pdu) for pdu in pdus], 0.0, 0.0)

    def alert(self, source: str, esme_addr: str, availability: int | None = None) -> None:
        """Say that the phone ``source`` can be reached again, as soon as somebody may be told."""
        self._alerts.append(AlertNotification(source, esme_addr, availability))
        self._wake_links()

    # Time

    def begin(self, now: float) -> None:
        """The start, from which a profile counts its seconds; the first call is the one."""
        if self._began_at is None:
            self._began_at = now
            self._tick(0.0)

    def advance(self, now: float) -> None:
        """Do what a profile has planned up to ``now``; nothing before ``changes_at``."""
        if now >= self.changes_at:
            assert self._began_at is not None, "nothing changes before the start"
            # Never before the planned second, however the sum of two floats was rounded.
            self._tick(max(now - self._began_at, self._tick_time))

    def _tick(self, seconds: float) -> None:
        profile = self.profile
        self.behaviour = find_behaviour(profile.behaviour, profile.phases, seconds)
        deliveries = self._phones.take(seconds)
        if self._outgoing.waiting < DELIVERIES_WAITING_MAX:
            self._outgoing.put(deliveries, 0.0, 0.0)
        self._alerts += self._phones.take_alerts(seconds)
        change = find_next_change(profile.phases, seconds)
        self._tick_time = min(change, self._phones.next_at())
        assert self._began_at is not None, "it has begun"
        self.changes_at = self._began_at + self._tick_time
        self._wake_links()

    # Links

    def fits(self, signal: BindReceived) -> int:
        """How well the credentials fit: 2 are ours, 1 are ours but for the password."""
        if signal.system_id != self.system_id:
            return 0
        return 1 + (signal.password == self.password)

    def judge_bind(self, signal: BindReceived) -> int:
        """The command_status of its response."""
        status = self.behaviour.bind_status
        if not status and signal.system_id != self.system_id:
            status = ESME_RINVSYSID
        elif not status and signal.password != self.password:
            status = ESME_RINVPASWD
        elif not status and 0 < self.behaviour.binds_max <= len(self._wakes):
            status = ESME_RALYBND
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
        self._outgoing.give_back(unacknowledged)

    def note_outstanding(self, count: int) -> None:
        """A link has ``count`` submits that it did not answer yet."""
        self._counts.outstanding_max = max(self._counts.outstanding_max, count)

    def note_outbind(self) -> None:
        """A link has asked to be bound to."""
        self._counts.outbinds += 1

    # Deliveries

    def next_at(self, now: float) -> float:
        """When there is something to deliver; ``math.inf`` if nothing waits."""
        return self._outgoing.next_at(now)

    def take_deliveries(self, room: int, now: float) -> list[Delivery]:
        """At most ``room`` of what is to be delivered, the oldest first."""
        return self._outgoing.take(room, now)

    def take_alerts(self) -> list[AlertNotification]:
        """All that wait to be told."""
        alerts = list(self._alerts)
        self._alerts.clear()
        self._counts.alerts_sent += len(alerts)
        return alerts

    def settle(self, signals: list[DeliverAnswered], now: float) -> None:
        """These were answered. An error is the end of it, as with most centres, but one that says
        "not now": such a delivery comes again."""
        counts = self._counts
        self._outgoing.settle(len(signals))
        for signal in signals:
            delivery = signal.tag
            assert isinstance(delivery, Delivery), f"a Delivery, not {delivery!r}"
            if signal.command_status:
                counts.deliveries_refused += 1
                if signal.command_status in NOT_NOW:
                    self._outgoing.put([delivery], now + AGAIN_SECONDS, now)
            elif delivery.is_receipt:
                counts.receipts_acked += 1
            else:
                counts.inbound_acked += 1

    # Submits

    def answer(
        self,
        signals: list[SubmitReceived],
        answers: Schedule[SubmitAnswer],
        now: float,
        *,
        is_old: bool = False,
    ) -> None:
        """Decide on the submits of one read; ``answers`` gets their answers.

        ``is_old``: their bind is of SMPP 3.3.
        """
        self.advance(now)
        behaviour, decisions = self.behaviour, self._decisions
        is_full = self._outgoing.waiting >= DELIVERIES_WAITING_MAX
        batch = decide(
            behaviour, decisions, signals, now, self._wall(), is_old=is_old, is_full=is_full
        )
        self._record(batch)
        self._messages.keep(batch)
        made, ats = find_answers(behaviour, decisions, batch, answers)
        self._counts.responses_lost += batch.responses_lost
        answers.put_each(made, ats)
        self._plan_receipts(batch)
        if self._phones.listen:
            self._reply(batch)

    def swallow(self, signals: list[SubmitReceived]) -> None:
        """Submits that will never be answered."""
        if signals:
            self._counts.unanswered += len(signals)
            wall = self._wall()
            self._count_submits(signals, [], wall)
            if self._ledger:
                self._ledger.write(signals, [None] * len(signals), wall)

    def _plan_receipts(self, batch: Batch) -> None:
        """Every receipt at its time, behind what says that the message is on its way."""
        behaviour, now = self.behaviour, batch.now
        self._counts.receipts_lost += batch.receipts_lost
        if behaviour.enroute_rate:
            early = build_early_receipts(behaviour, self._decisions, batch)
            before = behaviour.receipts_before_responses
            self._outgoing.put_each(early, [now] * len(early) if before else batch.answer_ats, now)
        self._outgoing.put_each(batch.receipts, batch.final_ats, now)
        if behaviour.double_receipt_rate:
            doubles = build_doubles(behaviour, self._decisions, batch)
            self._counts.receipts_doubled += sum(one is not None for one in doubles)
            self._outgoing.put_each(doubles, batch.final_ats, now)

    def _reply(self, batch: Batch) -> None:
        alphabet = self.behaviour.default_alphabet
        records = [
            describe(self.name, signal, answer, batch.wall, alphabet)
            for signal, answer in zip(batch.signals, batch.answers, strict=True)
            if not answer.command_status
        ]
        for deliveries, delay in self._phones.answer(self._joiner.add(records)):
            self._outgoing.put(deliveries, batch.now + delay, batch.now)

    # What is asked of messages

    def query(self, signal: QueryReceived, now: float) -> QueryAnswer:
        """The answer to a query_sm."""
        self._counts.queries += 1
        return self._messages.query(signal, now)

    def cancel(self, signal: CancelReceived, now: float) -> CancelAnswer:
        """The answer to a cancel_sm; what it ends is final, and gets a receipt that says so."""
        self._counts.cancels += 1
        status, ended = self._messages.find_cancelled(signal.pdu, now)
        for one in ended:
            self._delete(one, now)
        return CancelAnswer(signal.sequence_number, status)

    def _delete(self, message: Answered, now: float) -> None:
        self._counts.cancelled += 1
        submit, planned = message.pdu, message.receipt
        held = None
        if planned:
            self._outgoing.void(planned)
            held, planned.held = planned.held, None
        receipt = None
        is_wanted = wants_receipt(submit.registered_delivery, DELETED)
        if is_wanted and not message.has_lost_receipt:
            receipt = build_one_receipt(
                self.behaviour, message.batch, submit, message.message_id, DELETED
            )
            receipt.held = held
            self._outgoing.put([receipt], now, now)
        message.delete(now, receipt)

    # Counts and wakes

    def _record(self, batch: Batch) -> None:
        self._count_submits(batch.signals, batch.answers, batch.wall)
        if self._ledger:
            self._ledger.write(batch.signals, batch.answers, batch.wall)

    def _count_submits(
        self, signals: list[SubmitReceived], answers: Sequence[SubmitAnswer], wall: float
    ) -> None:
        counts = self._counts
        statuses = [answer.command_status for answer in answers]
        accepted = statuses.count(ESME_ROK)
        throttled = statuses.count(ESME_RTHROTTLED) + statuses.count(ESME_RMSGQFUL)
        counts.submits += len(signals)
        counts.accepted += accepted
        counts.throttled += throttled
        counts.refused += len(statuses) - accepted - throttled
        counts.first_submit_at = counts.first_submit_at or wall
        counts.last_submit_at = wall

    def _wake_links(self) -> None:
        for wake in self._wakes.values():
            wake()
