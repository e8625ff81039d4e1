"""Which waiting message goes on which wire: what links, operators and reloads say to that, and
the hand-over to the links.

Where messages wait is ``places``, who is granted what ``granting``; this is the face of both.

Numbered invariants:

1. ``take`` hands over only grants whose transaction has committed (the grant step and the commit
   are one synchronous call, so no task sees a grant in between).
2. A slot that is not up is granted nothing, nor is a receiver, nor any of a paused carrier's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from smppd import faults
from smppd.routing.table import RoutingTable
from smppd.smpp.session import Submit
from smppd.store.changes import CarrierMode, Change, GivenBack, Restored
from smppd.store.ledger import Ledger
from smppd.store.records import Message
from smppd.store.store import Store
from smppd.traffic.granting import DEFAULT_WEIGHTS, Granting
from smppd.traffic.places import Places
from smppd.traffic.roster import CarrierState, Slot


class DispatchStatistics(msgspec.Struct, frozen=True):
    """Counts since start; ``queued_in_memory`` is now's, a part of what waits on disk."""

    granted: int
    rerouted: int
    queued_in_memory: int


class Dispatch:
    """The granter of the store, and the source of every link's submits.

    ``clock`` is the monotonic clock the throughputs are paced by, in seconds; ``weights`` are
    those of the lanes that share, by class (one-time codes go first whatever is said of them).
    """

    def __init__(
        self,
        table: RoutingTable,
        carriers: dict[str, CarrierState],
        clock: Callable[[], float],
        weights: Mapping[str, int] = DEFAULT_WEIGHTS,
    ) -> None:
        self.carriers = carriers
        self._places = Places(table, carriers)
        self._granting = Granting(self._places, clock)
        self._granting.set_weights(weights)

    # -- what the links say ---

    def bind_up(self, slot: Slot, wake: Callable[[], None]) -> None:
        """A bind was accepted: it may be granted messages; ``wake`` rouses its writer."""
        slot.is_up, slot.is_stalled, slot.is_asleep = True, False, False
        slot.wake = wake
        self._places.health_changed(slot.carrier)

    def bind_stalled(self, slot: Slot) -> list[bytes]:
        """A response_timer ran out, or the SMSC unbound: nothing new for this bind. The tags
        granted and never taken, to be given back as a change."""
        slot.is_stalled = True
        self._places.health_changed(slot.carrier)
        return slot.take_granted()

    def bind_down(self, slot: Slot) -> list[bytes]:
        """A bind ended: the tags granted and never taken, to be given back as a change."""
        was_of_use = slot.is_up or slot.is_asleep
        slot.is_up = slot.is_asleep = False
        slot.wake = lambda: None
        for message_id in slot.half_sent:
            slot.carrier.half_sent[message_id] = None
        slot.half_sent.clear()
        if was_of_use:  # and not only a try that failed, as a dead carrier has one a minute
            self._places.health_changed(slot.carrier)
        return slot.take_granted()

    def bind_asleep(self, slot: Slot, wake: Callable[[], None]) -> None:
        """The bind unbound itself for inactivity; ``wake`` has it bind again."""
        slot.is_asleep = True
        slot.wake = wake
        self._places.health_changed(slot.carrier)

    # -- what the operator and a reload say; each wants a commit after it ---

    def set_mode(self, name: str, mode: CarrierMode) -> list[Change]:
        """From now on the carrier is ``running``; ``paused``: nothing more at all; ``drained``:
        only what has begun. What was granted and never taken, given back; ``SetMode`` keeps the
        mode, and is the caller's."""
        carrier = self.carriers.get(name)
        if carrier is None:
            return []
        carrier.mode = mode
        if mode == "running":
            carrier.is_resting = False
        self._places.health_changed(carrier)
        return _give_back(carrier) if mode == "paused" else []

    def set_resting(self, name: str) -> list[Change]:
        """Before the carrier's binds are replaced or taken away: as ``drained``, but not the
        operator's word, so that nobody is told ``held`` for it."""
        carrier = self.carriers.get(name)
        if carrier is not None:
            carrier.is_resting = True
            self._places.health_changed(carrier)
        return []

    def set_table(self, table: RoutingTable, weights: Mapping[str, int] = DEFAULT_WEIGHTS) -> None:
        """What waits by another table is routed anew, one-time codes first, in batches."""
        self._granting.set_weights(weights)
        self._places.set_table(table)

    def add_carrier(self, carrier: CarrierState) -> None:
        """A carrier more, in the mode its state says; none of its binds is up yet."""
        assert carrier.name not in self.carriers, f"there is a carrier {carrier.name} already"
        self.carriers[carrier.name] = carrier
        self._places.carrier_added(carrier)

    def replace_carrier(self, carrier: CarrierState) -> list[Change]:
        """The carrier of that name has other binds: the old ones are granted nothing more, and
        what waits for it waits on. What the old ones were granted and never took, given back."""
        old = self.carriers[carrier.name]
        self.carriers[carrier.name] = carrier
        self._places.carrier_replaced(old, carrier)
        return _give_back(old)

    def remove_carrier(self, name: str) -> list[Change]:
        """The carrier is no longer configured. What it has not begun goes to the other offers;
        half-sent messages fail, promised resends are not made (docs/protocol.md, Doubt). What it
        was granted and never took, given back."""
        carrier = self.carriers.pop(name)
        self._places.carrier_removed(carrier)
        return _give_back(carrier)

    def stop(self) -> None:
        """Grants no message that has not begun; half-sent ones may finish."""
        self._granting.is_stopping = True

    def is_idle(self, store: Store) -> bool:
        """Whether no grant is open and no message half-sent on a bind that is up."""
        return all(self.is_carrier_idle(store, name) for name in self.carriers)

    def is_carrier_idle(self, store: Store, name: str) -> bool:
        """The same for one carrier; of a paused one nothing half-sent is waited for."""
        carrier = self.carriers.get(name)
        slots = [] if carrier is None else [slot for slot in carrier.slots if slot.is_up]
        if carrier is None or not slots:
            return True
        if any(store.open_grants(name, slot.index) for slot in slots):
            return False
        is_begun = any(slot.half_sent for slot in slots) or not carrier.own.is_empty()
        return carrier.mode == "paused" or not is_begun

    def load(self, ledger: Ledger) -> None:
        """Finds what waits on disk; inside the first commit of a start (see ``recover``)."""
        self._places.load(ledger)

    def next_at(self) -> tuple[float | None, int | None]:
        """When a grant may become possible though nothing happens: monotonic seconds (a pace)
        and wall milliseconds (a retry)."""
        return self._granting.paced_until, self._granting.next_at_ms

    def wake_granted(self) -> None:
        """After the commit: rouses the writers that have something to take."""
        woken = self._granting.woken
        for slot in woken:
            slot.wake()
        woken.clear()

    def statistics(self) -> DispatchStatistics:
        """Counts since start."""
        rows = sum(len(window) for window in self._places.windows())
        return DispatchStatistics(self._granting.granted, self._places.rerouted, rows)

    # -- the grant step ---

    def grant(self, ledger: Ledger, now_ms: int) -> None:
        """Queues what the batch released, then grants what windows and paces allow."""
        self._granting.grant(ledger, list(self.carriers.values()), now_ms)

    def rebuild(self, ledger: Ledger) -> None:
        """The last grant step never happened: what waits is found on disk, as at a start, and of
        what lies ready for the links only what was granted before is left."""
        self._places = self._places.anew()
        self._granting.take_back(self._places)
        self._places.load(ledger)

    # -- the hand-over ---

    def take(self, slot: Slot, store: Store, room: int, now_ms: int) -> list[Submit]:
        """The submits of up to ``room`` committed grants of this bind, in the order granted.

        What lay here past its validity goes to ``slot.late``, to be given back.
        """
        granted = slot.granted
        build = slot.carrier.build
        submits = []
        for _ in range(min(room, len(granted))):
            tag = granted.popleft()
            found = store.message_of(tag)
            assert found is not None, "a grant names a message that is not there"
            message, index = found
            if now_ms >= message.expires_at and _is_too_late(message, index):
                slot.late.append(tag)
            else:
                pdu = build(message, index, now_ms)
                submits.append(Submit(tag, pdu))
        return submits


