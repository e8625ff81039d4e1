"""Many durations in a few figures, and as a line to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

CURVE_SHARES: Final = (
    *(step / 200 for step in range(1, 198)),
    *(0.99, 0.992, 0.994, 0.996, 0.998, 0.999, 1.0),
)
"""Where a curve has its points: evenly up to 98.5 %, and closer where the rare ones are."""

DRAWN_MS_MIN: Final = 0.001
"""Drawn to the left of it is nothing: an axis of powers has no 0."""


class Distribution(msgspec.Struct, frozen=True):
    """Percentiles by nearest rank, and the longest, in milliseconds; all 0 of nothing."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


def distribute(seconds: Sequence[float]) -> Distribution:
    """The figures of these durations."""
    ordered = sorted(seconds)
    p50, p90, p99, p999, longest = (
        round(_at(ordered, share) * 1000, 3) for share in (0.5, 0.9, 0.99, 0.999, 1.0)
    )
    return Distribution(len(ordered), p50, p90, p99, p999, longest)


def make_curve(seconds: Sequence[float]) -> list[tuple[float, float]]:
    """Points of (milliseconds, percentage that took no longer), for a logarithmic axis."""
    ordered = sorted(seconds)
    return [
        (max(_at(ordered, share) * 1000, DRAWN_MS_MIN), share * 100)
        for share in CURVE_SHARES
        if ordered
    ]


def _at(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return ordered[max(math.ceil(len(ordered) * share), 1) - 1]
