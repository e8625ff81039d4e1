"""The routing table: the offers for a number, cheapest first.

The longest prefix wins and alone counts: a shorter one is failover only where the table, or the
prefix, says so. Which of the offers is healthy, paused or full is asked elsewhere, when a message
is granted; the order here is fixed, and found when a first number needs it (``finding``: rate
sheets too). A message is stored with the key of its route set, so the key says the same after a
restart with the same table, and something else once anything in the table changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec

from smppd.routing.compile import Offers, Routing, compile_routes
from smppd.routing.finding import HEAD_DIGITS, Finder
from smppd.routing.offers import ROUTE_SET_KEY_BYTES, Offer, Route, RouteSet
from smppd.routing.sheet import RateSheet, find_longest, is_same_cost, sort_prefixes
from smppd.turns import in_turns

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

_DIGEST_ROWS: Final = 1_000
"""Rows of a sheet digested at a time: 20 KB, a fifth of a millisecond."""


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
    """Route sets by number, from routes whose costs are decimal strings.

    Within a prefix the offers stand in order of cost, ties in the order of ``routes``. Where a
    carrier stands twice on one prefix only its cheaper offer counts (the configuration's check
    refuses that before it comes here). A route without cost is priced by its carrier's sheet, and
    is no offer for a number the sheet does not price.

    ``key`` names the table: any other has another. ``route_sets`` are those found so far, by their
    keys; one of an earlier run is known again once a number of it was asked for.
    """

    __slots__ = ("_finder", "_memo", "_routing", "_sheets", "currency", "key", "route_sets")

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
        self._finder = Finder(self._routing, sheets)
        self.key = _table_key(routes, sheets, currency, fallback)
        self._memo: dict[str, RouteSet | None] = {}

    def route_set_for(self, digits: str) -> RouteSet | None:
        """The route set of E.164 ``digits`` (no ``+``); None where no carrier offers to take it."""
        lead = digits[: self._finder.depths.get(digits[:HEAD_DIGITS], HEAD_DIGITS)]
        memo = self._memo
        if lead in memo:
            return memo[lead]
        if len(memo) >= _MEMO_PREFIXES_MAX:
            memo.clear()
        offers = self._finder.find(lead)
        found = memo[lead] = self._route_set_of(offers) if offers else None
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
        """The whole table, compiled: a number's offers are those of the longest prefix it begins
        with. For 200,000 prices a second and a half."""
        return dict(compile_routes(self._routing, [*self._sheets.values()]))

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

    def _route_set_of(self, offers: Offers) -> RouteSet:
        route_set = RouteSet(_route_set_key(offers, self.key), offers)
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


def _table_key(
    routes: Sequence[Route], sheets: Sequence[RateSheet], currency: str, fallback: bool
) -> bytes:
    """A digest of all that the table is made of."""
    digest = blake2b(currency.encode(), digest_size=ROUTE_SET_KEY_BYTES)
    digest.update(b"\0fallback\n" if fallback else b"\n")
    for route in routes:
        fields = (route.prefix, route.carrier, route.cost or "", "1" if route.fallback else "")
        digest.update("\0".join((*fields, "\n")).encode())
    for sheet in sorted(sheets, key=lambda sheet: sheet.carrier):
        digest.update(f"\0{sheet.carrier}\0{len(sheet.prices)}\n".encode())
        for rows in _rows_of(sheet):
            digest.update(rows)
    return digest.digest()


def _rows_of(sheet: RateSheet) -> Iterator[bytes]:
    rows = map(",".join, in_turns(sheet.prices.items()))
    while some := "\n".join(islice(rows, _DIGEST_ROWS)):
        yield some.encode() + b"\n"


def _route_set_key(offers: Offers, table_key: bytes) -> bytes:
    """A digest of the ordered offers in this very table. A prefix that moves to offers which
    another prefix had before must not leave its waiting messages under a key that still stands."""
    return blake2b(table_key + _joined(offers), digest_size=ROUTE_SET_KEY_BYTES).digest()


def _joined(offers: Offers) -> bytes:
    fields = [part for offer in offers for part in (offer.carrier, offer.cost)]
    return "\0".join([*fields, "\n"]).encode()
