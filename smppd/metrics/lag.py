"""How late the event loop is: a task that wants to wake at a certain time, and looks when it did.

Whatever keeps the loop from turning shows here, whoever it is: a commit on a slow disk, a large
batch, a reload, a machine without CPU to give.
"""

from __future__ import annotations

from typing import Final

import trio

LOOK_SECONDS: Final = 0.5
"""Between two looks: two wakings a second cost nothing, and a pause of a second is always seen."""

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: from a commit to what a carrier's response_timer would notice."""


class LoopLag:
    """Looks by how late they came, as a Prometheus histogram has it: ``counts`` a bucket each and
    one for all above, not yet cumulated; ``seconds`` their sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, late: float) -> None:
        """One look, ``late`` seconds after its time."""
        self.seconds += late
        for index, bound in enumerate(BUCKETS):
            if late <= bound:
                self.counts[index] += 1
                return
        self.counts[-1] += 1


async def measure_lag(lag: LoopLag) -> None:
    """Looks until cancelled."""
    while True:
        wanted = trio.current_time() + LOOK_SECONDS
        await trio.sleep_until(wanted)
        lag.add(max(0.0, trio.current_time() - wanted))
