"""The grant step: who is granted what, as windows, paces and weights allow.

A carrier is offered what is bound to it, and the groups whose first healthy offer it is now
(``places``). Half-sent messages go first, then one-time codes; the other classes share what is
left by their weights; within a class the apps take turns, segment by segment (``Turn``), and the
groups of an app. All of it happens inside a commit, and none of it is known outside before that is
on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import ceil
from typing import Final

from smppd.store import life
from smppd.store.fitting import needs_tlvs
from smppd.store.ledger import Ledger
from smppd.store.records import GRANTED, LANES, WAITING, Message
from smppd.traffic.places import Places
from smppd.traffic.queue import Refill, Row
from smppd.traffic.roster import CarrierState, Group, Slot, Turn

OTP_LANE: Final = LANES["otp"]
SHARING_LANES: Final = (LANES["transactional"], LANES["promotional"])
_NEXT_LANE: Final = dict(zip(SHARING_LANES, reversed(SHARING_LANES), strict=True))

DEFAULT_WEIGHTS: Final[Mapping[str, int]] = {"transactional": 4, "promotional": 1}
"""Segments a lane is granted in its turn where both have any."""

LOOKS_MAX: Final = 500
"""Queue rows looked at in one commit, granted or found expired: some five milliseconds."""

PACE_TICK_SECONDS: Final = 0.02
"""Paced carriers are served in common ticks, so that they share commits: fifty a second. None loses
pace by it: less than what ``smpp/throughput.py`` lets a sender be late (LATE_SECONDS)."""


class Granting:
    """See the module. ``woken`` are the slots that were granted something; ``next_at_ms`` (wall)
    and ``paced_until`` (monotonic seconds) say when more may be possible though nothing happens;
    ``is_stopping``: no message begins any more; ``granted`` counts segments since start."""

    def __init__(self, places: Places, clock: Callable[[], float]) -> None:
        self._places = places
        self._clock = clock
        self._weights: list[int] = []
        self._turn = 0
        self._looks = LOOKS_MAX
        self._marks: list[tuple[Slot, int]] = []
        self.is_stopping = False
        self.woken: list[Slot] = []
        self.next_at_ms: int | None = None
        self.paced_until: float | None = None
        self.granted = 0

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """Those of the lanes that share, by class; others are not looked at."""
        self._weights = [weights.get(name, DEFAULT_WEIGHTS.get(name, 1)) for name in LANES]

    def grant(self, ledger: Ledger, carriers: list[CarrierState], now_ms: int) -> None:
        """Queues what the batch released, then grants it, one carrier after the other; nothing
        where the disk might not hold the outcome."""
        self._marks.clear()
        tripped = self._heed_breakers(carriers)
        released, ledger.released = ledger.released, []
        for message in released:
            self._places.release(ledger, message, now_ms)
        self.next_at_ms = self._places.settle(ledger, now_ms)
        self.paced_until = None
        if ledger.is_low:
            return
        self._turn += 1
        self._looks = LOOKS_MAX
        if tripped:
            self._probe(ledger, tripped, now_ms)
        start = self._turn % max(len(carriers), 1)
        for carrier in carriers[start:] + carriers[:start]:
            # Of three hundred carriers most have nothing to do in a commit.
            if not (any(carrier.turns) or carrier.has_half_sent()):
                continue
            if carrier.mode != "paused" and not carrier.breaker.awaits_probe:
                self._grant_carrier(ledger, carrier, now_ms)

    def take_back(self, places: Places) -> None:
        """The last ``grant`` never happened, and messages wait in ``places`` now. What it spent of
        the paces is spent."""
        for slot, length in self._marks:
            while len(slot.granted) > length:
                slot.granted.pop()
                self.granted -= 1
        self._marks.clear()
        self.woken.clear()
        self._places = places
        self.next_at_ms = self.paced_until = None

    def _heed_breakers(self, carriers: list[CarrierState]) -> list[CarrierState]:
        """The carriers that fail what they are given, once what waits has gone to others, or come
        back for the probe."""
        tripped = [carrier for carrier in carriers if not carrier.breaker.is_quiet]
        if tripped:
            now = self._clock()
            for carrier in tripped:
                if carrier.breaker.look(now):
                    self._places.health_changed(carrier)
        return tripped

    def _probe(self, ledger: Ledger, tripped: list[CarrierState], now_ms: int) -> None:
        """One segment to each carrier whose cool-down is over; the rest goes elsewhere meanwhile,
        in this same commit."""
        now = self._clock()
        for carrier in tripped:
            breaker = carrier.breaker
            if breaker.awaits_probe and carrier.mode != "paused":
                granted = self.granted
                self._grant_carrier(ledger, carrier, now_ms, most=1)
                if self.granted > granted:
                    breaker.begin_probe(now)
                    breaker.look(now)
                    self._places.health_changed(carrier)
            if not breaker.lets_new:
                self._note_paced(breaker.until)

    def _grant_carrier(
        self, ledger: Ledger, carrier: CarrierState, now_ms: int, most: int | None = None
    ) -> None:
        """Grants what its binds and its pace have room for; ``most`` bounds it further."""
        slots = [slot for slot in carrier.slots if slot.may_take()]
        self._wake_sleeping(carrier, now_ms)
        if not slots:
            return
        now = self._clock()
        start = self._turn % len(slots)
        for slot in slots[start:] + slots[:start]:
            free = slot.window - ledger.open_grants(carrier.name, slot.index)
            allowance = carrier.throughput.allowance(now)
            room = min(free, allowance)
            if most is not None:
                room = min(room, most)
            if room <= 0:
                continue
            self._marks.append((slot, len(slot.granted)))
            spare = min(free - slot.reserve, allowance - carrier.throughput.kept)
            granted = self._grant_slot(ledger, slot, room, spare, now_ms)
            if granted:
                carrier.throughput.spend(granted, now)
                self.granted += granted
                self.woken.append(slot)
                if most is not None:
                    break
        self._note_pace(carrier, now, now_ms)

    def _note_pace(self, carrier: CarrierState, now: float, now_ms: int) -> None:
        """When the carrier's pace allows the next one, where something waits for that: of what is
        kept for one-time codes only they are granted."""
        throughput = carrier.throughput
        allowance, kept = throughput.allowance(now), throughput.kept
        due = carrier.due_at(now_ms) if allowance <= kept else None
        if due is None:
            return
        if due > now_ms:
            self._note_due(due)
            return
        next_at = throughput.next_at(now, 1 if allowance <= 0 else kept + 1)
        self._note_paced(ceil(next_at / PACE_TICK_SECONDS) * PACE_TICK_SECONDS)

    def _note_paced(self, at: float) -> None:
        if self.paced_until is None or at < self.paced_until:
            self.paced_until = at

    def _grant_slot(self, ledger: Ledger, slot: Slot, room: int, spare: int, now_ms: int) -> int:
        """Grants up to ``room`` segments: half-sent messages, one-time codes, the rest.

        ``spare`` is the room of which none is kept for one-time codes. Returns how many were
        granted.
        """
        throughput = slot.carrier.throughput
        kept = max(room - (throughput.allowance(self._clock()) - throughput.kept), 0)
        left = self._grant_half_sent(ledger, slot, room, kept, now_ms)
        if left > 0:
            left -= self._grant_lane(ledger, slot, OTP_LANE, left, left, now_ms)
        if (rest := min(left, spare - (room - left))) > 0:
            left -= self._grant_shares(ledger, slot, rest, now_ms)
        return room - left

    def _grant_half_sent(
        self, ledger: Ledger, slot: Slot, room: int, kept: int, now_ms: int
    ) -> int:
        """Goes on with what was begun; of ``kept``, which the pace keeps for one-time codes, only
        they are granted. Returns how much room is left."""
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
            most = room if message.message_class == "otp" else room - kept
            if most <= 0:
                continue
            granted = self._grant_message(ledger, slot, message, message.cost, most, now_ms)
            slot.carrier.charge(message, granted)
            room -= granted
            if not life.is_waiting(message):
                slot.half_sent.pop(message_id, None)
        return room

    def _grant_shares(self, ledger: Ledger, slot: Slot, room: int, now_ms: int) -> int:
        """The lanes that share take turns, each up to its weight in segments; what a message takes
        beyond that, its lane owes. Turn and credit outlast the commit, as a window that is full
        frees one place at a time."""
        carrier = slot.carrier
        credits = carrier.credits
        live = [lane for lane in SHARING_LANES if carrier.turns[lane]]
        granted = 0
        while granted < room and len(live) > 1:
            lane = carrier.lane
            if credits[lane] <= 0:
                carrier.lane = lane = _NEXT_LANE[lane]
                credits[lane] += self._weights[lane]
                continue
            share = min(credits[lane], room - granted)
            used = self._grant_lane(ledger, slot, lane, room - granted, share, now_ms)
            granted += used
            credits[lane] -= used
            if used < share:  # nothing more of it is due
                live.remove(lane)
                credits[lane] = 0
        if granted < room and live:  # nobody to share with: nothing is owed
            credits[live[0]] = 0
            left = room - granted
            granted += self._grant_lane(ledger, slot, live[0], left, left, now_ms)
        return granted

    def _grant_lane(
        self, ledger: Ledger, slot: Slot, lane: int, room: int, share: int, now_ms: int
    ) -> int:
        """Grants from one lane until ``share`` is used up, the apps taking turns; at most ``room``,
        and beyond ``share`` only what the last message takes. Returns how many were granted."""
        turns = slot.carrier.turns[lane]
        live = deque(turns)  # the apps that may have something due
        used = 0
        while used < share and live:
            app = live[0]
            turn = turns[app]
            is_alone = len(live) == 1
            if turn.credit <= 0 and not is_alone:
                turns[app] = turns.pop(app)
                turn.credit += 1
                live.rotate(-1)
                continue
            part = share - used if is_alone else min(turn.credit, share - used)
            granted = self._grant_turn(ledger, slot, turn, lane, app, room - used, part, now_ms)
            used += granted
            turn.credit -= granted
            if is_alone or granted < part:  # nobody to share with, or nothing more is due
                turn.credit = 1
            if granted < part:
                live.popleft()
                if app in turns:
                    turns[app] = turns.pop(app)
        return used

    def _grant_turn(
        self,
        ledger: Ledger,
        slot: Slot,
        turn: Turn,
        lane: int,
        app: str,
        room: int,
        share: int,
        now_ms: int,
    ) -> int:
        """The same for one app: what is bound to the carrier, then its groups in turn."""
        groups, own = turn.groups, slot.carrier.own
        used = idle = 0
        if own in groups:
            used = self._grant_queue(ledger, slot, own, lane, app, room, share, now_ms)
        while used < share and idle < len(groups) and not self.is_stopping:
            group = next(iter(groups))
            groups[group] = groups.pop(group)
            part = 0 if group is own else share - used if len(groups) == 1 else 1
            granted = self._grant_queue(ledger, slot, group, lane, app, room - used, part, now_ms)
            used += granted
            if 0 < part <= granted:
                idle = 0
            elif group in groups:
                idle += 1
        return used

    def _grant_queue(
        self,
        ledger: Ledger,
        slot: Slot,
        group: Group,
        lane: int,
        app: str,
        room: int,
        share: int,
        now_ms: int,
    ) -> int:
        """The same for one queue; one that turns out to be empty is gone."""
        window, key = group.lanes[lane][app], group.key
        own = group is slot.carrier.own
        rows = _rows_not_half_sent(ledger, slot.carrier) if own else ledger.queue_rows
        cost = group.costs.get(slot.carrier.name)
        find = ledger.messages.get
        used = 0
        while used < share:
            if not self._looks:
                self.next_at_ms = now_ms
                break
            message_id = window.pop(now_ms, rows)
            if message_id is None:
                if window.is_empty():
                    group.drop(lane, app)
                else:
                    self._note_due(window.next_due())
                break
            self._looks -= 1
            message = find(message_id)
            if message is not None and message.queue_group == key:
                price = message.cost if cost is None else cost
                used += self._grant_message(ledger, slot, message, price, room - used, now_ms)
        return used

    def _grant_message(
        self, ledger: Ledger, slot: Slot, message: Message, cost: str, room: int, now_ms: int
    ) -> int:
        """Grants up to ``room`` segments of one message; what does not fit is half-sent now."""
        if now_ms >= message.expires_at and ledger.expire(message):
            return 0
        if message.bind != slot.index and _is_outstanding(message):
            # Its segments go out on one bind; it is looked at again when that one has ended.
            slot.carrier.half_sent[message.id] = None
            slot.half_sent.pop(message.id, None)
            return 0
        carrier = slot.carrier
        if message.carrier != carrier.name and not self._bind(ledger, message, carrier, cost):
            self._places.release(ledger, message, now_ms)
            return 0
        if not carrier.has_tlvs and needs_tlvs(message):
            # It was begun when the carrier still spoke 3.4: the rest of it cannot be said any more.
            ledger.fail(message, "no_route_left")
            return 0
        parts = message.parts
        indexes = [0] if len(parts) == 1 else _waiting_indexes(message, now_ms)[:room]
        if not indexes:
            # Too late for the rest, and not for what is unanswered: that decides (life.expire).
            slot.carrier.half_sent[message.id] = None
            slot.half_sent.pop(message.id, None)
            return 0
        slot.granted += ledger.grant(message, indexes, slot.index)
        if len(parts) > 1 and life.is_waiting(message):
            if message.queue_group != carrier.own.key:
                ledger.enqueue(message, carrier.own.key)
            slot.half_sent[message.id] = None
        return len(indexes)

    def _bind(self, ledger: Ledger, message: Message, carrier: CarrierState, cost: str) -> bool:
        """Binds the message to the carrier; False where it must go elsewhere after all."""
        if self._places.may_go(message, carrier):
            if ledger.bind(message, carrier.name, cost):
                return True
            message.refused_by = (*message.refused_by, carrier.name)
        ledger.dequeue(message)
        return False

    def _wake_sleeping(self, carrier: CarrierState, now_ms: int) -> None:
        asleep = [] if self.is_stopping else [slot for slot in carrier.slots if slot.is_asleep]
        due = carrier.due_at(now_ms) if asleep else None
        if due is None:
            return
        if due > now_ms:
            self._note_due(due)
            return
        for slot in asleep:
            slot.wake()

    def _note_due(self, due: int | None) -> None:
        if due is not None and (self.next_at_ms is None or due < self.next_at_ms):
            self.next_at_ms = due


def _rows_not_half_sent(ledger: Ledger, carrier: CarrierState) -> Refill:
    """The rows of a carrier's own queue but for what its binds are in the middle of: the rest of
    a message goes where it began."""

    def rows_of(prefix: bytes, after: Row, rows_max: int) -> list[Row]:
        held = carrier.half_sent_ids()
        rows = ledger.queue_rows(prefix, after, rows_max + len(held))
        return [row for row in rows if row[1] not in held][:rows_max]

    return rows_of


def _is_outstanding(message: Message) -> bool:
    return any(part.state == GRANTED for part in message.parts)


def _waiting_indexes(message: Message, now_ms: int) -> list[int]:
    """Of those that may still go: past ``valid_for`` nothing begins and no resend is made."""
    waiting = [index for index, part in enumerate(message.parts) if part.state == WAITING]
    if now_ms < message.expires_at:
        return waiting
    parts = message.parts if message.first_taken_at else []
    return [index for index in waiting if parts and not parts[index].doubted]
