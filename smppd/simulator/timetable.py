"""Which behaviour holds at a time, and until when: the base of a profile under its phases.

Pure: a time in seconds from the carrier's start goes in. Where phases overlap, the later one in
the file wins, key by key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from smppd.simulator.behaviour import Behaviour
from smppd.simulator.profile import Phase, When


def find_behaviour(base: Behaviour, phases: Sequence[Phase], time: float) -> Behaviour:
    """What the carrier does at ``time``; ``base`` itself where no phase is on."""
    changes: dict[str, object] = {}
    for phase in phases:
        if is_on(phase.when, time):
            changes |= phase.changes
    return msgspec.structs.replace(base, **changes) if changes else base


def find_next_change(phases: Sequence[Phase], time: float) -> float:
    """When the next phase begins or ends after ``time``; ``math.inf`` if none does."""
    edges = (edge for phase in phases for edge in _edges_around(phase.when, time))
    return min((edge for edge in edges if edge > time), default=math.inf)


def is_on(when: When, time: float) -> bool:
    """Whether ``time`` is within."""
    start = _start_before(when, time)
    return start <= time and (when.lasting is None or time < start + when.lasting)


def _edges_around(when: When, time: float) -> list[float]:
    """Where it begins and ends this time and the next: what comes after ``time`` is among them."""
    start = _start_before(when, time)
    starts = [start] if when.every is None else [start, start + when.every]
    return starts + [one + when.lasting for one in starts if when.lasting is not None]


def _start_before(when: When, time: float) -> float:
    """The last beginning that is not after ``time``, or the very first."""
    if when.every is None or time <= when.at:
        return when.at
    return when.at + math.floor((time - when.at) / when.every) * when.every