def _give_back(carrier: CarrierState) -> list[Change]:
    """What its slots were granted and their links will not get any more."""
    return [
        GivenBack(carrier.name, slot.index, tags, 0)
        for slot in carrier.slots
        if (tags := slot.take_granted())
    ]


def _is_too_late(message: Message, index: int) -> bool:
    """Past ``valid_for`` nothing begins and no resend is made; only what was begun goes on."""
    return not message.first_taken_at or message.parts[index].doubted


def doubt_restored(
    store: Store, now_ms: int, told: Callable[[Restored], object] = lambda so_far: None
) -> Restored | None:
    """Before ``recover``: where the store is a copy, all that waits in it becomes doubt, in many
    commits; ``told`` after each. What came of it, None where the store is none."""
    result = found = store.doubt_restored(now_ms)
    while found is not None and not found.is_done:
        faults.reach("restore.batch")
        told(found)
        result = found = store.doubt_restored(now_ms)
    return result


def recover(store: Store, dispatch: Dispatch, now_ms: int) -> int:
    """The first commit of a start: open grants become doubt, the queue is found, and carriers are
    in the mode an operator left them in. The number of doubtful segments."""
    doubts = store.open_tags(now_ms)
    for name, mode in store.modes().items():
        dispatch.set_mode(name, mode)

    class _Recovery:
        def grant(self, ledger: Ledger, now_ms: int) -> None:
            dispatch.load(ledger)
            dispatch.grant(ledger, now_ms)

        def rebuild(self, ledger: Ledger) -> None:
            dispatch.rebuild(ledger)

    store.commit(list(doubts), _Recovery(), now_ms)
    return sum(len(doubt.tags) for doubt in doubts)
