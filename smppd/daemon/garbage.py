"""When the garbage collector looks, and at what: seldom, and never at all there is.

It stops the loop while it looks, for as long as there are containers to be looked at. Records hold
no cycles and are freed by their counts, so there is little to be found: what connections and tasks
leave behind when they end.
"""

from __future__ import annotations

import gc
from typing import Final

GARBAGE_THRESHOLDS: Final = (5_000, 10, 100)
"""Containers that come to stay before the collector looks at the youngest, how often it does so
before the next older ones are looked at too, and likewise all. The first pass is over at most 5,000
of them, half a millisecond; the second over 50,000, some three. All are looked at after five
million, which takes as long as there are many: what a live message holds must not be among them."""


def collect_garbage_rarely() -> None:
    """Spares the hot loop most of the collector's passes.

    At the default of 700 allocations it looks through every live message's containers again and
    again: a seventh of all CPU. What is there at start, modules above all, stays, and is never
    looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
