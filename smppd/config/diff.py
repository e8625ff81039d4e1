"""What a reload changes: two configurations compared, in words for an operator.

Passwords are compared and never shown. What each change does to running traffic is the daemon's
business; here stands only which keys cannot be changed while it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from smppd.config.inbound_rules import describe_rule
from smppd.config.model import Config, RouteConfig, RoutingConfig, TlsConfig
from smppd.config.values import MetricsAddress
from smppd.routing.inbound import InboundRule
from smppd.routing.sheet import RateSheet, is_same_cost
from smppd.turns import in_turns

CHANGES_MAX: Final = 500
"""Listed: one line of the answer; a new routing table may differ in every route."""

ROWS_MAX: Final = 8
"""Listed of one table of tables, such as ``[status]``."""

NEEDS_RESTART: Final = frozenset({"socket", "state", "metrics", "map_size"})
"""Keys of ``[daemon]`` that are opened once, at start."""

_SECRET_FIELDS: Final = frozenset({"password"})
_VALUE_CHARACTERS_MAX: Final = 60

How = Literal["added", "removed", "changed", "needs_restart"]


class ConfigChange(msgspec.Struct, frozen=True):
    """One thing a reload changed. ``what`` is ``daemon``, ``retention``, ``class``, ``app``,
    ``carrier``, ``routing`` (the keys beside its tables), ``route``, ``inbound`` or ``sheet``;
    ``how`` is ``added``, ``removed``, ``changed`` or ``needs_restart``; ``detail`` is for a
    person."""

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
        fields = [one.name for one in msgspec.structs.fields(TlsConfig) if one.name != "cert_until"]
        changed = [name for name in fields if getattr(before, name) != getattr(after, name)]
        return f"{key} changed ({', '.join(changed)})"
    if isinstance(before, msgspec.Struct) and isinstance(after, type(before)):
        return ", ".join(
            _describe(f"{key}.{name}", was, now)
            for name in before.__struct_fields__
            if (was := getattr(before, name)) != (now := getattr(after, name))
        )
    if isinstance(before, dict) and isinstance(after, dict):
        return f"{key} {_describe_rows(before, after)}"
    return f"{key} {_show(before)} -> {_show(after)}"


def _describe_rows(before: dict[object, object], after: dict[object, object]) -> str:
    """Of a table of tables, the rows that differ; a number as it is written in its file."""
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    rows = [
        f"{f'{key:#04x}' if isinstance(key, int) else key} "
        f"{_show(before.get(key))} -> {_show(after.get(key))}"
        for key in changed[:ROWS_MAX]
    ]
    more = [f"{len(changed) - ROWS_MAX} more"] if len(changed) > ROWS_MAX else []
    return ", ".join([*rows, *more])


def _show(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()  # as TOML has it
    if isinstance(value, TlsConfig):
        return "set"
    if isinstance(value, MetricsAddress):
        return f"{value.host}:{value.port}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    shown = f"{value:g}" if isinstance(value, float) else str(value) or '""'
    return shown if len(shown) <= _VALUE_CHARACTERS_MAX else shown[:_VALUE_CHARACTERS_MAX] + "…"


def _compare_routing(old: RoutingConfig, new: RoutingConfig) -> Iterator[ConfigChange]:
    for key in ("currency", "fallback"):
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            yield ConfigChange("routing", key, "changed", f"{_show(before)} -> {_show(after)}")
    yield from _compare_routes(old.routes, new.routes)
    yield from _compare_inbound(old.inbound, new.inbound)


def _compare_inbound(old: list[InboundRule], new: list[InboundRule]) -> Iterator[ConfigChange]:
    """A rule has no name: it is known by its conditions, and one that moved by its place."""
    olds = {describe_rule(rule): rule for rule in old}
    news = {describe_rule(rule): rule for rule in new}
    for name, rule in olds.items():
        if name not in news:
            yield ConfigChange("inbound", name, "removed", _to(rule))
    for name, rule in news.items():
        if name not in olds:
            yield ConfigChange("inbound", name, "added", _to(rule))
        elif olds[name] != rule:
            yield ConfigChange("inbound", name, "changed", f"{_to(olds[name])} -> {_to(rule)}")
    if [name for name in olds if name in news] != [name for name in news if name in olds]:
        detail = "rules stand in another order: the first that fits counts"
        yield ConfigChange("inbound", "order", "changed", detail)


def _to(rule: InboundRule) -> str:
    return "to " + ", ".join(rule.apps)


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
