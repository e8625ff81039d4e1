"""Which waiting message goes on which wire: the grant step, and the hand-over to the links.

Messages wait in *groups*: one for each list of offers, one for each carrier (what is bound to it
and half-sent or to be sent again). A carrier is offered what waits in its own group and in those
whose first healthy offer it is now, so health and failover move no rows. Within a group one-time
codes go first, then the other classes; within a class the apps take turns.

Numbered invariants:

1. ``take`` hands over only grants whose transaction has committed (the grant step and the commit
   are one synchronous call, so no task sees a grant in between).
2. A waiting message has one row on disk and is found through a ``QueueWindow``, or the
   ``half_sent`` of a slot or, while no bind may go on with it, of its carrier. An entry that was
   overtaken is known by ``queue_group``.
3. A slot that is not up is granted nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from math import ceil
from typing import Final

import msgspec

from smppd.routing.table import Offer, RouteSet, RoutingTable
from smppd.smpp.session import Submit
from smppd.store import keys, life
from smppd.store.ledger import Ledger
from smppd.store.records import GRANTED, LANES, TAKEN, WAITING, Message
from smppd.store.store import Store
from smppd.traffic.compose import build_submit
from smppd.traffic.queue import QueueWindow, Refill, Row
from smppd.traffic.roster import CarrierState, Group, Slot

OTP_LANE: Final = LANES["otp"]
STALE_ROWS_MAX: Final = 200
"""Messages of a former routing table routed anew in one commit: about a millisecond."""

LOOKS_MAX: Final = 2_000
"""Queue rows looked at in one commit, granted or found expired: some ten milliseconds."""

PACE_TICK_SECONDS: Final = 0.02
"""Paced carriers are served in common ticks, so that they share commits: fifty a second."""


class DispatchStatistics(msgspec.Struct, frozen=True):
    """Counts since start; ``queued_in_memory`` is now's, a part of what waits on disk."""

    granted: int
    rerouted: int
    queued_in_memory: int


