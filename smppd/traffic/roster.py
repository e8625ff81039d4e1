"""Carriers, their binds, and what waits for them: the grant step's picture of the world.

Plain state with its own small invariants; who is granted what is decided in ``dispatch.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from smppd.routing.offers import Offer
from smppd.smpp.throughput import Throughput
from smppd.store import keys
from smppd.store.changes import CarrierMode, Change
from smppd.store.records import LANES, Message
from smppd.text.segment import PLAIN_FORM, Form
from smppd.traffic.breaker import Breaker, count_errors
from smppd.traffic.counts import CarrierCounts
from smppd.traffic.dressing import Builds, Dress, choose_build
from smppd.traffic.queue import QueueWindow
from smppd.traffic.tap import Tap

BindKind = Literal["transceiver", "transmitter", "receiver"]

SLOT_KINDS: Final[dict[str, tuple[BindKind, ...]]] = {
    "transceiver": ("transceiver",),
    "transmitter": ("transmitter",),
    "receiver": ("receiver",),
    "pair": ("transmitter", "receiver"),
}
"""The slots of one of a carrier's ``binds``, by what its TOML says under ``bind``."""

OTP_RESERVE_MAX: Final = 4
"""Slots of a window kept for one-time codes: a fifth, at most this many, none below five."""


