"""The offers for a number, found when the number comes: routes first, then the sheets' prices.

A table of 200,000 prices has as many lists of offers as there are different prices, and most are
never asked for. So none is made before a number needs it: loading a table is no more than reading
its sheets, and nothing has to be exchanged by a reload but two dicts. What a number costs is a few
looks into dicts, and the table remembers the answer (``table``).

``compile`` makes all lists at once; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from smppd.routing.compile import Costs, Offers, Routing, order_offers
from smppd.routing.offers import Route
from smppd.routing.sheet import RateSheet
from smppd.turns import in_turns

HEAD_DIGITS: Final = 3
"""Prefixes are parted by their first digits, mostly a country's code, to know how many digits
matter there: a sheet of all countries is deep in few of them."""


class _Column(msgspec.Struct, frozen=True):
    """A sheet, and the lengths of its prefixes, longest first."""

    prices: dict[str, str]
    lengths: tuple[int, ...]

    def find(self, digits: str) -> str | None:
        """The price at the longest prefix of ``digits``."""
        prices = self.prices
        for length in self.lengths:
            cost = prices.get(digits[:length])
            if cost is not None:
                return cost
        return None


class _Place(msgspec.Struct, frozen=True):
    """A prefix that has routes: those of it and of its failover, the sheets that price them, by
    carrier, and the offers by what the sheets say."""

    chain: list[list[Route]]
    columns: dict[str, _Column]
    known: dict[Costs, Offers]


class Finder:
    """``find`` keeps the lists it made: at most one for each row of the sheets."""

    def __init__(self, routing: Routing, sheets: Sequence[RateSheet]) -> None:
        self._routing = routing
        self._columns = {sheet.carrier: _make_column(sheet.prices) for sheet in sheets}
        self._lengths = _lengths_of(routing.by_prefix)
        self._places: dict[str, _Place] = {}
        self.depths = _measure_depths([routing.by_prefix, *(sheet.prices for sheet in sheets)])

    def find(self, digits: str) -> Offers:
        """The offers for ``digits``, in the order in which they are tried; none: no route."""
        prefix = self._find_prefix(digits)
        if prefix is None:
            return ()
        place = self._places.get(prefix)
        if place is None:
            place = self._places[prefix] = self._make_place(prefix)
        costs = tuple([column.find(digits) for column in place.columns.values()])
        offers = place.known.get(costs)
        if offers is None:
            offers = place.known[costs] = order_offers(place.chain, _pricing(place, costs))
        return offers

    def _find_prefix(self, digits: str) -> str | None:
        own = self._routing.by_prefix
        for length in self._lengths:
            if digits[:length] in own:
                return digits[:length]
        return None

    def _make_place(self, prefix: str) -> _Place:
        chain = [self._routing.by_prefix[one] for one in self._routing.chain(prefix)]
        unpriced = {route.carrier for routes in chain for route in routes if route.cost is None}
        columns = {name: self._columns[name] for name in sorted(unpriced & self._columns.keys())}
        return _Place(chain, columns, {})


def _pricing(place: _Place, costs: Costs) -> Callable[[Route], str | None]:
    by_carrier = dict(zip(place.columns, costs, strict=True))
    return lambda route: by_carrier.get(route.carrier) if route.cost is None else route.cost


def _make_column(prices: dict[str, str]) -> _Column:
    return _Column(prices, _lengths_of(prices))


def _lengths_of(prefixes: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted({len(prefix) for prefix in in_turns(prefixes)}, reverse=True))


def _measure_depths(tables: Iterable[Iterable[str]]) -> dict[str, int]:
    """How many digits of a number matter, by its first HEAD_DIGITS where that is more."""
    depths: dict[str, int] = {}
    for prefixes in tables:
        for prefix in in_turns(prefixes):
            length = len(prefix)
            if length > depths.get(head := prefix[:HEAD_DIGITS], HEAD_DIGITS):
                depths[head] = length
    return depths
