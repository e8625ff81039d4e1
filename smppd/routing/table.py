"""The routing table: the offers for a number, cheapest first.

The longest prefix wins and alone counts: a shorter one is failover only where the table, or the
prefix, says so. Which of the offers is healthy, paused or full is asked elsewhere, when a message
is granted; the order here is fixed when the table is compiled (``compile.py``: rate sheets too).
A message is stored with the key of its route set, so the key says the same after a restart with
the same table, and something else once anything in the table changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b

import msgspec

from smppd.routing.compile import Offers, Routing, compile_routes
from smppd.routing.offers import ROUTE_SET_KEY_BYTES, Offer, Route, RouteSet
from smppd.routing.sheet import RateSheet, find_longest, is_same_cost, sort_prefixes

__all__ = [
    "ROUTE_SET_KEY_BYTES",
    "Considered",
    "Match",
    "Move",
    "Offer",
    "Route",
    "RouteSet",
    "RoutingTable",
    "compare_tables",
]

_MEMO_PREFIXES_MAX = 65_536
"""Leading digits remembered: about 10 MiB at most; on overflow the memo starts anew."""


class Considered(msgspec.Struct, frozen=True):
    """One route for a number: an offer where ``reason`` is "", else why it is none.

    ``prefix`` is the route's, ``sheet_prefix`` the one of the carrier's sheet where that gave the
    ``cost`` (a decimal string a segment, None for a route without a price).
    """

    carrier: str
    prefix: str
    cost: str | None
    reason: str
    sheet_prefix: str | None = None


class Match(msgspec.Struct, frozen=True):
    """The prefix that matched a number (None: no route does) and what was considered there:
    the offers in the order in which they are tried, then the routes that have no price."""

    prefix: str | None
    considered: list[Considered]


class Move(msgspec.Struct, frozen=True):
    """Numbers of ``prefix`` go elsewhere, or for another cost: the offers before and after."""

    prefix: str
    old_offers: Offers
    new_offers: Offers


class RoutingTable:
    """Route sets by prefix, compiled from routes whose costs are decimal strings.

    Within a prefix the offers stand in order of cost, ties in the order of ``routes``. Where a
    carrier stands twice on one prefix only its cheaper offer counts (the configuration's check
    refuses that before it comes here). A route without cost is priced by its carrier's sheet, and
    is no offer for a number the sheet does not price.
    """

    __slots__ = ("_by_prefix", "_lengths", "_memo", "_routing", "_sheets", "currency", "route_sets")

    def __init__(
        self,
        routes: Sequence[Route],
        currency: str,
        sheets: Sequence[RateSheet] = (),
        fallback: bool = False,
    ) -> None:
        self.currency = currency
        self.route_sets: dict[bytes, RouteSet] = {}
        self._routing = Routing(routes, fallback)
        self._sheets = {sheet.carrier: sheet for sheet in sheets}
        by_prefix = compile_routes(self._routing, sheets)
        self._by_prefix = self._make_route_sets(by_prefix)
        self._lengths = sorted({len(prefix) for prefix in by_prefix}, reverse=True)
        self._memo: dict[str, RouteSet | None] = {}

    def route_set_for(self, digits: str) -> RouteSet | None:
        """The route set of E.164 ``digits`` (no ``+``); None where no carrier offers to take it."""
        lead = digits[: self._lengths[0]] if self._lengths else ""
        memo = self._memo
        if lead in memo:
            return memo[lead]
        if len(memo) >= _MEMO_PREFIXES_MAX:
            memo.clear()
        found = memo[lead] = self._find_longest(lead)
        return found

    def match(self, digits: str) -> Match:
        """Every route of E.164 ``digits``: the offers of ``route_set_for`` in their order, then
        what could not be offered, and why."""
        chain = self._routing.chain(digits)
        offered: dict[str, Considered] = {}
        unpriced: list[Considered] = []
        for prefix in chain:
            found = [self._consider(route, digits) for route in self._routing.by_prefix[prefix]]
            unpriced += [one for one in found if one.cost is None]
            priced = [one for one in found if one.cost is not None]
            for one in sorted(priced, key=lambda one: Decimal(one.cost or 0)):
                offered.setdefault(one.carrier, one)
        return Match(chain[0] if chain else None, [*offered.values(), *unpriced])

    def offers_by_prefix(self) -> dict[str, Offers]:
        """The compiled table: a number's offers are those of the longest prefix it begins with."""
        return {prefix: found.offers if found else () for prefix, found in self._by_prefix.items()}

    def _find_longest(self, lead: str) -> RouteSet | None:
        for length in self._lengths:
            if len(lead) >= length and lead[:length] in self._by_prefix:
                return self._by_prefix[lead[:length]]
        return None

    def _consider(self, route: Route, digits: str) -> Considered:
        if route.cost is not None:
            return Considered(route.carrier, route.prefix, route.cost, "")
        sheet = self._sheets.get(route.carrier)
        if sheet is None:
            return Considered(route.carrier, route.prefix, None, "it has no cost and no sheet")
        priced = find_longest(sheet.prices, digits)
        if priced is None:
            reason = f"its sheet {sheet.file} has no price for this number"
            return Considered(route.carrier, route.prefix, None, reason)
        return Considered(route.carrier, route.prefix, sheet.prices[priced], "", priced)

    def _make_route_sets(self, by_prefix: Mapping[str, Offers]) -> dict[str, RouteSet | None]:
        table_key = _table_key(by_prefix, self.currency)
        made: dict[int, RouteSet | None] = {}
        for offers in by_prefix.values():
            if id(offers) not in made:
                made[id(offers)] = self._make_route_set(offers, table_key) if offers else None
        return {prefix: made[id(offers)] for prefix, offers in by_prefix.items()}

    def _make_route_set(self, offers: Offers, table_key: bytes) -> RouteSet:
        route_set = RouteSet(_route_set_key(offers, table_key), offers)
        known = self.route_sets.setdefault(route_set.key, route_set)
        assert known == route_set, f"two lists of offers share the key {known.key.hex()}"
        return known


