"""What the daemon looks like from outside: its state in the words of ``api/views.py``."""

from __future__ import annotations

from smppd.api.views import BindView, CarrierView, RoutesView, RouteView, SheetView
from smppd.config import Config
from smppd.daemon.fleet import Upkeep
from smppd.smpp.constants import status_name
from smppd.store.store import Store


def view_carrier(upkeep: Upkeep, store: Store) -> CarrierView:
    """One carrier, its binds and its counts since start."""
    config, state = upkeep.config, upkeep.state
    pace = state.throughput.statistics().pace
    counts = state.counts
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
