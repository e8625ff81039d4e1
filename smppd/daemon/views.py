"""What the daemon looks like from outside: its state in the words of ``api/views.py``."""

from __future__ import annotations

from collections.abc import Mapping

import trio
from msgspec import structs

from smppd.api.views import (
    BindView,
    BreakerView,
    CarrierView,
    RoutesView,
    RouteView,
    SheetView,
    StepView,
    TraceView,
)
from smppd.config import CarrierConfig, Config
from smppd.daemon.build import build_meanings
from smppd.daemon.fleet import Upkeep
from smppd.smpp.constants import status_name
from smppd.smpp.statuses import find_status
from smppd.store.store import Store
from smppd.traffic.breaker import Breaker


def view_carrier(upkeep: Upkeep, store: Store) -> CarrierView:
    """One carrier, its binds and its counts since start."""
    config, state = upkeep.config, upkeep.state
    state.throughput.allowance(now := trio.current_time())  # its pace grows while nobody asks
    pace = state.throughput.statistics().pace
    counts = state.counts
    own = build_meanings(config)
    return CarrierView(
        name=config.name,
        mode=state.mode,
        healthy=state.is_healthy(),
        host=config.host,
        port=config.port,
        bind=config.bind,
        interface_version=config.interface_version,
        long_message=config.long_message,
        default_alphabet=config.default_alphabet,
        tls=config.tls is not None,
        throughput=config.throughput,
        pace=None if pace == float("inf") else round(pace, 3),
        taken=counts.taken,
        throttled=counts.throttled,
        refused=counts.refused,
        doubted=counts.doubted,
        receipts=counts.receipts,
        inbound=counts.inbound,
        statuses={status_name(code): count for code, count in sorted(counts.statuses.items())},
        binds=[
            BindView(
                bind=keeper.status.bind,
                kind=slot.kind,
                state=keeper.status.state,
                since=keeper.status.since,
                reconnects=keeper.status.reconnects,
                reason=keeper.status.reason,
                window=slot.window,
                outstanding=store.open_grants(config.name, keeper.status.bind),
            )
            for keeper, slot in zip(upkeep.keepers, state.slots, strict=False)
        ],
        settling=upkeep.is_settling,
        breaker=_view_breaker(state.breaker, now),
        certificate_until=min(_list_certificate_ends(upkeep), default=None),
        pdus_refused=counts.pdus_refused,
        meanings={
            status_name(code): own.get(code) or find_status(code).cause
            for code in sorted(counts.statuses)
        },
    )


def tell_meanings(found: TraceView, carriers: Mapping[str, CarrierConfig]) -> TraceView:
    """The same, with each carrier's own words for what it answered."""
    meanings = {name: build_meanings(carrier) for name, carrier in carriers.items()}
    steps = [_tell_meaning(step, meanings) for step in found.steps]
    return structs.replace(found, steps=steps)


def _tell_meaning(step: StepView, meanings: Mapping[str, dict[int, str]]) -> StepView:
    if step.command_status is None or step.carrier is None:
        return step
    meaning = meanings.get(step.carrier, {}).get(int(step.command_status, 16))
    return step if meaning is None else structs.replace(step, meaning=meaning)


def _list_certificate_ends(upkeep: Upkeep) -> list[int]:
    """Unix milliseconds, of the binds that were shown one."""
    ends = (keeper.status.certificate_until for keeper in upkeep.keepers)
    return [until * 1000 for until in ends if until]


def _view_breaker(breaker: Breaker, now: float) -> BreakerView:
    found = breaker.statistics(now)
    probe_in = None if breaker.lets_new else round(max(found.until - now, 0.0), 1)
    return BreakerView(
        found.state, found.outcomes, found.errors, found.opened, found.reason, probe_in
    )


def view_routes(config: Config) -> RoutesView:
    """The routing table as its file has it, and the sheets that price it."""
    routing = config.routing
    return RoutesView(
        currency=routing.currency,
        fallback=routing.fallback,
        routes=[RouteView(route.prefix, route.carrier, route.cost) for route in routing.routes],
        sheets=[
            SheetView(sheet.carrier, str(sheet.file), len(sheet.prices)) for sheet in routing.sheets
        ],
    )