def compare_tables(old: RoutingTable, new: RoutingTable) -> list[Move]:
    """The prefixes whose first offer, or its cost, is another in ``new``; in order of digits.

    A prefix whose move is that of the shorter prefix around it is not named again.
    """
    olds, news = old.offers_by_prefix(), new.offers_by_prefix()
    has_same_currency = old.currency == new.currency
    moves: list[Move] = []
    stack = [Move("", (), ())]
    for prefix in sort_prefixes({*olds, *news}):
        while not prefix.startswith(stack[-1].prefix):
            stack.pop()
        top = stack[-1]
        move = Move(prefix, olds.get(prefix, top.old_offers), news.get(prefix, top.new_offers))
        stack.append(move)
        if (move.old_offers, move.new_offers) == (top.old_offers, top.new_offers):
            continue
        if not (has_same_currency and _is_same_first(move.old_offers, move.new_offers)):
            moves.append(move)
    return moves


def _is_same_first(old: Offers, new: Offers) -> bool:
    if not old or not new:
        return old == new
    return old[0].carrier == new[0].carrier and is_same_cost(old[0].cost, new[0].cost)


def _table_key(by_prefix: Mapping[str, Offers], currency: str) -> bytes:
    """A digest of the whole table: the currency, every prefix and its ordered offers."""
    digest = blake2b(currency.encode(), digest_size=ROUTE_SET_KEY_BYTES)
    joined: dict[int, bytes] = {}
    for prefix in sort_prefixes(by_prefix):
        offers = by_prefix[prefix]
        if (tail := joined.get(id(offers))) is None:
            tail = joined[id(offers)] = _joined(offers)
        digest.update(prefix.encode() + b"\0" + tail)
    return digest.digest()


def _route_set_key(offers: Offers, table_key: bytes) -> bytes:
    """A digest of the ordered offers in this very table. A prefix that moves to offers which
    another prefix had before must not leave its waiting messages under a key that still stands."""
    return blake2b(table_key + _joined(offers), digest_size=ROUTE_SET_KEY_BYTES).digest()


def _joined(offers: Offers) -> bytes:
    fields = [part for offer in offers for part in (offer.carrier, offer.cost)]
    return "\0".join([*fields, "\n"]).encode()