class Dispatch:
    """The granter of the store, and the source of every link's submits.

    ``clock`` is the monotonic clock the throughputs are paced by, in seconds.
    """

    def __init__(
        self,
        table: RoutingTable,
        carriers: Mapping[str, CarrierState],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self.carriers = carriers
        self._clock = clock
        self._groups: dict[bytes, Group] = {}
        self._stale: list[QueueWindow] = []
        self._next_at_ms: int | None = None
        self._paced_until: float | None = None
        self._stopping = False
        self._turn = 0
        self._looks = LOOKS_MAX
        self._counts = {"granted": 0, "rerouted": 0}
        self._woken: list[Slot] = []
        for route_set in table.route_sets.values():
            self._group_of_offers(route_set.key, route_set.offers)

    # -- what the links and the daemon say ---

    def load(self, ledger: Ledger) -> None:
        """Finds what waits on disk; inside the first commit of a start (see ``recover``)."""
        own = {carrier.own.key: carrier.own for carrier in self.carriers.values()}
        for address in ledger.queue_addresses():
            group = self._groups.get(address.group) or own.get(address.group)
            group = group or self._group_after_refusals(ledger, address)
            window = QueueWindow(address.prefix, on_disk=True)
            if group is None:
                self._stale.append(window)
            else:
                group.add(address.lane, address.app, window)
        # Served from the end: one-time codes are routed anew before campaigns.
        self._stale.sort(key=_lane_of, reverse=True)

    def bind_up(self, slot: Slot, wake: Callable[[], None]) -> None:
        """A bind was accepted: it may be granted messages; ``wake`` rouses its writer."""
        slot.is_up, slot.is_stalled, slot.is_asleep = True, False, False
        slot.wake = wake
        self._health_changed()

    def bind_stalled(self, slot: Slot) -> list[bytes]:
        """A response_timer ran out, or the SMSC unbound: nothing new for this bind. The tags
        granted and never taken, to be given back as a change."""
        slot.is_stalled = True
        self._health_changed()
        return slot.take_granted()

    def bind_down(self, slot: Slot) -> list[bytes]:
        """A bind ended: the tags granted and never taken, to be given back as a change."""
        slot.is_up = slot.is_asleep = False
        slot.wake = lambda: None
        for message_id in slot.half_sent:
            slot.carrier.half_sent[message_id] = None
        slot.half_sent.clear()
        self._health_changed()
        return slot.take_granted()

    def bind_asleep(self, slot: Slot, wake: Callable[[], None]) -> None:
        """The bind unbound itself for inactivity; ``wake`` has it bind again."""
        slot.is_asleep = True
        slot.wake = wake
        self._health_changed()

    def stop(self) -> None:
        """Grants no message that has not begun; half-sent ones may finish."""
        self._stopping = True

    def is_idle(self, store: Store) -> bool:
        """Whether no grant is open and no message half-sent on a bind that is up."""
        slots = [slot for carrier in self.carriers.values() for slot in carrier.slots]
        return not any(
            slot.half_sent
            or not slot.carrier.own.is_empty()
            or store.open_grants(slot.carrier.name, slot.index)
            for slot in slots
            if slot.is_up
        )

    def next_at(self) -> tuple[float | None, int | None]:
        """When a grant may become possible though nothing happens: monotonic seconds (a pace)
        and wall milliseconds (a retry)."""
        return self._paced_until, self._next_at_ms

    def wake_granted(self) -> None:
        """After the commit: rouses the writers that have something to take."""
        for slot in self._woken:
            slot.wake()
        self._woken.clear()

    def statistics(self) -> DispatchStatistics:
        """Counts since start."""
        groups = [*self._groups.values(), *(state.own for state in self.carriers.values())]
        rows = sum(
            len(window) for group in groups for lane in group.lanes for window in lane.values()
        )
        return DispatchStatistics(self._counts["granted"], self._counts["rerouted"], rows)

    # -- the grant step ---

    def grant(self, ledger: Ledger, now_ms: int) -> None:
        """Queues what the batch released, then grants what windows and paces allow."""
        released, ledger.released = ledger.released, []
        for message in released:
            self._release(ledger, message, now_ms)
        if self._stale:
            self._route_anew(ledger, now_ms)
        self._next_at_ms = now_ms if self._stale else None
        self._paced_until = None
        self._turn += 1
        self._looks = LOOKS_MAX
        carriers = list(self.carriers.values())
        start = self._turn % max(len(carriers), 1)
        for carrier in carriers[start:] + carriers[:start]:
            self._grant_carrier(ledger, carrier, now_ms)

    def _grant_carrier(self, ledger: Ledger, carrier: CarrierState, now_ms: int) -> None:
        slots = [slot for slot in carrier.slots if slot.may_take()]
        self._wake_sleeping(carrier)
        if not slots:
            return
        now = self._clock()
        start = self._turn % len(slots)
        for slot in slots[start:] + slots[:start]:
            free = slot.window - ledger.open_grants(carrier.name, slot.index)
            room = min(free, carrier.throughput.allowance(now))
            granted = self._grant_slot(ledger, slot, room, free, now_ms) if room > 0 else 0
            if granted:
                carrier.throughput.spend(granted, now)
                self._counts["granted"] += granted
                self._woken.append(slot)
        if carrier.throughput.allowance(now) <= 0 and carrier.has_work():
            next_at = ceil(carrier.throughput.next_at(now) / PACE_TICK_SECONDS) * PACE_TICK_SECONDS
            if self._paced_until is None or next_at < self._paced_until:
                self._paced_until = next_at

    def _grant_slot(self, ledger: Ledger, slot: Slot, room: int, free: int, now_ms: int) -> int:
        """Grants up to ``room`` segments: half-sent messages, one-time codes, the rest.

        ``free`` is the window's own room, of which some is kept for one-time codes. Returns how
        many were granted.
        """
        left = self._grant_half_sent(ledger, slot, room, now_ms)
        own = slot.carrier.own
        for lane, ready in enumerate(slot.carrier.ready):
            kept = 0 if lane == OTP_LANE else max(slot.reserve - (free - room), 0)
            if left > kept and own.lanes[lane]:
                left = kept + self._grant_lane(ledger, slot, own, lane, left - kept, now_ms)
            if self._stopping:
                continue
            for _ in range(len(ready)):
                if left <= kept:
                    break
                group = next(iter(ready))
                del ready[group]
                left = kept + self._grant_lane(ledger, slot, group, lane, left - kept, now_ms)
                if group.lanes[lane]:
                    ready[group] = None
        return room - left

    def _grant_half_sent(self, ledger: Ledger, slot: Slot, room: int, now_ms: int) -> int:
        own = slot.carrier.own.key
        waiting = slot.carrier.half_sent
        slot.half_sent.update(waiting)
        waiting.clear()
        for message_id in list(slot.half_sent):
            if room <= 0:
                break
            message = ledger.message(message_id)
            if message is None or message.queue_group != own or message.retry_at > now_ms:
                del slot.half_sent[message_id]
                if message is not None and message.queue_group == own:
                    slot.carrier.own.push(message)
                continue
            room -= self._grant_message(ledger, slot, message, message.cost, room, now_ms)
            if not life.is_waiting(message):
                slot.half_sent.pop(message_id, None)
        return room

    def _grant_lane(
        self, ledger: Ledger, slot: Slot, group: Group, lane: int, room: int, now_ms: int
    ) -> int:
        """Grants from one lane of one group, the apps taking turns; the room that is left."""
        queues = group.lanes[lane]
        own = group is slot.carrier.own
        rows = _rows_not_half_sent(ledger, slot.carrier) if own else ledger.queue_rows
        idle = 0
        while room > 0 and idle < len(queues):
            if not self._looks:
                self._next_at_ms = now_ms
                break
            app = next(iter(queues))
            window = queues.pop(app)
            message_id = window.pop(now_ms, rows)
            if message_id is None:
                if not window.is_empty():
                    idle += 1
                    queues[app] = window
                    self._note_due(window.next_due())
                continue
            self._looks -= 1
            queues[app] = window
            idle = 0
            message = ledger.message(message_id)
            if message is not None and message.queue_group == group.key:
                cost = group.costs.get(slot.carrier.name, message.cost)
                room -= self._grant_message(ledger, slot, message, cost, room, now_ms)
        return room

    def _grant_message(
        self, ledger: Ledger, slot: Slot, message: Message, cost: str, room: int, now_ms: int
    ) -> int:
        """Grants up to ``room`` segments of one message; what does not fit is half-sent now."""
        if now_ms >= message.expires_at and ledger.expire(message):
            return 0
        parts = message.parts
        if message.bind != slot.index and _is_outstanding(message):
            # Its segments go out on one bind; it is looked at again when that one has ended.
            slot.carrier.half_sent[message.id] = None
            slot.half_sent.pop(message.id, None)
            return 0
        indexes = [0] if len(parts) == 1 else _waiting_indexes(message)[:room]
        carrier = slot.carrier
        slot.granted += ledger.grant(message, indexes, carrier.name, slot.index, cost)
        if len(parts) > 1 and life.is_waiting(message):
            if message.queue_group != carrier.own.key:
                ledger.enqueue(message, carrier.own.key)
            slot.half_sent[message.id] = None
        return len(indexes)

    # -- where a message waits ---

    def _release(self, ledger: Ledger, message: Message, now_ms: int) -> None:
        """A message waits (again): gives it its row and its place."""
        if not life.is_waiting(message):
            return
        if now_ms >= message.expires_at and ledger.expire(message):
            return
        group = self._group_for(ledger, message)
        if group is None:
            return
        due = message.retry_at or message.accepted_at
        if message.queue_group == group.key and message.queue_due == due:
            return
        ledger.enqueue(message, group.key)
        carrier = self.carriers.get(message.carrier)
        if carrier is not None and _is_begun(message) and message.retry_at <= now_ms:
            slot = carrier.slots[message.bind] if message.bind < len(carrier.slots) else None
            if slot is not None and slot.may_take():
                slot.half_sent[message.id] = None
            else:
                carrier.half_sent[message.id] = None
            return
        group.push(message)

    def _group_for(self, ledger: Ledger, message: Message) -> Group | None:
        """Where the message belongs; None where it was ended for want of any offer."""
        if message.carrier:
            carrier = self.carriers.get(message.carrier)
            if carrier is not None:
                return carrier.own
            ledger.fail(message, "no_route_left")
            return None
        route_set = self._table.route_sets.get(message.route_set)
        if route_set is None:
            route_set = self._table.route_set_for(message.to)
        if route_set is not None:
            message.route_set = route_set.key
            group = self._group_left(route_set, message)
            if group is not None:
                self._count_reroute(group, message)
                return group
        ledger.fail(message, "rejected_by_carrier" if message.refused_by else "no_route_left")
        return None

    def _count_reroute(self, group: Group, message: Message) -> None:
        """Another carrier is tried at once; one that had a passing fault when its time comes."""
        if message.refused_by:
            self._counts["rerouted"] += 1
        if message.passed_over:
            if group.home is not None and group.home.name not in message.passed_over:
                message.retry_at = 0
            if all(offer.carrier in message.passed_over for offer in group.offers):
                message.passed_over = []

    def _group_left(self, route_set: RouteSet, message: Message) -> Group | None:
        """The group of the offers that are left to the message: none that refused it, and those
        with a passing fault last."""
        offers = [offer for offer in route_set.offers if offer.carrier not in message.refused_by]
        if not offers:
            return None
        offers.sort(key=lambda offer: offer.carrier in message.passed_over)
        if tuple(offers) == route_set.offers:
            return self._groups[b"r" + route_set.key]
        names = "\0".join(offer.carrier for offer in offers).encode()
        key = blake2b(route_set.key + names, digest_size=8).digest()
        return self._group_of_offers(key, tuple(offers))

    def _group_after_refusals(self, ledger: Ledger, address: keys.QueueAddress) -> Group | None:
        """The group of ``address``, where it is one of what is left after refusals. All its
        messages share their offers and who refused them, so the first speaks for all."""
        rows = ledger.queue_rows(address.prefix, (0, 0), 1)
        message = ledger.message(rows[0][1]) if rows else None
        route_set = None if message is None else self._table.route_sets.get(message.route_set)
        if message is None or route_set is None:
            return None
        group = self._group_left(route_set, message)
        return group if group is not None and group.key == address.group else None

    def _group_of_offers(self, key: bytes, offers: tuple[Offer, ...]) -> Group:
        group = self._groups.get(b"r" + key)
        if group is None:
            group = self._groups[b"r" + key] = Group(b"r" + key, offers)
            self._place(group)
        return group

    def _route_anew(self, ledger: Ledger, now_ms: int) -> None:
        """Moves messages out of the groups of a former routing table, wherever it differed."""
        for _ in range(STALE_ROWS_MAX):
            if not self._stale:
                return
            window = self._stale[-1]
            message_id = window.pop(now_ms, ledger.queue_rows)
            if message_id is None:
                due = window.next_due()
                if due is None:
                    self._stale.pop()
                    continue
                message_id = window.pop(due, ledger.queue_rows)
            message = None if message_id is None else ledger.message(message_id)
            size = window.prefix[0]
            if message is not None and message.queue_group == window.prefix[1 : 1 + size]:
                ledger.dequeue(message)
                self._release(ledger, message, now_ms)

    # -- health ---

    def _health_changed(self) -> None:
        for group in self._groups.values():
            self._place(group)

    def _place(self, group: Group) -> None:
        """Puts the group to its first healthy offer."""
        offers = (self.carriers.get(offer.carrier) for offer in group.offers)
        healthy = (carrier for carrier in offers if carrier and carrier.is_healthy())
        home = next(healthy, None)
        if home is not group.home:
            group.move_home(home)

    def _wake_sleeping(self, carrier: CarrierState) -> None:
        for slot in carrier.slots:
            if slot.is_asleep and not self._stopping and carrier.has_work():
                slot.wake()

    def _note_due(self, due: int | None) -> None:
        if due is not None and (self._next_at_ms is None or due < self._next_at_ms):
            self._next_at_ms = due

    # -- the hand-over ---

    def take(self, slot: Slot, store: Store, room: int, now_ms: int) -> list[Submit]:
        """The submits of up to ``room`` committed grants of this bind, in the order granted.

        What lay here past its validity goes to ``slot.late``, to be given back.
        """
        granted = slot.granted
        submits = []
        for _ in range(min(room, len(granted))):
            tag = granted.popleft()
            found = store.message_of(tag)
            assert found is not None, "a grant names a message that is not there"
            message, index = found
            if now_ms >= message.expires_at and _is_too_late(message, index):
                slot.late.append(tag)
            else:
                submits.append(Submit(tag, build_submit(message, index, now_ms)))
        return submits


def _is_too_late(message: Message, index: int) -> bool:
    """Past ``valid_for`` nothing begins and no resend is made; only what was begun goes on."""
    return not message.first_taken_at or message.parts[index].doubted


def _rows_not_half_sent(ledger: Ledger, carrier: CarrierState) -> Refill:
    """The rows of a carrier's own queue but for what its binds are in the middle of: the rest of
    a message goes where it began."""

    def rows_of(prefix: bytes, after: Row, rows_max: int) -> list[Row]:
        held = set(carrier.half_sent).union(*(slot.half_sent for slot in carrier.slots))
        rows = ledger.queue_rows(prefix, after, rows_max + len(held))
        return [row for row in rows if row[1] not in held][:rows_max]

    return rows_of


def _is_begun(message: Message) -> bool:
    """Whether a segment was taken or is on a wire: the rest goes before anything else."""
    return any(part.state in (GRANTED, TAKEN) for part in message.parts)


def _is_outstanding(message: Message) -> bool:
    return any(part.state == GRANTED for part in message.parts)


def _lane_of(window: QueueWindow) -> int:
    return window.prefix[1 + window.prefix[0]]


def _waiting_indexes(message: Message) -> list[int]:
    return [index for index, part in enumerate(message.parts) if part.state == WAITING]


def recover(store: Store, dispatch: Dispatch, now_ms: int) -> int:
    """The first commit of a start: open grants become doubt, the queue is found. The number of
    doubtful segments."""
    doubts = store.open_tags(now_ms)

    class _Recovery:
        def grant(self, ledger: Ledger, now_ms: int) -> None:
            dispatch.load(ledger)
            dispatch.grant(ledger, now_ms)

    store.commit(list(doubts), _Recovery(), now_ms)
    return sum(len(doubt.tags) for doubt in doubts)
