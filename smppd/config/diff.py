"""What a reload changes: two configurations compared, in words for an operator.

Passwords are compared and never shown. What each change does to running traffic is the daemon's
business; here stands only which keys cannot be changed while it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from smppd.config.model import Config, RouteConfig, RoutingConfig, TlsConfig
from smppd.config.values import MetricsAddress
from smppd.routing.sheet import RateSheet, is_same_cost
from smppd.turns import in_turns

CHANGES_MAX: Final = 500
"""Listed: one line of the answer; a new routing table may differ in every route."""

NEEDS_RESTART: Final = frozenset({"socket", "state", "metrics", "map_size"})
"""Keys of ``[daemon]`` that are opened once, at start."""

_SECRET_FIELDS: Final = frozenset({"password"})
_VALUE_CHARACTERS_MAX: Final = 60

How = Literal["added", "removed", "changed", "needs_restart"]


class ConfigChange(msgspec.Struct, frozen=True):
    """One thing a reload changed. ``what`` is ``daemon``, ``retention``, ``class``, ``app``,
    ``carrier``, ``routing`` (the keys beside its tables), ``route`` or ``sheet``; ``how`` is
    ``added``, ``removed``, ``changed`` or ``needs_restart``; ``detail`` is for a person."""

    what: str
    name: str
    how: str
    detail: str


def compare(old: Config, new: Config) -> list[ConfigChange]:
    """Every difference, in the order of the files; at most CHANGES_MAX, then how many more.

    ``needs_restart``: the value in force stays until then. ``detail`` names changed keys as
    ``key old -> new``.
    """
    changes = [
        *_compare_daemon(old, new),
        *_compare_struct("retention", "", old.retention, new.retention),
        *_compare_named("class", old.classes, new.classes),
        *_compare_named("app", old.apps, new.apps),
        *_compare_named("carrier", old.carriers, new.carriers),
        *_compare_routing(old.routing, new.routing),
        *_compare_sheets(old.routing.sheets, new.routing.sheets),
    ]
    if (more := len(changes) - CHANGES_MAX) > 0:
        del changes[CHANGES_MAX:]
        changes.append(ConfigChange("routing", "", "changed", f"{more} more changes"))
    return changes


def _compare_daemon(old: Config, new: Config) -> Iterator[ConfigChange]:
    for field in msgspec.structs.fields(type(old.daemon)):
        before, after = getattr(old.daemon, field.name), getattr(new.daemon, field.name)
        if before != after:
            how: How = "needs_restart" if field.name in NEEDS_RESTART else "changed"
            detail = f"{_show(before)} -> {_show(after)}"
            yield ConfigChange("daemon", field.name, how, detail)


def _compare_named(
    what: str, old: Mapping[str, msgspec.Struct], new: Mapping[str, msgspec.Struct]
) -> Iterator[ConfigChange]:
    for name in old:
        if name not in new:
            yield ConfigChange(what, name, "removed", "")
    for name, after in new.items():
        if name not in old:
            yield ConfigChange(what, name, "added", "")
        else:
            yield from _compare_struct(what, name, old[name], after)


def _compare_struct(
    what: str, name: str, old: msgspec.Struct, new: msgspec.Struct
) -> Iterator[ConfigChange]:
    if old == new:
        return
    details = [
        _describe(field.name, getattr(old, field.name), getattr(new, field.name))
        for field in msgspec.structs.fields(type(old))
        if getattr(old, field.name) != getattr(new, field.name)
    ]
    yield ConfigChange(what, name, "changed", ", ".join(details))


def _describe(key: str, before: object, after: object) -> str:
    if key in _SECRET_FIELDS:
        return f"{key} changed"
    if isinstance(before, TlsConfig) and isinstance(after, TlsConfig):
        fields = msgspec.structs.fields(TlsConfig)
        changed = [f.name for f in fields if getattr(before, f.name) != getattr(after, f.name)]
        return f"{key} changed ({', '.join(changed)})"
    return f"{key} {_show(before)} -> {_show(after)}"


def _show(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, TlsConfig):
        return "set"
    if isinstance(value, MetricsAddress):
        return f"{value.host}:{value.port}"
    shown = f"{value:g}" if isinstance(value, float) else str(value) or '""'
    return shown if len(shown) <= _VALUE_CHARACTERS_MAX else shown[:_VALUE_CHARACTERS_MAX] + "…"


def _compare_routing(old: RoutingConfig, new: RoutingConfig) -> Iterator[ConfigChange]:
    for key in ("currency", "fallback"):
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            yield ConfigChange("routing", key, "changed", f"{_show(before)} -> {_show(after)}")
    yield from _compare_routes(old.routes, new.routes)


def _compare_routes(old: list[RouteConfig], new: list[RouteConfig]) -> Iterator[ConfigChange]:
    olds = {(route.prefix, route.carrier): route for route in old}
    news = {(route.prefix, route.carrier): route for route in new}
    for key, route in olds.items():
        if key not in news:
            yield ConfigChange("route", _name(route), "removed", f"cost {_cost(route)}")
    for key, route in news.items():
        before = olds.get(key)
        if before is None:
            yield ConfigChange("route", _name(route), "added", f"cost {_cost(route)}")
        elif before != route:
            yield ConfigChange("route", _name(route), "changed", _describe_route(before, route))
    kept = [key for key in olds if key in news]
    if kept != [key for key in news if key in olds]:
        detail = "routes stand in another order: where costs are equal, the first goes first"
        yield ConfigChange("routing", "order", "changed", detail)


def _name(route: RouteConfig) -> str:
    return f"{route.prefix or '(default)'} {route.carrier}"


def _cost(route: RouteConfig) -> str:
    return "by its sheet" if route.cost is None else route.cost


def _describe_route(old: RouteConfig, new: RouteConfig) -> str:
    details = [f"cost {_cost(old)} -> {_cost(new)}"] if old.cost != new.cost else []
    if old.fallback != new.fallback:
        details.append(f"fallback {_show(old.fallback)} -> {_show(new.fallback)}")
    return ", ".join(details)


def _compare_sheets(old: list[RateSheet], new: list[RateSheet]) -> Iterator[ConfigChange]:
    olds = {sheet.carrier: sheet for sheet in old}
    news = {sheet.carrier: sheet for sheet in new}
    for name, sheet in olds.items():
        if name not in news:
            yield ConfigChange("sheet", name, "removed", sheet.file)
    for name, sheet in news.items():
        if name not in olds:
            detail = f"{sheet.file}, {_prices(len(sheet.prices))}"
            yield ConfigChange("sheet", name, "added", detail)
        elif not _is_same_sheet(olds[name], sheet):
            yield ConfigChange("sheet", name, "changed", _describe_sheet(olds[name], sheet))


def _is_same_sheet(old: RateSheet, new: RateSheet) -> bool:
    """As ``==``, row by row: of two equal dicts of 200,000 prices that would have the interpreter
    to itself for 50 ms."""
    if old.file != new.file or len(old.prices) != len(new.prices):
        return False
    return all(old.prices.get(prefix) == cost for prefix, cost in in_turns(new.prices.items()))


def _describe_sheet(old: RateSheet, new: RateSheet) -> str:
    added = sum(prefix not in old.prices for prefix in in_turns(new.prices))
    removed = len(old.prices) - (len(new.prices) - added)
    changed = sum(
        prefix in old.prices and not is_same_cost(old.prices[prefix], cost)
        for prefix, cost in in_turns(new.prices.items())
    )
    details = [f"file {old.file} -> {new.file}"] if old.file != new.file else []
    counts = ((added, "added"), (removed, "removed"), (changed, "changed"))
    details += [f"{_prices(count)} {how}" for count, how in counts if count]
    return ", ".join(details) or "the same prices, written otherwise"


def _prices(count: int) -> str:
    return "1 price" if count == 1 else f"{count} prices"
