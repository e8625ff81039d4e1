"""``routing.toml`` and the rate sheets it names: routes, each against what else there is.

A sheet is read here and judged in ``routing/sheet.py``; its problems stand under its own name,
with its own lines. How routes become offers is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

from smppd.config.carrier_names import Carriers, check_carrier
from smppd.config.inbound_rules import read_inbound
from smppd.config.model import RouteConfig, RoutingConfig
from smppd.config.source import Key, Source
from smppd.config.tables import check_keys, read_struct
from smppd.config.values import Wrong
from smppd.routing.sheet import (
    COST_PATTERN,
    PREFIX_PATTERN,
    SHEET_BYTES_MAX,
    RateSheet,
    point_cost,
    read_prices,
)

ROUTING_FILE = "routing.toml"

_PREFIX = re.compile(f"(?:{PREFIX_PATTERN})?")
_COST = re.compile(COST_PATTERN)
_ROUTE_KEYS = frozenset({"prefix", "carrier", "cost", "fallback"})
_SHEET_KEYS = frozenset({"carrier", "file"})
_LISTS = ("route", "prices", "inbound")


def read_routing(
    source: Source, directory: Path, carriers: Carriers, apps: Collection[str]
) -> RoutingConfig | None:
    """The routes, sheets and inbound rules, each with its own problems and those it has with the
    others; ``apps`` are the names there are."""
    sheets, priced = _read_sheets(source, directory, carriers)
    routes = _read_routes(source, carriers, priced)
    inbound = read_inbound(source, _read_list(source, "inbound"), carriers, apps)
    if source.broken:
        return None
    given = {"routes": routes, "sheets": sheets, "inbound": inbound}
    return read_struct(RoutingConfig, source, (), source.table, given, _LISTS)


def _read_list(source: Source, name: str) -> list[object]:
    tables = source.table.get(name, [])
    if isinstance(tables, list):
        return tables
    source.note((name,), "is not a list of tables", f"write [[{name}]] with two brackets")
    return []


def _read_routes(source: Source, carriers: Carriers, priced: Collection[str]) -> list[RouteConfig]:
    tables = _read_list(source, "route")
    if not tables and not source.broken and "route" not in source.table:
        source.note((), "holds no route", "write at least one [[route]]")
    routes: list[RouteConfig] = []
    seen: dict[tuple[str, str], int] = {}
    for index, table in enumerate(tables):
        route = _read_route(source, ("route", index), table, carriers, priced)
        if route is None:
            continue
        first = seen.setdefault((route.prefix, route.carrier), index)
        if first != index:
            source.note(
                ("route", index),
                f"route {first + 1} has prefix {route.prefix!r} and carrier {route.carrier!r} too",
                "keep one of them",
            )
        routes.append(route)
    return routes


def _read_route(
    source: Source, key: Key, table: object, carriers: Carriers, priced: Collection[str]
) -> RouteConfig | None:
    if not isinstance(table, dict):
        source.note(key, "is not a table", "write [[route]] with its keys below")
        return None
    check_keys(source, key, table, _ROUTE_KEYS)
    carrier, cost = table.get("carrier"), table.get("cost")
    has_sheet = isinstance(carrier, str) and carrier in priced
    fallback = table.get("fallback", False)
    checked = {
        "prefix": _check_prefix(table.get("prefix")),
        "carrier": check_carrier(carrier, carriers) or _check_sends(carrier, carriers),
        "cost": None if cost is None and has_sheet else _check_cost(cost),
        "fallback": _check_flag(fallback),
    }
    for name, wrong in checked.items():
        if wrong is not None:
            source.note_wrong((*key, name), wrong)
    if any(checked.values()):
        return None
    return RouteConfig(table["prefix"], table["carrier"], cost, fallback)


def _read_sheets(
    source: Source, directory: Path, carriers: Carriers
) -> tuple[list[RateSheet], set[str]]:
    """The sheets that are right, and the carriers that have one at all, right or wrong."""
    sheets: list[RateSheet] = []
    seen: dict[str, int] = {}
    for index, table in enumerate(_read_list(source, "prices")):
        key: Key = ("prices", index)
        if not isinstance(table, dict):
            source.note(key, "is not a table", "write [[prices]] with its keys below")
            continue
        check_keys(source, key, table, _SHEET_KEYS)
        if wrong := check_carrier(table.get("carrier"), carriers):
            source.note_wrong((*key, "carrier"), wrong)
            continue
        carrier = str(table["carrier"])
        if carrier in seen:
            wrong_text = f"carrier {carrier!r} has a sheet already, prices[{seen[carrier] + 1}]"
            source.note((*key, "carrier"), wrong_text, "keep one of them, with all prices in it")
            continue
        seen[carrier] = index
        prices = _read_sheet(source, (*key, "file"), directory, table.get("file"))
        if prices is not None:
            sheets.append(RateSheet(carrier, table["file"], prices))
    return sheets, set(seen)


def _read_sheet(source: Source, key: Key, directory: Path, value: object) -> dict[str, str] | None:
    if value is None:
        source.note(key, "is missing", 'add the path of a CSV file, such as file = "beta.csv"')
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        source.note(key, f"{value!r} is not a path", "write the path of a CSV file in quotes")
        return None
    try:
        with (directory / value).open("rb") as file:
            data = file.read(SHEET_BYTES_MAX + 1)
    except OSError as error:
        wrong = f"{value!r} cannot be read: {error.strerror}"
        source.note(key, wrong, f"create it or make it readable: {directory / value}")
        return None
    found = read_prices(data, value)
    if isinstance(found, list):
        source.problems += found
        return None
    return found


def _check_prefix(value: object) -> Wrong | None:
    if value is None:
        return Wrong("is missing", 'add it, such as prefix = "49"; "" is the default route')
    if isinstance(value, int) and not isinstance(value, bool):
        return Wrong(f"{value} is a number", f'write it as a string "{value}"')
    if not isinstance(value, str):
        return Wrong(f"{value!r} is not a prefix", 'write E.164 digits in quotes, such as "49"')
    if _PREFIX.fullmatch(value):
        return None
    digits = re.sub(r"[^0-9]", "", value).lstrip("0")[:15]
    return Wrong(
        f"{value!r} is not the beginning of an E.164 number without '+'",
        f'write "{digits}"' if digits else 'write digits such as "49", or "" for the default route',
    )


def _check_sends(value: object, carriers: Carriers) -> Wrong | None:
    if value not in carriers.receivers:
        return None
    return Wrong(
        f'carrier {value!r} only receives: it has bind = "receiver"',
        'take the route away, or write bind = "pair" or "transceiver" there',
    )


def _check_cost(value: object) -> Wrong | None:
    if value is None:
        return Wrong("is missing", 'add it, such as cost = "0.0210", or [[prices]] for the carrier')
    if isinstance(value, int | float) and not isinstance(value, bool):
        plain = f"{Decimal(str(value)):f}"
        example = plain if _COST.fullmatch(plain) else "0.0210"
        return Wrong(f"{value} is a number", f'write it as a string "{example}"')
    if isinstance(value, str) and _COST.fullmatch(value):
        return None
    remedy = 'write a decimal string of 0 or more with at most 6 decimals, such as "0.0210"'
    if isinstance(value, str) and (pointed := point_cost(value)):
        remedy = f'write "{pointed}", with a point'
    return Wrong(f"{value!r} is not a cost", remedy)


def _check_flag(value: object) -> Wrong | None:
    if isinstance(value, bool):
        return None
    return Wrong(f"{value!r} is not true or false", "write true, or leave it out")
