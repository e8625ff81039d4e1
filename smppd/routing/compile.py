"""Routes and rate sheets become one dict: prefix to offers, in the order in which they are tried.

For whoever must see all of it, such as a comparison of two tables; the daemon finds a number's
offers without (``finding``).

A sheet prices those routes of its carrier that have no cost. Where it changes a price below such a
route's prefix, a prefix is added to the compiled table, unless the offers there are those of the
shorter prefix anyway: 200,000 rows leave as many prefixes as there are changes, and as many lists
of offers as there are different ones. A sheet never makes a route: its rows outside its carrier's
prefixes are passed over.

The walk takes all prefixes sorted, so that each comes after the shorter ones that it begins with,
and keeps those on a stack: no prefix is ever searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

import msgspec

from smppd.routing.offers import Offer, Route
from smppd.routing.sheet import RateSheet, find_longest, sort_prefixes

Offers = tuple[Offer, ...]
Costs = tuple[str | None, ...]
"""What each sheet says at a prefix, in the order of the sheets."""


class Routing:
    """The routes by prefix, and which prefixes are tried for a number: longest first."""

    def __init__(self, routes: Sequence[Route], fallback: bool) -> None:
        self.by_prefix: dict[str, list[Route]] = {}
        for route in routes:
            self.by_prefix.setdefault(route.prefix, []).append(route)
        self._fallback = fallback

    def chain(self, digits: str) -> list[str]:
        """The longest prefix of ``digits`` there is, then those that are its failover."""
        found = []
        prefix = find_longest(self.by_prefix, digits)
        while prefix is not None:
            found.append(prefix)
            prefix = self._failover_of(prefix)
        return found

    def _failover_of(self, prefix: str) -> str | None:
        has_fallback = self._fallback or any(route.fallback for route in self.by_prefix[prefix])
        return find_longest(self.by_prefix, prefix[:-1]) if has_fallback and prefix else None


class _Node(msgspec.Struct):
    """A prefix on the way of the walk: the routes that count there, and what the sheets say."""

    prefix: str
    chain: list[str]
    costs: Costs
    offers: Offers


class Compiler:
    """Compiles once; ``by_prefix`` is the result. A prefix without an offer has an empty one."""

    def __init__(self, routing: Routing, sheets: Sequence[RateSheet]) -> None:
        self._routing = routing
        unpriced = {
            route.carrier
            for routes in routing.by_prefix.values()
            for route in routes
            if route.cost is None
        }
        self._sheets = [sheet for sheet in sheets if sheet.carrier in unpriced]
        self._columns = {sheet.carrier: at for at, sheet in enumerate(self._sheets)}
        self._known: dict[tuple[str, Costs], Offers] = {}
        self._interned: dict[Offers, Offers] = {}
        self.by_prefix: dict[str, Offers] = dict(self._walk())

    def _walk(self) -> Iterator[tuple[str, Offers]]:
        """Every prefix at which the offers change, and every one that has a route."""
        own = self._routing.by_prefix
        columns = [sheet.prices for sheet in self._sheets]
        stack = [_Node("", [], (None,) * len(columns), ())]
        for prefix in sort_prefixes(
            {"", *own, *(prefix for prices in columns for prefix in prices)}
        ):
            while not prefix.startswith(stack[-1].prefix):
                stack.pop()
            top = stack[-1]
            chain = self._routing.chain(prefix) if prefix in own else top.chain
            costs = self._costs_at(prefix, columns, top.costs)
            offers = self._offers_of(chain, costs) if chain else ()
            stack.append(_Node(prefix, chain, costs, offers))
            if prefix in own or offers is not top.offers:
                yield prefix, offers

    @staticmethod
    def _costs_at(prefix: str, columns: list[dict[str, str]], costs: Costs) -> Costs:
        if len(columns) == 1:  # A table with one sheet is the usual one.
            found = columns[0].get(prefix)
            return costs if found is None else (found,)
        both = zip(columns, costs, strict=True)
        return tuple([prices.get(prefix, cost) for prices, cost in both])

    def _offers_of(self, chain: list[str], costs: Costs) -> Offers:
        """One object for equal lists, so that they are compared by identity."""
        key = (chain[0], costs)
        offers = self._known.get(key)
        if offers is None:
            routes = [self._routing.by_prefix[prefix] for prefix in chain]
            found = order_offers(routes, lambda route: self._cost_of(route, costs))
            offers = self._known[key] = self._interned.setdefault(found, found)
        return offers

    def _cost_of(self, route: Route, costs: Costs) -> str | None:
        if route.cost is not None:
            return route.cost
        column = self._columns.get(route.carrier)
        return None if column is None else costs[column]


def order_offers(
    chain: Sequence[Sequence[Route]], cost_of: Callable[[Route], str | None]
) -> Offers:
    """The offers of a chain of prefixes, the longest first: each carrier once, by its longest
    prefix, and there by its cheaper route. One whose cost is None has no offer there."""
    found: dict[str, Offer] = {}
    for routes in chain:
        priced = [
            Offer(route.carrier, cost) for route in routes if (cost := cost_of(route)) is not None
        ]
        for offer in sorted(priced, key=_cost_as_number):
            found.setdefault(offer.carrier, offer)
    return tuple(found.values())


def _cost_as_number(offer: Offer) -> Decimal:
    return _read_decimal(offer.cost)


@lru_cache(maxsize=4096)
def _read_decimal(cost: str) -> Decimal:
    """Of 200,000 prices few are different ones."""
    return Decimal(cost)


def compile_routes(routing: Routing, sheets: Sequence[RateSheet]) -> Mapping[str, Offers]:
    """The offers by prefix: a number's are those of the longest prefix it begins with.

    A prefix with an empty list has none, and hides the shorter ones.
    """
    return Compiler(routing, sheets).by_prefix
