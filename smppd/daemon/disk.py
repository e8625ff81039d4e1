"""A line when the disk runs full, and when there is room again.

The store finds out in a commit, and says so to who submits. Here it is looked at once a second,
for the operator who has to make room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from smppd.store.store import StoreStatistics

LOOK_SECONDS: Final = 1.0
"""Between two looks: a disk that was full is looked at by the store as often."""

log = structlog.get_logger("smppd.store")


async def log_disk(read_store: Callable[[], StoreStatistics]) -> None:
    """Logs changes until cancelled."""
    was_full = was_low = is_warned = False
    while True:
        now = read_store()
        reserve, left = now.reserve, now.reserve_left
        if not now.reserve_allocated and not is_warned:
            is_warned = True
            log.warning("reserve_not_allocated", reserve=reserve)
        if now.full and not was_full:
            log.error("storage_full", reserve=reserve, reserve_left=left)
        if now.low and not was_low:
            log.error("storage_low", reserve=reserve, reserve_left=left)
        if was_low and not now.low:
            log.info("storage_grants", reserve=reserve, reserve_left=left)
        if was_full and not now.full:
            log.info("storage_free", reserve=reserve, reserve_left=left)
        was_full, was_low = now.full, now.low
        await trio.sleep(LOOK_SECONDS)
