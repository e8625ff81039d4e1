"""Routes, fallback and rate sheets: each against the carriers, the others and the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.config import RateSheet, RouteConfig, load
from tests.config.house import (
    CARRIER,
    ROUTING,
    add_carrier,
    only_problem,
    problems_of,
    write_config,
)

PRICED = 'currency = "USD"\n[[route]]\nprefix = "49"\ncarrier = "alpha"\n'
SHEET = '[[prices]]\ncarrier = "alpha"\nfile = "alpha.csv"\n'
CSV = "prefix,cost\n49,0.07\n4915,0.0650\n"


def write_priced(directory: Path, sheet: str = CSV, routing: str = PRICED + SHEET) -> Path:
    write_config(directory, routing=routing)
    (directory / "alpha.csv").write_text(sheet, encoding="utf-8")
    return directory


def test_route_without_cost_is_priced_by_its_carriers_sheet(tmp_path: Path) -> None:
    routing = load(write_priced(tmp_path)).routing

    assert routing.routes == [RouteConfig("49", "alpha", None)]
    prices = {"49": "0.07", "4915": "0.0650"}
    assert routing.sheets == [RateSheet("alpha", "alpha.csv", prices)]


def test_route_with_a_cost_may_stand_beside_a_sheet(tmp_path: Path) -> None:
    second = '[[route]]\nprefix = "44"\ncarrier = "alpha"\ncost = "1"\n'

    routing = load(write_priced(tmp_path, routing=PRICED + second + SHEET)).routing

    assert [route.cost for route in routing.routes] == [None, "1"]


def test_fallback_of_the_table_and_of_a_prefix_are_read(tmp_path: Path) -> None:
    text = "fallback = true\n" + PRICED + 'cost = "1"\nfallback = true\n'

    routing = load(write_config(tmp_path, routing=text)).routing

    assert routing.fallback
    assert routing.routes == [RouteConfig("49", "alpha", "1", fallback=True)]


def test_sheet_elsewhere_is_read_by_its_absolute_path(tmp_path: Path) -> None:
    place = tmp_path / "config"
    place.mkdir()
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(CSV)

    config = load(write_priced(place, routing=PRICED + SHEET.replace("alpha.csv", str(sheet))))

    assert config.routing.sheets[0].file == str(sheet)


def test_problems_of_a_sheet_stand_under_its_own_name_and_lines(tmp_path: Path) -> None:
    write_priced(tmp_path, "prefix,cost\n49,-1\n44,0,5\n")

    found = [(p.file, p.line, p.key, p.wrong) for p in problems_of(tmp_path)]

    assert found == [
        ("alpha.csv", 2, "cost", "'-1' is not a cost"),
        ("alpha.csv", 3, "cost", "'0,5' is not a cost"),
    ]


def test_sheet_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    write_priced(tmp_path)
    (tmp_path / "alpha.csv").write_bytes(b"prefix,cost\n49,\xe4\n")

    assert str(only_problem(tmp_path)) == (
        "alpha.csv:2: byte 0xe4 is not UTF-8; save it as CSV in UTF-8"
    )


def test_missing_sheet_is_one_problem_and_its_routes_are_none(tmp_path: Path) -> None:
    write_priced(tmp_path)
    (tmp_path / "alpha.csv").unlink()

    problem = only_problem(tmp_path)

    assert (problem.key, problem.line) == ("prices[1].file", 7)
    assert problem.wrong == "'alpha.csv' cannot be read: No such file or directory"
    assert str(tmp_path / "alpha.csv") in problem.remedy


@pytest.mark.parametrize(
    ("sheet", "key", "line", "wrong", "remedy"),
    [
        (SHEET.replace('"alpha"', '"alhpa"'), "prices[1].carrier", 7, "'alhpa' has no", "'alpha'?"),
        (SHEET.replace('"alpha"', '"zzz"'), "prices[1].carrier", 7, "no file", "create carriers/z"),
        (SHEET.replace('carrier = "alpha"', ""), "prices[1].carrier", 6, "missing", "a carrier"),
        (SHEET.replace('file = "alpha.csv"', ""), "prices[1].file", 6, "is missing", "beta.csv"),
        (SHEET.replace('"alpha.csv"', "3"), "prices[1].file", 8, "3 is not a path", "in quotes"),
        (SHEET + "priority = 1\n", "prices[1].priority", 9, "unknown key", "known here"),
        (SHEET + SHEET, "prices[2].carrier", 10, "has a sheet already, prices[1]", "keep one"),
        (SHEET.replace("[[prices]]", "[prices]"), "prices", 6, "not a list", "[[prices]]"),
    ],
)
def test_wrong_sheet_table_is_refused(
    tmp_path: Path, sheet: str, key: str, line: int, wrong: str, remedy: str
) -> None:
    write_priced(tmp_path, routing=PRICED + 'cost = "1"\n' + sheet)

    problem = only_problem(tmp_path)

    assert (problem.key, problem.line) == (key, line)
    assert wrong in problem.wrong
    assert remedy in problem.remedy


def test_directory_as_a_sheet_is_refused(tmp_path: Path) -> None:
    write_priced(tmp_path, routing=PRICED + SHEET.replace("alpha.csv", "carriers"))

    assert only_problem(tmp_path).wrong == "'carriers' cannot be read: Is a directory"


def test_cost_is_required_for_a_carrier_without_a_sheet(tmp_path: Path) -> None:
    route = '[[route]]\nprefix = "44"\ncarrier = "beta"\n'
    write_priced(tmp_path, routing=PRICED + route + SHEET)
    add_carrier(tmp_path, "beta")

    problem = only_problem(tmp_path)

    assert (problem.key, problem.line) == ("route[2].cost", 5)
    assert "or [[prices]] for the carrier" in problem.remedy


def test_cost_with_a_decimal_comma_is_refused_with_what_to_write(tmp_path: Path) -> None:
    problem = only_problem(write_config(tmp_path, routing=ROUTING.replace("0.0210", "0,0650")))

    assert problem.wrong == "'0,0650' is not a cost"
    assert problem.remedy == 'write "0.0650", with a point'


@pytest.mark.parametrize("value", ["1", '"yes"', "[]"])
def test_fallback_that_is_no_flag_is_refused(tmp_path: Path, value: str) -> None:
    routing = f'fallback = {value}\n{PRICED}cost = "1"\nfallback = {value}\n'

    problems = problems_of(write_config(tmp_path, routing=routing))

    assert [problem.key for problem in problems] == ["route[1].fallback", "fallback"]
    assert all("is not true or false" in problem.wrong for problem in problems)


def test_route_to_a_carrier_that_only_receives_is_refused(tmp_path: Path) -> None:
    write_config(tmp_path, carrier=CARRIER + 'bind = "receiver"\n')

    problem = only_problem(tmp_path)

    assert (problem.key, problem.line) == ("route[1].carrier", 4)
    assert "only receives" in problem.wrong
