"""Carriers, their binds, and what waits for them: the grant step's picture of the world.

Plain state with its own small invariants; who is granted what is decided in ``dispatch.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from smppd.routing.table import Offer
from smppd.smpp.throughput import Throughput
from smppd.store import keys
from smppd.store.records import LANES, Message
from smppd.traffic.queue import QueueWindow

OTP_RESERVE_MAX: Final = 4
"""Slots of a window kept for one-time codes: a fifth, at most this many, none below five."""


class Slot:
    """One configured bind of a carrier, as the grant step sees it."""

    def __init__(self, carrier: CarrierState, index: int, window: int) -> None:
        self.carrier = carrier
        self.index = index
        self.window = window
        self.reserve = min(window // 5, OTP_RESERVE_MAX)
        self.is_up = False
        self.is_stalled = False
        self.is_asleep = False
        self.granted: deque[bytes] = deque()
        self.late: list[bytes] = []
        self.half_sent: dict[int, None] = {}
        self.wake: Callable[[], None] = lambda: None

    def may_take(self) -> bool:
        """Whether the bind may be granted anything."""
        return self.is_up and not self.is_stalled

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

    ``own`` is what is bound to it; ``ready`` are, a lane each, the groups with messages whose
    first healthy offer it is, the one that is served next in front.
    """

    def __init__(self, name: str, *, binds: int, window: int, throughput: Throughput) -> None:
        self.name = name
        self.throughput = throughput
        self.slots = [Slot(self, index, window) for index in range(binds)]
        self.half_sent: dict[int, None] = {}
        self.ready: list[dict[Group, None]] = [{} for _ in LANES]
        self.own = Group(b"c" + name.encode(), ())

    def is_healthy(self) -> bool:
        """Bound and answering; or unbound by its own inactivity_timer, to be woken by work."""
        return any(slot.may_take() or slot.is_asleep for slot in self.slots)

    def has_work(self) -> bool:
        """Whether anything waits for it, due or not."""
        if self.half_sent or any(slot.half_sent for slot in self.slots):
            return True
        return any(self.ready) or not self.own.is_empty()


class Group:
    """Messages with the same offers: a queue a lane and app, empty ones removed.

    ``home`` is the carrier of the first healthy offer, None while there is none.
    """

    def __init__(self, key: bytes, offers: tuple[Offer, ...]) -> None:
        self.key = key
        self.offers = offers
        self.costs = {offer.carrier: offer.cost for offer in offers}
        self.lanes: list[dict[str, QueueWindow]] = [{} for _ in LANES]
        self.home: CarrierState | None = None

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
        if self.home is not None:
            self.home.ready[lane][self] = None

    def move_home(self, home: CarrierState | None) -> None:
        """Another carrier has become the first healthy offer."""
        if self.home is not None:
            for ready in self.home.ready:
                ready.pop(self, None)
        self.home = home
        if home is not None:
            for lane, queues in enumerate(self.lanes):
                if queues:
                    home.ready[lane][self] = None

    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not any(self.lanes)
