"""Measures of a small daemon, for the tests of what is shown of them."""

from __future__ import annotations

from msgspec import convert

from smppd.api.views import BindView, CarrierView, StatusView
from smppd.metrics.lag import LoopLag
from smppd.metrics.measures import Measures
from smppd.metrics.passes import BUCKETS, PassCounts
from smppd.store.store import StoreStatistics
from smppd.traffic.commit import CommitterStatistics


def bind_view(bind: int, state: str) -> BindView:
    return BindView(
        bind=bind,
        kind="transceiver",
        state=state,
        since=1_700_000_000_500,
        reconnects=2,
        reason="",
        window=10,
        outstanding=3,
    )


def carrier_view(name: str, *, statuses: dict[str, int], pace: float | None) -> CarrierView:
    return CarrierView(
        name=name,
        mode="paused",
        healthy=False,
        host="127.0.0.1",
        port=2775,
        bind="transceiver",
        interface_version="3.4",
        long_message="udh8",
        default_alphabet="gsm7",
        tls=False,
        throughput=100.0,
        pace=pace,
        taken=40,
        throttled=3,
        refused=2,
        doubted=1,
        receipts=38,
        inbound=5,
        statuses=statuses,
        binds=[bind_view(0, "bound"), bind_view(1, "down")],
        certificate_until=1_800_000_000_000,
    )


def measures_of(*carriers: CarrierView, draining: bool = False) -> Measures:
    """What a daemon with these carriers shows."""
    store: dict[str, object] = dict.fromkeys(StoreStatistics.__struct_fields__, 7)
    store["told"] = {"delivered": 6, "failed": 1}
    store |= {"full": False, "low": False, "reserve_allocated": True}
    lag = LoopLag()
    lag.add(0.002)
    lag.add(30)
    status = StatusView(
        version="0.1.0",
        pid=1,
        started_at=1_700_000_000_000,
        configured_at=1_700_000_001_000,
        now=1_700_000_002_000,
        draining=draining,
        connections=2,
        subscriptions=1,
        store=convert(store, StoreStatistics),
        commits=CommitterStatistics(11, 12, 13, 0.25),
        log_dropped=9,
        carriers=list(carriers),
        warnings=[],
    )
    wall = PassCounts((5, *[0] * (len(BUCKETS) - 2), 2, 1), 2.5, 1.25)
    cpu = PassCounts((7, 1, *[0] * (len(BUCKETS) - 1)), 0.5, 0.0015)
    return Measures(status, 21, {"shop": 4}, True, lag, wall, cpu)
