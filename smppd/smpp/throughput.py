"""How many submit_sm a second a carrier takes, and what its throttling does to that.

One value per carrier, shared by its sessions. It holds no clock and sends nothing: it is asked
how many may go now, told how many went, and told when the carrier answered ESME_RTHROTTLED or
ESME_RMSGQFUL.

The bucket
    The pace is the limit until the carrier complains. Leave to send grows with the pace, and at
    most AHEAD_SECONDS of it is saved up (or one submit, and what grows in LATE_SECONDS): so in any
    ``t`` seconds no more go out than ``limit * t`` and one such burst.

What is kept
    Where that is wanted, a fifth of the burst is kept for what is urgent, at least one submit and
    at most KEPT_MAX: the burst of a slow pace is one submit longer for it. Who asks keeps to it:
    others are to be granted ``allowance - kept``. A pace that the carrier has cut keeps nothing.

The cut
    At most one a second, as one overload is answered by a whole window of errors. The new pace is
    half of what was sent in the last second, since that and not the limit was too much, or half
    of the pace where the last second measured nothing; never below PACE_MIN. Leave that was saved
    up is lost: the next submit waits for its own.

The recovery
    Every second without a further cut the pace grows by 10 % of what it was before that cut, up to
    95 % of that. There it rests for five seconds, and then it grows on by 10 % of itself a second:
    careful where it is known to work, and quick again after a long outage that cut it to the floor
    (from 1 to 1,000 a second in 74 seconds). It ends at the limit. Without a limit it ends at twice
    the pace measured before the first cut, and the carrier is unlimited again.

The hysteresis
    Down goes at once and up after a calm: one cut a second at most, and the rest just below the
    pace that was too much. A carrier that takes less than our limit all the time is so given 83 %
    of what it takes and complains every nine seconds; without the rest, 75 % and every six.

The additive climb after a multiplicative cut is what lets several senders share a queue fairly
(Chiu and Jain 1989); Postfix's SCHEDULER_README applies it to destinations, with a hysteresis of
its own.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import msgspec

# How far ahead of the pace a burst may run: long enough to fill one read's worth of window in
# one write at any real limit, short enough that no carrier that counts by the second sees it.
AHEAD_SECONDS: Final = 0.1

# How late a sender of single submits may ask without losing pace: the tick it wakes at
# (traffic/granting.py), and a commit on a slow disk. Below 20 a second it is never two at once.
LATE_SECONDS: Final = AHEAD_SECONDS / 2

# What is kept of a burst for the urgent: enough for a few at once, and so little of a fast pace
# that the others do not miss it.
KEPT_MAX: Final = 4
KEPT_SHARE: Final = 0.2

# What "no limit" allows at once; more than any window.
UNLIMITED: Final = 1_000_000

CUT_SECONDS: Final = 1.0  # between cuts, and between steps of the recovery; also what is measured
CUT_FACTOR: Final = 0.5
GROWTH: Final = 0.1
NEAR_SHARE: Final = 0.95  # of the pace that was too much: what is climbed to before the rest
REST_SECONDS: Final = 5.0  # as long as the climb from a cut to there
PACE_MIN: Final = 1.0  # submits a second: a carrier that throttles all is still asked
PROBE_FACTOR: Final = 2.0  # without a limit: how far past the first cut's pace we still climb

# What was sent is remembered in slices of 10 ms for one second: at most 101 of them.
SLICE_SECONDS: Final = 0.01

# A thousandth of a submit: what is missing of a whole one only by rounding is whole. A double
# that counts seconds since boot rounds to 1e-8 at worst, so this holds up to 100,000 a second.
_ROUNDING: Final = 1e-3


class ThroughputStatistics(msgspec.Struct, frozen=True):
    """Submits a second (``limit`` 0: none; ``pace`` inf: unlimited), and counts."""

    limit: float
    pace: float
    slowed: bool
    spent: int
    cuts: int


class _Spent(msgspec.Struct):
    """What went out in one slice of time."""

    since: float
    count: int


class Throughput:
    """See the module. ``now`` is monotonic seconds, and never goes back between calls."""

    def __init__(self, limit: float = 0.0, *, keeps: bool = False) -> None:
        if not 0 <= limit < math.inf:
            raise ValueError("a throughput is a number of submits a second, 0 for no limit")
        self._keeps = keeps
        self._limit = limit
        self._ceiling = limit or math.inf
        self._pace = self._ceiling
        self._leave = math.inf  # the bucket begins full; _advance trims it to the burst
        self._counted_to = -math.inf
        self._recent: deque[_Spent] = deque()
        self._recent_count = 0

        # Of the recovery; meaningless while not slowed.
        self._slowed = False
        self._cut_at = -math.inf
        self._grow_at = math.inf
        self._pace_before = 0.0
        self._spent = 0
        self._cuts = 0

    def set_limit(self, limit: float, now: float) -> None:
        """The operator changed the limit: from now on it counts, what is owed stays owed, and a
        pace that is slowed goes on growing towards the new one."""
        if not 0 <= limit < math.inf:
            raise ValueError("a throughput is a number of submits a second, 0 for no limit")
        self._advance(now)
        self._limit = limit
        if not self._slowed:
            self._ceiling = self._pace = limit or math.inf
            self._leave = min(self._leave, self._burst()) if limit else math.inf
        elif limit:
            self._ceiling = limit
            self._pace = min(self._pace, limit)

    def allowance(self, now: float) -> int:
        """How many submits may go out now."""
        self._advance(now)
        if self._pace == math.inf:
            return UNLIMITED
        return max(0, int(self._leave + _ROUNDING))

    def spend(self, count: int, now: float) -> None:
        """``count`` submits went out; beyond the allowance they are owed, and delay the next."""
        if not count:
            return
        self._advance(now)
        self._leave -= count
        self._spent += count
        self._remember(count, now)

    @property
    def kept(self) -> int:
        """How many of those that may go are kept for what is urgent."""
        if not self._keeps or self._slowed or self._pace == math.inf:
            return 0
        return min(max(int(self._pace * AHEAD_SECONDS * KEPT_SHARE), 1), KEPT_MAX)

    def next_at(self, now: float, count: int = 1) -> float:
        """When ``allowance`` is at least ``count``: ``now`` if it is already."""
        if self.allowance(now) >= count:
            return now
        return now + (count - self._leave) / self._pace

    def slow_down(self, now: float) -> None:
        """The carrier said ESME_RTHROTTLED or ESME_RMSGQFUL."""
        if now - self._cut_at < CUT_SECONDS:
            return
        self._advance(now)
        self._leave = min(self._leave, 0.0)
        self._forget(now)
        measured = float(self._recent_count)
        if not self._slowed and not self._limit:
            self._ceiling = max(PROBE_FACTOR * measured, PACE_MIN)
        finite = self._pace if self._pace < math.inf else max(measured, PACE_MIN)
        self._pace_before = finite
        floor = min(PACE_MIN, self._ceiling)
        self._pace = max(CUT_FACTOR * (min(measured, finite) or finite), floor)
        self._slowed = True
        self._cut_at = now
        self._grow_at = now + CUT_SECONDS
        self._cuts += 1

    def statistics(self) -> ThroughputStatistics:
        """The state of the pace, for metrics and ``smppctl``."""
        return ThroughputStatistics(self._limit, self._pace, self._slowed, self._spent, self._cuts)

    def _advance(self, now: float) -> None:
        """Count leave up to ``now``, through every step the pace has taken meanwhile."""
        while self._grow_at <= now:
            self._count_leave(self._grow_at)
            self._grow()
        self._count_leave(now)

    def _count_leave(self, until: float) -> None:
        if until > self._counted_to:
            grown = (until - self._counted_to) * self._pace
            self._leave = min(self._leave + grown, self._burst())
            self._counted_to = until

    def _burst(self) -> float:
        """What may go out at once after a silence."""
        return max(1.0 + self.kept + self._pace * LATE_SECONDS, self._pace * AHEAD_SECONDS)

    def _grow(self) -> None:
        """One step of the recovery; past the ceiling it is over."""
        self._grow_at += CUT_SECONDS
        near = NEAR_SHARE * self._pace_before
        if self._pace < near:
            self._pace = min(self._pace + GROWTH * self._pace_before, near)
            if self._pace == near:
                self._grow_at += REST_SECONDS
        else:
            self._pace += GROWTH * self._pace
        if self._pace < self._ceiling:
            return
        self._ceiling = self._limit or math.inf
        self._pace = self._ceiling
        if not self._limit:
            self._leave = math.inf
        self._slowed = False
        self._grow_at = math.inf

    def _remember(self, count: int, now: float) -> None:
        self._forget(now)
        recent = self._recent
        if recent and now - recent[-1].since < SLICE_SECONDS:
            recent[-1].count += count
        else:
            recent.append(_Spent(now, count))
        self._recent_count += count

    def _forget(self, now: float) -> None:
        recent = self._recent
        while recent and now - recent[0].since >= CUT_SECONDS:
            self._recent_count -= recent.popleft().count
