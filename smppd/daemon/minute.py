"""What each carrier did in the last minute: one line of the log each, none for one that idled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog
import trio

from smppd.smpp.constants import ESME_ROK, status_name
from smppd.traffic.counts import CarrierCounts

MINUTE_SECONDS: Final = 60.0
"""Between two lines of one carrier: a day of them can be read."""

STATUSES_MAX: Final = 5
"""Of the statuses other than ESME_ROK, the most frequent: a line is read by people."""

log = structlog.get_logger("smppd.carrier")


class Totals(msgspec.Struct, frozen=True):
    """A carrier's counts at one moment, or how much they have grown since an earlier one."""

    taken: int = 0
    throttled: int = 0
    refused: int = 0
    doubted: int = 0
    receipts: int = 0
    inbound: int = 0
    alerts: int = 0
    statuses: dict[int, int] = {}


NOTHING: Final = Totals()


def read_totals(counts: CarrierCounts) -> Totals:
    """A copy of the counts: they go on counting."""
    return Totals(
        taken=counts.taken,
        throttled=counts.throttled,
        refused=counts.refused,
        doubted=counts.doubted,
        receipts=counts.receipts,
        inbound=counts.inbound,
        alerts=counts.alerts,
        statuses=dict(counts.statuses),
    )


def summarise(before: Totals, now: Totals) -> Totals:
    """How much each count has grown; ``NOTHING`` for a carrier that idled."""
    grown = {
        name: getattr(now, name) - getattr(before, name)
        for name in Totals.__struct_fields__
        if name != "statuses"
    }
    statuses = {
        status: count - before.statuses.get(status, 0)
        for status, count in now.statuses.items()
        if count != before.statuses.get(status, 0)
    }
    return Totals(**grown, statuses=statuses)


def name_faults(statuses: dict[int, int]) -> dict[str, int]:
    """The most frequent statuses but ESME_ROK, by name, the most frequent first."""
    faults = [(status, count) for status, count in statuses.items() if status != ESME_ROK]
    faults.sort(key=lambda fault: (-fault[1], fault[0]))
    return {status_name(status): count for status, count in faults[:STATUSES_MAX]}


async def summarise_carriers(read_counts: Callable[[], Mapping[str, CarrierCounts]]) -> None:
    """Logs a line a minute and carrier until cancelled. ``read_counts``: those there are now."""
    before: dict[str, Totals] = {}
    while True:
        await trio.sleep(MINUTE_SECONDS)
        now = {name: read_totals(counts) for name, counts in read_counts().items()}
        for name, totals in now.items():
            grown = summarise(before.get(name, NOTHING), totals)
            if grown != NOTHING:
                _log_minute(name, grown)
        before = now


def _log_minute(carrier: str, grown: Totals) -> None:
    log.info(
        "carrier_minute",
        carrier=carrier,
        taken=grown.taken,
        throttled=grown.throttled,
        refused=grown.refused,
        doubted=grown.doubted,
        receipts=grown.receipts,
        inbound=grown.inbound,
        alerts=grown.alerts,
        faults=name_faults(grown.statuses),
    )