class Slot:
    """One configured bind of a carrier, as the grant step sees it; a receiver is granted nothing,
    whatever ``window`` its session has."""

    def __init__(
        self, carrier: CarrierState, index: int, window: int, kind: BindKind = "transceiver"
    ) -> None:
        self.carrier = carrier
        self.index = index
        self.window = window
        self.kind = kind
        self.reserve = min(window // 5, OTP_RESERVE_MAX)
        self.is_up = False
        self.is_stalled = False
        self.is_asleep = False
        self.granted: deque[bytes] = deque()
        self.late: list[bytes] = []
        self.half_sent: dict[int, None] = {}
        self.wake: Callable[[], None] = lambda: None

    def may_take(self) -> bool:
        """Whether the bind could be granted anything, were its carrier allowed to."""
        return self.is_up and not self.is_stalled and self.kind != "receiver"

    def take_granted(self) -> list[bytes]:
        """The tags granted and not handed to the link, which it will not get any more."""
        tags = [*self.late, *self.granted]
        self.late.clear()
        self.granted.clear()
        return tags

    def take_late(self) -> list[bytes]:
        """The tags that lay here past their validity."""
        tags, self.late = self.late, []
        return tags


class CarrierState:
    """A carrier, as the grant step sees it: its slots, its pace, and what waits for it.

    ``mode`` is the operator's word: ``paused`` is granted nothing, ``drained`` only what has
    begun; ``is_resting`` is the daemon's own drain, before its binds are replaced or taken away.
    ``own`` is what is bound to it; ``turns`` are, a lane each, the apps that have messages for it,
    bound to it or in groups whose first healthy offer it is, the app that is served next in front.
    ``lane`` is the one whose turn it is among those that share, ``credits`` what each may still be
    granted, or owes.
    """

    def __init__(
        self,
        name: str,
        *,
        binds: int,
        window: int,
        throughput: Throughput,
        bind: str = "transceiver",
        form: Form = PLAIN_FORM,
        has_tlvs: bool = True,
        submit_command: str = "submit_sm",
        mode: CarrierMode = "running",
        breaker: Breaker | None = None,
        dress: Dress | None = None,
    ) -> None:
        self.name = name
        self.breaker = breaker or Breaker()
        self.throughput = throughput
        self.form = form
        self.has_tlvs = has_tlvs
        self.build: Builds = choose_build(submit_command, dress)
        self.mode: CarrierMode = mode
        self.is_resting = False
        self.counts = CarrierCounts()
        self.tap: Tap | None = None
        kinds = SLOT_KINDS[bind] * binds
        self.slots = [Slot(self, index, window, kind) for index, kind in enumerate(kinds)]
        self.half_sent: dict[int, None] = {}
        self.turns: list[dict[str, Turn]] = [{} for _ in LANES]
        self.own = Group(b"c" + name.encode(), (), self)
        self.lane = LANES["promotional"]
        self.credits = [0 for _ in LANES]

    def is_healthy(self) -> bool:
        """Whether a new message may begin here: running, let by its breaker, and bound and
        answering; or unbound by its own inactivity_timer, to be woken by work."""
        return (
            self.begins()
            and self.breaker.lets_new
            and any(
                slot.may_take() or (slot.is_asleep and slot.kind != "receiver")
                for slot in self.slots
            )
        )

    def begins(self) -> bool:
        """Whether the operator, and the daemon, let it have new messages."""
        return self.mode == "running" and not self.is_resting

    def explain_health(self) -> str:
        """Why it is not healthy, for a person; "" where it is."""
        if self.is_healthy():
            return ""
        if self.mode != "running":
            return f"it is {self.mode}"
        if self.is_resting:
            return "its binds are being replaced"
        if any(slot.is_up and slot.is_stalled for slot in self.slots):
            return "it does not answer"
        if all(slot.kind == "receiver" for slot in self.slots):
            return "it has receiver binds only"
        if not any(slot.is_up or slot.is_asleep for slot in self.slots):
            return "no bind is up"
        return self.breaker.explain() or "no bind is up"

    def note(self, changes: list[Change], throttled: int, now: float) -> None:
        """What one read of a link came to: counted, and shown to the breaker."""
        counts = self.counts
        taken, failed = counts.taken, counts.refused + counts.doubted
        counts.add(changes, throttled)
        successes = counts.taken - taken
        failed = counts.refused + counts.doubted - failed
        if not successes and not failed and not throttled:
            return
        errors = count_errors(changes) if failed else 0
        self.breaker.note(successes, errors, now, throttled + failed - errors)

    def forget_waiting(self) -> None:
        """What waits for it is to be found on disk again."""
        self.half_sent.clear()
        for slot in self.slots:
            slot.half_sent.clear()
        self.turns = [{} for _ in LANES]
        self.own = Group(self.own.key, (), self)

    def take_over(self, old: CarrierState) -> None:
        """What is bound to the carrier waits for these binds now, and no more for the old ones."""
        self.half_sent = dict.fromkeys(old.half_sent_ids())
        for lane, windows in enumerate(old.own.lanes):
            for app, window in windows.items():
                self.own.add(lane, app, window)

    def charge(self, message: Message, segments: int) -> None:
        """Segments that went beside the turns, as the rest of what had begun: its lane and its app
        have had them all the same."""
        lane = LANES[message.message_class]
        self.credits[lane] -= segments
        if (turn := self.turns[lane].get(message.app)) is not None:
            turn.credit -= segments

    def has_half_sent(self) -> bool:
        """Whether its binds are in the middle of any message."""
        if self.half_sent:
            return True
        for slot in self.slots:  # noqa: SIM110  asked of each carrier at every commit
            if slot.half_sent:
                return True
        return False

    def half_sent_ids(self) -> set[int]:
        """The messages its binds are in the middle of."""
        return set(self.half_sent).union(*(slot.half_sent for slot in self.slots))

    def due_at(self, now_ms: int) -> int | None:
        """When it has work: ``now_ms`` where something is due, else when the first will be (ms);
        None where nothing waits for it."""
        if self.mode == "paused":
            return None
        if self.half_sent or any(slot.half_sent for slot in self.slots):
            return now_ms
        earliest: int | None = None
        for lane, turns in enumerate(self.turns):
            for app, turn in turns.items():
                due = turn.due_at(lane, app, now_ms)
                if due is not None and (earliest is None or due < earliest):
                    earliest = due
                    if due <= now_ms:
                        return due
        return earliest


class Turn:
    """What one app has for a carrier in one lane: ``groups``, the one served next in front, and
    the ``credit`` in segments it may be granted before the next app, or owes to the others.

    Deficit round robin (Shreedhar and Varghese 1995) by single segments, on credit: what a message
    takes is paid back in turns that are passed over, so that who sends long ones has no more.
    """

    __slots__ = ("credit", "groups")

    def __init__(self) -> None:
        self.credit = 1
        self.groups: dict[Group, None] = {}

    def due_at(self, lane: int, app: str, now_ms: int) -> int | None:
        """As ``CarrierState.due_at``."""
        earliest: int | None = None
        for group in self.groups:
            due = group.lanes[lane][app].due_at(now_ms)
            if due is not None and (earliest is None or due < earliest):
                earliest = due
                if due <= now_ms:
                    break
        return earliest


class Group:
    """Messages with the same offers: a queue a lane and app, empty ones removed.

    ``home`` is the carrier of the first healthy offer, None while there is none. ``is_held``: an
    operator has paused or drained every carrier that could take them. Invariant: ``home`` has a
    turn, naming this group, for each queue there is.
    """

    def __init__(
        self, key: bytes, offers: tuple[Offer, ...], home: CarrierState | None = None
    ) -> None:
        self.key = key
        self.offers = offers
        self.costs = {offer.carrier: offer.cost for offer in offers}
        self.is_held = False
        self.lanes: list[dict[str, QueueWindow]] = [{} for _ in LANES]
        self.home = home

    def push(self, message: Message) -> None:
        """A message was given its row in this group."""
        lane = LANES[message.message_class]
        window = self.lanes[lane].get(message.app)
        if window is None:
            window = QueueWindow(keys.queue_prefix(self.key, lane, message.app))
            self.add(lane, message.app, window)
        window.push(message.queue_due, message.id)

    def add(self, lane: int, app: str, window: QueueWindow) -> None:
        """Takes in a queue that has messages."""
        self.lanes[lane][app] = window
        self._take_turn(lane, app)

    def drop(self, lane: int, app: str) -> None:
        """A queue is empty."""
        del self.lanes[lane][app]
        self._leave_turn(lane, app)

    def move_home(self, home: CarrierState | None) -> None:
        """Another carrier has become the first healthy offer."""
        queues = [(lane, app) for lane, apps in enumerate(self.lanes) for app in apps]
        for lane, app in queues:
            self._leave_turn(lane, app)
        self.home = home
        for lane, app in queues:
            self._take_turn(lane, app)

    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not any(self.lanes)

    def _take_turn(self, lane: int, app: str) -> None:
        if self.home is not None:
            self.home.turns[lane].setdefault(app, Turn()).groups[self] = None

    def _leave_turn(self, lane: int, app: str) -> None:
        turns = {} if self.home is None else self.home.turns[lane]
        if (turn := turns.get(app)) is not None:
            turn.groups.pop(self, None)
            if not turn.groups:
                del turns[app]
