"""The longest prefix wins, its offers stand in order of cost, and keys name lists of offers."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.routing import table as table_module
from smppd.routing.sheet import RateSheet, find_longest
from smppd.routing.table import (
    Considered,
    Match,
    Move,
    Offer,
    Route,
    RouteSet,
    RoutingTable,
    compare_tables,
)

DIGITS = "012"
COSTS = st.sampled_from(["0", "0.01", "0.010", "0.0100", "0.02", "0.1", "2", "10"])
ROUTES = st.lists(
    st.builds(
        Route,
        prefix=st.text(alphabet=DIGITS, max_size=4),
        carrier=st.sampled_from(["alpha", "beta", "gamma"]),
        cost=COSTS,
    ),
    max_size=12,
)
SHEET_ROUTES = st.lists(
    st.builds(
        Route,
        prefix=st.text(alphabet=DIGITS, max_size=3),
        carrier=st.sampled_from(["alpha", "beta", "gamma"]),
        cost=st.none() | COSTS,
        fallback=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda route: (route.prefix, route.carrier),
)
PRICES = st.dictionaries(st.text(alphabet=DIGITS, min_size=1, max_size=4), COSTS, max_size=10)
SHEETS = st.builds(
    lambda alpha, beta: [RateSheet("alpha", "a.csv", alpha), RateSheet("beta", "b.csv", beta)],
    PRICES,
    PRICES,
)


def offers_naively(routes: list[Route], digits: str) -> list[Offer]:
    fitting = [route for route in routes if digits.startswith(route.prefix)]
    longest = max((len(route.prefix) for route in fitting), default=0)
    wanted = [route for route in fitting if len(route.prefix) == longest]
    cheapest_first = sorted(wanted, key=lambda route: Decimal(route.cost or 0))
    return [
        Offer(route.carrier, route.cost or "")
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
    assert found.key.hex() == "b48600d523670515"


def test_key_changes_with_order_cost_and_currency() -> None:
    lists = [
        ([Route("", "alpha", "1"), Route("", "beta", "1")], "USD"),
        ([Route("", "beta", "1"), Route("", "alpha", "1")], "USD"),
        ([Route("", "alpha", "1"), Route("", "beta", "2")], "USD"),
        ([Route("", "alpha", "1"), Route("", "beta", "1")], "EUR"),
    ]

    keys = {RoutingTable(routes, currency).key for routes, currency in lists}

    assert len(keys) == len(lists)


def test_route_sets_of_another_table_have_other_keys() -> None:
    tables = [
        RoutingTable([Route("49", "alpha", "1"), Route("44", "alpha", cost)], "USD")
        for cost in ("1", "2")
    ]

    found = [table.route_set_for("4915") for table in tables]

    assert offers_of(found[0]) == offers_of(found[1])
    keys = [one.key for one in found if one is not None]
    assert len(set(keys)) == len(tables)


def test_memo_stays_within_its_bound() -> None:
    table = RoutingTable([Route("4950000", "alpha", "1")], "USD")

    numbers = [str(number) for number in range(4_900_000, 4_970_000)]
    found = [table.route_set_for(number) for number in numbers]

    assert sum(route_set is not None for route_set in found) == 1
    assert len(table._memo) <= table_module._MEMO_PREFIXES_MAX


# -- rate sheets and fallback -----------------------------------------------------------------


def price_naively(route: Route, sheets: list[RateSheet], digits: str) -> str | None:
    if route.cost is not None:
        return route.cost
    prices = next((sheet.prices for sheet in sheets if sheet.carrier == route.carrier), {})
    fitting = [prefix for prefix in prices if digits.startswith(prefix)]
    return prices[max(fitting, key=len)] if fitting else None


def chain_naively(routes: list[Route], digits: str, fallback: bool) -> list[str]:
    fitting = {route.prefix for route in routes if digits.startswith(route.prefix)}
    chain: list[str] = []
    for prefix in sorted(fitting, key=len, reverse=True):
        chain.append(prefix)
        if not fallback and not any(r.fallback for r in routes if r.prefix == prefix):
            break
    return chain


def sheet_offers_naively(
    routes: list[Route], sheets: list[RateSheet], digits: str, fallback: bool
) -> list[Offer]:
    offers: dict[str, Offer] = {}
    for prefix in chain_naively(routes, digits, fallback):
        found = [
            Offer(route.carrier, cost)
            for route in routes
            if route.prefix == prefix and (cost := price_naively(route, sheets, digits)) is not None
        ]
        for offer in sorted(found, key=lambda offer: Decimal(offer.cost)):
            offers.setdefault(offer.carrier, offer)
    return list(offers.values())


@settings(deadline=None, max_examples=400)
@given(
    routes=SHEET_ROUTES,
    sheets=SHEETS,
    fallback=st.booleans(),
    numbers=st.lists(st.text(alphabet=DIGITS, max_size=6), max_size=10),
)
def test_table_with_sheets_finds_what_a_naive_search_finds(
    routes: list[Route], sheets: list[RateSheet], fallback: bool, numbers: list[str]
) -> None:
    table = RoutingTable(routes, "USD", sheets, fallback)

    found = [offers_of(table.route_set_for(number)) for number in numbers * 2]

    assert found == [
        sheet_offers_naively(routes, sheets, number, fallback) for number in numbers * 2
    ]


@settings(deadline=None, max_examples=300)
@given(
    routes=SHEET_ROUTES,
    sheets=SHEETS,
    fallback=st.booleans(),
    numbers=st.lists(st.text(alphabet=DIGITS, max_size=6), max_size=10),
)
def test_offers_found_for_a_number_are_those_of_the_compiled_table(
    routes: list[Route], sheets: list[RateSheet], fallback: bool, numbers: list[str]
) -> None:
    table = RoutingTable(routes, "USD", sheets, fallback)

    compiled = table.offers_by_prefix()

    for number in numbers:
        longest = find_longest(compiled, number)
        expected = [] if longest is None else list(compiled[longest])
        assert offers_of(table.route_set_for(number)) == expected


def test_prefixes_of_every_length_count_whatever_country_they_begin_in() -> None:
    prices = {"123456789012345": "0.1", "1234": "0.2", "44": "0.3", "447": "0.4", "4": "0.5"}
    table = RoutingTable([Route("", "beta", None)], "USD", [RateSheet("beta", "b.csv", prices)])

    numbers = ["123456789012345", "123456789012344", "441234", "447123", "4512", "123", "4"]
    found = [[offer.cost for offer in offers_of(table.route_set_for(one))] for one in numbers]

    assert found == [["0.1"], ["0.2"], ["0.3"], ["0.4"], ["0.5"], [], ["0.5"]]


@settings(deadline=None, max_examples=200)
@given(
    routes=SHEET_ROUTES,
    sheets=SHEETS,
    fallback=st.booleans(),
    number=st.text(alphabet=DIGITS, max_size=6),
)
def test_match_shows_the_offers_in_their_order_and_then_what_has_no_price(
    routes: list[Route], sheets: list[RateSheet], fallback: bool, number: str
) -> None:
    table = RoutingTable(routes, "USD", sheets, fallback)

    considered = table.match(number).considered

    priced = [Offer(one.carrier, one.cost) for one in considered if one.cost is not None]
    assert priced == offers_of(table.route_set_for(number))
    assert [one.cost is None for one in considered] == [bool(one.reason) for one in considered]
    assert [bool(one.reason) for one in considered] == sorted(bool(o.reason) for o in considered)


@settings(deadline=None, max_examples=200)
@given(old=SHEET_ROUTES, new=SHEET_ROUTES, sheets=SHEETS, number=st.text(DIGITS, max_size=6))
def test_moves_name_every_number_whose_first_offer_is_another(
    old: list[Route], new: list[Route], sheets: list[RateSheet], number: str
) -> None:
    before, after = RoutingTable(old, "USD", sheets), RoutingTable(new, "USD", sheets)

    moves = {move.prefix: move for move in compare_tables(before, after)}

    first = [offers_of(table.route_set_for(number))[:1] for table in (before, after)]
    compared = [[(offer.carrier, Decimal(offer.cost)) for offer in offers] for offers in first]
    if compared[0] != compared[1]:
        longest = max((p for p in moves if number.startswith(p)), key=len)
        assert list(moves[longest].old_offers[:1]) == first[0]
        assert list(moves[longest].new_offers[:1]) == first[1]


def test_sheet_prices_the_routes_without_cost_by_its_own_longest_prefix() -> None:
    routes = [Route("", "beta", None), Route("86", "alpha", "0.05"), Route("86", "beta", None)]
    sheet = RateSheet("beta", "beta.csv", {"49": "0.07", "86": "0.06", "8613": "0.04"})

    table = RoutingTable(routes, "USD", [sheet])

    assert offers_of(table.route_set_for("4915")) == [Offer("beta", "0.07")]
    assert offers_of(table.route_set_for("8615")) == [Offer("alpha", "0.05"), Offer("beta", "0.06")]
    assert offers_of(table.route_set_for("8613")) == [Offer("beta", "0.04"), Offer("alpha", "0.05")]


def test_price_of_a_shorter_prefix_than_the_routes_counts() -> None:
    table = RoutingTable([Route("4915", "beta", None)], "USD", [RateSheet("beta", "b", {"4": "1"})])

    assert offers_of(table.route_set_for("49151")) == [Offer("beta", "1")]


def test_sheet_makes_no_route() -> None:
    sheet = RateSheet("beta", "beta.csv", {"49": "0.07", "44": "0.01"})

    table = RoutingTable([Route("49", "beta", None)], "USD", [sheet])

    assert table.route_set_for("44") is None


def test_number_the_sheet_does_not_price_gets_no_offer_and_none_of_a_shorter_prefix() -> None:
    routes = [Route("", "alpha", "1"), Route("49", "beta", None)]

    table = RoutingTable(routes, "USD", [RateSheet("beta", "b.csv", {"4915": "0.07"})])

    assert table.route_set_for("4930") is None
    assert offers_of(table.route_set_for("4915")) == [Offer("beta", "0.07")]
    assert offers_of(table.route_set_for("33")) == [Offer("alpha", "1")]


def test_cost_of_a_route_goes_before_its_carriers_sheet() -> None:
    routes = [Route("49", "beta", "0.5")]

    table = RoutingTable(routes, "USD", [RateSheet("beta", "b.csv", {"4915": "0.07"})])

    assert offers_of(table.route_set_for("4915")) == [Offer("beta", "0.5")]
    assert len(table.offers_by_prefix()) == 1


def test_many_prices_make_few_route_sets_and_prefixes() -> None:
    prices = {str(number): f"0.{number % 3 + 1}" for number in range(10_000, 20_000)}
    prices |= {f"{number}7": prices[str(number)] for number in range(10_000, 20_000)}

    table = RoutingTable([Route("1", "beta", None)], "USD", [RateSheet("beta", "b.csv", prices)])

    assert len(table.route_sets) == 0  # none was needed yet
    for prefix in prices:
        table.route_set_for(prefix)
    assert len(table.route_sets) == 3
    assert len(table.offers_by_prefix()) == 10_001  # the route's own, and where the price changes


def test_fallback_of_the_table_appends_every_shorter_prefix() -> None:
    routes = [Route("", "gamma", "0.001"), Route("86", "alpha", "0.05"), Route("8613", "beta", "1")]

    table = RoutingTable(routes, "USD", fallback=True)

    found = [offer.carrier for offer in offers_of(table.route_set_for("8613"))]
    assert found == ["beta", "alpha", "gamma"]


def test_fallback_of_a_prefix_appends_the_next_shorter_only() -> None:
    routes = [
        Route("", "gamma", "0.001"),
        Route("86", "alpha", "0.05"),
        Route("8613", "beta", "1", fallback=True),
    ]

    table = RoutingTable(routes, "USD")

    assert [o.carrier for o in offers_of(table.route_set_for("8613"))] == ["beta", "alpha"]
    assert [o.carrier for o in offers_of(table.route_set_for("86"))] == ["alpha"]


def test_carrier_is_offered_once_by_its_longest_prefix() -> None:
    routes = [Route("86", "alpha", "0.01"), Route("8613", "alpha", "0.09")]

    table = RoutingTable(routes, "USD", fallback=True)

    assert offers_of(table.route_set_for("8613")) == [Offer("alpha", "0.09")]


def test_match_says_by_what_each_offer_is_priced() -> None:
    routes = [Route("49", "alpha", "0.2"), Route("49", "beta", None), Route("49", "gamma", None)]
    sheets = [
        RateSheet("beta", "b.csv", {"4915": "0.07"}),
        RateSheet("gamma", "c.csv", {"44": "0.01"}),
    ]

    assert RoutingTable(routes, "USD", sheets).match("49151") == Match(
        "49",
        [
            Considered("beta", "49", "0.07", "", "4915"),
            Considered("alpha", "49", "0.2", ""),
            Considered("gamma", "49", None, "its sheet c.csv has no price for this number"),
        ],
    )


def test_match_of_a_number_without_a_route_has_no_prefix() -> None:
    assert RoutingTable([Route("49", "alpha", "1")], "USD").match("44") == Match(None, [])


def test_key_changes_with_a_price_far_from_the_number() -> None:
    def key_of(price: str) -> bytes:
        sheet = RateSheet("beta", "b.csv", {"44": "1", "49": price})
        found = RoutingTable([Route("", "beta", None)], "USD", [sheet]).route_set_for("44")
        assert found is not None
        return found.key

    assert key_of("2") != key_of("3")
    assert key_of("2") == key_of("2")


def test_moves_name_a_prefix_once_with_both_lists_of_offers() -> None:
    old = RoutingTable([Route("49", "alpha", "0.1"), Route("4915", "alpha", "0.1")], "USD")
    new = RoutingTable([Route("49", "beta", "0.1"), Route("4915", "beta", "0.1")], "USD")

    assert compare_tables(old, new) == [
        Move("49", (Offer("alpha", "0.1"),), (Offer("beta", "0.1"),))
    ]


def test_cost_written_otherwise_is_no_move_and_another_currency_is() -> None:
    old = RoutingTable([Route("49", "alpha", "0.1")], "USD")

    assert compare_tables(old, RoutingTable([Route("49", "alpha", "0.10")], "USD")) == []
    assert len(compare_tables(old, RoutingTable([Route("49", "alpha", "0.1")], "EUR"))) == 1


def test_failover_that_changes_moves_nothing() -> None:
    first = Route("49", "alpha", "0.1")

    old = RoutingTable([first, Route("49", "beta", "1")], "USD")
    new = RoutingTable([first, Route("49", "gamma", "2")], "USD")

    assert compare_tables(old, new) == []


def test_new_and_gone_prefixes_are_moves() -> None:
    old = RoutingTable([Route("49", "alpha", "0.1")], "USD")
    new = RoutingTable([Route("44", "alpha", "0.1")], "USD")

    assert [(m.prefix, m.old_offers, m.new_offers) for m in compare_tables(old, new)] == [
        ("44", (), (Offer("alpha", "0.1"),)),
        ("49", (Offer("alpha", "0.1"),), ()),
    ]
