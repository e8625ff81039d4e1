"""A line when a carrier stops being one that messages go to, when it is one again, and what its
breaker did.

Health is worked out by the dispatch at each grant and told to nobody: binds come and go one by
one, and a link that does not answer counts as gone while it is still there. Here it is looked at
once a second, so that the log says when failover began and ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
import trio

from smppd.traffic.breaker import BreakerChange

LOOK_SECONDS: Final = 1.0
"""Between two looks: a flicker within it moved few messages, and its binds are in the log."""

log = structlog.get_logger("smppd.carrier")


async def log_health(
    read_health: Callable[[], Mapping[str, bool]],
    take_breaker_changes: Callable[[], Iterable[tuple[str, BreakerChange]]] = tuple,
) -> None:
    """Logs changes until cancelled. ``read_health``: by carrier, whether it is healthy;
    ``take_breaker_changes``: those since it was last called, with their carriers.

    A carrier begins as unhealthy without a word: it has just been started or added.
    """
    before: dict[str, bool] = {}
    while True:
        now = dict(read_health())
        for carrier, is_healthy in now.items():
            if is_healthy == before.get(carrier, False):
                continue
            if is_healthy:
                log.info("carrier_healthy", carrier=carrier)
            else:
                log.info("carrier_unhealthy", carrier=carrier)
        before = now
        for carrier, change in take_breaker_changes():
            _log_breaker(carrier, change)
        await trio.sleep(LOOK_SECONDS)


def _log_breaker(carrier: str, change: BreakerChange) -> None:
    if change.state == "open":
        seconds = round(change.seconds, 1)
        log.warning("breaker_opened", carrier=carrier, reason=change.reason, seconds=seconds)
    elif change.state == "half_open":
        log.info("breaker_half_open", carrier=carrier)
    else:
        log.info("breaker_closed", carrier=carrier)
