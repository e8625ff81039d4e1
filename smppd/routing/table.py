"""The routing table: the offers for a number, cheapest first.

The longest prefix wins and alone counts: a shorter one is no failover. Which of the offers is
healthy, paused or full is asked elsewhere, when a message is granted; the order here is fixed
when the table is compiled. A message is stored with the key of its route set, so the key says the
same after a restart with the same table, and something else once anything in the table changes.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b

import msgspec

ROUTE_SET_KEY_BYTES = 8
"""Short keys for the queue: among a million route sets two collide once in 37 million tables."""

_MEMO_PREFIXES_MAX = 65_536
"""Leading digits remembered: about 10 MiB at most; on overflow the memo starts anew."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """One line of the table: ``carrier`` takes E.164 ``prefix`` (no ``+``) at ``cost`` a segment.

    ``cost`` is a decimal string in the table's currency; ``prefix`` "" is the default route.
    """

    prefix: str
    carrier: str
    cost: str


class Offer(msgspec.Struct, frozen=True, gc=False):
    """A carrier and what it takes for a segment: a decimal string, as the operator wrote it."""

    carrier: str
    cost: str


class RouteSet(msgspec.Struct, frozen=True):
    """One distinct ordered list of offers; ``key`` names it on disk."""

    key: bytes
    offers: tuple[Offer, ...]


class RoutingTable:
    """Route sets by prefix, compiled from routes whose costs are decimal strings.

    Within a prefix the offers stand in order of cost, ties in the order of ``routes``. Where a
    carrier stands twice on one prefix only its cheaper offer counts (the configuration's check
    refuses that before it comes here).
    """

    __slots__ = ("_by_prefix", "_lengths", "_memo", "currency", "route_sets")

    def __init__(self, routes: list[Route], currency: str) -> None:
        self.currency = currency
        self.route_sets: dict[bytes, RouteSet] = {}
        self._by_prefix: dict[str, RouteSet] = {}
        by_prefix = _offers_by_prefix(routes)
        table_key = _table_key(by_prefix, currency)
        for prefix, offers in by_prefix.items():
            route_set = RouteSet(_route_set_key(offers, table_key), offers)
            known = self.route_sets.setdefault(route_set.key, route_set)
            assert known == route_set, f"two lists of offers share the key {known.key.hex()}"
            self._by_prefix[prefix] = known
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)
        self._memo: dict[str, RouteSet | None] = {}

    def route_set_for(self, digits: str) -> RouteSet | None:
        """The route set of E.164 ``digits`` (no ``+``); None when no prefix fits."""
        lead = digits[: self._lengths[0]] if self._lengths else ""
        memo = self._memo
        if lead in memo:
            return memo[lead]
        if len(memo) >= _MEMO_PREFIXES_MAX:
            memo.clear()
        found = memo[lead] = self._find_longest(lead)
        return found

    def _find_longest(self, lead: str) -> RouteSet | None:
        for length in self._lengths:
            if len(lead) >= length and (found := self._by_prefix.get(lead[:length])) is not None:
                return found
        return None


def _offers_by_prefix(routes: list[Route]) -> dict[str, tuple[Offer, ...]]:
    """Every prefix's offers in the order in which they are tried (sorting keeps ties in order)."""
    by_prefix: dict[str, dict[str, Offer]] = {}
    for route in sorted(routes, key=lambda route: Decimal(route.cost)):
        offers = by_prefix.setdefault(route.prefix, {})
        offers.setdefault(route.carrier, Offer(route.carrier, route.cost))
    return {prefix: tuple(offers.values()) for prefix, offers in by_prefix.items()}


def _table_key(by_prefix: dict[str, tuple[Offer, ...]], currency: str) -> bytes:
    """A digest of the whole table: the currency, every prefix and its ordered offers."""
    digest = blake2b(currency.encode(), digest_size=ROUTE_SET_KEY_BYTES)
    for prefix in sorted(by_prefix):
        digest.update(_joined([prefix], by_prefix[prefix]))
    return digest.digest()


def _route_set_key(offers: tuple[Offer, ...], table_key: bytes) -> bytes:
    """A digest of the ordered offers in this very table. A prefix that moves to offers which
    another prefix had before must not leave its waiting messages under a key that still stands."""
    return blake2b(table_key + _joined([], offers), digest_size=ROUTE_SET_KEY_BYTES).digest()


def _joined(parts: list[str], offers: tuple[Offer, ...]) -> bytes:
    fields = [*parts, *(part for offer in offers for part in (offer.carrier, offer.cost))]
    return "\0".join([*fields, "\n"]).encode()
