"""The longest prefix wins, its offers stand in order of cost, and keys name lists of offers."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.routing import table as table_module
from smppd.routing.table import Offer, Route, RouteSet, RoutingTable

DIGITS = "012"
ROUTES = st.lists(
    st.builds(
        Route,
        prefix=st.text(alphabet=DIGITS, max_size=4),
        carrier=st.sampled_from(["alpha", "beta", "gamma"]),
        cost=st.sampled_from(["0", "0.01", "0.010", "0.0100", "0.02", "0.1", "2", "10"]),
    ),
    max_size=12,
)


def offers_naively(routes: list[Route], digits: str) -> list[Offer]:
    fitting = [route for route in routes if digits.startswith(route.prefix)]
    longest = max((len(route.prefix) for route in fitting), default=0)
    wanted = [route for route in fitting if len(route.prefix) == longest]
    cheapest_first = sorted(wanted, key=lambda route: Decimal(route.cost))
    return [
        Offer(route.carrier, route.cost)
        for at, route in enumerate(cheapest_first)
        if route.carrier not in [earlier.carrier for earlier in cheapest_first[:at]]
    ]


def offers_of(found: RouteSet | None) -> list[Offer]:
    return [] if found is None else list(found.offers)


@settings(deadline=None, max_examples=300)
@given(routes=ROUTES, numbers=st.lists(st.text(alphabet=DIGITS, max_size=6), max_size=8))
def test_table_finds_what_a_naive_search_finds(routes: list[Route], numbers: list[str]) -> None:
    table = RoutingTable(routes, "USD")

    found = [offers_of(table.route_set_for(number)) for number in numbers * 2]

    assert found == [offers_naively(routes, number) for number in numbers * 2]


@settings(deadline=None, max_examples=100)
@given(routes=ROUTES)
def test_every_route_set_is_found_by_its_key(routes: list[Route]) -> None:
    table = RoutingTable(routes, "USD")

    for route in routes:
        found = table.route_set_for(route.prefix)
        assert found is not None
        assert table.route_sets[found.key] is found
        assert len(found.key) == table_module.ROUTE_SET_KEY_BYTES


def test_longest_prefix_wins_and_the_shorter_is_no_failover() -> None:
    table = RoutingTable([Route("86", "alpha", "0.01"), Route("8613", "beta", "0.09")], "USD")

    assert offers_of(table.route_set_for("8613800138000")) == [Offer("beta", "0.09")]
    assert offers_of(table.route_set_for("8610")) == [Offer("alpha", "0.01")]


def test_costs_are_compared_as_numbers_and_ties_keep_their_order() -> None:
    routes = [
        Route("49", "alpha", "0.1"),
        Route("49", "beta", "0.09"),
        Route("49", "gamma", "0.100"),
    ]

    found = RoutingTable(routes, "USD").route_set_for("49151")

    assert [offer.carrier for offer in offers_of(found)] == ["beta", "alpha", "gamma"]


def test_carrier_twice_on_a_prefix_counts_with_its_cheaper_offer() -> None:
    routes = [Route("49", "alpha", "0.2"), Route("49", "beta", "0.1"), Route("49", "alpha", "0.05")]

    found = RoutingTable(routes, "USD").route_set_for("49")

    assert offers_of(found) == [Offer("alpha", "0.05"), Offer("beta", "0.1")]


def test_default_route_takes_every_number() -> None:
    table = RoutingTable([Route("", "alpha", "1")], "USD")

    assert offers_of(table.route_set_for("8613800138000")) == [Offer("alpha", "1")]


def test_number_without_a_prefix_has_no_route_set() -> None:
    assert RoutingTable([Route("49", "alpha", "1")], "USD").route_set_for("481") is None


def test_empty_table_has_no_route_set() -> None:
    assert RoutingTable([], "USD").route_set_for("49151") is None


def test_prefixes_with_the_same_offers_share_one_route_set() -> None:
    table = RoutingTable([Route("49", "alpha", "1"), Route("44", "alpha", "1")], "USD")

    assert table.route_set_for("49") is table.route_set_for("44")
    assert len(table.route_sets) == 1


def test_key_is_the_same_in_every_process() -> None:
    found = RoutingTable([Route("49", "alpha", "0.1")], "USD").route_set_for("49")

    assert found is not None
    assert found.key.hex() == "5c0f64ed59fd13c4"


def test_key_changes_with_order_cost_and_currency() -> None:
    lists = [
        ([Route("", "alpha", "1"), Route("", "beta", "1")], "USD"),
        ([Route("", "beta", "1"), Route("", "alpha", "1")], "USD"),
        ([Route("", "alpha", "1"), Route("", "beta", "2")], "USD"),
        ([Route("", "alpha", "1"), Route("", "beta", "1")], "EUR"),
    ]

    keys = {next(iter(RoutingTable(routes, currency).route_sets)) for routes, currency in lists}

    assert len(keys) == len(lists)


def test_memo_stays_within_its_bound() -> None:
    table = RoutingTable([Route("4950000", "alpha", "1")], "USD")

    numbers = [str(number) for number in range(4_900_000, 4_970_000)]
    found = [table.route_set_for(number) for number in numbers]

    assert sum(route_set is not None for route_set in found) == 1
    assert len(table._memo) <= table_module._MEMO_PREFIXES_MAX
