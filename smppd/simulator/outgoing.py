"""The deliveries of one carrier: due later, ready, or unanswered on one link.

Each is in exactly one of these places. A link that ends gives back what it has, and whichever
link comes next sends it again: so none is lost, and one may come twice. A void one stays where it
is until it would have been sent, and is dropped then. What a delivery says is not known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from smppd.simulator.deliveries import Delivery
from smppd.simulator.schedule import Schedule
from smppd.simulator.statistics import CarrierStatistics


class Outgoing:
    """``wake`` is called whenever something was added; ``counts`` gets what was sent."""

    def __init__(self, wake: Callable[[], None], counts: CarrierStatistics) -> None:
        self._wake = wake
        self._counts = counts
        self._later: Schedule[Delivery] = Schedule(wake)
        self._ready: deque[Delivery] = deque()
        self._unanswered = 0
        self._voids = 0

    @property
    def waiting(self) -> int:
        """How many are due later, ready or unanswered, and not void."""
        return len(self._later) + len(self._ready) + self._unanswered - self._voids

    def put(self, deliveries: list[Delivery], due: float, now: float) -> None:
        """Send these at ``due``."""
        if due > now:
            self._later.put(deliveries, due)
        elif deliveries:
            self._ready += deliveries
            self._wake()

    def put_each(
        self, deliveries: Sequence[Delivery | None], dues: list[float], now: float
    ) -> None:
        """Send each at its own time; None is nothing to send."""
        if dues and dues.count(dues[0]) == len(dues):
            self.put([one for one in deliveries if one], dues[0], now)
            return
        for one, due in zip(deliveries, dues, strict=True):
            if one:
                self.put([one], due, now)

    def void(self, delivery: Delivery) -> None:
        """Never send this one, nor what doubles it. It must not have been sent."""
        assert not delivery.is_sent, "what was sent cannot be called back"
        delivery.is_void = True
        self._voids += 1

    def next_at(self, now: float) -> float:
        """When there is something to send; ``math.inf`` if nothing waits."""
        return now if self._ready else self._later.next_at()

    def take(self, room: int, now: float) -> list[Delivery]:
        """At most ``room`` of what is to be sent, the oldest first."""
        ready = self._ready
        if self._later.next_at() <= now:
            ready += self._later.take(now)
        if self._voids:
            self._drop_voids()
        taken = [ready.popleft() for _ in range(min(room, len(ready)))]
        self._unanswered += len(taken)
        for delivery in taken:
            self._count(delivery)
        return taken

    def settle(self, count: int) -> None:
        """So many were answered."""
        self._unanswered -= count

    def give_back(self, deliveries: list[Delivery]) -> None:
        """These were not answered: they are sent again, before all else."""
        self._unanswered -= len(deliveries)
        self._ready.extendleft(reversed(deliveries))
        self._wake()

    def _drop_voids(self) -> None:
        kept = [one for one in self._ready if not _is_void(one)]
        self._voids -= sum(one.is_void for one in self._ready)
        self._ready.clear()
        self._ready += kept

    def _count(self, delivery: Delivery) -> None:
        counts = self._counts
        if delivery.is_sent:
            counts.deliveries_resent += 1
        elif delivery.is_receipt:
            counts.receipts_sent += 1
        else:
            counts.inbound_sent += 1
        delivery.is_sent = True


def _is_void(delivery: Delivery) -> bool:
    return delivery.is_void or (delivery.original is not None and delivery.original.is_void)
