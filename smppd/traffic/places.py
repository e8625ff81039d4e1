"""Where each waiting message waits, and what moves messages: refusals, reloads, carriers that go.

Messages wait in *groups*: one for each list of offers, one for each carrier (what is bound to it
and half-sent or to be sent again). A group stands with its first healthy carrier, so health and
pauses move no rows. Who is granted what from the groups is ``dispatch``'s matter.

Numbered invariants:

1. A waiting message has one row on disk and is found through a ``QueueWindow``, or the
   ``half_sent`` of a slot or, while no bind may go on with it, of its carrier. An entry that was
   overtaken is known by ``queue_group``.
2. A row of a group that is no more (another table, a carrier taken away) is in ``_stale``, and its
   message is routed anew from there, in batches; one-time codes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from smppd.routing.choice import Wish, judge_offers
from smppd.routing.offers import Offer, RouteSet
from smppd.routing.table import RoutingTable
from smppd.store import keys, life
from smppd.store.fitting import plan_message
from smppd.store.ledger import Ledger
from smppd.store.records import GRANTED, TAKEN, Message
from smppd.store.waiting import due_of
from smppd.text.segment import PLAIN_FORM, Plan
from smppd.traffic.holding import Holding
from smppd.traffic.queue import QueueWindow
from smppd.traffic.roster import CarrierState, Group

GROUPS_SPARE: Final = 1_000
"""Groups without a message that are kept, some 600 octets each: more than are in use in turn where
tables are small. A table of 200,000 prices may have as many lists of offers."""

STALE_ROWS_MAX: Final = 200
"""Messages of a former routing table routed anew in one commit: about a millisecond."""

UNPLANNED_SEGMENTS: Final = 1 << 20
"""What a message counts as where it cannot be written at all: dearer than any ``max_cost``."""


class Places:
    """See the module. ``carriers`` is shared with the dispatch, by name."""

    def __init__(self, table: RoutingTable, carriers: dict[str, CarrierState]) -> None:
        self._table = table
        self._carriers = carriers
        self._groups: dict[bytes, Group] = {}
        self._stale: list[QueueWindow] = []
        self._unread: set[bytes] = set()
        self._holding = Holding()
        self.rerouted = 0
        self._groups_max = GROUPS_SPARE

    def load(self, ledger: Ledger) -> None:
        """Finds what waits on disk; inside the first commit of a start."""
        self.health_changed()
        own = self._own_groups()
        for address in ledger.queue_addresses():
            group = self._groups.get(address.group) or own.get(address.group)
            group = group or self._group_of_first(ledger, address)
            self._find(address, group)
            if group is not None and group.is_held:
                self._holding.unseen.add(group.key)
        self._sort_stale()

    def anew(self) -> Places:
        """Others with the same table and carriers, which know of no message yet: what was seen
        here in a commit that came to nothing is not so. To be loaded."""
        for carrier in self._carriers.values():
            carrier.forget_waiting()
        places = Places(self._table, self._carriers)
        places.rerouted = self.rerouted
        return places

    def windows(self) -> Iterator[QueueWindow]:
        """Every queue there is a picture of in memory."""
        groups = [*self._groups.values(), *self._own_groups().values()]
        return (window for group in groups for lane in group.lanes for window in lane.values())

    # -- what changes the places ---

    def set_table(self, table: RoutingTable) -> None:
        """A reload's table: where it differs, everything that waits is routed anew."""
        is_same = table.key == self._table.key
        self._table = table
        if is_same:
            return
        for group in self._groups.values():
            group.move_home(None)
            self._holding.set_held(group, False)
            self._stale += [
                QueueWindow(window.prefix, on_disk=True)
                for lane in group.lanes
                for window in lane.values()
            ]
        self._sort_stale()
        self._groups.clear()

    def carrier_added(self, carrier: CarrierState) -> None:
        """It may be an old acquaintance, with messages that are bound to it still."""
        self._unread.add(carrier.own.key)
        self.health_changed()

    def carrier_replaced(self, old: CarrierState, new: CarrierState) -> None:
        """The same carrier with other binds takes over what waits for it."""
        new.take_over(old)
        self.health_changed()

    def carrier_removed(self, carrier: CarrierState) -> None:
        """What is bound to it has lost its carrier: it is routed anew, or ended."""
        self._unread.add(carrier.own.key)
        self._holding.set_held(carrier.own, False)
        self.health_changed()

    def health_changed(self, carrier: CarrierState | None = None) -> None:
        """A bind came or went, or an operator spoke: every group finds its first healthy offer, of
        one carrier those that it is offered to (of 20,000 groups, a millisecond)."""
        for group in self._groups.values():
            if carrier is None or carrier.name in group.costs:
                self._place(group)
        for one in self._carriers.values() if carrier is None else (carrier,):
            self._holding.set_held(one.own, one.mode == "paused")

    # -- inside a commit ---

    def settle(self, ledger: Ledger, now_ms: int) -> int | None:
        """Moves what is out of its place and tells what is held, a bounded batch; when there is
        more of it to do (ms), or None."""
        if self._unread or self._holding.unseen:
            self._look_on_disk(ledger)
        if self._stale:
            self._route_anew(ledger, now_ms)
        held_at = self._holding.tell(ledger, now_ms)
        return now_ms if self._stale else held_at

    def release(self, ledger: Ledger, message: Message, now_ms: int) -> None:
        """A message waits (again): gives it its row and its place."""
        if not life.is_waiting(message):
            return
        if now_ms >= message.expires_at and ledger.expire(message):
            return
        group = self._group_for(ledger, message)
        if group is None:
            return
        if message.queue_group == group.key and message.queue_due == due_of(message):
            return
        ledger.enqueue(message, group.key)
        if message.held or group.is_held:
            self._holding.hold(ledger, group, message, now_ms)
        carrier = self._carriers.get(message.carrier)
        if carrier is not None and _is_begun(message) and message.retry_at <= now_ms:
            slot = carrier.slots[message.bind] if message.bind < len(carrier.slots) else None
            if slot is not None and slot.may_take():
                slot.half_sent[message.id] = None
            else:
                carrier.half_sent[message.id] = None
            return
        group.push(message)

    def may_go(self, message: Message, carrier: CarrierState) -> bool:
        """Whether the carrier is still one of those the message's app would have it go to: a
        reload may have changed what it takes for it."""
        if message.extras is None:
            return True
        route_set = self._route_set_of(message)
        if route_set is None:
            return False
        return any(offer.carrier == carrier.name for offer in self._offers_left(route_set, message))

    # -- groups ---

    def _group_for(self, ledger: Ledger, message: Message) -> Group | None:
        """Where the message belongs; None where it was ended for want of any offer."""
        if message.carrier:
            carrier = self._carriers.get(message.carrier)
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
            self.rerouted += 1
        if message.passed_over:
            if group.home is not None and group.home.name not in message.passed_over:
                message.retry_at = 0
            if all(offer.carrier in message.passed_over for offer in group.offers):
                message.passed_over = ()

    def _group_left(self, route_set: RouteSet, message: Message) -> Group | None:
        """The group of the offers that are left to the message, those with a passing fault last."""
        if message.extras is None and not message.refused_by and not message.passed_over:
            return self._group_of_offers(route_set.key, route_set.offers)
        offers = self._offers_left(route_set, message)
        if not offers:
            return None
        offers.sort(key=lambda offer: offer.carrier in message.passed_over)
        if tuple(offers) == route_set.offers:
            return self._group_of_offers(route_set.key, route_set.offers)
        names = "\0".join(offer.carrier for offer in offers).encode()
        key = blake2b(route_set.key + names, digest_size=8).digest()
        return self._group_of_offers(key, tuple(offers))

    def _offers_left(self, route_set: RouteSet, message: Message) -> list[Offer]:
        """None that refused the message, and none its app would not have."""
        offers = [offer for offer in route_set.offers if offer.carrier not in message.refused_by]
        extras = message.extras
        if extras is None or not (extras.carriers or extras.max_cost or extras.tlvs):
            return offers
        wish = Wish(extras.carriers, extras.max_cost, bool(extras.tlvs))
        carriers = self._carriers

        def segments_of(name: str) -> int:
            if not extras.max_cost:
                return 1
            form = carriers[name].form if name in carriers else PLAIN_FORM
            plan = plan_message(message, form)
            return plan.segments if isinstance(plan, Plan) else UNPLANNED_SEGMENTS

        def has_tlvs(name: str) -> bool:
            return name not in carriers or carriers[name].has_tlvs

        judged = judge_offers(offers, wish, segments_of, has_tlvs)
        return [one.offer for one in judged if not one.out]

    def _route_set_of(self, message: Message) -> RouteSet | None:
        """The route set it was stored with, where that is one of this table's: one of an earlier
        run is not known before the table was asked for a number of it."""
        route_set = self._table.route_sets.get(message.route_set)
        if route_set is None:
            found = self._table.route_set_for(message.to)
            route_set = found if found and found.key == message.route_set else None
        return route_set

    def _group_of_first(self, ledger: Ledger, address: keys.QueueAddress) -> Group | None:
        """The group of ``address``, where it is a route set's or what is left of one. All its
        messages share their offers, so the first speaks for all."""
        rows = ledger.queue_rows(address.prefix, (0, 0), 1)
        message = ledger.message(rows[0][1]) if rows else None
        route_set = None if message is None else self._route_set_of(message)
        if message is None or route_set is None:
            return None
        group = self._group_left(route_set, message)
        return group if group is not None and group.key == address.group else None

    def _group_of_offers(self, key: bytes, offers: tuple[Offer, ...]) -> Group:
        group = self._groups.get(b"r" + key)
        if group is None:
            if len(self._groups) >= self._groups_max:
                self._drop_empty_groups()
            group = self._groups[b"r" + key] = Group(b"r" + key, offers)
            self._place(group)
            self._holding.unseen.discard(group.key)  # whatever comes to it is told at once
        return group

    def _drop_empty_groups(self) -> None:
        """Those that have a queue stay, however many, as each has its rows on disk; the one that
        the grant step is in the middle of has one still."""
        for key, group in list(self._groups.items()):
            if group.is_empty():
                self._holding.set_held(group, False)
                del self._groups[key]
        self._groups_max = 2 * len(self._groups) + GROUPS_SPARE

    def _own_groups(self) -> dict[bytes, Group]:
        return {carrier.own.key: carrier.own for carrier in self._carriers.values()}

    def _place(self, group: Group) -> None:
        """Puts the group to its first healthy offer."""
        known = [
            carrier
            for offer in group.offers
            if (carrier := self._carriers.get(offer.carrier)) is not None
        ]
        home = next((carrier for carrier in known if carrier.is_healthy()), None)
        if home is not group.home:
            group.move_home(home)
        self._holding.set_held(group, bool(known) and all(one.mode != "running" for one in known))

    # -- out of place ---

    def _look_on_disk(self, ledger: Ledger) -> None:
        """Finds the rows of carriers that came or went, and those of groups that are held now."""
        own = self._own_groups()
        for address in ledger.queue_addresses():
            if address.group in self._unread:
                self._find(address, own.get(address.group))
            if address.group in self._holding.unseen:
                self._holding.find(address)
        self._unread.clear()
        self._holding.unseen.clear()
        self._sort_stale()

    def _find(self, address: keys.QueueAddress, group: Group | None) -> None:
        window = QueueWindow(address.prefix, on_disk=True)
        if group is None:
            self._stale.append(window)
        else:
            group.add(address.lane, address.app, window)

    def _sort_stale(self) -> None:
        """Served from the end: one-time codes are routed anew before campaigns."""
        self._stale.sort(key=_lane_of, reverse=True)

    def _route_anew(self, ledger: Ledger, now_ms: int) -> None:
        """Moves messages out of groups that are no more, due or not."""
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
            if message is not None and message.queue_group == _group_of(window.prefix):
                ledger.dequeue(message)
                self.release(ledger, message, now_ms)


def _is_begun(message: Message) -> bool:
    """Whether a segment was taken or is on a wire: the rest goes before anything else."""
    return any(part.state in (GRANTED, TAKEN) for part in message.parts)


def _group_of(prefix: bytes) -> bytes:
    """The group in a queue prefix."""
    return prefix[1 : 1 + prefix[0]]


def _lane_of(window: QueueWindow) -> int:
    return window.prefix[1 + window.prefix[0]]
