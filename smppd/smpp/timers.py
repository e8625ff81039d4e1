"""The four timers of SMPP (section 7.2) as deadlines of one session.

A value that is told what happened and when, and says when something is due. It holds no clock
and does nothing itself; what a deadline means is for ``bind.py`` to say.
"""

from __future__ import annotations

import math

import msgspec


class Timers(msgspec.Struct, frozen=True):
    """Seconds. A 0 for ``enquire_link_timer`` or ``inactivity_timer``: never."""

    session_init_timer: float = 10.0
    enquire_link_timer: float = 30.0
    response_timer: float = 30.0
    inactivity_timer: float = 0.0


class Deadlines:
    """When each timer of one session runs out; ``math.inf`` is never."""

    __slots__ = ("_enquire_link_resp", "_heard_at", "_timers", "_traffic_at", "phase")

    def __init__(self, timers: Timers, now: float) -> None:
        self._timers = timers
        self._heard_at = now
        self._traffic_at = now
        self._enquire_link_resp = math.inf
        # The end of waiting in this state: for a bind, its answer, a stalled window, unbind_resp.
        self.phase = math.inf

    def start_init(self, now: float) -> None:
        """The phase that begins ends after session_init_timer."""
        self.phase = now + self._timers.session_init_timer

    def start_stall(self, now: float) -> None:
        """The phase that begins ends after one more response_timer."""
        self.phase = now + self._timers.response_timer

    def response_deadline(self, now: float) -> float:
        """When a request that is sent now must have its answer."""
        return now + self._timers.response_timer

    def hear(self, now: float) -> None:
        """Octets came in, whatever they were."""
        self._heard_at = now

    def carry(self, now: float) -> None:
        """A submit_sm or deliver_sm went one way or the other."""
        self._traffic_at = now

    def start_enquire_link(self, now: float) -> None:
        """An enquire_link was sent; no second one is due before its answer."""
        self._enquire_link_resp = now + self._timers.response_timer

    def end_enquire_link(self) -> None:
        """It was answered."""
        self._enquire_link_resp = math.inf

    def enquire_link_unanswered(self, now: float) -> bool:
        """Whether the answer is overdue."""
        return self._enquire_link_resp <= now

    @property
    def enquire_link_at(self) -> float:
        """When the peer has been silent for so long that we ask."""
        timer = self._timers.enquire_link_timer
        if not timer or self._enquire_link_resp != math.inf:
            return math.inf
        return self._heard_at + timer

    @property
    def inactivity_at(self) -> float:
        """When an empty bind has been of no use for so long that we leave."""
        timer = self._timers.inactivity_timer
        return self._traffic_at + timer if timer else math.inf

    def next_of_bound(self, oldest: float | None, stalled: bool) -> float:
        """The first deadline of a bound session whose oldest request is due at ``oldest``."""
        deadline = min(self.phase, self._enquire_link_resp, self.enquire_link_at)
        if oldest is None:
            return min(deadline, self.inactivity_at)
        return deadline if stalled else min(deadline, oldest)
